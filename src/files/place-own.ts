/**
 * Puts something at a path on behalf of the person, as an editor would: staged, synced, renamed into place, and what stood
 * there kept in versions. The next look at the folder takes it for an edit, which is what it is.
 */
import { hasCode, SkeinError } from '../base/errors.ts'
import { encodeId } from '../base/ids.ts'
import type { Random } from '../base/random.ts'
import type { BlobHash } from '../blobs/hash.ts'
import { ensureDirectory, type Filesystem, joinPath, parentOf } from './filesystem.ts'
import { explainNameProblem, internalFolder, pathProblem } from './names.ts'
import type { KeptCause, Versions } from './versions.ts'

export interface OwnPlaceParts {
  readonly filesystem: Filesystem
  readonly versions: Versions
  readonly random: Random
}

export interface Recorded {
  readonly nodeId: string
  readonly version: string
  readonly hash: BlobHash
}

export interface OwnPlace {
  readonly path: string
  /** Why what stands there is kept. */
  readonly cause: KeptCause
  /** What stands there, as far as the index knows. */
  readonly recorded?: Recorded | undefined
  /** Only where nothing stands. @throws `file.exists` then. */
  readonly mustBeFree?: boolean
}

/** Apart from the staging of transfers, which is swept. */
const ownStaging = `${internalFolder}/own`

/**
 * @param fill makes the file at the staging path it is given, whole and synced.
 * @returns whether something gave way. @throws `file.unsafe`, `file.exists`, `file.changed`, `disk.full`.
 */
export async function placeOwn(
  { filesystem, versions, random }: OwnPlaceParts,
  { path, cause, recorded, mustBeFree = false }: OwnPlace,
  fill: (stagedPath: string) => Promise<void>,
): Promise<boolean> {
  const problem = pathProblem(path)
  if (problem !== undefined || path === '') {
    throw new SkeinError('file.unsafe', explainNameProblem(problem ?? 'empty'), {
      fix: 'choose another name',
    })
  }
  await makeParents(filesystem, path)
  const there = await filesystem.lstat(path)
  if (there?.kind === 'directory' || there?.kind === 'other' || (mustBeFree && there !== undefined)) {
    throw new SkeinError('file.exists', `something stands at "${path}" already`, {
      fix: mustBeFree ? 'remove or rename it' : 'choose another place: --to PATH',
    })
  }
  for (const directory of [internalFolder, ownStaging]) await ensureDirectory(filesystem, directory)
  const staged = joinPath(ownStaging, encodeId(random.bytes(16)))
  try {
    await fill(staged)
    const isPlaced =
      there === undefined ? await filesystem.renameIf(staged, path, undefined) : await replace()
    if (!isPlaced) {
      throw new SkeinError('file.changed', `"${path}" changed at this very moment`, { fix: 'try again' })
    }
  } catch (error) {
    await filesystem.unlink(staged).catch((cause: unknown) => {
      if (!hasCode(cause, 'not.found')) throw cause
    })
    throw error
  }
  await filesystem.syncDirectory(parentOf(path))
  return there !== undefined

  async function replace(): Promise<boolean> {
    if (there === undefined) return false
    const hash = recorded?.hash
    const about = { cause, nodeId: recorded?.nodeId, version: recorded?.version }
    const kept = there.kind === 'file' ? await versions.keepLink(path, hash, about) : undefined
    const now = await filesystem.lstat(path)
    const isSame = now?.ino === there.ino && now.size === there.size && now.mtimeNs === there.mtimeNs
    if (now === undefined || !isSame) return false
    if (kept !== undefined) return await filesystem.renameIf(staged, path, now)
    if ((await versions.keepMoved(path, now, { hash, about })) === undefined) return false
    return await filesystem.renameIf(staged, path, undefined)
  }
}

async function makeParents(filesystem: Filesystem, path: string): Promise<void> {
  const parent = parentOf(path)
  if (parent === '') return
  const stat = await filesystem.lstat(parent)
  if (stat?.kind === 'directory') return
  if (stat !== undefined) {
    throw new SkeinError('file.exists', `"${parent}" is no directory`, {
      fix: 'choose another place: --to PATH',
    })
  }
  await makeParents(filesystem, parent)
  await ensureDirectory(filesystem, parent)
}
