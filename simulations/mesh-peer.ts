/**
 * One device of a simulated mesh: the real keeper with detector, links and RPC in a simulated process, on hosts of a
 * memory network. Killed, restarted, moved and re-keyed by the scenario; what it knows of the roster and of
 * addresses is what the scenario told it so far.
 */
import { anything } from '../src/base/codec.ts'
import type { DeviceId, PeerId } from '../src/base/ids.ts'
import { newDeviceId } from '../src/base/ids.ts'
import type { MemoryHost } from '../src/base/memory-host.ts'
import type { Random } from '../src/base/random.ts'
import type { RpcMethods } from '../src/base/rpc-methods.ts'
import { createRpcMethods } from '../src/base/rpc-methods.ts'
import type { Keeper } from '../src/discovery/keeper.ts'
import { createKeeper } from '../src/discovery/keeper.ts'
import type { LinkRemote } from '../src/discovery/line.ts'
import type { Member } from '../src/discovery/link-surroundings.ts'
import type { SimulatedProcess } from './process.ts'
import { createSimulatedProcess } from './process.ts'
import type { World } from './world.ts'

export const echoProtocol = '/sim/echo/1'

export interface LinkChange {
  readonly atMs: number
  readonly observer: MeshPeer
  readonly deviceId: DeviceId
  readonly kind: 'up' | 'suspect' | 'down'
  readonly reason: string
}

/** For scenarios with real keys. */
export interface SimulatedIdentity {
  readonly deviceId: DeviceId
  readonly peerId: PeerId
  /** Methods beside `echo`. */
  readonly serve: (methods: RpcMethods<LinkRemote>) => void
}

const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

export function newSimulatedPeerId(random: Random): PeerId {
  let text = '12D3KooW'
  for (let index = 0; index < 44; index++) text += base58[random.uint32() % base58.length] ?? ''
  // because: 44 base58 characters after the prefix are what the brand means
  return text as PeerId
}

export class MeshPeer {
  readonly name: string
  readonly deviceId: DeviceId
  /** Own keys in use, the newest first. */
  peerIds: PeerId[]
  address: string
  process: SimulatedProcess
  keeper: Keeper | undefined
  readonly hosts = new Map<PeerId, MemoryHost>()
  /** What this device believes the roster to be. */
  members: readonly Member[] = []
  readonly addresses = new Map<PeerId, string>()
  readonly #world: World
  readonly #changes: (change: LinkChange) => void
  #onChanged = new Set<() => void>()
  #addressCount = 0
  readonly #serve: (methods: RpcMethods<LinkRemote>) => void

  constructor(
    world: World,
    name: string,
    changes: (change: LinkChange) => void,
    identity?: SimulatedIdentity,
  ) {
    this.#world = world
    this.#changes = changes
    this.name = name
    this.deviceId = identity?.deviceId ?? newDeviceId(world.random)
    this.peerIds = [identity?.peerId ?? newSimulatedPeerId(world.random)]
    this.#serve = identity?.serve ?? (() => undefined)
    this.address = `/memory/${name}`
    this.process = createSimulatedProcess(world.clock)
  }

  get isRunning(): boolean {
    return this.keeper !== undefined && this.process.state === 'running'
  }

