/**
 * Gets ranges of one content from several sources at once. Each source has a few ranges under way; what comes early waits
 * in memory, so that bytes are written in order, once, and a broken download is a prefix. A range that holds up the rest
 * is asked for a second time elsewhere. Buffers are used again: memory does not depend on the size of the content.
 */
import { abortReason, throwIfAborted } from '../base/clock.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { AskSource, Wanted } from './wanted.ts'

export interface Range {
  readonly offset: number
  /** limits.blobRangeBytes at most. */
  readonly length: number
}

/** Takes the ranges in their order. Valid until it resolves. */
export type RangeSink = (bytes: Uint8Array, position: number) => Promise<void>

/** What makes a source drop out while the others go on. */
export const isSourceFault = (error: unknown): boolean =>
  hasCode(
    error,
    'blob.missing',
    'blob.corrupt',
    'channel.closed',
    'channel.aborted',
    'channel.stalled',
    'limit.exceeded',
    'peer.gone',
  )

interface Segment extends Range {
  readonly buffer: Uint8Array
  /** Bytes of it that are here, from its start. */
  receivedBytes: number
  /** Who is asked for it. */
  readonly asking: Map<AskSource, AbortController>
}

/** @throws what the sink threw; `cancelled`; a SourcesFailed when no source was left. */
export async function downloadRanges(
  wanted: Wanted,
  ranges: Iterable<Range>,
  sources: readonly AskSource[],
  sink: RangeSink,
): Promise<void> {
  await new RangeDownload(wanted, ranges, sink).run(sources)
}

/** Every source dropped out, each for its own reason. */
export class SourcesFailed extends Error {
  readonly reasons: readonly SkeinError[]

  constructor(reasons: readonly SkeinError[]) {
    super('no source is left')
    this.reasons = reasons
  }
}

class RangeDownload {
  private readonly wanted: Wanted
  private readonly ranges: Iterator<Range>
  private readonly sink: RangeSink
  private readonly over = new AbortController()
  private readonly failures: SkeinError[] = []
  /** In order, the oldest not written one first. */
  private readonly window: Segment[] = []
  /** Those of the window that nobody asks for, oldest first. */
  private readonly orphans: Segment[] = []
  private readonly buffers: Uint8Array[] = []
  private heldBytes = 0
  private isDrawn = false
  private writing: Promise<void> | undefined
  private hasSinkFailed = false
  private room = Promise.withResolvers<void>()

  constructor(wanted: Wanted, ranges: Iterable<Range>, sink: RangeSink) {
    this.wanted = wanted
    this.ranges = ranges[Symbol.iterator]()
    this.sink = sink
  }

  async run(sources: readonly AskSource[]): Promise<void> {
    const { signal } = this.wanted
    this.over.signal.addEventListener('abort', () => this.wake(), { once: true })
    const onAbort = (): void => this.over.abort(signal === undefined ? undefined : abortReason(signal))
    throwIfAborted(signal)
    signal?.addEventListener('abort', onAbort, { once: true })
    const left = [...sources]
    const draw = async (): Promise<void> => {
      for (let ask = left.shift(); ask !== undefined && !this.isDone; ask = left.shift()) await this.use(ask)
    }
    try {
      await Promise.all(Array.from({ length: Math.min(sources.length, limits.blobSources) }, draw))
      while (this.writing !== undefined) await this.writing
      if (this.window.length > 0 && !this.hasSinkFailed) await this.writeRest()
      if (this.over.signal.aborted) throw this.over.signal.reason
      if (!this.isDone) throw new SourcesFailed(this.failures)
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.over.abort()
    }
  }

  private get isDone(): boolean {
    return this.over.signal.aborted || (this.isDrawn && this.window.length === 0)
  }

  /** Draws from one source until all is here or it drops out. */
  private async use(ask: AskSource): Promise<void> {
    const dropped = new AbortController()
    const drop = (error: unknown): void => {
      if (!isSourceFault(error)) return this.over.abort(error)
      if (dropped.signal.aborted) return
      dropped.abort()
      this.failures.push(asSkeinError(error))
      this.wake()
    }
    const lane = async (): Promise<void> => {
      for (;;) {
        const segment = await this.claim(ask, dropped.signal)
        if (segment === undefined) return
        try {
          await this.fetch(segment, ask)
        } catch (error) {
          drop(error)
        }
      }
    }
    await Promise.all(Array.from({ length: limits.blobRangesInFlight }, lane))
  }

