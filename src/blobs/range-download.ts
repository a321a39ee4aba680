/**
 * Gets ranges of one content from several sources at once. Each source has a few ranges under way. What comes is written
 * where it belongs as it comes, so that a killed process loses next to nothing, and stays in memory until its turn to be
 * hashed: in order, once. The network waits for the disk before more than limits.blobUnwrittenBytes are only in memory. A
 * range that holds up the rest is asked for a second time elsewhere. Buffers are used again.
 */
import { abortReason, throwIfAborted } from '../base/clock.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Range } from './ranges.ts'
import type { AskSource, Wanted } from './wanted.ts'

/** A range, or one that need not be asked for. */
export interface DrawnRange extends Range {
  readonly isHere?: boolean
}

/** Where ranges go. One call of `write` or `read` at a time. */
export interface RangeSink {
  /** Takes bytes as they come. Valid until it resolves. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Of a range that is here. @returns bytes read; those that are missing are asked for. */
  read?(into: Uint8Array, position: number): Promise<number>
  /** Sees all ranges whole and in their order, those that were here included. Valid during the call. */
  inOrder?(bytes: Uint8Array, position: number): void
}

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
  /** Those of them that are in the file. */
  writtenBytes: number
  /** The sink saw it in its turn. */
  wasShown: boolean
  /** Who is asked for it. */
  readonly asking: Map<AskSource, AbortController>
}

const isComplete = ({ receivedBytes, length }: Segment): boolean => receivedBytes === length

/** Written at once from so many bytes on, or when a range is complete: each write costs as much as a tenth of this. */
const writeFromBytes = 512 * 1024

