/** The synced directories of a folder in memory: node id to disk path and back. Files are never held here. */
import type { SyncedRow } from './folder-tree.ts'
import { joinPath } from './filesystem.ts'

export interface Directories {
  /** Disk path, '' for the root; undefined for a directory that is not on the disk. */
  pathOf(nodeId: string): string | undefined
  idOf(path: string): string | undefined
  /** The id of the deepest synced directory at or above `path`. */
  nearestOf(path: string): string
  put(row: Pick<SyncedRow, 'nodeId' | 'parentId' | 'name' | 'diskName' | 'isLeftover'>): void
  /** Where a directory stands, in the words of its row. */
  placeOf(nodeId: string): { readonly parentId: string; readonly name: string } | undefined
  /** The directory that stands at this place. */
  idAt(parentId: string, name: string): string | undefined
  /** Parent of a directory that others deleted and that could not go yet: it may be able to now. */
  parentOfLeftover(nodeId: string): string | undefined
  /** Takes this directory off its place. @returns whether it stood there. */
  remove(parentId: string, name: string, nodeId: string): boolean
  /** Directories at or below this one, parents first. */
  below(nodeId: string): readonly string[]
  clear(): void
  readonly count: number
}

interface Known {
  readonly parentId: string
  readonly isLeftover: boolean
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
      const found = findNearest(rootId, byPlace, path)
      return found.exact ? found.id : undefined
    },
    nearestOf: (path) => findNearest(rootId, byPlace, path).id,
    placeOf: (nodeId) => known.get(nodeId),
    idAt: (parentId, name) => byName.get(joinPath(parentId, name)),
    put(row) {
      detach(row.nodeId)
      for (const replaced of [
        byPlace.get(joinPath(row.parentId, row.diskName)),
        byName.get(joinPath(row.parentId, row.name)),
      ])
        if (replaced !== undefined) detach(replaced)
      const { nodeId, parentId, name, diskName, isLeftover } = row
      known.set(nodeId, { parentId, name, diskName, isLeftover })
      byPlace.set(joinPath(row.parentId, row.diskName), row.nodeId)
      byName.set(joinPath(row.parentId, row.name), row.nodeId)
      const siblings = childIds.get(row.parentId) ?? new Set()
      childIds.set(row.parentId, siblings.add(row.nodeId))
    },
    parentOfLeftover: (nodeId) => {
      const at = known.get(nodeId)
      return at?.isLeftover === true ? at.parentId : undefined
    },
    remove(parentId, name, nodeId) {
      if (byName.get(joinPath(parentId, name)) !== nodeId) return false
      detach(nodeId)
      return true
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

interface Nearest {
  readonly id: string
  readonly exact: boolean
}

/** Walks down as far as synced directories go. */
function findNearest(rootId: string, byPlace: ReadonlyMap<string, string>, path: string): Nearest {
  let id = rootId
  for (const name of path === '' ? [] : path.split('/')) {
    const next = byPlace.get(joinPath(id, name))
    if (next === undefined) return { id, exact: false }
    id = next
  }
  return { id, exact: true }
}

export interface Totals {
  files: number
  bytes: number
  entries: number
}
