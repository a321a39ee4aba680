/**
 * One side of a connection on a memory network: a packet pipe each way, channels as pairs bridged over the pipes with
 * a window, ends that the other side learns of only when a packet gets through.
 */
import { assert } from './assert.ts'
import type { Channel } from './channel.ts'
import type { Clock } from './clock.ts'
import { abortReason } from './clock.ts'
import { asSkeinError, SkeinError } from './errors.ts'
import type { PeerId } from './ids.ts'
import { limits } from './limits.ts'
import type { ChannelHandler, Connection } from './link.ts'
import { createMemoryChannelPair } from './memory-channel.ts'

/** A way for packets from one end to the other: in order, delayed, held while cut. */
interface Pipe {
  /** @param sizeBytes counted as read by the receiver when it arrives. */
  send(deliver: () => void, sizeBytes?: number): void
}

export interface MemoryCore {
  readonly clock: Clock
  readonly delayMs: (from: string, to: string) => number
  readonly hosts: Map<string, HostSide>
  /** The machine that an address belongs or last belonged to. */
  readonly machines: Map<string, string>
  readonly ends: Set<MemoryConnection>
  isCut(from: string, to: string): boolean
  /** Runs `resume` once the way is open. */
  whenHealed(from: string, to: string, resume: () => void): void
  nextId(): number
}

export interface HostSide {
  readonly peerId: PeerId
  readonly machine: string
  address: string
  isAlive: boolean
  readonly run: (work: () => void) => void
  /** @returns false when the gate refuses. */
  admits(peerId: PeerId): boolean
  arrived(end: MemoryConnection): void
  handlerOf(protocol: string, end: MemoryConnection): ChannelHandler | undefined
}

/** One direction of one connection, between two machines. */
export function createPipe(
  core: MemoryCore,
  ends: { readonly from: string; readonly to: string },
  host: HostSide,
  arrived: (sizeBytes: number) => void,
): Pipe {
  const { from, to } = ends
  const queue: { readonly deliver: () => void; readonly sizeBytes: number; readonly dueMs: number }[] = []
  let isMoving = false
  let lastDueMs = 0
  const pump = (): void => {
    const next = queue[0]
    if (next === undefined) {
      isMoving = false
      return
    }
    isMoving = true
    core.clock.setTimer(Math.max(0, next.dueMs - core.clock.monotonicMs()), () => {
      if (core.isCut(from, to)) {
        core.whenHealed(from, to, pump)
        return
      }
      const nowMs = core.clock.monotonicMs()
      while (queue[0] !== undefined && queue[0].dueMs <= nowMs) {
        const { deliver, sizeBytes } = queue.shift() ?? next
        host.run(() => {
          arrived(sizeBytes)
          deliver()
        })
      }
      pump()
    })
  }
  return {
    send(deliver, sizeBytes = 0) {
      lastDueMs = Math.max(lastDueMs, core.clock.monotonicMs() + core.delayMs(from, to))
      queue.push({ deliver, sizeBytes, dueMs: lastDueMs })
      if (!isMoving) pump()
    },
  }
}

/** What one side holds of a connection. */
export class MemoryConnection implements Connection {
  readonly id: string
  readonly peerId: PeerId
  readonly direction: 'inbound' | 'outbound'
  readonly encryption = 'memory'
  readonly address: string
  readonly closed: Promise<SkeinError | undefined>
  readonly host: HostSide
  readonly local: string
  readonly remote: string
  other: MemoryConnection | undefined
  /** Towards the other side. */
  pipe: Pipe | undefined
  isOpen = true
  bytesIn = 0
  bytesOut = 0
  readonly #core: MemoryCore
  readonly #done = Promise.withResolvers<SkeinError | undefined>()
  /** Ends of channels that face the network. */
  readonly #channels = new Set<Channel>()

  constructor(core: MemoryCore, host: HostSide, other: HostSide, direction: 'inbound' | 'outbound') {
    this.#core = core
    this.host = host
    this.local = host.machine
    this.remote = other.machine
    this.peerId = other.peerId
    this.address = other.address
    this.direction = direction
    this.id = `${core.nextId()}`
    this.closed = this.#done.promise
    core.ends.add(this)
  }

  get channels(): number {
    return this.#channels.size
  }

  bytesRead(): number {
    return this.bytesIn
  }

  bytesWritten(): number {
    return this.bytesOut
  }

  send(deliver: () => void, sizeBytes = 0): void {
    this.bytesOut += sizeBytes
    this.pipe?.send(deliver, sizeBytes)
  }