/** @throws what the sink threw; `cancelled`; a SourcesFailed when no source was left. */
export async function downloadRanges(
  wanted: Wanted,
  ranges: Iterable<DrawnRange>,
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
  private readonly ranges: Iterator<DrawnRange>
  private upcoming: DrawnRange | undefined
  private readonly sink: RangeSink
  private readonly over = new AbortController()
  private readonly failures: SkeinError[] = []
  /** In order, the oldest one that was not shown or is not written first. */
  private readonly window: Segment[] = []
  /** Those of the window that nobody asks for, oldest first. */
  private readonly orphans: Segment[] = []
  private readonly buffers: Uint8Array[] = []
  private heldBytes = 0
  private unwrittenBytes = 0
  /** The one thing that the disk does now. */
  private onDisk: Promise<void> | undefined
  private hasSinkFailed = false
  private room = Promise.withResolvers<void>()

  constructor(wanted: Wanted, ranges: Iterable<DrawnRange>, sink: RangeSink) {
    this.wanted = wanted
    this.ranges = ranges[Symbol.iterator]()
    this.sink = sink
    this.draw()
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
      this.startDisk()
      await Promise.all(Array.from({ length: Math.min(sources.length, limits.blobSources) }, draw))
      while (this.onDisk !== undefined) await this.onDisk
      if (this.window.length > 0 && !this.hasSinkFailed) await this.writeRest()
      if (this.over.signal.aborted) throw this.over.signal.reason
      if (!this.isDone) throw new SourcesFailed(this.failures)
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.over.abort()
    }
  }

  private get isDone(): boolean {
    return this.over.signal.aborted || (this.upcoming === undefined && this.window.length === 0)
  }

  private draw(): void {
    const drawn = this.ranges.next()
    this.upcoming = drawn.done === true ? undefined : drawn.value
  }

  /** Draws from one source until all is here or it drops out. */
  private async use(ask: AskSource): Promise<void> {
    const dropped = new AbortController()
    const drop = (error: unknown): void => {
      if (!isSourceFault(error)) return this.over.abort(error)
      if (dropped.signal.aborted) return
      dropped.abort()
      const fault = asSkeinError(error)
      this.failures.push(fault)
      if (fault.code === 'blob.corrupt') this.wanted.onLie?.(ask.remote, fault)
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
    if (isComplete(segment) || segment.asking.has(ask)) return
    const { hash, sizeBytes } = this.wanted
    const asking = new AbortController()
    const stop = (): void => asking.abort()
    segment.asking.set(ask, asking)
    this.over.signal.addEventListener('abort', stop, { once: true })
    const start = segment.receivedBytes
    const write = (bytes: Uint8Array, position: number): Promise<void> | void =>
      this.receive(segment, bytes, position)
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

  /** @returns a wait, while too much is only in memory: nothing more is taken from the network then. */
  private receive(segment: Segment, bytes: Uint8Array, position: number): Promise<void> | void {
    // Another source may have been faster, the buffer may have gone on
    if (!this.window.includes(segment) || this.over.signal.aborted) return
    const news = bytes.subarray(Math.max(0, segment.offset + segment.receivedBytes - position))
    if (news.byteLength === 0) return
    segment.buffer.set(news, segment.receivedBytes)
    segment.receivedBytes += news.byteLength
    this.unwrittenBytes += news.byteLength
    this.startDisk()
    this.wanted.onProgress?.(news.byteLength)
    if (isComplete(segment)) this.advance()
    return this.isBehind ? this.caughtUp() : undefined
  }

  private get isBehind(): boolean {
    return this.unwrittenBytes + limits.blobChunkBytes > limits.blobUnwrittenBytes
  }

  private async caughtUp(): Promise<void> {
    while (this.isBehind && !this.over.signal.aborted) await this.room.promise
  }

  private settle(segment: Segment): void {
    if (isComplete(segment)) for (const other of segment.asking.values()) other.abort()
    else if (segment.asking.size === 0 && this.window.includes(segment)) this.orphans.push(segment)
    this.wake()
  }

  /** What the disk has to do next, if it does nothing now: bytes that came, else a range that is here already. */
  private startDisk(): void {
    if (this.onDisk !== undefined || this.over.signal.aborted) return
    const isMuch = this.unwrittenBytes >= writeFromBytes
    const segment = this.window.find(
      (one) => one.writtenBytes < one.receivedBytes && (isMuch || isComplete(one)),
    )
    const work = segment === undefined ? this.readHere() : this.write(segment)
    if (work === undefined) return
    this.onDisk = work.then(
      () => {
        this.onDisk = undefined
        this.startDisk()
        this.advance()
        this.wake()
      },
      (error: unknown) => {
        this.onDisk = undefined
        this.hasSinkFailed = true
        this.over.abort(error)
      },
    )
  }

  private async write(segment: Segment): Promise<void> {
    const { buffer, offset, writtenBytes, receivedBytes } = segment
    await this.sink.write(buffer.subarray(writtenBytes, receivedBytes), offset + writtenBytes)
    segment.writtenBytes = receivedBytes
    this.unwrittenBytes -= receivedBytes - writtenBytes
  }

  /** The next range, where it need not be asked for. */
  private readHere(): Promise<void> | undefined {
    const { sink } = this
    if (this.upcoming?.isHere !== true || sink.read === undefined || !this.hasRoom) return undefined
    const segment = this.take(this.upcoming)
    return sink.read(segment.buffer.subarray(0, segment.length), segment.offset).then((got) => {
      segment.receivedBytes = got
      segment.writtenBytes = got
      if (!isComplete(segment)) this.orphans.push(segment)
    })
  }

  /** Shows what came in its order, and lets go of what was shown and is written. */
  private advance(): void {
    for (const segment of this.window) {
      if (!isComplete(segment)) break
      if (segment.wasShown) continue
      segment.wasShown = true
      this.sink.inOrder?.(segment.buffer.subarray(0, segment.length), segment.offset)
    }
    for (let first = this.window[0]; first?.wasShown === true; first = this.window[0]) {
      if (first.writtenBytes < first.length) return
      this.window.shift()
      this.heldBytes -= limits.blobRangeBytes
      this.buffers.push(first.buffer)
      this.startDisk()
    }
  }

  /** What came of ranges before it broke off. */
  private async writeRest(): Promise<void> {
    for (const segment of this.window) {
      if (segment.writtenBytes < segment.receivedBytes) await this.write(segment)
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

  private get hasRoom(): boolean {
    return this.heldBytes + limits.blobRangeBytes <= limits.blobWindowBytes
  }

  private next(): Segment | undefined {
    if (this.upcoming === undefined || this.upcoming.isHere === true || !this.hasRoom) return undefined
    const segment = this.take(this.upcoming)
    // Behind it may be one that is here
    this.startDisk()
    return segment
  }

  private take({ offset, length }: Range): Segment {
    this.heldBytes += limits.blobRangeBytes
    const buffer = this.buffers.pop() ?? new Uint8Array(limits.blobRangeBytes)
    const state = { receivedBytes: 0, writtenBytes: 0, wasShown: false, asking: new Map() }
    const segment: Segment = { offset, length, buffer, ...state }
    this.window.push(segment)
    this.draw()
    return segment
  }

  /** Nothing else is left to ask for, and the oldest range keeps all others waiting: a second source may be faster. */
  private slowest(ask: AskSource): Segment | undefined {
    const [oldest] = this.window
    // Where the disk holds everything up a second source would only send the same once more
    if (oldest === undefined || isComplete(oldest) || this.isBehind) return undefined
    return oldest.asking.size === 1 && !oldest.asking.has(ask) ? oldest : undefined
  }
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