  start(): void {
    if (this.keeper !== undefined) return
    this.process = createSimulatedProcess(this.#world.clock)
    this.#onChanged = new Set()
    const env = this.#world.envOf(this.name, this.process)
    const methods = createRpcMethods<LinkRemote>()
    methods.request('echo', anything, (params) => ({ value: params }))
    this.#serve(methods)
    const [newest] = this.peerIds
    if (newest === undefined) return
    this.peerIds = [newest]
    const keeper = createKeeper(
      env,
      {
        host: this.#listen(newest),
        members: {
          self: { deviceId: this.deviceId },
          members: () => this.members,
          onChanged: (listener) => {
            const listeners = this.#onChanged
            listeners.add(listener)
            return { [Symbol.dispose]: () => void listeners.delete(listener) }
          },
        },
        addressesOf: (peerId) => [this.addresses.get(peerId)].filter((address) => address !== undefined),
        learned: () => undefined,
        methods,
      },
      { agent: 'sim/1', name: this.name },
    )
    this.keeper = keeper
    keeper.handle(echoProtocol, (channel) => {
      channel.receive((message) => void channel.send(message.slice()))
    })
    const report = (kind: LinkChange['kind'], deviceId: DeviceId, reason: string): void => {
      this.#world.note(this.name, `${kind} ${deviceId.slice(-4)} ${reason}`)
      this.#changes({ atMs: this.#world.clock.monotonicMs(), observer: this, deviceId, kind, reason })
    }
    keeper.events.on('link.up', ({ deviceId, address }) => report('up', deviceId, address))
    keeper.events.on('link.suspect', ({ deviceId }) => report('suspect', deviceId, ''))
    keeper.events.on('link.down', ({ deviceId, reason }) => report('down', deviceId, reason))
    this.#world.note(this.name, 'started')
  }

  kill(): void {
    if (this.keeper === undefined) return
    this.#world.note(this.name, 'killed')
    this.process.kill()
    for (const host of this.hosts.values()) host.kill()
    this.#forget()
  }

  /** Ends in good order; the returned promise needs the world to go on. */
  async leave(): Promise<void> {
    const { keeper } = this
    if (keeper === undefined) return
    const hosts = [...this.hosts.values()]
    this.#forget()
    await keeper[Symbol.asyncDispose]()
    await Promise.all(hosts.map((host) => host[Symbol.asyncDispose]()))
    this.#world.note(this.name, 'left')
  }

  /** The machine gets another address, as on another network. */
  move(): void {
    this.address = `/memory/${this.name}.${++this.#addressCount}`
    this.#world.note(this.name, `moved to ${this.address}`)
    for (const [peerId, host] of this.hosts) host.moveTo(this.addressOf(peerId))
    this.keeper?.networkChanged()
  }

  /** A newer key from now on; the old host is left once nothing needs it. */
  rotate(peerId: PeerId): void {
    const [old] = this.peerIds
    if (old === undefined || this.keeper === undefined) return
    this.peerIds = [peerId, ...this.peerIds]
    this.#world.note(this.name, 'rotated')
    this.keeper.addHost(this.#listen(peerId))
  }

  /** Stops using a key. */
  async retire(peerId: PeerId): Promise<void> {
    const host = this.hosts.get(peerId)
    const { keeper } = this
    if (host === undefined || keeper === undefined) return
    await keeper.retireHost(peerId)
    if (keeper !== this.keeper) return
    this.hosts.delete(peerId)
    this.peerIds = this.peerIds.filter((other) => other !== peerId)
    this.#world.note(this.name, 'retired a key')
    await host[Symbol.asyncDispose]()
  }

  /** Tells this device of the roster as it is now. */
  learnMembers(members: readonly Member[]): void {
    this.process.run(() => {
      this.members = members
      for (const listener of this.#onChanged) listener()
    })
  }

  learnAddress(peerId: PeerId, address: string): void {
    this.addresses.set(peerId, address)
    this.process.run(() => this.keeper?.hint(peerId))
  }

  addressOf(peerId: PeerId): string {
    return `${this.address}#${peerId.slice(-4)}`
  }

  #forget(): void {
    this.keeper = undefined
    this.hosts.clear()
  }

  #listen(peerId: PeerId): MemoryHost {
    const { process } = this
    const host = this.#world.network.createHost({
      peerId,
      address: this.addressOf(peerId),
      machine: this.name,
      run: (work) => process.run(work),
      membership: {
        deviceOf: (remote) => this.members.find((member) => member.peerIds.includes(remote))?.deviceId,
        isPairingOpen: () => false,
      },
    })
    this.hosts.set(peerId, host)
    return host
  }
}
