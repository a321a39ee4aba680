/** Deletions on their way into the document: what a person removed from this disk, remembered in gone-here.ts. */
import type { RowChange, SyncedRow, TreeChange, TreeEntry } from './folder-tree.ts'
import type { GoneHere } from './gone-here.ts'
import type { Seen } from './scan.ts'
import type { Transfers } from './transfers.ts'

export interface Deletion {
  readonly seen: Seen
  readonly change: TreeChange
  readonly row: RowChange
}

export interface DeletionPlace {
  readonly goneHere: GoneHere
  readonly transfers: Pick<Transfers, 'isNowhere'>
}

type OneVersion = Pick<SyncedRow, 'nodeId' | 'version'>

/** A version leaves the document because a person removed it from this disk. */
export function deletionOf({ goneHere }: DeletionPlace, { nodeId, version: base }: OneVersion): TreeChange {
  goneHere.note(nodeId, base)
  return { kind: 'delete', nodeId, base }
}

export function deletionAt(place: DeletionPlace, seen: Seen, version: OneVersion): Deletion {
  const nodeId = seen.row?.nodeId ?? version.nodeId
  const row: RowChange = { kind: 'forget', parentId: seen.parentId, name: seen.name, nodeId }
  return { seen, change: deletionOf(place, version), row }
}

/** A person removed it here while somebody moved it elsewhere, and no device that is asked has its bytes (gone-here.ts). */
export const isLost = (
  { goneHere, transfers }: DeletionPlace,
  { nodeId, version, hash }: TreeEntry,
): boolean => hash !== undefined && goneHere.has(nodeId, version) && transfers.isNowhere(hash)
