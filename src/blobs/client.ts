/**
 * The asking side of `/skein/blobs/1` on one channel. Checks that answers keep to the order and the size that was asked for;
 * whether the bytes are the right ones is for download.ts, which sees all of them.
 */
import type { Channel } from '../base/channel.ts'
import { abortReason } from '../base/clock.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { BlobHash } from './hash.ts'
import { unpack } from './packing.ts'
import { type AskKind, encodeFrame, type Frame, type GoneReason } from './wire.ts'

export interface WantOptions {
  readonly hash: BlobHash
  /** What the record says; a source that says otherwise does not have this content. */
  readonly sizeBytes: number
  /** `sizeBytes` is only the most it may be: the length is not known. */
  readonly isAtMost?: boolean
  readonly offset: number
  /** Only so much of it, limits.blobRangeBytes at most; to the end where it is not given. */
  readonly length?: number
  /** Its block list instead of the content itself. */
  readonly isList?: boolean
  readonly signal?: AbortSignal
  /** Takes the next bytes (valid during the call only); nothing more arrives on this channel until it resolves. */
  write(bytes: Uint8Array, position: number): Promise<void> | void
}

export interface BlobClient {
  /** Resolves when all bytes were handed to `write`. @throws `blob.missing`, `limit.exceeded` (busy), `channel.*`, `cancelled`. */
  want(options: WantOptions): Promise<void>
  /** Takes an answer. */
  handle(frame: Exclude<Frame, { kind: AskKind }>): Promise<void> | void
  /** Fails everything under way. */
  end(error: SkeinError): void
  readonly inFlight: number
}

interface Receiving {
  readonly options: WantOptions
  readonly done: PromiseWithResolvers<void>
  offset: number
  sizeBytes: number
  /** Where what was asked for ends. */
  endOffset: number
  found: boolean
}

/** Says to the other side what may be sent, first of all. */
export function createBlobClient(channel: Channel): BlobClient {
  return new ChannelBlobClient(channel)
}

class ChannelBlobClient implements BlobClient {
  private readonly channel: Channel
  private readonly active = new Map<number, Receiving>()
  private lastRequest = 0
  /** Frames of this turn, sent together. */
  private unsent: Uint8Array[] = []
  private ended: SkeinError | undefined

  constructor(channel: Channel) {
    this.channel = channel
    this.queue(encodeFrame({ kind: 'accepts', request: 0, takesPacked: true }))
  }

  get inFlight(): number {
    return this.active.size
  }

