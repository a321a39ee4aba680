/**
 * The answering side of `/skein/blobs/1` on one channel. Contents are read where they lie, in the person's own files, which
 * may change at any moment: what is sent from the first byte is hashed on the way and never called complete when
 * it does not match. Wants are served in turn, a chunk each, so that small files do not wait behind a large one.
 */
import { assert } from '../base/assert.ts'
import type { Channel } from '../base/channel.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { type BlobHash, type BlobHasher, createBlobHasher, hashOf } from './hash.ts'
import { createRangeServer, type RangeServer } from './range-server.ts'
import type { BlobSource, OpenBlob } from './source.ts'
import { type AskKind, encodeFrame, type Frame, frameHeaderBytes, type GoneReason } from './wire.ts'

export interface BlobServer extends AsyncDisposable {
  /** Takes what an asker sends. */
  handle(frame: Extract<Frame, { kind: AskKind }>): void
  /** Contents being sent. */
  readonly inFlight: number
}

interface Sending {
  readonly request: number
  readonly hash: BlobHash
  offset: number
  blob: OpenBlob | undefined
  /** Only when sent from the first byte. */
  hasher: BlobHasher | undefined
  cancelled: boolean
}

/** Chunks read ahead of the network; each lane holds at most one message. */
const lanes = 8

export function createBlobServer(env: Env, channel: Channel, source: BlobSource): BlobServer {
  return new ChannelBlobServer(env, channel, source)
}

class ChannelBlobServer implements BlobServer {
  private readonly env: Env
  private readonly channel: Channel
  private readonly source: BlobSource
  private readonly controller = new AbortController()
  private readonly waiting: Sending[] = []
  private readonly active = new Map<number, Sending>()
  private readonly running = new Set<Promise<void>>()
  private readonly ranges: RangeServer

  constructor(env: Env, channel: Channel, source: BlobSource) {
    this.env = env
    this.channel = channel
    this.source = source
    this.ranges = createRangeServer(env, channel, source)
  }

  get inFlight(): number {
    return this.active.size + this.ranges.inFlight
  }

  handle(frame: Extract<Frame, { kind: AskKind }>): void {
    const { request } = frame
    if (frame.kind === 'accepts') {
      this.ranges.accepts(frame.takesPacked)
      return
    }
    if (frame.kind === 'cancel') {
      if (this.ranges.cancel(request)) return
      const sending = this.active.get(request)
      if (sending !== undefined) sending.cancelled = true
      return
    }
    const isKnown = this.active.has(request) || this.ranges.has(request)
    if (this.inFlight >= limits.blobWantsInFlight || isKnown) {
      this.channel.send(...encodeFrame({ kind: 'gone', request, reason: 'busy' }))
      return
    }
    if (frame.kind === 'list' || frame.length !== undefined) return this.ranges.handle(frame)
    const { hash, offset } = frame
    const sending = { request, hash, offset, blob: undefined, hasher: undefined, cancelled: false }
    this.active.set(request, sending)
    this.waiting.push(sending)
    this.startLane()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.controller.abort()
    await this.ranges[Symbol.asyncDispose]()
    await Promise.allSettled(this.running)
    for (const sending of this.active.values()) await this.finish(sending)
  }

  private startLane(): void {
    if (this.running.size >= lanes || this.controller.signal.aborted) return
    const run = this.lane()
      .catch((error: unknown) => {
        const isOver = this.controller.signal.aborted || hasCode(error, 'channel.closed', 'channel.aborted')
        if (!isOver) this.channel.abort(asSkeinError(error))
      })
      .finally(() => this.running.delete(run))
    this.running.add(run)
  }

  private async lane(): Promise<void> {
    while (!this.controller.signal.aborted && this.waiting.length > 0) {
      const parts = await this.fill()
      if (parts.length > 0 && !this.channel.send(...parts)) await this.channel.drained(this.controller.signal)
    }
  }

  /** One message: chunks of several wants while they are small. */
  private async fill(): Promise<readonly Uint8Array[]> {
    const parts: Uint8Array[] = []
    let sizeBytes = 0
    while (sizeBytes < limits.blobChunkBytes) {
      const sending = this.waiting.shift()
      if (sending === undefined) break
      const frames = sending.cancelled ? [] : await this.read(sending)
      for (const frame of sending.cancelled ? [] : frames) {
        for (const part of encodeFrame(frame)) {
          parts.push(part)
          sizeBytes += part.byteLength
        }
      }
      const last = frames.at(-1)?.kind
      if (sending.cancelled || last === 'end' || last === 'gone') await this.finish(sending)
      else this.waiting.push(sending)
    }
    assert(
      sizeBytes <= 2 * (limits.blobChunkBytes + 4 * frameHeaderBytes) + 64,
      'a message holds two chunks at most',
    )
    return parts
  }

  private async read(sending: Sending): Promise<readonly Frame[]> {
    try {
      return await this.next(sending)
    } catch (error) {
      // A source that serves nothing for now does not say that it has nothing
      if (hasCode(error, 'limit.exceeded'))
        return [{ kind: 'gone', request: sending.request, reason: 'busy' }]
      if (!hasCode(error, 'cancelled')) this.env.log.warn('a blob cannot be read', errorFields(error))
      return [{ kind: 'gone', request: sending.request, reason: 'changed' }]
    }
  }

  /** Opens if need be and reads the next chunk. @returns the frames to send; the last of a want ends or refuses it. */
  private async next(sending: Sending): Promise<readonly Frame[]> {
    const { request } = sending
    const gone = (reason: GoneReason): readonly Frame[] => [{ kind: 'gone', request, reason }]
    const frames: Frame[] = []
    if (sending.blob === undefined) {
      sending.blob = await this.source(sending.hash, this.controller.signal)
      if (sending.blob === undefined || sending.offset > sending.blob.sizeBytes) return gone('missing')
      const { bytes } = sending.blob
      if (bytes !== undefined && bytes.byteLength <= limits.blobChunkBytes && sending.offset === 0) {
        if (hashOf(bytes) !== sending.hash) return gone('changed')
        const found: Frame = { kind: 'found', request, sizeBytes: bytes.byteLength }
        const chunks: readonly Frame[] = bytes.byteLength === 0 ? [] : [{ kind: 'chunk', request, bytes }]
        return [found, ...chunks, { kind: 'end', request }]
      }
      if (sending.offset === 0) sending.hasher = createBlobHasher()
      frames.push({ kind: 'found', request, sizeBytes: sending.blob.sizeBytes })
    }
    const left = sending.blob.sizeBytes - sending.offset
    if (left > 0) {
      const bytes = new Uint8Array(Math.min(limits.blobChunkBytes, left))
      const got = await sending.blob.read(bytes, sending.offset)
      if (got < bytes.byteLength) return gone('changed')
      sending.offset += got
      sending.hasher?.update(bytes)
      frames.push({ kind: 'chunk', request, bytes })
    }
    if (sending.offset < sending.blob.sizeBytes) return frames
    if (sending.hasher !== undefined && sending.hasher.digest() !== sending.hash) return gone('changed')
    return [...frames, { kind: 'end', request }]
  }

  private async finish(sending: Sending): Promise<void> {
    this.active.delete(sending.request)
    await sending.blob?.[Symbol.asyncDispose]()
    sending.blob = undefined
  }
}
