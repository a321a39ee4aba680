/**
 * The roster this device holds: statements in a log, the state they add up to, and what this device may add.
 * A statement is durable before anybody hears of it. Statements arrive in any order; those whose parents are
 * missing wait, bounded, in memory: the next sync brings them again.
 *
 * Kept: `roster` = canonical CBOR {v, mesh}, the mesh this device is in; `roster-<mesh>` = a log of
 * [seenMs, [statement bytes]]. Another mesh is adopted by writing its log in full and then the one pointer.
 * The wall clock is read for one thing only: how long a rotated-out key is still let in. It starts when this
 * device first sees the rotation, and once it was seen over it stays over while the process runs.
 */
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { Events } from '../../base/events.ts'
import { createEmitter } from '../../base/events.ts'
import type { DeviceId, MeshId, PeerId } from '../../base/ids.ts'
import type { Keep } from '../../base/keep.ts'
import { limits } from '../../base/limits.ts'
import { errorFields } from '../../base/log.ts'
import type { DeviceKey } from './device-key.ts'
import { deviceIdOf } from './device-key.ts'
import type { Identity } from './keys.ts'
import type { MergeResult } from './roster-arrivals.ts'
import { rosterFull, sortArrivals } from './roster-arrivals.ts'
import type { RosterGraph } from './roster-graph.ts'
import { createRosterGraph } from './roster-graph.ts'
import type { KeyGate } from './roster-key-gate.ts'
import { createKeyGate } from './roster-key-gate.ts'
import { admittedDevice } from './roster-ledger.ts'
import type { RosterDevice, RosterState } from './roster-state.ts'
import { evaluateGraph, membersOf } from './roster-state.ts'
import type { RosterStore } from './roster-store.ts'
import { openRosterStore } from './roster-store.ts'
import type { Draft, Grant, Role, Statement, StatementHash, StatementKind } from './statement.ts'
import { composeStatement, decodeStatement } from './statement.ts'

export interface RosterChange {
  readonly added: readonly DeviceId[]
  readonly removed: readonly DeviceId[]
  /** Members whose name, role, grants or key changed. */
  readonly changed: readonly DeviceId[]
  readonly state: RosterState
}

export interface RosterEvents {
  /** Statements that are durable here and were not before, from others or from this device: to be sent on. */
  'roster.stored': { readonly statements: readonly Uint8Array[] }
  'roster.changed': RosterChange
  /** This device now belongs to another mesh. */
  'roster.adopted': { readonly mesh: MeshId }
}

export interface Roster {
  readonly mesh: MeshId
  readonly state: RosterState
  readonly events: Events<RosterEvents>
  /** This device's own entry; undefined only after another device removed it. */
  self(): RosterDevice | undefined
  heads(): readonly StatementHash[]
  /** Statements a peer with these heads lacks, parents first. Unknown heads are ignored. */
  since(heads: readonly StatementHash[]): readonly Uint8Array[]
  /** Verifies, stores and takes in statements from anywhere. @throws `store.failed`. */
  merge(batch: readonly Uint8Array[]): Promise<MergeResult>
  /** The member that this key lets in now. What the gate asks. */
  deviceOf(peerId: PeerId): DeviceId | undefined
  /** These act as this device. @throws `auth.denied` when it may not, `not.found`, `limit.exceeded`, `store.failed`. */
  add(device: NewDevice): Promise<DeviceId>
  remove(device: DeviceId): Promise<void>
  grant(device: DeviceId, role: Role, grants?: readonly Grant[]): Promise<void>
  rename(device: DeviceId, name: string): Promise<void>
  registerRecovery(publicKey: Uint8Array): Promise<void>
  /** Moves this device to a fresh key. @param overlapMs 0 when the old key may be in wrong hands. */
  rotate(overlapMs?: number): Promise<void>
  /** Leaves the present mesh for one whose statements make this device a member. @throws `auth.invalid`. */
  adopt(mesh: MeshId, statements: readonly Uint8Array[]): Promise<void>
  /** As `adopt`, for a device that nobody could admit: the recovery key does, and removes the lost ones. */
  recover(mesh: MeshId, statements: readonly Uint8Array[], means: Recovery): Promise<void>
  /** Leaves the mesh and founds a new one of this device alone, under a new identity. */
  startOver(): Promise<void>
}

