/**
 * Which contents this device holds for itself, so that others may let go of theirs: at a place that it selected, with the
 * disk still as it was when the content was hashed. What is kept in versions, or is about to go, does not count.
 */
import { hasCode } from '../base/errors.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { Directories } from './directories.ts'
import { type Filesystem, joinPath, sameSignature } from './filesystem.ts'
import type { FolderTree } from './folder-tree.ts'
import type { Selection } from './selection.ts'

export interface HoldingPlace {
  /** With durable rows alone. */
  readonly stored: Pick<FolderTree, 'rowsWithHash'>
  readonly filesystem: Filesystem
  readonly directories: Pick<Directories, 'pathOf'>
  readonly selection: Selection
  readonly isDamaged: (parentId: string, name: string) => boolean
}

export async function holdsContent(place: HoldingPlace, hash: BlobHash): Promise<boolean> {
  const { stored, filesystem, directories, selection } = place
  for (const row of await stored.rowsWithHash(hash)) {
    const parent = directories.pathOf(row.parentId)
    if (parent === undefined || row.kind !== 'file' || row.isRacy) continue
    if (place.isDamaged(row.parentId, row.name)) continue
    const path = joinPath(parent, row.diskName)
    if (!selection.selects(joinPath(parent, row.name), false)) continue
    try {
      const stat = await filesystem.lstat(path)
      if (stat !== undefined && sameSignature(stat, row)) return true
    } catch (error) {
      // What cannot be looked at is not known to be held
      if (!hasCode(error, 'file.denied', 'file.unsafe', 'disk.failed')) throw error
    }
  }
  return false
}
