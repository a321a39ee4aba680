/**
 * Scenario `mesh`: 2-8 devices with real keepers under faults drawn by the seed: loss, latency, cuts in one or both
 * directions, kills and restarts, freezes, resets, moves to other addresses, leaving, new keys, removed members.
 * Which kinds are on, and how strong, is drawn as well (swarm testing, Groce et al. 2012). Then everything heals and
 * the mesh must become whole; at the end all leave, and nothing may be left over.
 */
import type { DeviceId } from '../src/base/ids.ts'
import type { Random } from '../src/base/random.ts'
import { createSeededRandom, randomBelow } from '../src/base/random.ts'
import { createAlarmCheck } from './checks/alarms.ts'
import { checkCalls, createWork } from './checks/calls.ts'
import { createDetectionCheck } from './checks/detection.ts'
import { checkNothingLeft, checkWhole, isWhole } from './checks/wholeness.ts'
import { createFaultRecord } from './faults.ts'
import type { FaultRecord } from './faults.ts'
import type { LinkChange } from './mesh-peer.ts'
import { MeshPeer, newSimulatedPeerId } from './mesh-peer.ts'
import type { SimulatedProcess } from './process.ts'
import type { SimulationResult } from './scenario.ts'
import type { World, WorldOptions } from './world.ts'
import { createWorld } from './world.ts'

/** How long after the last fault the mesh may take to be whole: one full back-off, a dial, hello, drains. */
const quiescenceMs = 14_000
const checkEveryMs = 500
/** Mostly small: what goes wrong between devices goes wrong between two or three, and the cost grows as the square. */
const peerCounts = [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 6, 8]
/** Once whole it must stay so; a spare connection takes a second to be drained. */
const settledMs = 2_500

export async function runMesh(seed: number, options: WorldOptions = {}): Promise<SimulationResult> {
  const world = createWorld(seed, options)
  const mesh = new Mesh(world)
  try {
    await mesh.run()
    return { seed, hash: world.traceHash(), failure: undefined, notes: [] }
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { seed, hash: world.traceHash(), failure, notes: world.recentNotes() }
  }
}

class Mesh {
  readonly world: World
  readonly random: Random
  readonly peers: readonly MeshPeer[]
  readonly faults: FaultRecord
  readonly removed = new Set<DeviceId>()
  readonly #pending: { readonly process: SimulatedProcess; readonly work: Promise<void> }[] = []
  #isOver = false
  readonly #alarms: ReturnType<typeof createAlarmCheck>
  readonly #detection: ReturnType<typeof createDetectionCheck>
  readonly #work: ReturnType<typeof createWork>

  constructor(world: World) {
    this.world = world
    this.random = createSeededRandom(world.random.uint32())
    this.faults = createFaultRecord(world.clock, world.network)
    const count = pick(this.random, peerCounts)
    const onChange = (change: LinkChange): void => this.#alarms.changed(change)
    this.peers = Array.from({ length: count }, (_, index) => new MeshPeer(world, `p${index}`, onChange))
    this.#alarms = createAlarmCheck(world, this.faults, this.peers)
    this.#detection = createDetectionCheck(world, this.faults, this.peers)
    this.#work = createWork(world, this.random, this.peers)
    world.weather = {
      latencyMs: pick(this.random, [0.2, 1, 5, 40]),
      jitterMs: pick(this.random, [0, 1, 20]),
      lossRate: pick(this.random, [0, 0, 0.05, 0.3]),
    }
  }

  async run(): Promise<void> {
    const { world, random } = this
    world.note('world', `${this.peers.length} peers ${JSON.stringify(world.weather)}`)
    for (const peer of this.peers) peer.members = this.roster()
    for (const peer of this.peers) this.#announce(peer)
    for (const peer of this.peers) this.#after(random.float() * 1000, () => peer.start())
    await this.#pass(3_000)
    const kinds = faultKinds.filter(() => random.float() < 0.4)
    const faultsMs = 3_000 + random.float() * 7_000
    const untilMs = world.clock.monotonicMs() + faultsMs
    while (world.clock.monotonicMs() < untilMs) {
      if (kinds.length > 0) this.#fault(pick(random, kinds))
      await this.#pass(200 + random.float() * 3_000)
    }
    this.#heal()
    await this.#becomeWhole()
    await checkCalls(world, this.peers, this.removed)
    await this.#end()
  }

  /** What is true of membership; each device learns it in its own time. */
  roster(): readonly { readonly deviceId: DeviceId; readonly peerIds: MeshPeer['peerIds'] }[] {
    return this.peers
      .filter((peer) => !this.removed.has(peer.deviceId))
      .map((peer) => ({ deviceId: peer.deviceId, peerIds: [...peer.peerIds] }))
  }

