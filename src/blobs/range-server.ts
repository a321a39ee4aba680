/**
 * The answering side for ranges of large contents and for block lists. A range is one read, sent in one go from buffers
 * that are used again; an opened content stays open for a moment, as the next range of it is usually wanted soon. Says
 * nothing about whether the bytes are right: a source notices a file that changed, the asker checks the whole.
 */
import type { Channel } from '../base/channel.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { BlobHash } from './hash.ts'
import type { BlobSource, OpenBlob } from './source.ts'
import { createPacker, type Packer } from './packing.ts'
import { encodeFrame, type Frame } from './wire.ts'

export type RangeFrame = Extract<Frame, { kind: 'want' | 'list' }>

export interface RangeServer extends AsyncDisposable {
  handle(frame: RangeFrame): void
  /** @returns whether this request is one of ours. */
  cancel(request: number): boolean
  /** What the asker can take. */
  accepts(takesPacked: boolean): void
  has(request: number): boolean
  readonly inFlight: number
}

interface Opened {
  readonly packer: Packer
  readonly blob: Promise<OpenBlob | undefined>
  users: number
  idle: Disposable | undefined
}

/** Reads ahead of the network: while one range is being sent the next one is read. */
const lanes = 2
/** How long a content stays open after its last range. */
const lingerMs = 1_000

export function createRangeServer(env: Env, channel: Channel, source: BlobSource): RangeServer {
  return new ChannelRangeServer(env, channel, source)
}

class ChannelRangeServer implements RangeServer {
  private readonly env: Env
  private readonly channel: Channel
  private readonly source: BlobSource
  private readonly controller = new AbortController()
  private readonly waiting: RangeFrame[] = []
  private readonly active = new Set<number>()
  private readonly running = new Set<Promise<void>>()
  private readonly opened = new Map<BlobHash, Opened>()
  private readonly buffers = createSendBuffers()
  private lastSent: Promise<void> = Promise.resolve()
  private takesPacked = false

  constructor(env: Env, channel: Channel, source: BlobSource) {
    this.env = env
    this.channel = channel
    this.source = source
  }

  get inFlight(): number {
    return this.active.size
  }

  has(request: number): boolean {
    return this.active.has(request)
  }

  handle(frame: RangeFrame): void {
    this.active.add(frame.request)
    this.waiting.push(frame)
    if (this.running.size >= lanes || this.controller.signal.aborted) return
    const run = this.lane()
      .catch((error: unknown) => {
        const isOver = this.controller.signal.aborted || hasCode(error, 'channel.closed', 'channel.aborted')
        if (!isOver) this.channel.abort(asSkeinError(error))
      })
      .finally(() => this.running.delete(run))
    this.running.add(run)
  }

  cancel(request: number): boolean {
    return this.active.delete(request)
  }

  accepts(takesPacked: boolean): void {
    this.takesPacked = takesPacked
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.controller.abort()
    await Promise.allSettled(this.running)
    this.active.clear()
    for (const [hash, opened] of this.opened) await this.shut(hash, opened)
  }

  private async lane(): Promise<void> {
    for (let frame = this.waiting.shift(); frame !== undefined; frame = this.waiting.shift()) {
      if (this.active.has(frame.request)) await this.answer(frame)
      this.active.delete(frame.request)
      if (this.controller.signal.aborted) return
    }
  }

  private async answer(frame: RangeFrame): Promise<void> {
    const { request, hash } = frame
    const opened = this.open(hash)
    try {
      const blob = await opened.blob
      if (frame.kind === 'want') await this.answerRange(frame, blob, opened.packer)
      else await this.answerList(request, blob)
    } catch (error) {
      if (this.controller.signal.aborted) throw error
      if (!hasCode(error, 'cancelled', 'file.changed')) {
        this.env.log.warn('a blob cannot be read', errorFields(error))
      }
      await this.send([[{ kind: 'gone', request, reason: 'changed' }]])
    } finally {
      this.leave(hash, opened)
    }
  }

  private async answerRange(
    { request, offset, length = limits.blobRangeBytes }: Extract<RangeFrame, { kind: 'want' }>,
    blob: OpenBlob | undefined,
    packer: Packer,
  ): Promise<void> {
    if (blob === undefined || offset > blob.sizeBytes) {
      return this.send([[{ kind: 'gone', request, reason: 'missing' }]])
    }
    const buffer = this.buffers.take()
    let packed: Uint8Array | undefined
    try {
      const bytes = buffer.subarray(0, Math.min(length, blob.sizeBytes - offset))
      const got = bytes.byteLength === 0 ? 0 : await blob.read(bytes, offset)
      if (got < bytes.byteLength) throw new SkeinError('file.changed', 'the content got shorter')
      packed = this.takesPacked ? await packer.pack(bytes) : undefined
      await this.send(
        packed === undefined
          ? framesOf(request, blob.sizeBytes, bytes)
          : [packedFrames(request, blob.sizeBytes, { bytes: packed, plainBytes: bytes.byteLength })],
      )
    } finally {
      this.buffers.giveBack(buffer, packed === undefined)
    }
  }

