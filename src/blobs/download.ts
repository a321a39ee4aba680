/**
 * Gets one content into one file: goes on from what an earlier try left, asks source after source, and calls it done only
 * when BLAKE3 over every byte of the file says so. Where it says no, the block list tells what is wrong.
 */
import { throwIfAborted } from '../base/clock.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { blockBytesFor, type BlockList, blockListBytes, decodeBlockList, isBlockOf } from './block-list.ts'
import { type BlobHasher, createBlobHasher, hashOf } from './hash.ts'
import {
  downloadRanges,
  type DrawnRange,
  isSourceFault,
  noneHasIt,
  type RangeSink,
  SourcesFailed,
} from './range-download.ts'
import { type Range, rangesOf } from './ranges.ts'
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

/** From all sources together; when the result is wrong it is mended from one after the other, so that the liar is found. */
async function downloadLarge(wanted: Wanted, file: BlobFile, sources: readonly AskSource[]): Promise<void> {
  const { size } = await file.stat()
  // No beginning of it
  if (size > wanted.sizeBytes) await file.truncate(0)
  const kept = size > wanted.sizeBytes ? [] : (file.kept?.() ?? [{ offset: 0, length: size }])
  wanted.onProgress?.(kept.reduce((sum, { length }) => sum + length, 0))
  try {
    if (await downloadWhole(wanted, { file, kept }, sources)) return
  } catch (error) {
    if (error instanceof SourcesFailed) throw noneHasIt(error.reasons, sources.length)
    throw error
  }
  try {
    await fromAny(wanted, sources, (ask) => mendFrom(ask, wanted, file))
  } catch (error) {
    if (hasCode(error, 'blob.corrupt')) await file.truncate(0)
    throw error
  }
}

/** A power cut or another source left something wrong: what this one says is wrong, else all of it, comes once more. */
async function mendFrom(ask: AskSource, wanted: Wanted, file: BlobFile): Promise<void> {
  const kept = await rightBlocks(ask, wanted, file)
  try {
    // Whoever asks one after the other tells of it
    if (await downloadWhole({ ...wanted, onLie: () => undefined }, { file, kept }, [ask])) return
  } catch (error) {
    throw error instanceof SourcesFailed ? (error.reasons[0] ?? error) : error
  }
  throw new SkeinError('blob.corrupt', 'the bytes received are not the ones asked for')
}

interface Started {
  readonly file: BlobFile
  /** Parts that stand in it already. */
  readonly kept: readonly Range[]
}

/** @returns whether all bytes are the right ones now. */
async function downloadWhole(
  wanted: Wanted,
  { file, kept }: Started,
  sources: readonly AskSource[],
): Promise<boolean> {
  const hasher = createBlobHasher()
  const sink: RangeSink = {
    write: (bytes, position) => file.write(bytes, position),
    read: (into, position) => file.read(into, position),
    inOrder: (bytes) => hasher.update(bytes),
  }
  await downloadRanges(wanted, drawnRanges(kept, wanted.sizeBytes), sources, sink)
  return hasher.digest() === wanted.hash
}

/** All of a content: parts that are here, and what lies between them. @param kept in order. */
function* drawnRanges(kept: readonly Range[], sizeBytes: number): Generator<DrawnRange> {
  let at = 0
  for (const { offset, length } of kept) {
    yield* rangesOf(at, offset)
    at = Math.min(sizeBytes, offset + length)
    for (const range of rangesOf(offset, at)) yield { ...range, isHere: true }
  }
  yield* rangesOf(at, sizeBytes)
}

/** Compares the file with the block list of one source. @returns the blocks that are as it says; none where it has no list. */
async function rightBlocks(ask: AskSource, wanted: Wanted, file: BlobFile): Promise<readonly Range[]> {
  let list: BlockList
  try {
    list = decodeBlockList(await listFrom(ask, wanted), wanted.sizeBytes)
  } catch (error) {
    if (isSourceFault(error)) return []
    throw error
  }
  const { blockBytes, count, sizeBytes } = list
  const right: { offset: number; length: number }[] = []
  const buffer = new Uint8Array(blockBytes)
  for (let index = 0; index < count; index++) {
    throwIfAborted(wanted.signal)
    const offset = index * blockBytes
    const block = buffer.subarray(0, Math.min(blockBytes, sizeBytes - offset))
    if ((await file.read(block, offset)) < block.byteLength || !isBlockOf(list, index, block)) continue
    const last = right.at(-1)
    if (last !== undefined && last.offset + last.length === offset) last.length += block.byteLength
    else right.push({ offset, length: block.byteLength })
  }
  return right
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
  let list = new Uint8Array()
  await fromAny(wanted, sources, async (ask) => void (list = await listFrom(ask, wanted)))
  return list
}

async function listFrom(
  ask: AskSource,
  { hash, sizeBytes, signal }: Wanted,
): Promise<Uint8Array<ArrayBuffer>> {
  const blockBytes = blockBytesFor(sizeBytes)
  if (blockBytes === undefined) throw new SkeinError('blob.missing', 'a content so long has no block list')
  const list = new Uint8Array(blockListBytes(sizeBytes, blockBytes))
  const write = (part: Uint8Array, position: number): void => list.set(part, position)
  const base = { hash, sizeBytes: list.byteLength, isList: true, offset: 0, write }
  await ask(signal === undefined ? base : { ...base, signal })
  try {
    decodeBlockList(list, sizeBytes)
  } catch (error) {
    throw new SkeinError('blob.corrupt', 'the block list received is none', { cause: error })
  }
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
    await downloadRanges(wanted, splitRanges(ranges), sources, {
      write: (bytes, position) => file.write(bytes, position),
    })
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