export interface NewDevice {
  readonly publicKey: Uint8Array
  readonly name: string
  readonly kind: RosterDevice['kind']
  readonly role: Role
  readonly grants: readonly Grant[]
}

export interface Recovery {
  readonly key: DeviceKey
  readonly remove: readonly DeviceId[]
}

/** Opens the roster, or founds a mesh of this one device. @throws `store.corrupt`, `store.failed`. */
export async function createRoster(env: Env, keep: Keep, identity: Identity): Promise<Roster> {
  const stored = await openRosterStore(env, keep)
  // Also when a new identity was stored and the mesh it was to found was not: see startOver
  const isOurs = stored !== undefined && isKnown(stored, identity)
  const opened = isOurs ? stored : await foundMesh(env, keep, identity)
  const emitter = createEmitter<RosterEvents>(env.log)
  const roster = holdRoster({ env, keep, identity, emitter }, opened)
  const { nextKey } = identity
  // A rotation was cut off between its statement and the change of key
  if (nextKey !== undefined && roster.self()?.key === nextKey.peerId) await identity.completeRotation()
  return roster
}

/** True when this identity was ever let in here, in effect or not: only a new identity has no trace in its log. */
const isKnown = (store: RosterStore, identity: Identity): boolean =>
  [...store.statements.values()].some((statement) => admittedDevice(statement) === identity.deviceId)

async function foundMesh(env: Env, keep: Keep, identity: Identity): Promise<RosterStore> {
  const { key, name, kind } = identity
  const body = { key: key.publicKey, name, kind, recovery: undefined, nonce: env.random.bytes(16) }
  const founding = composeStatement({ kind: 'found', body, author: identity.deviceId, key, parents: [] })
  return openRosterStore(env, keep, { mesh: founding.mesh, statements: [founding] })
}

interface Holding {
  readonly env: Env
  readonly keep: Keep
  readonly identity: Identity
  readonly emitter: ReturnType<typeof createEmitter<RosterEvents>>
}

function holdRoster(holding: Holding, first: RosterStore): Roster {
  const core = createCore(holding, first)
  const { identity } = holding
  return {
    ...createActs(core, identity),
    get mesh() {
      return core.store.mesh
    },
    get state() {
      return core.state
    },
    events: holding.emitter,
    self: () => ownEntry(core.state, identity),
    heads: () => core.state.heads,
    since: (heads) => missingFrom(core.graph, heads),
    merge: (batch) =>
      core.inTurn(async () => {
        const { fresh, result } = sortArrivals(batch, core)
        if (fresh.length > 0) {
          await core.store.append(fresh)
          core.takeIn(core.store, fresh)
          await core.witness()
        }
        return result
      }),
    deviceOf: (peerId) => core.gate.deviceOf(peerId),
    adopt: (mesh, statements) =>
      core.inTurn(() => enter(core, holding, { mesh, statements: statements.map(decodeStatement) })),
    recover: (mesh, statements, means) =>
      core.inTurn(() =>
        enter(core, holding, {
          mesh,
          statements: recovered(identity, mesh, statements.map(decodeStatement), means),
        }),
      ),
    startOver: () =>
      core.inTurn(async () => {
        await identity.startOver()
        core.waiting.clear()
        core.takeIn(await foundMesh(holding.env, holding.keep, identity))
        holding.emitter.emit('roster.adopted', { mesh: core.store.mesh })
      }),
  }
}

/** What changes under a roster, and the one way to change it. */
interface Core {
  readonly store: RosterStore
  readonly graph: RosterGraph
  readonly state: RosterState
  readonly gate: KeyGate
  readonly waiting: Map<StatementHash, Statement>
  /** One change at a time: each builds on the heads the one before left. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
  takeIn(next: RosterStore, fresh?: readonly Statement[]): void
  /** Says something as this device: tried first, then stored, then in effect. */
  say<K extends StatementKind>(act: Act<K>): Promise<Statement>
  /** Puts on record, in turn, that this device knows of a removal: see roster-contests.ts. */
  witness(): Promise<void>
}

