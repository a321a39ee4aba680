/**
 * A large content whose place holds an earlier version of it: only the blocks that the old file lacks are fetched, the rest
 * is copied from it. The new file is put together in staging and counts only when the hash of all of it is right; where any
 * of this does not work out the whole content is fetched instead.
 */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import { errorFields } from '../base/log.ts'
import type { BlobFile, Wanted } from '../blobs/wanted.ts'
import type { Range } from '../blobs/range-download.ts'
import { type Filesystem, removeIfThere } from './filesystem.ts'
import { type HashWorkers, isLarge } from './hash-workers.ts'

/** Gets parts of a content from other devices; see blobs/exchange.ts. */
export interface PartialContents {
  fetchList(wanted: Wanted): Promise<Uint8Array>
  fetchParts(wanted: Wanted, ranges: readonly Range[], file: Pick<BlobFile, 'write'>): Promise<void>
}

export interface DeltaParts {
  readonly filesystem: Filesystem
  readonly workers?: HashWorkers | undefined
  readonly partial?: PartialContents | undefined
}

export interface DeltaWanted extends Wanted {
  readonly signal: AbortSignal
  readonly onProgress: (sizeBytes: number) => void
}

const syncEveryMs = 100

/** While a file is written the disk takes what is there already: else all of it is waited for at the end. */
async function syncMeanwhile(
  env: Env,
  filesystem: Filesystem,
  path: string,
  work: Promise<unknown>,
): Promise<void> {
  let isOver = false
  const over = (): void => void (isOver = true)
  const ended = work.then(over, over)
  while (!isOver) {
    await Promise.race([ended, sleep(env.clock, syncEveryMs)])
    if (isOver || (await filesystem.lstat(path)) === undefined) continue
    await using file = await filesystem.open(path, 'write')
    await file.sync()
  }
}

/**
 * @param oldPath a file that may hold much of it. @param to where it is put together; nothing stands there.
 * @returns whether `to` is the content now, complete and synced. @throws `cancelled`, `disk.full`.
 */
export async function bringByDelta(
  env: Env,
  { filesystem, workers, partial }: DeltaParts,
  wanted: DeltaWanted,
  paths: { readonly oldPath: string; readonly to: string },
): Promise<boolean> {
  const { sizeBytes, signal } = wanted
  if (workers === undefined || partial === undefined || !isLarge(sizeBytes)) return false
  const { oldPath, to } = paths
  const old = await filesystem.lstat(oldPath)
  if (old?.kind !== 'file' || !isLarge(old.size)) return false
  try {
    if (await putTogether(env, { filesystem, workers, partial }, wanted, paths)) return true
    env.log.warn('a file put together from an older one is not what was asked for; it is fetched whole', {
      sizeBytes,
    })
  } catch (error) {
    // Not complete, and no beginning either: it would only take up room
    await removeIfThere(filesystem, to)
    if (signal.aborted || hasCode(error, 'cancelled', 'disk.full')) throw error
    env.log.info('no delta, the whole content is fetched', errorFields(error))
    return false
  }
  await removeIfThere(filesystem, to)
  return false
}

async function putTogether(
  env: Env,
  { filesystem, workers, partial }: Required<DeltaParts> & { workers: HashWorkers; partial: PartialContents },
  wanted: DeltaWanted,
  { oldPath, to }: { readonly oldPath: string; readonly to: string },
): Promise<boolean> {
  const { hash, sizeBytes, signal } = wanted
  const list = await partial.fetchList({ hash, sizeBytes, signal })
  const assembling = workers.assemble(oldPath, { to, list, sizeBytes }, signal)
  await syncMeanwhile(env, filesystem, to, assembling)
  const missing = await assembling
  wanted.onProgress(sizeBytes - missing.reduce((sum, { length }) => sum + length, 0))
  await using file = await filesystem.open(to, 'write')
  await partial.fetchParts(wanted, missing, file)
  await file.truncate(sizeBytes)
  // The disk writes while the hash is taken from memory
  const [found] = await Promise.all([workers.hash(to, signal), file.sync()])
  return found === hash
}
