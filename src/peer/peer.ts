/**
 * The composition root: makes every part of a peer, connects them, and answers the verbs. Holds no algorithm. What
 * belongs to the identity of the device (mesh, documents, spaces) is one core, made anew when the identity changes.
 */
import { assert } from '../base/assert.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import { createScope } from '../base/scope.ts'
import type { ApiCall, LeaveReport, PeerApi, PeerStatus, Problem } from './api.ts'
import type { AuditKind } from './auth/audit.ts'
import { createAudit } from './auth/audit.ts'
import { createIdentity } from './auth/keys.ts'
import { createMeshKeys } from './auth/mesh-keys.ts'
import { createPairingWindow } from './auth/pairing-window.ts'
import type { RosterChange } from './auth/roster.ts'
import { createRoster } from './auth/roster.ts'
import { createTokens } from './auth/tokens.ts'
import { openClipboardService } from './clipboard-service.ts'
import { openContents } from './contents.ts'
import { createDeviceVerbs, describeLinks } from './device-verbs.ts'
import { examine, hasNetwork } from './doctor.ts'
import { openDocuments } from './documents.ts'
import type { EventBus } from './event-bus.ts'
import { createEventBus } from './event-bus.ts'
import type { Home } from './home.ts'
import { createJoinVerb } from './joining.ts'
import type { Farewell } from './leaving.ts'
import { forgetMesh, sayFarewell, startingOver } from './leaving.ts'
import { startMeshKeySync } from './mesh-key-sync.ts'
import type { Mesh } from './mesh.ts'
import { startMesh } from './mesh.ts'
import { requireWholeHome } from './missing-parts.ts'
import { createQuestions, startPairing } from './pairing-service.ts'
import { readVersion } from '../program/program.ts'
import { startRosterSync } from './roster-sync.ts'
import { createSecurityVerbs, startWitnesses } from './security-verbs.ts'
import type { Settings } from './settings.ts'
import { openSpaces } from './spaces.ts'

export interface Peer extends AsyncDisposable {
  readonly api: PeerApi
}

/** Starts everything. Disposing says goodbye to the others, flushes and closes. @throws `port.busy`, `store.*`. */
export async function createPeer(env: Env, home: Home, settings: Settings): Promise<Peer> {
  const bus = createEventBus(env)
  let core: Core | undefined
  let reason: unknown
  const start = async (): Promise<Core> => {
    const scope = createScope(env, 'peer')
    // A part that failed has taken all the others with it. The next start recovers; half a peer would only look alive
    const onEnd = (): void => {
      if (core?.scope === scope && scope.reason?.code === 'internal') throw scope.reason
    }
    scope.signal.addEventListener('abort', onEnd, { once: true })
    try {
      core = await startCore(env, scope, { home, settings, bus })
      return core
    } catch (error) {
      reason = error
      await scope.close()
      throw error
    }
  }
  const leave = async (): Promise<LeaveReport> => {
    const left = core
    if (left === undefined) throw startingOver(reason)
    const farewell = await left.sayFarewell()
    core = undefined
    await left.scope.close()
    await forgetMesh(env, home, settings)
    const { api } = await start()
    const { name, deviceId, peerId } = await api.status({}, { signal: new AbortController().signal })
    bus.publish('mesh.left', { deviceId, wasMember: farewell.wasMember })
    return { ...farewell, name, deviceId, peerId }
  }
  const first = await start()
  bus.publish('peer.started', { version: readVersion() })
  return {
    api: { ...followCurrent(first.api, () => core?.api ?? startingOver(reason)), leave },
    async [Symbol.asyncDispose]() {
      bus.publish('peer.stopping', {})
      await core?.scope.close()
    },
  }
}

/** The same verbs, answered by whatever core there is when they are called. */
function followCurrent(first: CoreApi, current: () => CoreApi | SkeinError): CoreApi {
  const verbs = Object.keys(first).map((verb) => [
    verb,
    (params: never, call: ApiCall) => {
      const api = current()
      if (api instanceof SkeinError) throw api
      // because: every core has the verbs of the first one, and the caller passes what that verb takes
      return (api[verb as keyof CoreApi] as (params: never, call: ApiCall) => unknown)(params, call)
    },
  ])
  return Object.fromEntries(verbs) as CoreApi // because: built from the keys of one
}

type CoreApi = Omit<PeerApi, 'leave'>

/** All that belongs to one identity. */
interface Core {
  readonly api: CoreApi
  readonly scope: Scope
  sayFarewell(): Promise<Farewell>
}

interface CoreParts {
  readonly home: Home
  readonly settings: Settings
  readonly bus: EventBus
}

