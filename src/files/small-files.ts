/**
 * Many small files in one step: read and hashed, or made and given their names. Where there is a thread for it
 * (hash-workers.ts) it runs this same code there; for a few files, or without one, it runs here.
 */
import { throwIfAborted } from '../base/clock.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { type BlobHash, hashOf } from '../blobs/hash.ts'
import {
  type FileStat,
  type Filesystem,
  type HeldAttributes,
  type NewFile,
  removeIfThere,
} from './filesystem.ts'

export interface ReadFile {
  readonly hash: BlobHash
  readonly stat: FileStat
  readonly bytes: Uint8Array
  readonly attributes: HeldAttributes
}

/** As it stands there, looked at right after. */
export interface PlacedSmall {
  readonly stat: FileStat
  readonly attributes: HeldAttributes
}

export interface PlacedContent extends NewFile {
  readonly path: string
  /** Where it is made first: a name of its own, nobody else makes or looks for a file there. */
  readonly staging: string
  readonly bytes: Uint8Array
}

/** Answers are in the order of what was asked for; what one file fails with does not stop the others. */
export interface SmallFiles {
  /** Undefined for what is longer than `maxBytes` or changed while it was read. */
  read(
    paths: readonly string[],
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<readonly (ReadFile | SkeinError | undefined)[]>
  /**
   * Each is made complete and then gets its name, unless anything stands there: 'blocked'. Nothing is synced.
   */
  place(
    files: readonly PlacedContent[],
    signal: AbortSignal,
  ): Promise<readonly (PlacedSmall | SkeinError | 'blocked')[]>
}

/** The same in a thread, which takes a tenth of a second to start: meanwhile the first files are better done here. */
export interface ThreadedFiles extends SmallFiles {
  /** Whether a thread is there for them. */
  readonly isReady: boolean
  /** Starts one where there is none. Resolves when what else happened had its turn. */
  prepare(): Promise<void>
}

export function createSmallFiles(filesystem: Filesystem): SmallFiles {
  const each = async <T, R>(
    all: readonly T[],
    signal: AbortSignal,
    act: (one: T) => Promise<R>,
  ): Promise<(R | SkeinError)[]> => {
    const results: (R | SkeinError)[] = []
    for (const one of all) {
      throwIfAborted(signal)
      results.push(await act(one).catch((error: unknown) => asSkeinError(error)))
    }
    return results
  }
  return {
    read: (paths, maxBytes, signal) =>
      each(paths, signal, async (path) => {
        const small = await filesystem.readSmall(path, maxBytes)
        return small === undefined ? undefined : { hash: hashOf(small.bytes), ...small }
      }),
    place: (files, signal) => each(files, signal, (file) => placeOne(filesystem, file)),
  }
}

/** Less is done before a thread has answered. */
const threadFrom = { files: 64, bytes: 1024 * 1024 } as const

export const isForThread = (files: number, bytes: number): boolean =>
  files >= threadFrom.files || bytes >= threadFrom.bytes

/** Placed in the thread is what would hold up the event loop, the rest here. */
export function withThread(here: SmallFiles, thread: ThreadedFiles | undefined): SmallFiles {
  return {
    ...here,
    async place(files, signal) {
      const bytes = files.reduce((sum, file) => sum + file.bytes.byteLength, 0)
      if (thread === undefined || !isForThread(files.length, bytes)) return await here.place(files, signal)
      const placed: (PlacedSmall | SkeinError | 'blocked')[] = []
      while (!thread.isReady && placed.length < files.length) {
        const few = files.slice(placed.length, placed.length + placedMeanwhile)
        placed.push(...(await here.place(few, signal)))
        await thread.prepare()
      }
      const left = files.slice(placed.length)
      return left.length === 0 ? placed : [...placed, ...(await thread.place(left, signal))]
    },
  }
}

/** Files in one step while the thread starts: about two milliseconds. */
const placedMeanwhile = 8

async function placeOne(filesystem: Filesystem, file: PlacedContent): Promise<PlacedSmall | 'blocked'> {
  const { path, staging, bytes } = file
  let attributes: HeldAttributes
  try {
    attributes = await createAnew(filesystem, staging, bytes, file)
    // The kernel refuses if anything came to stand here meanwhile
    if (!(await filesystem.renameIf(staging, path, undefined))) {
      await filesystem.unlink(staging)
      return 'blocked'
    }
  } catch (error) {
    // Half of it, on a full disk, would only take up more room
    await removeIfThere(filesystem, staging)
    throw error
  }
  const stat = await filesystem.lstat(path)
  if (stat === undefined)
    throw new SkeinError('file.changed', `"${path}" vanished right after it was written`)
  return { stat, attributes }
}

/** Over what a run that was cut off left there. */
export async function createAnew(
  filesystem: Filesystem,
  path: string,
  bytes: Uint8Array,
  file: NewFile,
): Promise<HeldAttributes> {
  try {
    return await filesystem.createSmall(path, bytes, file)
  } catch (error) {
    if (!hasCode(error, 'file.exists')) throw error
    await filesystem.unlink(path)
    return await filesystem.createSmall(path, bytes, file)
  }
}