  private async answerList(request: number, blob: OpenBlob | undefined): Promise<void> {
    const bytes = await blob?.blockList?.(this.controller.signal)
    if (bytes === undefined) await this.send([[{ kind: 'gone', request, reason: 'missing' }]])
    else await this.send(framesOf(request, bytes.byteLength, bytes))
  }

  /** One answer after the other: what breaks off then is one range that is not complete, not several. */
  private send(messages: Iterable<readonly Frame[]>): Promise<void> {
    const sent = this.lastSent.then(async () => {
      for (const frames of messages) {
        const parts = frames.flatMap((frame) => encodeFrame(frame))
        for (const part of parts) this.buffers.sent(part.byteLength)
        if (!this.channel.send(...parts)) await this.channel.drained(this.controller.signal)
      }
    })
    this.lastSent = sent.catch(() => undefined) // because: whoever sent it is told, the next one has its own
    return sent
  }

  private open(hash: BlobHash): Opened {
    const known = this.opened.get(hash)
    if (known !== undefined) {
      known.users++
      known.idle?.[Symbol.dispose]()
      known.idle = undefined
      return known
    }
    const opened = {
      blob: this.source(hash, this.controller.signal),
      users: 1,
      idle: undefined,
      packer: createPacker(),
    }
    this.opened.set(hash, opened)
    return opened
  }

  private leave(hash: BlobHash, opened: Opened): void {
    if (--opened.users > 0) return
    const shut = (): void => {
      this.shut(hash, opened).catch((error: unknown) =>
        this.env.log.warn('a blob cannot be closed', errorFields(error)),
      )
    }
    opened.idle = this.env.clock.setTimer(lingerMs, shut)
    // What was not there may be a moment later
    opened.blob.then((blob) => (blob === undefined ? shut() : undefined), shut)
  }

  private async shut(hash: BlobHash, opened: Opened): Promise<void> {
    opened.idle?.[Symbol.dispose]()
    if (opened.users > 0) return
    if (this.opened.get(hash) === opened) this.opened.delete(hash)
    if (this.opened.size === 0) this.buffers.clear()
    try {
      await (await opened.blob)?.[Symbol.asyncDispose]()
    } catch (error) {
      if (!hasCode(error, 'cancelled')) throw error
    }
  }
}

/** A message holds a few chunks: two of them keep it well below limits.messageBytes. */
const chunksPerMessage = 2

function* framesOf(request: number, sizeBytes: number, bytes: Uint8Array): Generator<readonly Frame[]> {
  let frames: Frame[] = [{ kind: 'found', request, sizeBytes }]
  let chunks = 0
  for (let at = 0; at < bytes.byteLength; at += limits.blobChunkBytes) {
    frames.push({ kind: 'chunk', request, bytes: bytes.subarray(at, at + limits.blobChunkBytes) })
    if (++chunks % chunksPerMessage > 0) continue
    yield frames
    frames = []
  }
  yield [...frames, { kind: 'end', request }]
}

/** In one message: what is worth packing is well below limits.messageBytes. */
function packedFrames(
  request: number,
  sizeBytes: number,
  { bytes, plainBytes }: { readonly bytes: Uint8Array; readonly plainBytes: number },
): readonly Frame[] {
  return [
    { kind: 'found', request, sizeBytes },
    { kind: 'packed', request, sizeBytes: plainBytes, bytes },
    { kind: 'end', request },
  ]
}

interface SendBuffers {
  take(): Uint8Array
  /** @param wasSent whether the channel may have it still. */
  giveBack(buffer: Uint8Array, wasSent: boolean): void
  /** So much was handed to the channel. */
  sent(sizeBytes: number): void
  clear(): void
}

/**
 * Buffers of one range each that are used again: fresh ones cost more than all the rest of sending (zeroed pages and a
 * collection of the whole heap every 30 MB). The channel owns what it was given; but it holds less than its hard limit,
 * so what was sent before that much more has left it. If that were wrong the asker would find a wrong hash.
 */
function createSendBuffers(): SendBuffers {
  const reuseAfterBytes = limits.channelSendBufferHardBytes + 2 * limits.messageBytes
  let free: { readonly buffer: Uint8Array; readonly atBytes: number }[] = []
  let sentBytes = 0
  return {
    take() {
      const oldest = free[0]
      if (oldest === undefined || sentBytes - oldest.atBytes < reuseAfterBytes)
        return new Uint8Array(limits.blobRangeBytes)
      free.shift()
      return oldest.buffer
    },
    giveBack(buffer, wasSent) {
      if (wasSent) free.push({ buffer, atBytes: sentBytes })
      else free.unshift({ buffer, atBytes: -Infinity })
    },
    sent: (sizeBytes) => void (sentBytes += sizeBytes),
    clear: () => void (free = []),
  }
}