async function startCore(env: Env, scope: Scope, { home, settings, bus }: CoreParts): Promise<Core> {
  const { keep } = home
  const trust = await openTrust(env, scope, { home, settings, bus })
  const { identity, roster, meshKeys, audit, tokens } = trust
  let mesh: Mesh | undefined
  const window = createPairingWindow(env, {
    peerId: () => identity.key.peerId,
    addresses: () => mesh?.finder.ownAddresses() ?? [],
  })
  mesh = await startMesh(env, scope, {
    keep,
    identity,
    roster,
    settings,
    meshKeys: () =>
      [meshKeys.current(), meshKeys.previous()].flatMap((key) => (key === undefined ? [] : [key.key])),
    isPairingOpen: () => window.isOpen,
    agent: `skein/${readVersion()}`,
  })
  assert(mesh !== undefined, 'the mesh has started')
  const self = identity.deviceId
  followLinks(scope, mesh, bus)
  startRosterSync(env, scope, { roster, keeper: mesh.keeper, methods: mesh.methods })
  startMeshKeySync(env, scope, {
    identity,
    roster,
    meshKeys,
    keeper: mesh.keeper,
    methods: mesh.methods,
    onChanged: () => mesh.refresh(),
  })
  const security = { keep, identity, roster, mesh, audit, tokens }
  startWitnesses(env, scope, security)
  const pairing = { identity, roster, meshKeys, window, mesh, audit, bus, questions: createQuestions(env) }
  const documents = await openDocuments(env, scope, {
    directory: await home.dataDirectory('documents'),
    roster,
    mesh,
    self,
    bus,
  })
  const exchange = openContents(env, scope, { mesh, self })
  const spaces = await openSpaces(env, scope, {
    keep,
    self,
    roster,
    documents,
    exchange,
    bus,
    home: home.directory,
  })
  const devices = { identity, roster, mesh, note: trust.note }

  const status = async (): Promise<PeerStatus> => {
    const own = roster.self()
    return {
      deviceId: self,
      name: own?.name ?? identity.name,
      kind: identity.kind,
      peerId: identity.key.peerId,
      role: own?.role ?? 'guest',
      mesh: roster.mesh,
      addresses: mesh.host().addresses(),
      links: describeLinks(env, devices),
      spaces: await spaces.statuses(),
      problems: problemsOf({
        isMember: own?.removed === undefined && own !== undefined,
        isStoreOpen: documents.host.store.status === 'open',
        isListening: mesh.host().addresses().length > 0 || !hasNetwork(),
      }),
      isPairingOpen: window.isOpen,
    }
  }
  const api: CoreApi = {
    status,
    events: (_params, call) => bus.subscribe(call.signal),
    doctor: async () => {
      const own = roster.self()
      const { addresses, links, spaces: found } = await status()
      const isMember = own !== undefined && own.removed === undefined
      return examine({ env, settings, addresses, links, spaces: found, documents, isMember })
    },
    ...createDeviceVerbs(env, devices),
    ...startPairing(env, scope, pairing),
    ...createJoinVerb(env, pairing),
    ...createSecurityVerbs(env, security),
    ...spaces.verbs,
    ...openClipboardService(env, scope, { documents, roster, self, bus }),
  }
  return {
    api,
    scope,
    async sayFarewell() {
      await trust.note('leave', self)
      return sayFarewell(env, roster, mesh)
    },
  }
}

/** Identity, roster, keys, tokens and the log of what was done with them. */
async function openTrust(env: Env, scope: Scope, { home, settings, bus }: CoreParts) {
  const { keep } = home
  await requireWholeHome(keep, home.directory)
  const identity = await createIdentity(env, keep, { name: settings.name, kind: settings.kind })
  const roster = await createRoster(env, keep, identity)
  const meshKeys = await createMeshKeys(env, keep, identity, roster.state)
  const audit = scope.own(await createAudit(env, keep, identity))
  const tokens = await createTokens(env, keep, identity, roster)
  const note = async (
    kind: AuditKind,
    device: string,
    details: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    await audit.record(kind, { device, ...details })
  }
  const noteLater = (kind: AuditKind, device: string): void => {
    note(kind, device).catch((error: unknown) => env.log.error('audit not written', errorFields(error)))
  }
  scope.own(roster.events.on('roster.changed', (change) => publishRoster(bus, change, noteLater)))
  return { identity, roster, meshKeys, audit, tokens, note }
}

function publishRoster(
  bus: EventBus,
  { added, removed, changed, state }: RosterChange,
  note: (kind: AuditKind, device: string) => void,
): void {
  for (const deviceId of added) {
    const device = state.devices.get(deviceId)
    bus.publish('device.joined', { deviceId, name: device?.name ?? '', by: device?.addedBy ?? '' })
    note('add', deviceId)
  }
  for (const deviceId of removed) {
    bus.publish('device.left', { deviceId, name: state.devices.get(deviceId)?.name ?? '', reason: 'revoked' })
    note('remove', deviceId)
  }
  for (const deviceId of changed)
    bus.publish('device.renamed', { deviceId, name: state.devices.get(deviceId)?.name ?? '' })
}

function followLinks(scope: Scope, mesh: Mesh, bus: EventBus): void {
  const { events } = mesh.keeper
  scope.own(
    events.on('link.up', ({ deviceId, address, encryption }) =>
      bus.publish('link.up', { deviceId, address, transport: encryption }),
    ),
  )
  scope.own(events.on('link.suspect', ({ deviceId }) => bus.publish('link.suspect', { deviceId })))
  scope.own(events.on('link.down', ({ deviceId, reason }) => bus.publish('link.down', { deviceId, reason })))
}

interface Condition {
  readonly isMember: boolean
  readonly isStoreOpen: boolean
  readonly isListening: boolean
}

function problemsOf({ isMember, isStoreOpen, isListening }: Condition): readonly Problem[] {
  const problems: Problem[] = []
  if (!isListening) {
    problems.push({
      code: 'config.invalid',
      message: 'no address to listen on could be bound, so others cannot reach this device',
      fix: 'check "listen" in settings.json, or: skein down, then skein up without --listen',
    })
  }
  if (!isMember) {
    problems.push({
      code: 'auth.denied',
      message: 'this device was removed from its mesh',
      fix: 'skein leave makes it a new device; then pair it again',
    })
  }
  if (!isStoreOpen) {
    problems.push({
      code: 'store.failed',
      message: 'the document store does not take writes',
      fix: 'skein doctor names the cause',
    })
  }
  return problems
}