  async #pass(byMs: number): Promise<void> {
    const untilMs = this.world.clock.monotonicMs() + byMs
    while (this.world.clock.monotonicMs() < untilMs) {
      await this.world.advance(Math.min(checkEveryMs, untilMs - this.world.clock.monotonicMs()))
      this.#detection.check()
      this.#alarms.check()
      if (this.random.float() < 0.3) this.#work.begin()
    }
  }

  #after(delayMs: number, act: () => void): void {
    this.world.clock.setTimer(delayMs, act)
  }

  #fault(kind: FaultKind): void {
    const { random, world } = this
    const peer = pick(random, this.peers)
    const other = pick(random, this.peers)
    const forMs = 300 + random.float() * pick(random, [1_500, 4_000, 9_000])
    world.note('fault', `${kind} ${peer.name} ${other.name} ${forMs.toFixed(0)}`)
    switch (kind) {
      case 'cut':
        return this.#cut(
          [
            [peer, other],
            [other, peer],
          ],
          forMs,
        )
      case 'one-way':
        return this.#cut([[peer, other]], forMs)
      case 'isolate':
        return this.#cut(
          this.peers.flatMap((each): [MeshPeer, MeshPeer][] => [
            [peer, each],
            [each, peer],
          ]),
          forMs,
        )
      case 'kill':
        this.faults.process(peer, 'dead')
        peer.kill()
        return this.#after(forMs, () => this.#restart(peer))
      case 'freeze':
        if (!peer.isRunning) return undefined
        return this.#freeze(peer, forMs)
      case 'reset':
        this.faults.touch(peer, other)
        return world.network.reset(peer.name, other.name)
      case 'move':
        this.faults.touchAll(peer)
        peer.move()
        return this.#announce(peer)
      case 'leave':
        if (!peer.isRunning) return undefined
        this.faults.process(peer, 'dead')
        this.#pending.push({ process: peer.process, work: peer.leave() })
        return this.#after(forMs + 2_000, () => this.#restart(peer))
      case 'rotate':
        return this.#rotate(peer, forMs)
      case 'remove':
        return this.#remove(peer)
    }
  }

  #cut(ways: readonly (readonly [MeshPeer, MeshPeer])[], forMs: number): void {
    for (const [from, to] of ways) {
      if (from !== to) this.faults.cut(from, to)
    }
    this.#after(forMs, () => {
      for (const [from, to] of ways) if (from !== to) this.faults.heal(from, to)
    })
  }

  #freeze(peer: MeshPeer, forMs: number): void {
    const { process } = peer
    this.faults.process(peer, 'frozen')
    process.freeze()
    this.#after(forMs, () => {
      if (process.state !== 'frozen' || peer.process !== process) return
      process.thaw()
      this.faults.process(peer, 'running')
    })
  }

  #restart(peer: MeshPeer): void {
    if (peer.keeper !== undefined || this.#isOver) return
    this.faults.process(peer, 'running')
    peer.members = this.roster()
    const hadKeys = peer.peerIds.length
    peer.start()
    if (hadKeys > 1) this.#tellRoster()
    this.#announce(peer)
  }

  #rotate(peer: MeshPeer, forMs: number): void {
    const [old] = peer.peerIds
    if (!peer.isRunning || peer.peerIds.length > 1 || old === undefined) return
    peer.rotate(newSimulatedPeerId(this.random))
    this.#tellRoster()
    this.#announce(peer)
    this.#after(2_000 + forMs / 3, () => {
      const { process } = peer
      process.run(() => {
        this.#pending.push({ process, work: peer.retire(old).then(() => this.#tellRoster()) })
      })
    })
  }

  #remove(peer: MeshPeer): void {
    if (this.peers.length - this.removed.size <= 2) return
    this.removed.add(peer.deviceId)
    this.faults.touchAll(peer)
    this.#tellRoster()
  }

  #tellRoster(): void {
    for (const peer of this.peers)
      this.#after(this.random.float() * 1_000, () => peer.learnMembers(this.roster()))
  }

  /** Everybody hears where this device is, each a little later: discovery. */
  #announce(peer: MeshPeer): void {
    for (const other of this.peers) {
      if (other === peer) continue
      const address = peer.address
      this.#after(this.random.float() * 2_000, () => {
        if (peer.address === address)
          for (const id of peer.peerIds) other.learnAddress(id, peer.addressOf(id))
      })
    }
  }

  #heal(): void {
    this.world.note('world', 'heals')
    this.world.weather = { ...this.world.weather, lossRate: 0 }
    this.faults.healAll()
    for (const peer of this.peers) {
      if (peer.process.state === 'frozen') {
        peer.process.thaw()
        this.faults.process(peer, 'running')
      }
      this.#restart(peer)
      this.#announce(peer)
    }
    this.#tellRoster()
  }

  /** Whole in time, and still so a while later. */
  async #becomeWhole(): Promise<void> {
    const untilMs = this.world.clock.monotonicMs() + quiescenceMs
    await this.#pass(checkEveryMs * 4)
    while (!isWhole(this.world, this.peers, this.removed) && this.world.clock.monotonicMs() < untilMs) {
      await this.#pass(checkEveryMs)
    }
    await this.#pass(settledMs)
    checkWhole(this.world, this.peers, this.removed)
  }

  async #end(): Promise<void> {
    const { world } = this
    this.#isOver = true
    await this.#work.finish()
    const pending = this.#pending.filter(({ process }) => process.state !== 'killed').map(({ work }) => work)
    await world.until(Promise.all(pending), 1_000)
    await world.until(Promise.all(this.peers.map((peer) => peer.leave())), 5_000)
    await world.advance(10_000)
    checkNothingLeft(world)
    this.#alarms.check()
  }
}

const faultKinds = [
  'cut',
  'one-way',
  'isolate',
  'kill',
  'freeze',
  'reset',
  'move',
  'leave',
  'rotate',
  'remove',
] as const
type FaultKind = (typeof faultKinds)[number]

function pick<T>(random: Random, from: readonly T[]): T {
  // because: every list here is a constant with at least one entry
  return from[randomBelow(random, from.length)] as T
}
