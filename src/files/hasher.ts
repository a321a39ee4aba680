/**
 * BLAKE3 of files that may change meanwhile. Small files are read right here (7 us each); larger ones in a worker thread, so
 * that the event loop goes on. The stat before and after must agree, else it is tried again a little later.
 */
import type { Clock } from '../base/clock.ts'
import { sleep } from '../base/clock.ts'
import { SkeinError } from '../base/errors.ts'
import { type BlobHash, createBlobHasher, hashOf } from '../blobs/hash.ts'
import { type FileStat, type Filesystem, type HeldAttributes, sameSignature } from './filesystem.ts'
import type { HashWorkers } from './hash-workers.ts'
import { isForThread, type SmallFiles } from './small-files.ts'

export interface Hashed {
  readonly hash: BlobHash
  /** What was hashed, to the byte. */
  readonly stat: FileStat
  readonly attributes: HeldAttributes
  /** All of it, where it was read in one step. */
  readonly bytes?: Uint8Array
  /** Wall clock before it was read, where that was long before it was asked for. */
  readonly readFromMs?: number
}

export interface ToRead {
  readonly path: string
  readonly sizeBytes: number
}

export interface Hasher {
  /** @throws `file.changed` when it will not stand still, `not.found`, `file.denied`, `cancelled`. */
  hash(path: string, signal: AbortSignal): Promise<Hashed>
  /** Begins to read these, so that `hash` finds them read; what is not asked for is held until `forget`. */
  readAhead(files: readonly ToRead[], signal: AbortSignal): void
  forget(): void
}

/** Above this the worker pays, where there is one. */
export const inlineBytes = 256 * 1024
const retriesMs = [20, 100, 500]

export function createHasher(clock: Clock, filesystem: Filesystem, workers?: HashWorkers): Hasher {
  const read = async (path: string, size: number): Promise<BlobHash> => {
    await using file = await filesystem.open(path, 'read')
    const hasher = createBlobHasher()
    const buffer = new Uint8Array(Math.max(1, Math.min(size + 1, 1024 * 1024)))
    for (let position = 0; ;) {
      const got = await file.read(buffer, position)
      if (got > 0) hasher.update(got === buffer.byteLength ? buffer : buffer.subarray(0, got))
      position += got
      if (got < buffer.byteLength) break
    }
    return hasher.digest()
  }
  const once = async (path: string, signal: AbortSignal): Promise<Hashed | undefined> => {
    const small = await filesystem.readSmall(path, inlineBytes)
    if (small !== undefined) return { hash: hashOf(small.bytes), ...small }
    const before = await filesystem.lstat(path)
    if (before === undefined) throw new SkeinError('not.found', `"${path}" is gone`)
    if (before.kind !== 'file') throw new SkeinError('file.changed', `"${path}" is no regular file any more`)
    const hash =
      workers !== undefined && before.size > inlineBytes
        ? await workers.hash(path, signal)
        : await read(path, before.size)
    const attributes = await filesystem.readAttributes(path)
    const after = await filesystem.lstat(path)
    return after !== undefined && sameSignature(before, after) ? { hash, stat: after, attributes } : undefined
  }
  const ahead = new Map<string, Promise<Hashed | SkeinError | undefined>>()
  const begin = (small: SmallFiles, paths: readonly string[], signal: AbortSignal): void => {
    const readFromMs = clock.nowMs()
    const all = small.read(paths, inlineBytes, signal).catch(() => []) // because: then each is read when it is asked for
    for (const [index, path] of paths.entries()) {
      const one = all.then((found) => found[index])
      ahead.set(
        path,
        one.then((read) =>
          read === undefined || read instanceof SkeinError ? read : { ...read, readFromMs },
        ),
      )
    }
  }
  return {
    readAhead(files, signal) {
      const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      if (workers === undefined || !isForThread(files.length, bytes)) return
      // Each is read when it is asked for, sooner than by a thread that has to start
      if (!workers.small.isReady) return void workers.small.prepare()
      const paths = files.map(({ path }) => path)
      begin(workers.small, paths, signal)
    },
    forget: () => ahead.clear(),
    async hash(path, signal) {
      const read = await ahead.get(path)
      ahead.delete(path)
      if (read instanceof SkeinError) throw read
      if (read !== undefined) return read
      for (const delayMs of [...retriesMs, undefined]) {
        const hashed = await once(path, signal)
        if (hashed !== undefined) return hashed
        if (delayMs !== undefined) await sleep(clock, delayMs, signal)
      }
      throw new SkeinError('file.changed', `"${path}" changes all the time`, {
        fix: 'it follows once it stands still',
      })
    },
  }
}
