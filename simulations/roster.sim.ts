/**
 * Scenario `roster`: real identities and rosters (signed statements, strong removal) over real keepers. Devices are
 * cut off and frozen, keys are rotated and devices removed, by whoever may, also while the network is cut. Whoever
 * hears of a removal has no connection to the removed device 1 s later; in the end all hold one roster.
 */
import { array, bytes } from '../src/base/codec.ts'
import type { Env } from '../src/base/env.ts'
import type { DeviceId, PeerId } from '../src/base/ids.ts'
import { createMemoryKeep } from '../src/base/keep.ts'
import { limits } from '../src/base/limits.ts'
import type { Random } from '../src/base/random.ts'
import { createSeededRandom, randomBelow } from '../src/base/random.ts'
import type { Member } from '../src/discovery/link-surroundings.ts'
import type { Identity } from '../src/peer/auth/keys.ts'
import { createIdentity } from '../src/peer/auth/keys.ts'
import { membersOf } from '../src/peer/auth/roster-state.ts'
import type { Roster } from '../src/peer/auth/roster.ts'
import { createRoster } from '../src/peer/auth/roster.ts'
import { checkNothingLeft } from './checks/wholeness.ts'
import { MeshPeer } from './mesh-peer.ts'
import { createSimulatedProcess } from './process.ts'
import type { SimulationResult } from './scenario.ts'
import type { World, WorldOptions } from './world.ts'
import { createWorld } from './world.ts'

const mergeMethod = 'roster.merge'
const statements = array(bytes(limits.rosterStatementBytes), 1_000)
const revocationMs = 1_000
const quiescenceMs = 20_000

interface Device {
  readonly peer: MeshPeer
  readonly identity: Identity
  readonly roster: Roster
  /** When this device learned that another is no member any more. */
  readonly knowsRemovedMs: Map<DeviceId, number>
}

export async function runRoster(seed: number, options: WorldOptions = {}): Promise<SimulationResult> {
  const world = createWorld(seed, options)
  try {
    await new RosterMesh(world).run()
    return { seed, hash: world.traceHash(), failure: undefined, notes: [] }
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { seed, hash: world.traceHash(), failure, notes: world.recentNotes() }
  }
}

class RosterMesh {
  readonly world: World
  readonly random: Random
  devices: readonly Device[] = []

  constructor(world: World) {
    this.world = world
    this.random = createSeededRandom(world.random.uint32())
    world.weather = {
      latencyMs: 1 + this.random.float() * 20,
      jitterMs: 5,
      lossRate: this.random.float() < 0.5 ? 0 : 0.1,
    }
  }

  async run(): Promise<void> {
    const { world, random } = this
    await this.#found(3 + randomBelow(random, 2))
    for (const { peer } of this.devices) peer.start()
    this.#tellAddresses()
    await this.#pass(4_000)
    for (let act = 0; act < 4; act++) {
      this.#fault()
      await this.#pass(random.float() * 2_000)
      await this.#change()
      await this.#pass(500 + random.float() * 3_000)
    }
    world.note('world', 'heals')
    world.network.healAll()
    await this.#converge()
    await world.until(Promise.all(this.devices.map(({ peer }) => peer.leave())), 10_000)
    await world.advance(limits.rpcDeadlineMs)
    checkNothingLeft(world)
  }

  async #found(count: number): Promise<void> {
    const made = []
    for (let index = 0; index < count; index++) made.push(await this.#create(`p${index}`))
    const [founder, ...others] = made
    for (const other of others) {
      const { name, kind, key } = other.identity
      await founder?.roster.add({ publicKey: key.publicKey, name, kind, role: 'full', grants: [] })
    }
    for (const other of others)
      await other.roster.adopt(founder?.roster.mesh ?? other.roster.mesh, founder?.roster.since([]) ?? [])
    this.devices = made
    for (const device of made) device.peer.learnMembers(this.#members(device))
  }

  async #create(name: string): Promise<Device> {
    const { world } = this
    const env: Env = world.envOf(name, createSimulatedProcess(world.clock))
    const keep = createMemoryKeep()
    const identity = await createIdentity(env, keep, { name, kind: 'laptop' })
    const roster = await createRoster(env, keep, identity)
    const peer = new MeshPeer(
      world,
      name,
      ({ kind, deviceId }) => {
        if (kind === 'up') this.#push(device, deviceId)
      },
      {
        deviceId: identity.deviceId,
        peerId: identity.key.peerId,
        serve: (methods) =>
          void methods.request(mergeMethod, statements, async (batch) => {
            await roster.merge(batch)
            return {}
          }),
      },
    )
    const device: Device = { peer, identity, roster, knowsRemovedMs: new Map() }
    roster.events.on('roster.changed', ({ removed }) => {
      world.note(name, `roster: ${roster.state.size} statements, ${removed.length} removed`)
      for (const deviceId of removed) device.knowsRemovedMs.set(deviceId, world.clock.monotonicMs())
      peer.learnMembers(this.#members(device))
      this.#tellAddresses()
    })
    roster.events.on('roster.stored', () => {
      for (const status of peer.keeper?.status() ?? []) this.#push(device, status.deviceId)
    })
    return device
  }

  /** Sends all that is known: small here, and merging twice is a no-op. */
  #push(from: Device, to: DeviceId): void {
    const rpc = from.peer.keeper?.rpc(to)
    if (rpc === undefined) return
    // A push that does not arrive is repeated when the link is up again
    rpc.call(mergeMethod, from.roster.since([]), (value) => value).catch(() => undefined)
  }

