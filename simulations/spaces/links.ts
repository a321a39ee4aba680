/**
 * The links between the devices of a simulated space: two connections per pair, as in the real mesh, one for documents
 * and one for contents, so that neither waits for the other. Opened again whenever both ends run. A cut holds the bytes
 * back; one that lasts longer than the failure detector waits ends the connections on both sides, in mid message.
 */
import type { Channel } from '../../src/base/channel.ts'
import type { Connection } from '../../src/base/link.ts'
import { blobProtocol } from '../../src/blobs/wire.ts'
import { syncProtocol } from '../../src/crdt/sync-frames.ts'
import type { World } from '../world.ts'
import type { SpaceDevice } from './device.ts'

const detectMs = 2_500
const redialMs = 300

export interface SpaceLinks {
  /** Serves the protocols of a device that has just started. */
  serve(device: SpaceDevice): void
  cut(a: SpaceDevice, b: SpaceDevice): void
  heal(a: SpaceDevice, b: SpaceDevice): void
  healAll(): void
  /** Ends their connections now. */
  reset(a: SpaceDevice, b: SpaceDevice): void
  isCut(a: SpaceDevice, b: SpaceDevice): boolean
  /** The run of a device has ended. */
  gone(device: SpaceDevice): void
  /** Nothing is dialled any more. */
  end(): void
}

export function createSpaceLinks(world: World, devices: readonly SpaceDevice[]): SpaceLinks {
  return new PairedLinks(world, devices)
}

class PairedLinks implements SpaceLinks {
  private readonly world: World
  private readonly devices: readonly SpaceDevice[]
  private readonly cuts = new Map<string, number>()
  private cutCount = 0
  private isOver = false
  /** Waits of each device's run. */
  private readonly ends = new Map<SpaceDevice, Set<() => void>>()

  constructor(world: World, devices: readonly SpaceDevice[]) {
    this.world = world
    this.devices = devices
    for (const [index, a] of devices.entries()) {
      for (const b of devices.slice(index + 1)) {
        for (const protocol of [syncProtocol, blobProtocol]) this.later(a, b, protocol)
      }
    }
  }

  serve(device: SpaceDevice): void {
    for (const protocol of [syncProtocol, blobProtocol]) {
      device.network?.handle(protocol, 'member', (channel, connection) =>
        this.attach(device, connection, protocol, channel),
      )
    }
  }

  cut(a: SpaceDevice, b: SpaceDevice): void {
    const key = keyOf(a, b)
    if (this.cuts.has(key)) return
    const number = ++this.cutCount
    this.cuts.set(key, number)
    this.world.network.cut(a.name, b.name)
    this.world.network.cut(b.name, a.name)
    this.world.clock.setTimer(detectMs, () => {
      if (this.cuts.get(key) === number) this.reset(a, b)
    })
  }

  heal(a: SpaceDevice, b: SpaceDevice): void {
    if (!this.cuts.delete(keyOf(a, b))) return
    this.world.network.heal(a.name, b.name)
    this.world.network.heal(b.name, a.name)
  }

  healAll(): void {
    for (const a of this.devices) for (const b of this.devices) this.heal(a, b)
  }

  reset(a: SpaceDevice, b: SpaceDevice): void {
    this.world.network.reset(a.name, b.name)
  }

  isCut(a: SpaceDevice, b: SpaceDevice): boolean {
    return this.cuts.has(keyOf(a, b))
  }

  gone(device: SpaceDevice): void {
    const ends = [...this.endsOf(device)]
    this.world.clock.setTimer(redialMs, () => ends.forEach((end) => end()))
  }

  end(): void {
    this.isOver = true
    for (const ends of this.ends.values()) for (const end of ends) end()
  }

  private later(a: SpaceDevice, b: SpaceDevice, protocol: string): void {
    const delayMs = redialMs * (0.2 + this.world.random.float())
    this.world.clock.setTimer(delayMs, () => {
      if (this.isOver) return
      void this.dial(a, b, protocol).then(() => this.later(a, b, protocol))
    })
  }

  /** Resolves once there is no connection, or none any more. */
  private async dial(a: SpaceDevice, b: SpaceDevice, protocol: string): Promise<void> {
    const host = a.network
    if (host === undefined || a.exchange === undefined || b.exchange === undefined || this.isCut(a, b)) return
    const ended = new AbortController()
    try {
      const lane = protocol === syncProtocol ? 'control' : 'bulk'
      const dialled = host.dial(b.peerId, b.network?.addresses() ?? [], { lane, signal: ended.signal })
      const connection = await this.unlessGone(a, dialled)
      if (connection === undefined) return
      const channel = await this.unlessGone(a, connection.open(protocol))
      if (channel === undefined) return
      this.attach(a, connection, protocol, channel)
      await this.unlessGone(a, Promise.race([connection.closed, channel.closed]))
      await this.unlessGone(a, connection.close())
    } catch {
      // Cut, gone or refused: it is dialled again
    }
  }

  /** A device that crashed hears of nothing any more, but somebody has to dial for its next run. */
  private async unlessGone<T>(device: SpaceDevice, promise: Promise<T>): Promise<T | undefined> {
    // A promise that outlives many races would keep them all: one of its own for each
    const gone = Promise.withResolvers<undefined>()
    const end = (): void => gone.resolve(undefined)
    const ends = this.endsOf(device)
    ends.add(end)
    try {
      return await Promise.race([promise, gone.promise])
    } finally {
      ends.delete(end)
    }
  }

  private endsOf(device: SpaceDevice): Set<() => void> {
    const known = this.ends.get(device) ?? new Set()
    this.ends.set(device, known)
    return known
  }

  private attach(device: SpaceDevice, connection: Connection, protocol: string, channel: Channel): void {
    const remote = this.devices.find((one) => one.peerId === connection.peerId)
    if (remote === undefined) return
    if (protocol === syncProtocol) device.connectSync(remote, channel)
    else device.connectBlobs(remote, channel)
  }
}

const keyOf = (a: SpaceDevice, b: SpaceDevice): string => [a.name, b.name].sort().join(' ')
