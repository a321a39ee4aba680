/**
 * Gets one content into one file: goes on from what an earlier try left, asks source after source, and calls it done only
 * when BLAKE3 over every byte of the file says so.
 */
import { throwIfAborted } from '../base/clock.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { WantOptions } from './client.ts'
import { type BlobHash, type BlobHasher, createBlobHasher, hashOf } from './hash.ts'

/** A file that takes a download. `files/filesystem.ts` OpenFile fits. */
export interface BlobFile {
  stat(): Promise<{ readonly size: number }>
  read(into: Uint8Array, position: number): Promise<number>
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(sizeBytes: number): Promise<void>
}

export interface Wanted {
  readonly hash: BlobHash
  readonly sizeBytes: number
  /** `sizeBytes` is only the most it may be: the length is not known. */
  readonly isAtMost?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (sizeBytes: number) => void
}

/** One place to ask. */
export type AskSource = (options: WantOptions) => Promise<void>

/**
 * @param file may hold a prefix from an interrupted try; after success exactly the content, not yet fsynced.
 * @throws `blob.missing` when no source has it, `blob.corrupt` when bytes came but were wrong (the file is empty then),
 *   `disk.full` and others of the file, `cancelled`.
 */
export async function downloadBlob(
  wanted: Wanted,
  file: BlobFile,
  sources: readonly AskSource[],
): Promise<void> {
  await fromAny(wanted, sources, (ask) => downloadFrom(ask, wanted, file))
}

/** Asks one source after the other until one has it. */
async function fromAny(
  wanted: Wanted,
  sources: readonly AskSource[],
  get: (ask: AskSource) => Promise<void>,
): Promise<void> {
  let last: SkeinError | undefined
  for (const ask of sources) {
    throwIfAborted(wanted.signal)
    try {
      await get(ask)
      return
    } catch (error) {
      const known = asSkeinError(error)
      if (
        !hasCode(
          known,
          'blob.missing',
          'blob.corrupt',
          'channel.closed',
          'channel.aborted',
          'channel.stalled',
          'limit.exceeded',
          'peer.gone',
        )
      )
        throw known
      last = known
    }
  }
  if (last === undefined) {
    throw new SkeinError('blob.missing', 'no connected device has this content', {
      fix: 'connect a device that holds it',
    })
  }
  throw last.code.startsWith('channel.')
    ? new SkeinError('blob.missing', 'every source went away', { cause: last })
    : last
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
