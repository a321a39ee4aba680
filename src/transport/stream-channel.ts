/**
 * A libp2p stream as a Channel. Wire:
 *   acceptor -> opener: u8 status, first of all (0 accepted, 1 denied, 2 too many)
 *   then both ways:     messages as in framing.ts; the end of the stream is the clean end of the channel
 * A stream reset, or one that ends inside a message or with its connection, is an abort.
 *
 * Back-pressure out: a slice goes to the muxer only when it has nothing of ours left, the rest waits here and is counted.
 * Back-pressure in: while the receiver is busy bytes wait in the framer, and above a bound the stream is paused, so that at
 * most one more window arrives. libp2p's own `onDrain` works once and its iterator has no back-pressure: neither is used.
 */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { assert } from '../base/assert.ts'
import type { Channel, Receiver } from '../base/channel.ts'
import { untilAborted } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { acceptStatus, refusal } from './accept-status.ts'
import { createFramer } from './framing.ts'
import type { DirectStream } from './lazy-yamux.ts'
import { createOutbox } from './outbox.ts'

export interface StreamChannelOptions {
  /** For logs: protocol and remote. */
  readonly label: string
  /** The opener waits for the acceptor's status byte, the acceptor sends it. */
  readonly role: 'opener' | 'acceptor'
  /** Default limits.channelStallMs. */
  readonly stallMs?: number
}

export interface StreamChannel extends Channel {
  /** Settles with the acceptor's word: at once for the acceptor itself. @throws `auth.denied`, `limit.exceeded`, `channel.*`. */
  readonly accepted: Promise<void>
}

/** Most bytes handed to the muxer at once: one frame, large enough to be cheap, small enough that others get a turn. */
const sliceBytes = 256 * 1024 - 64
/** Received bytes waiting for a busy receiver before the stream is paused. */
const pauseAboveBytes = 64 * 1024

/** Takes over the stream, which must be negotiated. */
export function createStreamChannel(env: Env, stream: Stream, options: StreamChannelOptions): StreamChannel {
  return new StreamChannelState(env, stream, options)
}

class StreamChannelState implements StreamChannel {
  readonly label: string
  readonly #env: Env
  readonly #stream: Stream
  readonly #stallMs: number
  readonly #outbox = createOutbox()
  readonly #framer = createFramer()
  readonly #done = Promise.withResolvers<SkeinError | undefined>()
  readonly #accepted = Promise.withResolvers<void>()
  #isAccepted: boolean
  #phase: 'open' | 'closing' | 'closed' | 'aborted' = 'open'
  #receiver: Receiver | undefined
  #isBusy = false // the receiver has not taken the last message yet
  #isPumping = false
  #isPaused = false
  #isResuming = false
  #isFlushScheduled = false
  #isClosingOurs = false
  #isFinSent = false
  #isRemoteEnded = false
  #drain: PromiseWithResolvers<void> | undefined
  #handedBytes = 0
  #receivedBytes = 0
  #watch: Disposable | undefined

