/** A pair of Channels in memory: delivery by microtask, same back-pressure and ends as the network ones. */
import { assert } from './assert.ts'
import type { Channel, Receiver } from './channel.ts'
import { untilAborted } from './clock.ts'
import { asSkeinError, SkeinError } from './errors.ts'
import { limits } from './limits.ts'

/** The two ends. The sender is asked to wait above limits.channelSendBufferBytes of what was not taken. */
export function createMemoryChannelPair(label = 'memory'): readonly [Channel, Channel] {
  const a = new MemoryEnd(`${label}/a`)
  const b = new MemoryEnd(`${label}/b`)
  a.meet(b)
  b.meet(a)
  return [a, b]
}

interface Delivery {
  readonly message: Uint8Array
  /** Tells the sender that it was taken. */
  readonly taken: () => void
}

class MemoryEnd implements Channel {
  readonly label: string
  readonly closed: Promise<SkeinError | undefined>
  readonly #done = Promise.withResolvers<SkeinError | undefined>()
  readonly #inbox: Delivery[] = []
  #other: MemoryEnd | undefined
  #receiver: Receiver | undefined
  #isBusy = false
  #unsentBytes = 0
  #drain: PromiseWithResolvers<void> | undefined
  #state: 'open' | 'closing' | 'closed' | 'aborted' = 'open'
  #isRemoteClosed = false
  #isEndTold = false

  constructor(label: string) {
    this.label = label
    this.closed = this.#done.promise
  }

  meet(other: MemoryEnd): void {
    this.#other = other
  }

  send(...parts: readonly Uint8Array[]): boolean {
    if (this.#state !== 'open') {
      const code = this.#state === 'aborted' ? 'channel.aborted' : 'channel.closed'
      throw new SkeinError(code, `${this.label} has ended`)
    }
    const message = joinParts(parts)
    this.#unsentBytes += message.byteLength
    if (this.#unsentBytes > limits.channelSendBufferHardBytes) {
      this.abort(new SkeinError('limit.exceeded', `${this.label}: sender ignored back-pressure`))
      return false
    }
    const delivery = { message, taken: () => this.#taken(message.byteLength) }
    queueMicrotask(() => this.#other?.deliver(delivery))
    return this.#unsentBytes < limits.channelSendBufferBytes
  }

  async drained(signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'open') throw new SkeinError('channel.closed', `${this.label} has ended`)
    if (this.#unsentBytes < limits.channelSendBufferBytes) return
    this.#drain ??= Promise.withResolvers<void>()
    this.#drain.promise.catch(() => undefined) // because: nobody may be waiting when it ends
    await untilAborted(this.#drain.promise, signal)
  }

  receive(receiver: Receiver): void {
    assert(this.#receiver === undefined, 'a channel has one receiver')
    this.#receiver = receiver
    queueMicrotask(() => void this.#pump(receiver))
  }

  async close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing'
    if (this.#state === 'closing') this.#tellEnd()
    await this.closed
  }

  abort(error: SkeinError): void {
    if (this.#hasEnded()) return
    this.finish(error)
    const cut = new SkeinError('channel.aborted', 'the other side cut the channel')
    queueMicrotask(() => this.#other?.finish(cut))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort(new SkeinError('channel.aborted', `${this.label} disposed`))
    await this.closed
  }

  deliver(delivery: Delivery): void {
    if (this.#hasEnded()) return
    this.#inbox.push(delivery)
    if (this.#receiver !== undefined) void this.#pump(this.#receiver)
  }

  remoteClosed(): void {
    this.#isRemoteClosed = true
    if (this.#state === 'open') this.#state = 'closing'
    this.#maybeFinish()
  }

  finish(error: SkeinError | undefined): void {
    if (this.#hasEnded()) return
    this.#state = error === undefined ? 'closed' : 'aborted'
    if (error !== undefined) this.#inbox.length = 0
    this.#drain?.reject(error ?? new SkeinError('channel.closed', `${this.label} closed`))
    this.#done.resolve(error)
  }

  #hasEnded(): boolean {
    return this.#state === 'closed' || this.#state === 'aborted'
  }

  #taken(sizeBytes: number): void {
    this.#unsentBytes -= sizeBytes
    if (this.#unsentBytes >= limits.channelSendBufferBytes / 2) return
    this.#drain?.resolve()
    this.#drain = undefined
  }

  async #pump(receiver: Receiver): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (
        let next = this.#inbox[0];
        next !== undefined && this.#state !== 'aborted';
        next = this.#inbox[0]
      ) {
        const pending = receiver(next.message)
        if (pending !== undefined) await pending
        // Whoever kept it without a copy finds out here, as over a real channel
        next.message.fill(0xa5)
        this.#inbox.shift()
        next.taken()
      }
    } catch (error) {
      this.abort(asSkeinError(error))
    }
    this.#isBusy = false
    this.#maybeFinish()
  }

  /** The answer to their end waits until what they sent was taken; with no receiver nobody keeps it waiting. */
  #maybeFinish(): void {
    const isUnread = this.#receiver !== undefined && this.#inbox.length > 0
    if (!this.#isRemoteClosed || this.#isBusy || isUnread) return
    this.#tellEnd()
    this.finish(undefined)
  }

  #tellEnd(): void {
    if (this.#isEndTold) return
    this.#isEndTold = true
    queueMicrotask(() => this.#other?.remoteClosed())
  }
}

/** One message of its own: the parts stay the sender's. @throws `limit.exceeded`. */
function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0)
  if (sizeBytes > limits.messageBytes) {
    throw new SkeinError('limit.exceeded', `message of ${sizeBytes} bytes, at most ${limits.messageBytes}`)
  }
  const message = new Uint8Array(sizeBytes)
  let offset = 0
  for (const part of parts) {
    message.set(part, offset)
    offset += part.byteLength
  }
  return message
}