type Act<K extends StatementKind> = Pick<Draft<K>, 'kind' | 'body'> & { readonly second?: DeviceKey }

function createCore({ env, identity, emitter }: Holding, first: RosterStore): Core {
  let store = first
  let graph = createRosterGraph(store.mesh, store.statements.values())
  let state = evaluateGraph(store.mesh, graph)
  let gate = createKeyGate(env.clock, state, (hash) => store.seenMs(hash))
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work)
    turn = result.catch((error: unknown) => env.log.debug('roster change refused', errorFields(error)))
    return result
  }
  const takeIn = (next: RosterStore, fresh: readonly Statement[] = []): void => {
    const before = state
    store = next
    graph = createRosterGraph(store.mesh, store.statements.values())
    state = evaluateGraph(store.mesh, graph)
    gate = createKeyGate(env.clock, state, (hash) => store.seenMs(hash))
    const change = differenceOf(before, state)
    if (fresh.length > 0)
      emitter.emit('roster.stored', { statements: fresh.map((statement) => statement.bytes) })
    if (change.added.length + change.removed.length + change.changed.length > 0)
      emitter.emit('roster.changed', change)
  }
  const sayNow = async <K extends StatementKind>(act: Act<K>): Promise<Statement> => {
    if (graph.order.length >= limits.rosterStatements) throw rosterFull()
    const parents = [...graph.heads].sort((a, b) => b.clock - a.clock).slice(0, limits.rosterParents)
    const statement = composeStatement({ ...act, author: identity.deviceId, key: identity.key, parents })
    const trial = evaluateGraph(store.mesh, createRosterGraph(store.mesh, [...graph.order, statement]))
    const refused = trial.rejected.find((entry) => entry.hash === statement.hash)
    if (refused !== undefined)
      throw new SkeinError('auth.denied', `the roster does not allow this: ${refused.reason}`)
    await store.append([statement])
    takeIn(store, [statement])
    return statement
  }
  return {
    get store() {
      return store
    },
    get graph() {
      return graph
    },
    get state() {
      return state
    },
    get gate() {
      return gate
    },
    waiting: new Map(),
    inTurn,
    takeIn,
    say: (act) => inTurn(() => sayNow(act)),
    async witness() {
      if (shouldWitness(graph, state, identity)) await sayNow({ kind: 'witness', body: {} })
    },
  }
}

type Acts = Pick<Roster, 'add' | 'remove' | 'grant' | 'rename' | 'registerRecovery' | 'rotate'>

function createActs(core: Core, identity: Identity): Acts {
  return {
    async add({ publicKey, name, kind, role, grants }) {
      await core.say({ kind: 'add', body: { key: publicKey, name, kind, role, grants } })
      const deviceId = deviceIdOf(publicKey)
      if (core.state.devices.has(deviceId)) return deviceId
      throw new SkeinError('auth.denied', 'a concurrent change of the roster undid this')
    },
    async remove(device) {
      const rest = membersOf(core.state).filter(
        (member) => member.deviceId !== device && member.role === 'full',
      )
      if (rest.length === 0) {
        throw new SkeinError('auth.denied', 'this is the last full device of the mesh', {
          fix: 'give another device the role full first',
        })
      }
      await core.say({ kind: 'remove', body: { device } })
    },
    async grant(device, role, grants = []) {
      await core.say({ kind: 'grant', body: { device, role, grants, recovery: undefined } })
    },
    async rename(device, name) {
      await core.say({ kind: 'rename', body: { device, name } })
      if (device === identity.deviceId) await identity.rename(name)
    },
    async registerRecovery(publicKey) {
      const own = ownEntry(core.state, identity)
      if (own === undefined) throw new SkeinError('auth.denied', 'this device is not a member any more')
      const body = { device: own.deviceId, role: own.role, grants: own.grants, recovery: publicKey }
      await core.say({ kind: 'grant', body })
    },
    async rotate(overlapMs = limits.rotationOverlapMs) {
      const second = await identity.prepareRotation()
      await core.say({ kind: 'rotate', body: { next: second.publicKey, overlapMs }, second })
      await identity.completeRotation()
    },
  }
}