  async open(protocol: string, signal?: AbortSignal): Promise<Channel> {
    if (signal?.aborted) throw abortReason(signal)
    const other = this.other
    if (!this.isOpen || other === undefined) throw new SkeinError('peer.gone', 'connection closed')
    const opened = Promise.withResolvers<Channel>()
    const onAbort = (): void => opened.reject(signal === undefined ? undefined : abortReason(signal))
    signal?.addEventListener('abort', onAbort, { once: true })
    void this.closed.then((error) =>
      opened.reject(new SkeinError('peer.gone', 'connection ended', { cause: error })),
    )
    this.send(() => {
      const answer = other.accept(protocol)
      other.send(() => {
        if (answer instanceof SkeinError) opened.reject(answer)
        else if (!this.isOpen || signal?.aborted) {
          this.send(() => answer.abort(new SkeinError('cancelled', 'open came too late')))
        } else opened.resolve(this.join(answer, protocol))
      }, 64)
    }, 64)
    try {
      return await opened.promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** The accepting half of `open`. @returns a bridge for the opener's half, or why not. */
  accept(protocol: string): Bridge | SkeinError {
    if (!this.isOpen) return new SkeinError('peer.gone', 'connection closed')
    const handler = this.host.handlerOf(protocol, this)
    if (handler === undefined) return new SkeinError('rpc.unknown', `${protocol} is not served`)
    if (this.#channels.size >= limits.streamsPerPeer) return new SkeinError('peer.gone', 'too many streams')
    const [app, net] = createMemoryChannelPair(`${protocol} ${this.peerId}`)
    const bridge = createBridge(this, net)
    this.#own(net)
    const failed = (error: unknown): void => app.abort(asSkeinError(error))
    try {
      Promise.resolve(handler(app, this)).catch(failed)
    } catch (error) {
      failed(error)
    }
    return bridge
  }

  join(theirs: Bridge, protocol: string): Channel {
    const [app, net] = createMemoryChannelPair(`${protocol} ${this.peerId}`)
    this.#own(net)
    const ours = createBridge(this, net)
    ours.connect(theirs)
    theirs.connect(ours)
    return app
  }

  async close(): Promise<void> {
    if (!this.isOpen) return
    const other = this.other
    this.send(() => other?.finish(undefined))
    this.finish(undefined)
    await this.closed
  }

  abort(error: SkeinError): void {
    if (!this.isOpen) return
    const other = this.other
    this.send(() => other?.finish(new SkeinError('peer.gone', 'the other side cut the connection')))
    this.finish(error)
  }

  /** This side is over, whatever the other knows. */
  finish(error: SkeinError | undefined): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#core.ends.delete(this)
    for (const channel of this.#channels)
      channel.abort(error ?? new SkeinError('peer.gone', 'connection closed'))
    this.#channels.clear()
    this.#done.resolve(error)
  }

  /** The process is gone: nobody here learns anything, the other side gets a reset. */
  vanish(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#core.ends.delete(this)
    const other = this.other
    this.send(() => other?.finish(new SkeinError('peer.gone', 'connection reset')))
  }

  /** Nothing gets through any more in either direction, and nobody is told. */
  strand(): void {
    this.pipe = undefined
    if (this.other !== undefined) this.other.pipe = undefined
  }

  #own(net: Channel): void {
    this.#channels.add(net)
    void net.closed.then(() => this.#channels.delete(net))
  }
}

/** Carries one channel over the pipes: what the application's half sends goes to the other side's bridge. */
interface Bridge {
  connect(other: Bridge): void
  deliver(message: Uint8Array): void | Promise<void>
  ended(error: SkeinError | undefined): void
  abort(error: SkeinError): void
}

function createBridge(end: MemoryConnection, net: Channel): Bridge {
  let other: Bridge | undefined
  let inFlightBytes = 0
  let room: PromiseWithResolvers<void> | undefined
  const landed = (sizeBytes: number): void => {
    inFlightBytes -= sizeBytes
    if (inFlightBytes >= limits.controlWindowBytes) return
    room?.resolve()
    room = undefined
  }
  const start = (target: Bridge): void => {
    net.receive((message) => {
      const copy = message.slice()
      inFlightBytes += copy.byteLength
      end.send(() => {
        const pending = target.deliver(copy)
        if (pending === undefined) landed(copy.byteLength)
        else void pending.then(() => landed(copy.byteLength))
      }, copy.byteLength)
      if (inFlightBytes < limits.controlWindowBytes) return undefined
      room ??= Promise.withResolvers<void>()
      return room.promise
    })
    void net.closed.then((error) => {
      if (end.isOpen) end.send(() => target.ended(error))
    })
  }
  return {
    connect(target) {
      assert(other === undefined, 'a bridge is connected once')
      other = target
      start(target)
    },
    deliver(message) {
      try {
        return net.send(message) ? undefined : net.drained().catch(() => undefined)
      } catch {
        // The application's half has ended: what was still on its way has no reader
        return undefined
      }
    },
    ended(error) {
      if (error === undefined) void net.close()
      else net.abort(new SkeinError('channel.aborted', 'the other side cut the channel'))
    },
    abort: (error) => net.abort(error),
  }
}