  private async fetch(segment: Segment, ask: AskSource): Promise<void> {
    // It may have come, or have been asked for here, since it was claimed
    if (segment.receivedBytes === segment.length || segment.asking.has(ask)) return
    const { hash, sizeBytes } = this.wanted
    const asking = new AbortController()
    const stop = (): void => asking.abort()
    segment.asking.set(ask, asking)
    this.over.signal.addEventListener('abort', stop, { once: true })
    const start = segment.receivedBytes
    const write = (bytes: Uint8Array, position: number): void => {
      // Another source may have been faster, the buffer may have gone on
      if (!this.window.includes(segment)) return
      const news = bytes.subarray(Math.max(0, segment.offset + segment.receivedBytes - position))
      if (news.byteLength === 0) return
      segment.buffer.set(news, segment.receivedBytes)
      segment.receivedBytes += news.byteLength
      this.wanted.onProgress?.(news.byteLength)
    }
    try {
      const [offset, length] = [segment.offset + start, segment.length - start]
      await ask({ hash, sizeBytes, offset, length, signal: asking.signal, write })
    } catch (error) {
      if (!asking.signal.aborted) throw error
    } finally {
      segment.asking.delete(ask)
      this.over.signal.removeEventListener('abort', stop)
      this.settle(segment)
    }
  }

  private settle(segment: Segment): void {
    if (segment.receivedBytes === segment.length) {
      for (const other of segment.asking.values()) other.abort()
      this.startWriting()
    } else if (segment.asking.size === 0 && this.window.includes(segment)) this.orphans.push(segment)
    this.wake()
  }

  /** Writes what is next in order, one range after the other. */
  private startWriting(): void {
    const segment = this.window[0]
    const isReady = segment !== undefined && segment.receivedBytes === segment.length
    if (this.writing !== undefined || !isReady || this.over.signal.aborted) return
    const written = (): void => {
      this.writing = undefined
      this.window.shift()
      this.heldBytes -= limits.blobRangeBytes
      this.buffers.push(segment.buffer)
      this.startWriting()
      this.wake()
    }
    this.writing = this.sink(segment.buffer.subarray(0, segment.length), segment.offset).then(
      written,
      (error: unknown) => {
        this.writing = undefined
        this.hasSinkFailed = true
        this.over.abort(error)
      },
    )
  }

  /** What came of the next ranges before it broke off: the next try goes on behind it. */
  private async writeRest(): Promise<void> {
    for (const segment of this.window) {
      if (segment.receivedBytes > 0)
        await this.sink(segment.buffer.subarray(0, segment.receivedBytes), segment.offset)
      if (segment.receivedBytes < segment.length) return
    }
  }

  private wake(): void {
    this.room.resolve()
    this.room = Promise.withResolvers<void>()
  }

  /** The next range to ask for; waits while there is none but may be. @returns undefined when there will be none. */
  private async claim(ask: AskSource, dropped: AbortSignal): Promise<Segment | undefined> {
    while (!this.isDone && !dropped.aborted) {
      const segment = this.orphans.shift() ?? this.next() ?? this.slowest(ask)
      if (segment !== undefined) return segment
      await this.room.promise
    }
    // Whoever waits for room sees that there is nothing more to come
    this.wake()
    return undefined
  }

  private next(): Segment | undefined {
    if (this.isDrawn || this.heldBytes + limits.blobRangeBytes > limits.blobWindowBytes) return undefined
    const drawn = this.ranges.next()
    if (drawn.done === true) {
      this.isDrawn = true
      return undefined
    }
    this.heldBytes += limits.blobRangeBytes
    const buffer = this.buffers.pop() ?? new Uint8Array(limits.blobRangeBytes)
    const segment = { ...drawn.value, buffer, receivedBytes: 0, asking: new Map() }
    this.window.push(segment)
    return segment
  }

  /** Nothing else is left to ask for, and the oldest range keeps all others waiting: a second source may be faster. */
  private slowest(ask: AskSource): Segment | undefined {
    const [oldest] = this.window
    if (oldest === undefined || oldest.receivedBytes === oldest.length) return undefined
    return oldest.asking.size === 1 && !oldest.asking.has(ask) ? oldest : undefined
  }
}

/** Ranges that cover `offset` to `end`. */
export function* rangesOf(offset: number, end: number): Generator<Range> {
  for (let at = offset; at < end; at += limits.blobRangeBytes)
    yield { offset: at, length: Math.min(limits.blobRangeBytes, end - at) }
}

/** What is told when nobody had it. */
export function noneHasIt(reasons: readonly SkeinError[], sourceCount: number): SkeinError {
  const last = reasons.at(-1)
  if (last === undefined || sourceCount === 0) {
    return new SkeinError('blob.missing', 'no connected device has this content', {
      fix: 'connect a device that holds it',
    })
  }
  if (reasons.filter(({ code }) => code === 'blob.missing').length === sourceCount) {
    return new SkeinError('blob.missing', 'no device within reach has this content', {
      fix: 'connect a device that holds it; it is tried again by itself',
      details: { isNowhere: true },
      cause: last,
    })
  }
  return last.code.startsWith('channel.')
    ? new SkeinError('blob.missing', 'every source went away', { cause: last })
    : last
}
