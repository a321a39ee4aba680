/** Deletions on their way into the document: what a person removed from this disk, remembered in gone-here.ts. */
import type { RowChange, SyncedRow, TreeChange } from './folder-tree.ts'
import type { GoneHere } from './gone-here.ts'
import type { Seen } from './scan.ts'

export interface Deletion {
  readonly seen: Seen
  readonly change: TreeChange
  readonly row: RowChange
}

export interface DeletionPlace {
  readonly goneHere: GoneHere
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
