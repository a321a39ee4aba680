/**
 * A large content whose place holds an earlier version of it: only the blocks that the old file lacks are fetched, the rest
 * is copied from it. The new file is put together in staging and counts only when the hash of all of it is right; where any
 * of this does not work out the whole content is fetched instead. What was fetched is noted (partial-file.ts): after a kill
 * the old file is gone through again, and nothing that had come comes twice.
 */
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import { errorFields } from '../base/log.ts'
import type { BlobFile, Wanted } from '../blobs/wanted.ts'
import { type Range, without } from '../blobs/ranges.ts'
import { syncMeanwhile } from './early-sync.ts'
import type { Filesystem } from './filesystem.ts'
import { type Assembling, type HashWorkers, isLarge } from './hash-workers.ts'
import { beginNotes, openPartialFile, removePartial } from './partial-file.ts'

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

/**
 * @param oldPath a file that may hold much of it. @param to where it is put together; what an earlier try left of it is used.
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
    // What was fetched is noted and good for another try, where there is room for it
    if (hasCode(error, 'disk.full')) await removePartial(filesystem, to)
    if (signal.aborted || hasCode(error, 'cancelled', 'disk.full')) throw error
    env.log.info('no delta, the whole content is fetched', errorFields(error))
    return false
  }
  await removePartial(filesystem, to)
  return false
}

interface ToAssemble extends Assembling {
  readonly oldPath: string
  readonly signal: AbortSignal
}

async function assemble(
  env: Env,
  { filesystem, workers }: { readonly filesystem: Filesystem; readonly workers: HashWorkers },
  { oldPath, signal, ...what }: ToAssemble,
): Promise<readonly Range[]> {
  const assembling = workers.assemble(oldPath, what, signal)
  try {
    await syncMeanwhile(env, filesystem, what.to, assembling)
    return await assembling
  } catch (error) {
    // The thread may go on with it for a while: whatever comes next is another file
    await removePartial(filesystem, what.to)
    throw error
  }
}

async function putTogether(
  env: Env,
  { filesystem, workers, partial }: Required<DeltaParts> & { workers: HashWorkers; partial: PartialContents },
  wanted: DeltaWanted,
  { oldPath, to }: { readonly oldPath: string; readonly to: string },
): Promise<boolean> {
  const { hash, sizeBytes, signal } = wanted
  const list = await partial.fetchList({ hash, sizeBytes, signal })
  await beginNotes(filesystem, to)
  const lacking = await assemble(env, { filesystem, workers }, { oldPath, to, list, sizeBytes, signal })
  await using file = await openPartialFile(filesystem, to, sizeBytes)
  const missing = without(lacking, file.kept())
  wanted.onProgress(sizeBytes - missing.reduce((sum, { length }) => sum + length, 0))
  await partial.fetchParts(wanted, missing, file)
  // The disk writes while the hash is taken from memory
  const [found] = await Promise.all([workers.hash(to, signal), file.sync()])
  if (found === hash) await file.complete()
  return found === hash
}