  #members(device: Device): readonly Member[] {
    return membersOf(device.roster.state).flatMap(({ deviceId, key, retired }) => {
      const overlapping = retired
        .map((old) => old.key)
        .filter((old) => device.roster.deviceOf(old) === deviceId)
      const peerIds: readonly PeerId[] = [...(key === undefined ? [] : [key]), ...overlapping]
      return peerIds.length === 0 ? [] : [{ deviceId, peerIds }]
    })
  }

  #tellAddresses(): void {
    for (const { peer } of this.devices) {
      for (const { peer: other } of this.devices) {
        if (other !== peer) for (const id of other.peerIds) peer.learnAddress(id, other.addressOf(id))
      }
    }
  }

  #fault(): void {
    const { random, world } = this
    const a = pick(random, this.devices).peer
    const b = pick(random, this.devices).peer
    if (random.float() < 0.3 || a === b) return
    world.note('fault', `cut ${a.name} ${b.name}`)
    world.network.cut(a.name, b.name)
    world.network.cut(b.name, a.name)
    world.clock.setTimer(500 + random.float() * 8_000, () => {
      world.network.heal(a.name, b.name)
      world.network.heal(b.name, a.name)
    })
  }

  /** Somebody removes somebody, or changes its own key. A refusal by the roster's rules is an answer. */
  async #change(): Promise<void> {
    const { random, world } = this
    const actor = pick(random, this.devices)
    const target = pick(random, this.devices)
    const size = membersOf(actor.roster.state).length
    if (random.float() < 0.5 && size > 2 && target !== actor) {
      world.note(actor.peer.name, `removes ${target.peer.name}`)
      await actor.roster
        .remove(target.identity.deviceId)
        .catch((error: unknown) => world.note(actor.peer.name, String(error)))
    } else if (actor.roster.self()?.removed === undefined && actor.peer.peerIds.length === 1) {
      const next = await actor.identity.prepareRotation()
      actor.peer.rotate(next.peerId)
      await actor.roster.rotate().catch((error: unknown) => world.note(actor.peer.name, String(error)))
      this.#tellAddresses()
    }
  }

  async #pass(byMs: number): Promise<void> {
    const untilMs = this.world.clock.monotonicMs() + byMs
    while (this.world.clock.monotonicMs() < untilMs) {
      await this.world.advance(Math.min(250, untilMs - this.world.clock.monotonicMs()))
      this.#checkRevoked()
    }
  }

  /** P42: effective within 1 s on whoever knows of it. */
  #checkRevoked(): void {
    const nowMs = this.world.clock.monotonicMs()
    for (const { peer, knowsRemovedMs } of this.devices) {
      for (const [deviceId, sinceMs] of knowsRemovedMs) {
        if (nowMs - sinceMs < revocationMs) continue
        const gone = this.devices.find(({ identity }) => identity.deviceId === deviceId)?.peer
        if (gone === undefined || !this.#isRemovedFor(peer, deviceId)) continue
        const held = this.world.network
          .openEnds()
          .filter(
            ({ owner, remote, channels }) =>
              peer.peerIds.includes(owner) && gone.peerIds.includes(remote) && channels > 0,
          )
        if (held.length > 0)
          throw new Error(`${peer.name} still talks to ${gone.name} ${nowMs - sinceMs} ms after its removal`)
      }
    }
  }

  #isRemovedFor(peer: MeshPeer, deviceId: DeviceId): boolean {
    return !peer.members.some((member) => member.deviceId === deviceId)
  }

  async #converge(): Promise<void> {
    const { world } = this
    const untilMs = world.clock.monotonicMs() + quiescenceMs
    await this.#pass(2_000)
    while (this.#problem() !== undefined && world.clock.monotonicMs() < untilMs) await this.#pass(500)
    const problem = this.#problem()
    if (problem !== undefined) throw new Error(problem)
  }

  /**
   * Devices that count each other as members are linked and hold one roster; others are not linked. A removed device
   * is not told of its removal by those who cut it off, so what it believes is its own.
   */
  #problem(): string | undefined {
    const heads = ({ roster }: Device): string => [...roster.heads()].sort().join()
    for (const a of this.devices) {
      for (const b of this.devices) {
        if (a === b) continue
        const label = `${a.peer.name} and ${b.peer.name}`
        const isMutual = this.#counts(a, b) && this.#counts(b, a)
        const link = a.peer.keeper?.status().find(({ deviceId }) => deviceId === b.identity.deviceId)
        if (isMutual && heads(a) !== heads(b)) return `${label} hold different rosters`
        if (isMutual && link?.state !== 'up') return `${label} are not linked (${link?.state})`
        if (isMutual && link?.connectionCount !== 2)
          return `${label} have ${link?.connectionCount} connections`
        if (isMutual && link?.peerId !== b.identity.key.peerId) return `${label} use an old key`
        if (!isMutual && link?.control !== undefined) return `${label} are linked, but not both members`
      }
    }
    return undefined
  }

  #counts(device: Device, other: Device): boolean {
    return device.peer.members.some(({ deviceId }) => deviceId === other.identity.deviceId)
  }
}

function pick<T>(random: Random, from: readonly T[]): T {
  // because: every list here has at least one entry
  return from[randomBelow(random, from.length)] as T
}
