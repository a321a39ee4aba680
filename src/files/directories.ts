/** The synced directories of a folder in memory: node id to disk path and back. Files are never held here. */
import type { FolderTree, SyncedRow } from './folder-tree.ts'
import { joinPath } from './filesystem.ts'

export interface Directories {
  /** Disk path, '' for the root; undefined for a directory that is not on the disk. */
  pathOf(nodeId: string): string | undefined
  idOf(path: string): string | undefined
  /** The id of the deepest synced directory at or above `path`. */
  nearestOf(path: string): string
  put(row: Pick<SyncedRow, 'nodeId' | 'parentId' | 'name' | 'diskName'>): void
  /** @returns the id of the directory that stood at this place of the synced tree, if one did. */
  remove(parentId: string, name: string): string | undefined
  /** Directories at or below this one, parents first. */
  below(nodeId: string): readonly string[]
  clear(): void
  readonly count: number
}

interface Known {
  readonly parentId: string
  readonly name: string
  readonly diskName: string
}

export function createDirectories(rootId: string): Directories {
  const known = new Map<string, Known>()
  /** Parent id and disk name, parent id and name, to id. */
  const byPlace = new Map<string, string>()
  const byName = new Map<string, string>()
  const childIds = new Map<string, Set<string>>()
  const pathOf = (nodeId: string): string | undefined => {
    const names: string[] = []
    for (let id = nodeId; id !== rootId;) {
      const at = known.get(id)
      if (at === undefined || names.length > 4096) return undefined
      names.push(at.diskName)
      id = at.parentId
    }
    return names.reverse().join('/')
  }
  const nearest = (path: string): { readonly id: string; readonly exact: boolean } => {
    let id = rootId
    for (const name of path === '' ? [] : path.split('/')) {
      const next = byPlace.get(joinPath(id, name))
      if (next === undefined) return { id, exact: false }
      id = next
    }
    return { id, exact: true }
  }
  const detach = (nodeId: string): void => {
    const at = known.get(nodeId)
    if (at === undefined) return
    known.delete(nodeId)
    childIds.get(at.parentId)?.delete(nodeId)
    if (byPlace.get(joinPath(at.parentId, at.diskName)) === nodeId)
      byPlace.delete(joinPath(at.parentId, at.diskName))
    if (byName.get(joinPath(at.parentId, at.name)) === nodeId) byName.delete(joinPath(at.parentId, at.name))
  }
  return {
    pathOf,
    idOf: (path) => {
      const found = nearest(path)
      return found.exact ? found.id : undefined
    },
    nearestOf: (path) => nearest(path).id,
    put(row) {
      detach(row.nodeId)
      const replaced = byPlace.get(joinPath(row.parentId, row.diskName))
      if (replaced !== undefined) detach(replaced)
      known.set(row.nodeId, { parentId: row.parentId, name: row.name, diskName: row.diskName })
      byPlace.set(joinPath(row.parentId, row.diskName), row.nodeId)
      byName.set(joinPath(row.parentId, row.name), row.nodeId)
      const siblings = childIds.get(row.parentId) ?? new Set()
      childIds.set(row.parentId, siblings.add(row.nodeId))
    },
    remove(parentId, name) {
      const id = byName.get(joinPath(parentId, name))
      if (id !== undefined) detach(id)
      return id
    },
    below(nodeId) {
      const all = [nodeId]
      for (let index = 0; index < all.length; index++) all.push(...(childIds.get(all[index] ?? '') ?? []))
      return all
    },
    clear() {
      for (const map of [known, byPlace, byName, childIds]) map.clear()
    },
    get count() {
      return known.size
    },
  }
}

export interface Totals {
  files: number
  bytes: number
  entries: number
}

/** Reads the rows of the whole synced tree once, directory by directory. */
export async function loadDirectories(tree: FolderTree, directories: Directories): Promise<Totals> {
  const totals = { files: 0, bytes: 0, entries: 0 }
  const waiting = [tree.rootId]
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    for (const row of await tree.rows(id)) {
      totals.entries++
      if (row.kind === 'directory') {
        directories.put(row)
        waiting.push(row.nodeId)
      } else if (row.kind === 'file') {
        totals.files++
        totals.bytes += row.size
      }
    }
  }
  return totals
}
