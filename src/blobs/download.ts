/**
 * Gets one content into one file: goes on from what an earlier try left, asks source after source, and calls it done only
 * when BLAKE3 over every byte of the file says so.
 */
import { throwIfAborted } from '../base/clock.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { blockBytesFor, blockListBytes, decodeBlockList } from './block-list.ts'
import { type BlobHasher, createBlobHasher, hashOf } from './hash.ts'
import {
  downloadRanges,
  isSourceFault,
  noneHasIt,
  type Range,
  type RangeSink,
  rangesOf,
  SourcesFailed,
} from './range-download.ts'
import type { AskSource, BlobFile, Wanted } from './wanted.ts'

/**
 * @param file may hold a prefix from an interrupted try; after success exactly the content, not yet fsynced.
 * @throws `blob.missing` when no source has it (`details.isNowhere`: all were asked and said so), `blob.corrupt` when bytes
 *   came but were wrong (the file is empty then), `disk.full` and others of the file, `cancelled`.
 */
export async function downloadBlob(
  wanted: Wanted,
  file: BlobFile,
  sources: readonly AskSource[],
): Promise<void> {
  if (wanted.isAtMost === true || wanted.sizeBytes <= limits.blobRangeBytes)
    await fromAny(wanted, sources, (ask) => downloadFrom(ask, wanted, file))
  else await downloadLarge(wanted, file, sources)
}

/** From all sources together; when the result is wrong, from one after the other, so that the liar is found. */
async function downloadLarge(wanted: Wanted, file: BlobFile, sources: readonly AskSource[]): Promise<void> {
  try {
    if (await downloadWhole(wanted, file, sources)) return
  } catch (error) {
    if (error instanceof SourcesFailed) throw noneHasIt(error.reasons, sources.length)
    throw error
  }
  await file.truncate(0)
  await fromAny(wanted, sources, async (ask) => {
    try {
      if (await downloadWhole(wanted, file, [ask])) return
    } catch (error) {
      throw error instanceof SourcesFailed ? (error.reasons[0] ?? error) : error
    }
    await file.truncate(0)
    throw new SkeinError('blob.corrupt', 'the bytes received are not the ones asked for')
  })
}

/** Goes on from what the file holds. @returns whether the bytes are the right ones. */
async function downloadWhole(
  wanted: Wanted,
  file: BlobFile,
  sources: readonly AskSource[],
): Promise<boolean> {
  const hasher = createBlobHasher()
  const offset = await hashPrefix(file, wanted.sizeBytes, hasher)
  wanted.onProgress?.(offset)
  const write: RangeSink = (bytes, position) => {
    const written = file.write(bytes, position)
    // While the disk takes it
    hasher.update(bytes)
    return written
  }
  // All of it may be there, and only the last look at it was cut off
  if (offset < wanted.sizeBytes)
    await downloadRanges(wanted, rangesOf(offset, wanted.sizeBytes), sources, write)
  return hasher.digest() === wanted.hash
}

/** Asks one source after the other until one has it. */
async function fromAny(
  wanted: Wanted,
  sources: readonly AskSource[],
  get: (ask: AskSource) => Promise<void>,
): Promise<void> {
  const reasons: SkeinError[] = []
  for (const ask of sources) {
    throwIfAborted(wanted.signal)
    try {
      await get(ask)
      return
    } catch (error) {
      if (!isSourceFault(error)) throw asSkeinError(error)
      const reason = asSkeinError(error)
      reasons.push(reason)
      if (reason.code === 'blob.corrupt') wanted.onLie?.(ask.remote, reason)
    }
  }
  throw noneHasIt(reasons, sources.length)
}

/** The block list of a content from whoever has it. @returns fresh bytes that decode. @throws as downloadBlob. */
export async function downloadList(wanted: Wanted, sources: readonly AskSource[]): Promise<Uint8Array> {
  const blockBytes = blockBytesFor(wanted.sizeBytes)
  if (blockBytes === undefined) throw new SkeinError('blob.missing', 'a content so long has no block list')
  const list = new Uint8Array(blockListBytes(wanted.sizeBytes, blockBytes))
  const { hash, signal } = wanted
  await fromAny(wanted, sources, async (ask) => {
    const write = (part: Uint8Array, position: number): void => list.set(part, position)
    const base = { hash, sizeBytes: list.byteLength, isList: true, offset: 0, write }
    await ask(signal === undefined ? base : { ...base, signal })
    try {
      decodeBlockList(list, wanted.sizeBytes)
    } catch (error) {
      throw new SkeinError('blob.corrupt', 'the block list received is none', { cause: error })
    }
  })
  return list
}