  constructor(env: Env, stream: Stream, options: StreamChannelOptions) {
    this.#env = env
    this.#stream = stream
    this.label = options.label
    this.#stallMs = options.stallMs ?? limits.channelStallMs
    this.#isAccepted = options.role === 'acceptor'
    this.#accepted.promise.catch(() => undefined) // because: only openers wait for it
    if (this.#isAccepted) {
      this.#accepted.resolve()
      this.#write(new Uint8Array([acceptStatus.accepted]))
    }
    // because: our muxer's streams have it, those of another need not
    ;(stream as DirectStream).setSink?.((bytes) => this.#onBytes(bytes, true))
    stream.addEventListener('message', (event: StreamMessageEvent) => this.#onBytes(event.data))
    stream.addEventListener('drain', () => this.#scheduleFlush())
    stream.addEventListener('idle', () => this.#scheduleFlush())
    stream.addEventListener('remoteCloseWrite', () => this.#onRemoteEnd())
    stream.addEventListener('close', (event: StreamCloseEvent) => this.#onStreamClose(event.error))
    // What happened before these listeners were there: libp2p hands buffered data over in a microtask
    queueMicrotask(() => {
      if (stream.remoteWriteStatus === 'closed' && stream.status !== 'aborted' && stream.status !== 'reset')
        this.#onRemoteEnd()
      if (stream.status !== 'open' && stream.status !== 'closing') this.#onStreamClose(undefined)
    })
  }

  get closed(): Promise<SkeinError | undefined> {
    return this.#done.promise
  }

  get accepted(): Promise<void> {
    return this.#accepted.promise
  }

  send(...parts: readonly Uint8Array[]): boolean {
    if (this.#phase !== 'open') throw this.#endError()
    let sizeBytes = 0
    for (const part of parts) sizeBytes += part.byteLength
    if (sizeBytes > limits.messageBytes) {
      throw new SkeinError('limit.exceeded', `message of ${sizeBytes} bytes, at most ${limits.messageBytes}`)
    }
    this.#outbox.add(parts, sizeBytes)
    const unsentBytes = this.#unsentBytes()
    if (unsentBytes > limits.channelSendBufferHardBytes) {
      this.abort(new SkeinError('limit.exceeded', `${this.label}: the sender ignored back-pressure`))
      return false
    }
    if (!this.#isFlushScheduled) this.#scheduleFlush()
    return unsentBytes < limits.channelSendBufferBytes
  }

  async drained(signal?: AbortSignal): Promise<void> {
    if (this.#phase !== 'open') throw this.#endError()
    if (this.#unsentBytes() < limits.channelSendBufferBytes) return
    if (this.#drain === undefined) {
      this.#drain = Promise.withResolvers<void>()
      this.#drain.promise.catch(() => undefined) // because: nobody may be waiting any more when it ends
    }
    await untilAborted(this.#drain.promise, signal)
  }

  receive(receiver: Receiver): void {
    assert(this.#receiver === undefined, 'a channel has one receiver')
    this.#receiver = receiver
    queueMicrotask(() => this.#pump())
  }

  async close(): Promise<void> {
    this.#isClosingOurs = true
    this.#startClosing()
    await this.#done.promise
  }

  abort(error: SkeinError): void {
    if (this.#phase === 'closed' || this.#phase === 'aborted') return
    this.#settle(error)
    try {
      this.#stream.abort(error)
    } catch (cause) {
      this.#env.log.debug('stream did not abort cleanly', { label: this.label, cause: String(cause) })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort(new SkeinError('channel.aborted', `${this.label} disposed`))
    await this.#done.promise
  }

  // --- ends

  #endError(): SkeinError {
    return this.#phase === 'aborted'
      ? new SkeinError('channel.aborted', `${this.label} was cut off`)
      : new SkeinError('channel.closed', `${this.label} has ended`)
  }

  #settle(error: SkeinError | undefined): void {
    this.#phase = error === undefined ? 'closed' : 'aborted'
    this.#watch?.[Symbol.dispose]()
    this.#watch = undefined
    this.#outbox.clear()
    if (error !== undefined) this.#framer.clear()
    const reason = error ?? this.#endError()
    this.#drain?.reject(reason)
    this.#accepted.reject(reason)
    this.#done.resolve(error)
  }

  #startClosing(): void {
    if (this.#phase === 'open') {
      this.#phase = 'closing'
      this.#drain?.reject(this.#endError())
      this.#startWatch()
    }
    this.#scheduleFlush()
  }

  /** Both directions have ended and what came was taken: the clean end. */
  #maybeFinish(): void {
    if (this.#phase === 'closing' && this.#isFinSent && this.#isRemoteEnded && this.#isAllTaken())
      this.#settle(undefined)
  }

  /** With no receiver nobody keeps the end waiting; what is here may still be asked for afterwards. */
  #isAllTaken(): boolean {
    return !this.#isBusy && (this.#receiver === undefined || this.#framer.heldBytes === 0)
  }

  #onRemoteEnd(): void {
    if (this.#isRemoteEnded || this.#phase === 'closed' || this.#phase === 'aborted') return
    this.#resume() // libp2p may hold the last bytes back while paused; they are at most one window
    this.#isRemoteEnded = true
    this.#startClosing()
    this.#pump()
  }

  #onStreamClose(cause: Error | undefined): void {
    if (this.#phase === 'closed' || this.#phase === 'aborted') return
    const isOrderly = cause === undefined && this.#isRemoteEnded && this.#unsentBytes() === 0
    if (isOrderly) {
      this.#isFinSent = true
      this.#maybeFinish()
      return
    }
    const message = cause === undefined ? 'the connection ended' : 'the other side cut the channel'
    this.abort(
      cause instanceof SkeinError
        ? cause
        : new SkeinError('channel.aborted', `${this.label}: ${message}`, { cause }),
    )
  }

  // --- out

  #unsentBytes(): number {
    return this.#outbox.waitingBytes + this.#stream.writeBufferLength
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    // One write for all that is sent in this turn; a single message leaves in the same turn
    queueMicrotask(() => {
      this.#isFlushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#phase !== 'open' && this.#phase !== 'closing') return
    const stream = this.#stream
    while (this.#outbox.waitingBytes > 0 && !stream.writableNeedsDrain && stream.writeBufferLength === 0) {
      const pieces = this.#outbox.take(sliceBytes)
      const [only] = pieces
      if (!this.#write(pieces.length === 1 && only !== undefined ? only : new Uint8ArrayList(...pieces)))
        return
    }
    const unsentBytes = this.#unsentBytes()
    if (unsentBytes < limits.channelSendBufferBytes / 2) {
      this.#drain?.resolve()
      this.#drain = undefined
    }
    if (unsentBytes > 0) this.#startWatch()
    else if (this.#phase === 'closing') this.#maybeSendFin()
  }

  /** @returns false when the channel has ended by it. */
  #write(bytes: Uint8Array | Uint8ArrayList): boolean {
    this.#handedBytes += bytes.byteLength
    try {
      this.#stream.send(bytes)
      return true
    } catch (cause) {
      this.abort(new SkeinError('channel.aborted', `${this.label}: cannot write`, { cause }))
      return false
    }
  }

  /** Ours comes when all is sent; the answer to theirs also waits until what they sent was taken. */
  #maybeSendFin(): void {
    if (this.#isFinSent || (!this.#isClosingOurs && !this.#isAllTaken())) return
    this.#isFinSent = true
    // It rejects (with an event, not an error) when the stream dies first, which its close event reports as well
    this.#stream.close().then(
      () => this.#maybeFinish(),
      (cause: unknown) =>
        this.#env.log.debug('stream ended before it was closed', { label: this.label, cause: String(cause) }),
    )
  }

  /** Watches while something should move: unsent bytes, or the other side's answer to our close. */
  #startWatch(): void {
    if (this.#watch !== undefined || this.#phase === 'closed' || this.#phase === 'aborted') return
    const before = this.#progress()
    this.#watch = this.#env.clock.setTimer(this.#stallMs, () => {
      this.#watch = undefined
      const isWaiting = this.#unsentBytes() > 0 || (this.#phase === 'closing' && !this.#isBusy)
      if (!isWaiting) return
      if (this.#progress() > before) this.#startWatch()
      else this.abort(new SkeinError('channel.stalled', `${this.label}: no progress for ${this.#stallMs} ms`))
    })
  }

  #progress(): number {
    return this.#handedBytes - this.#stream.writeBufferLength + this.#receivedBytes
  }

  // --- in

  #onBytes(data: Uint8Array | Uint8ArrayList, isLent = false): void {
    if (this.#phase === 'closed' || this.#phase === 'aborted') return
    this.#receivedBytes += data.byteLength
    if (data instanceof Uint8Array) this.#takeChunk(data)
    else for (const chunk of data) this.#takeChunk(chunk)
    this.#pump()
    if (isLent) this.#framer.keep()
  }

  #takeChunk(chunk: Uint8Array): void {
    if (this.#isAccepted) {
      this.#framer.push(chunk)
      return
    }
    const [status] = chunk
    if (status === undefined) return
    if (status !== acceptStatus.accepted) return this.abort(refusal(status, this.label))
    this.#isAccepted = true
    this.#accepted.resolve()
    this.#framer.push(chunk.subarray(1))
  }

  /** Hands over what is whole, one message at a time, until the receiver is busy or nothing is left. */
  #pump(): void {
    if (this.#isPumping || this.#phase === 'aborted') return
    if (this.#receiver !== undefined && !this.#isBusy) {
      this.#isPumping = true
      try {
        this.#deliver(this.#receiver)
      } catch (error) {
        this.abort(asSkeinError(error))
      } finally {
        this.#isPumping = false
      }
    }
    this.#regulate()
    this.#finishReading()
  }

  #deliver(receiver: Receiver): void {
    // because: `abort` inside the receiver changes the phase, which the compiler cannot see
    while ((this.#phase as string) !== 'aborted') {
      const message = this.#framer.next()
      if (message === undefined) return
      const pending = receiver(message)
      if (pending === undefined) continue
      this.#isBusy = true
      pending.then(
        () => {
          this.#isBusy = false
          this.#pump()
        },
        (error: unknown) => {
          this.#isBusy = false
          this.abort(asSkeinError(error))
        },
      )
      return
    }
  }

  #regulate(): void {
    const isWaiting = this.#isBusy || this.#receiver === undefined
    if (isWaiting && this.#framer.heldBytes > pauseAboveBytes) this.#pause()
    else if (!isWaiting && this.#isPaused) this.#resume()
  }

  #finishReading(): void {
    if (!this.#isRemoteEnded || this.#isBusy || this.#phase === 'closed' || this.#phase === 'aborted') return
    if (this.#receiver !== undefined && this.#framer.heldBytes > 0) {
      this.abort(new SkeinError('channel.aborted', `${this.label}: ended inside a message`))
      return
    }
    this.#scheduleFlush() // our own end may have waited for this
    this.#maybeFinish()
  }

  #pause(): void {
    if (this.#isPaused || this.#isResuming || this.#isRemoteEnded || this.#stream.readStatus !== 'readable')
      return
    this.#isPaused = true
    this.#stream.pause()
  }

  #resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    // libp2p hands over what it held and grants credit afterwards: a pause in between would be overruled half
    this.#isResuming = true
    try {
      if (this.#stream.readStatus === 'paused') this.#stream.resume()
    } catch (cause) {
      // The bytes it held were handed over before it threw: only the credit for more could not be sent
      this.#env.log.debug('stream ended while paused', { label: this.label, cause: String(cause) })
    }
    this.#isResuming = false
    this.#regulate()
  }
}
