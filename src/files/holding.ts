/**
 * Which contents this device holds for itself, so that others may let go of theirs: at a place that it selected, with the
 * disk still as it was when the content was hashed. What is kept in versions, or is about to go, does not count: what others
 * replaced, deleted or moved to where this device keeps nothing, though the disk does not follow yet.
 */
import { hasCode } from '../base/errors.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { Directories } from './directories.ts'
import { createDocumentPaths } from './document-paths.ts'
import { type Filesystem, joinPath, sameSignature } from './filesystem.ts'
import type { FolderTree } from './folder-tree.ts'
import type { Selection } from './selection.ts'

export interface HoldingPlace {
  /** With durable rows alone. */
  readonly stored: Pick<FolderTree, 'rowsWithHash' | 'rootId' | 'entries'>
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
    if (!(await staysHere(place, row.nodeId, hash))) continue
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

/** The document has the content at a place that is selected here: else it goes from here as soon as somebody else holds it. */
async function staysHere(
  { stored, selection }: HoldingPlace,
  nodeId: string,
  hash: BlobHash,
): Promise<boolean> {
  const documentPath = createDocumentPaths(stored)
  for (const entry of await stored.entries(nodeId)) {
    if (entry.hash !== hash) continue
    const parent = await documentPath(entry.parentId)
    if (parent !== undefined && selection.selects(joinPath(parent, entry.name), false)) return true
  }
  return false
}