/** As downloadBlob for parts of a content; whether the whole is right is for the caller to find out. */
export async function downloadParts(
  wanted: Wanted,
  ranges: readonly Range[],
  file: Pick<BlobFile, 'write'>,
  sources: readonly AskSource[],
): Promise<void> {
  try {
    await downloadRanges(wanted, splitRanges(ranges), sources, (bytes, position) =>
      file.write(bytes, position),
    )
  } catch (error) {
    throw error instanceof SourcesFailed ? noneHasIt(error.reasons, sources.length) : error
  }
}

function* splitRanges(ranges: readonly Range[]): Generator<Range> {
  for (const { offset, length } of ranges) yield* rangesOf(offset, offset + length)
}

/** As downloadBlob for a content that fits into memory, limits.blobChunkBytes at most. @returns fresh bytes. */
export async function downloadSmall(wanted: Wanted, sources: readonly AskSource[]): Promise<Uint8Array> {
  const { hash, sizeBytes, signal } = wanted
  let bytes = new Uint8Array()
  await fromAny(wanted, sources, async (ask) => {
    bytes = new Uint8Array(sizeBytes)
    const write = (part: Uint8Array, position: number): Promise<void> => {
      bytes.set(part, position)
      wanted.onProgress?.(part.byteLength)
      return Promise.resolve()
    }
    await ask({ hash, sizeBytes, offset: 0, write, ...(signal === undefined ? {} : { signal }) })
    if (hashOf(bytes) !== hash)
      throw new SkeinError('blob.corrupt', 'the bytes received are not the ones asked for')
  })
  return bytes
}

async function downloadFrom(ask: AskSource, wanted: Wanted, file: BlobFile): Promise<void> {
  const { hash, sizeBytes, isAtMost = false, signal } = wanted
  const hasher = createBlobHasher()
  const offset = await hashPrefix(file, sizeBytes, hasher)
  wanted.onProgress?.(offset)
  const behind = createWriteBehind(file)
  const write = async (bytes: Uint8Array, position: number): Promise<void> => {
    hasher.update(bytes)
    await behind.write(bytes, position)
    wanted.onProgress?.(bytes.byteLength)
  }
  try {
    if (offset < sizeBytes || offset === 0)
      await ask({ hash, sizeBytes, isAtMost, offset, write, ...(signal === undefined ? {} : { signal }) })
  } finally {
    await behind.settled()
  }
  behind.check()
  if (hasher.digest() !== hash) {
    await file.truncate(0)
    // The fault may lie in what an earlier try or another source left: this source gets its chance from the start
    if (offset > 0) return downloadFrom(ask, wanted, file)
    throw new SkeinError('blob.corrupt', 'the bytes received are not the ones asked for')
  }
}

/** Bytes received and not yet written; beyond it the network waits for the disk. */
const behindBytesMax = 4 * 1024 * 1024

/** Writes one after the other while the next bytes arrive, so that disk and network work at the same time. */
function createWriteBehind(file: BlobFile): {
  /** Resolves when there is room for more. @throws what an earlier write failed with. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Resolves when nothing is being written any more; never rejects. */
  settled(): Promise<void>
  /** @throws what a write failed with. */
  check(): void
} {
  let last: Promise<void> = Promise.resolve()
  let behindBytes = 0
  let failure: { readonly error: unknown } | undefined
  const writeOne = async (bytes: Uint8Array, position: number): Promise<void> => {
    try {
      // What follows a gap is no prefix to go on from
      if (failure === undefined) await file.write(bytes, position)
    } catch (error) {
      // because: it is thrown at the next write, or by check()
      failure ??= { error }
    } finally {
      behindBytes -= bytes.byteLength
    }
  }
  const check = (): void => {
    if (failure !== undefined) throw failure.error
  }
  return {
    check,
    settled: () => last,
    async write(bytes, position) {
      check()
      const own = bytes.slice()
      behindBytes += own.byteLength
      last = last.then(() => writeOne(own, position))
      if (behindBytes > behindBytesMax) await last
      check()
    },
  }
}

/** Hashes what is there; a file longer than wanted is cut to nothing, it cannot be a prefix. */
async function hashPrefix(file: BlobFile, sizeBytes: number, hasher: BlobHasher): Promise<number> {
  const { size } = await file.stat()
  if (size > sizeBytes) {
    await file.truncate(0)
    return 0
  }
  const buffer = new Uint8Array(Math.min(size, limits.messageBytes))
  let offset = 0
  while (offset < size) {
    const got = await file.read(buffer.subarray(0, Math.min(buffer.byteLength, size - offset)), offset)
    if (got === 0) break
    hasher.update(buffer.subarray(0, got))
    offset += got
  }
  return offset
}