/**
 * True when a removal stands that this device has not yet built upon. Only the most senior full devices do it:
 * a few are enough, and the roster must not grow by one statement per device for each removal.
 */
function shouldWitness(graph: RosterGraph, state: RosterState, identity: Identity): boolean {
  const full = membersOf(state).filter((member) => member.role === 'full')
  const rank = full.findIndex((member) => member.deviceId === identity.deviceId)
  if (
    rank < 0 ||
    rank >= limits.rosterWitnesses ||
    full.length < 2 ||
    graph.order.length >= limits.rosterStatements
  )
    return false
  const own = graph.order.flatMap((statement, index) =>
    statement.author === identity.deviceId ? [index] : [],
  )
  return [...state.devices.values()].some(({ removed }) => {
    const at =
      removed === undefined || removed.by === identity.deviceId ? undefined : graph.indexOf(removed.statement)
    return at !== undefined && !own.some((index) => graph.isAncestor(at, index))
  })
}

function ownEntry(state: RosterState, identity: Identity): RosterDevice | undefined {
  const own = state.devices.get(identity.deviceId)
  return own?.removed === undefined ? own : undefined
}

/** Moves to a mesh that has this device as a member; the one it is in already only grows. */
async function enter(
  core: Core,
  holding: Holding,
  target: { readonly mesh: MeshId; readonly statements: readonly Statement[] },
): Promise<void> {
  const { mesh, statements } = target
  const { identity, env, keep, emitter } = holding
  const connected = createRosterGraph(mesh, statements).order
  const own = ownEntry(evaluateGraph(mesh, createRosterGraph(mesh, connected)), identity)
  if (own?.key !== identity.key.peerId) {
    throw new SkeinError('auth.invalid', 'that roster does not have this device as a member', {
      fix: 'pair again',
    })
  }
  core.waiting.clear()
  if (mesh === core.store.mesh) {
    await core.store.append(connected.filter((statement) => !core.store.statements.has(statement.hash)))
    core.takeIn(core.store)
    return
  }
  core.takeIn(await openRosterStore(env, keep, { mesh, statements: connected }))
  emitter.emit('roster.adopted', { mesh })
}

function recovered(
  identity: Identity,
  mesh: MeshId,
  statements: readonly Statement[],
  means: Recovery,
): readonly Statement[] {
  const parents = createRosterGraph(mesh, statements).heads.slice(0, limits.rosterParents)
  const body = { key: identity.key.publicKey, name: identity.name, kind: identity.kind, remove: means.remove }
  return [
    ...statements,
    composeStatement({ kind: 'recover', body, author: identity.deviceId, key: means.key, parents }),
  ]
}

function missingFrom(graph: RosterGraph, heads: readonly StatementHash[]): readonly Uint8Array[] {
  const known = heads.map((hash) => graph.indexOf(hash)).filter((index) => index !== undefined)
  return graph.order
    .filter((_, index) => !known.some((head) => head === index || graph.isAncestor(index, head)))
    .map((statement) => statement.bytes)
}

function differenceOf(before: RosterState, after: RosterState): RosterChange {
  const wasMember = new Map(membersOf(before).map((device) => [device.deviceId, device]))
  const isMember = new Map(membersOf(after).map((device) => [device.deviceId, device]))
  const look = ({ name, role, grants, key }: RosterDevice): string =>
    JSON.stringify([name, role, grants, key])
  return {
    added: [...isMember.keys()].filter((id) => !wasMember.has(id)),
    removed: [...wasMember.keys()].filter((id) => !isMember.has(id)),
    changed: [...isMember].flatMap(([id, device]) => {
      const was = wasMember.get(id)
      return was !== undefined && look(was) !== look(device) ? [id] : []
    }),
    state: after,
  }
}
