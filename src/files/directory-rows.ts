/** What a change of rows means for the synced directories in memory and for their watches. */
import type { Collected } from './collect.ts'
import type { Directories } from './directories.ts'
import type { RowChange, SyncedRow } from './folder-tree.ts'
import type { LocalChanges } from './local-changes.ts'
import type { Watcher } from './watch.ts'

export interface DirectoryPlace {
  readonly directories: Directories
  readonly watcher: Pick<Watcher, 'remove'>
  readonly part: { readonly changes: Pick<LocalChanges, 'dropBelow'> }
}

export function applyToDirectories(place: DirectoryPlace, change: RowChange): void {
  const { directories } = place
  if (change.kind === 'put') {
    const { kind, parentId, name } = change.row
    if (parentId === '') return
    if (kind !== 'directory') {
      // A directory that vanished from this place before anything was decided about it
      const gone = directories.idAt(parentId, name)
      if (gone !== undefined) removeDirectory(place, { parentId, name, nodeId: gone })
      return
    }
    const before = directories.pathOf(change.row.nodeId)
    directories.put(change.row)
    if (before !== undefined && before !== directories.pathOf(change.row.nodeId)) leave(place, before)
    return
  }
  removeDirectory(place, change)
}

/** What was told of it by its path is told anew, by the next one. */
function leave({ watcher, part }: DirectoryPlace, path: string): void {
  watcher.remove(path)
  part.changes.dropBelow(path)
}

function removeDirectory(
  place: DirectoryPlace,
  { parentId, name, nodeId }: Pick<SyncedRow, 'parentId' | 'name' | 'nodeId'>,
): void {
  const { directories } = place
  const path = directories.pathOf(nodeId)
  const isGone = directories.remove(parentId, name, nodeId)
  if (isGone && path !== undefined) leave(place, path)
}

/** Each directory that is gone is told once, or one whose deletion is held back would never let the folder rest. */
export function createNewlyGone(
  directories: Pick<Directories, 'pathOf'>,
): (round: Pick<Collected, 'gone' | 'scanned'>) => readonly string[] {
  const told = new Set<string>()
  return ({ gone, scanned }) => {
    const fresh = gone.filter((id) => !told.has(id))
    // One that vanished is looked into as well, where that is certain: only what is there again can go once more
    const isBack = (id: string): boolean => scanned.has(id) && !gone.includes(id)
    for (const id of told) if (isBack(id) || directories.pathOf(id) === undefined) told.delete(id)
    for (const id of fresh) told.add(id)
    return fresh
  }
}