  async want(options: WantOptions): Promise<void> {
    if (this.ended !== undefined) throw this.ended
    if (options.signal?.aborted) throw abortReason(options.signal)
    if (this.active.size >= limits.blobWantsInFlight) {
      throw new SkeinError('limit.exceeded', 'too many blobs asked for at once')
    }
    do this.lastRequest = (this.lastRequest + 1) >>> 0
    while (this.active.has(this.lastRequest))
    const request = this.lastRequest
    const receiving: Receiving = {
      options,
      done: Promise.withResolvers(),
      offset: options.offset,
      sizeBytes: options.sizeBytes,
      endOffset: endOf(options, options.sizeBytes),
      found: false,
    }
    this.active.set(request, receiving)
    const onAbort = (): void => {
      if (options.signal !== undefined) this.cancel(request, abortReason(options.signal))
    }
    options.signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const { hash, offset, length } = options
      this.queue(
        encodeFrame(
          options.isList === true
            ? { kind: 'list', request, hash }
            : { kind: 'want', request, hash, offset, length },
        ),
      )
      await receiving.done.promise
    } finally {
      this.active.delete(request)
      options.signal?.removeEventListener('abort', onAbort)
    }
  }

  handle(frame: Exclude<Frame, { kind: AskKind }>): Promise<void> | void {
    const { request } = frame
    const receiving = this.active.get(request)
    if (receiving === undefined) return // because: answers to a cancelled want may still be under way
    switch (frame.kind) {
      case 'found':
        receiving.found = true
        if (receiving.options.isAtMost === true && frame.sizeBytes <= receiving.sizeBytes)
          receiving.sizeBytes = frame.sizeBytes
        receiving.endOffset = endOf(receiving.options, receiving.sizeBytes)
        if (frame.sizeBytes !== receiving.sizeBytes) {
          this.cancel(request, new SkeinError('blob.missing', 'the source has something of another size'))
        }
        return
      case 'chunk':
        return this.take(request, receiving, frame.bytes)
      case 'packed':
        return this.takePacked(request, receiving, frame)
      case 'end':
        if (receiving.found && receiving.offset === receiving.endOffset) this.settle(request)
        else this.settle(request, new SkeinError('blob.corrupt', 'the source ended before the content did'))
        return
      case 'gone':
        this.settle(request, goneError(frame.reason))
        return
    }
  }

  end(error: SkeinError): void {
    this.ended ??= error
    for (const request of this.active.keys()) this.settle(request, error)
  }

  private take(request: number, receiving: Receiving, bytes: Uint8Array): Promise<void> | void {
    const { options, offset } = receiving
    if (!receiving.found || offset + bytes.byteLength > receiving.endOffset) {
      this.cancel(request, new SkeinError('blob.corrupt', 'the source sent more than the content is long'))
      return
    }
    receiving.offset += bytes.byteLength
    // because: the disk's fault belongs to this want alone; the channel and the other wants go on
    const fail = (error: unknown): void => this.cancel(request, asSkeinError(error))
    try {
      const writing = options.write(bytes, offset)
      // Where nothing has to be waited for the next chunk follows at once
      return writing?.then(undefined, fail)
    } catch (error) {
      fail(error)
    }
  }

  /** What it announces must fit before any room is made for it. */
  private async takePacked(
    request: number,
    receiving: Receiving,
    { bytes, sizeBytes }: Extract<Frame, { kind: 'packed' }>,
  ): Promise<void> {
    if (!receiving.found || receiving.offset + sizeBytes > receiving.endOffset) {
      this.cancel(request, new SkeinError('blob.corrupt', 'the source sent more than the content is long'))
      return
    }
    try {
      const plain = await unpack(bytes, sizeBytes)
      // As if it had come in chunks: whoever takes it counts on no more at once
      for (let at = 0; at < sizeBytes && this.active.has(request); at += limits.blobChunkBytes)
        await this.take(request, receiving, plain.subarray(at, at + limits.blobChunkBytes))
    } catch (error) {
      this.cancel(request, asSkeinError(error))
    }
  }

  /** Many small files are asked for at once: one message for all of them. */
  private queue(parts: readonly Uint8Array[]): void {
    this.unsent.push(...parts)
    if (this.unsent.length > parts.length) return
    queueMicrotask(() => {
      const all = this.unsent
      this.unsent = []
      try {
        if (this.ended === undefined && all.length > 0) this.channel.send(...all)
      } catch (error) {
        this.end(asSkeinError(error))
      }
    })
  }

  private settle(request: number, error?: SkeinError): void {
    const receiving = this.active.get(request)
    this.active.delete(request)
    if (error === undefined) receiving?.done.resolve()
    else receiving?.done.reject(error)
  }

  private cancel(request: number, error: SkeinError): void {
    if (!this.active.has(request)) return
    this.settle(request, error)
    if (this.ended === undefined) this.queue(encodeFrame({ kind: 'cancel', request }))
  }
}

const endOf = ({ offset, length }: WantOptions, sizeBytes: number): number =>
  length === undefined ? sizeBytes : Math.min(sizeBytes, offset + length)

function goneError(reason: GoneReason): SkeinError {
  switch (reason) {
    case 'busy':
      return new SkeinError('limit.exceeded', 'the source is too busy')
    case 'changed':
      return new SkeinError('blob.missing', 'the source changed while it was read')
    case 'missing':
      return new SkeinError('blob.missing', 'the source does not have it')
  }
}
