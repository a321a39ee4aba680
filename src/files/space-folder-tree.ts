/**
 * A folder's view of a SpaceTree: entries and changes in the folder's words, and its rows in the space's local index.
 * Rows are keyed by (parent node, name): the index path is `<parent node>/<name>`, the root's own row `-/root`, so that
 * renaming a directory touches one row.
 */
import { isBlobHash, type BlobHash } from '../blobs/hash.ts'
import type { IndexChange, IndexFlag, IndexRow } from '../crdt/local-index.ts'
import type { DataVersion } from '../crdt/join.ts'
import { isNodeId, type NodeId, rootNodeId } from '../crdt/node-id.ts'
import type { NodeData } from '../crdt/record.ts'
import type { SpaceTree } from '../crdt/space.ts'
import type * as crdt from '../crdt/tree-change.ts'
import type { Entry } from '../crdt/tree-view.ts'
import { commonVector, formatVector, parseVector, type VersionVector } from '../crdt/version-vector.ts'
import { assert } from '../base/assert.ts'
import {
  type Conflict,
  type EntryData,
  type EntryKind,
  type FileVersion,
  type FolderTree,
  type RowChange,
  rowKey,
  type SyncedRow,
  type TreeChange,
  type TreeEntry,
} from './folder-tree.ts'

const kindOf = { file: 'file', dir: 'directory', link: 'symlink' } as const
const indexKindOf = { file: 'file', directory: 'dir', symlink: 'link' } as const
const rootPath = '-/root'
const idsAtOnce = 64
const recentMax = 16_384

/** @param space stays the caller's; this only reads and commits. Reads all rows once, for the look-up by hash. */
export async function createSpaceFolderTree(space: SpaceTree): Promise<FolderTree> {
  const tree = new SpaceFolderTree(space)
  await tree.load()
  return tree
}

class SpaceFolderTree implements FolderTree {
  readonly rootId = rootNodeId
  private readonly space: SpaceTree
  private readonly byHash = createHashIndex()
  private ids: NodeId[] = []
  /** Rows written a moment ago: what was just created is asked for by others next. */
  private readonly recent = new Map<string, SyncedRow>()
  private commits = 0

  constructor(space: SpaceTree) {
    this.space = space
  }

  async load(): Promise<void> {
    for await (const row of this.space.index.iterate()) this.byHash.put(row.path, row.hash)
  }

  newNodeId(): string {
    if (this.ids.length === 0) this.ids = [...this.space.newIds(idsAtOnce)]
    const id = this.ids.pop()
    assert(id !== undefined, 'the space gave ids')
    return id
  }

  async children(parentId: string): Promise<readonly TreeEntry[]> {
    return (await this.space.children(nodeId(parentId))).flatMap((entry) => toTreeEntry(entry) ?? [])
  }

  async entries(id: string): Promise<readonly TreeEntry[]> {
    const first = await this.space.entry(nodeId(id))
    const shown = first === undefined ? undefined : toTreeEntry(first)
    if (shown === undefined) return []
    const beside = await this.children(shown.parentId)
    return [shown, ...beside.filter((entry) => entry.nodes.includes(id) && entry.name !== shown.name)]
  }

  async child(parentId: string, name: string, likely?: string): Promise<TreeEntry | undefined> {
    const entry = likely === undefined ? undefined : await this.space.entry(nodeId(likely))
    if (entry?.parent === parentId && entry.name === name) return toTreeEntry(entry)
    // Names given by the view depend on the whole directory
    return (await this.children(parentId)).find((one) => one.name === name)
  }

  async conflict(id: string): Promise<Conflict | undefined> {
    const node = await this.space.node(nodeId(id))
    const versions = node?.versions.flatMap((version) => toFileVersion(version) ?? []) ?? []
    const [first, ...others] = node?.versions.map((version) => version.versions) ?? []
    const isWhole = node !== undefined && versions.length === node.versions.length
    const isOne = new Set(versions.map((version) => version.hash)).size < 2
    if (!isWhole || isOne || first === undefined) return undefined
    const common = formatVector(commonVector(first, ...others))
    return { nodeId: id, parentId: node.parent, name: node.name, versions, common }
  }

  async rows(parentId: string): Promise<readonly SyncedRow[]> {
    return (await this.space.index.children(parentId)).map(toSyncedRow)
  }

  row(parentId: string, name: string): Promise<SyncedRow | undefined> {
    return this.rowAt(indexPath(parentId, name))
  }

  async rowsAt(
    places: readonly { readonly parentId: string; readonly name: string }[],
  ): Promise<readonly (SyncedRow | undefined)[]> {
    const found = await this.space.index.getMany(
      places.map(({ parentId, name }) => indexPath(parentId, name)),
    )
    return found.map((row) => (row === undefined ? undefined : toSyncedRow(row)))
  }

  async rowsWithHash(hash: BlobHash): Promise<readonly SyncedRow[]> {
    const rows: SyncedRow[] = []
    for (const path of this.byHash.paths(hash)) {
      const row = await this.rowAt(path)
      if (row?.hash === hash) rows.push(row)
    }
    return rows
  }

  async commit(changes: readonly TreeChange[], rows: readonly RowChange[]): Promise<void> {
    const wanted: crdt.TreeChange[] = []
    let indexed: readonly IndexChange[] = []
    for (const change of changes) wanted.push(await this.toChange(change))
    await this.space.commit(wanted, (results) => {
      const written = new Map<TreeChange, VersionVector>()
      for (const [index, change] of changes.entries()) {
        const versions = results[index]?.versions
        if (versions !== undefined) written.set(change, versions)
      }
      indexed = rows.map((change) => toIndexChange(change, written))
      return indexed
    })
    this.commits++
    if (this.recent.size > recentMax) this.recent.clear()
    for (const [index, change] of rows.entries()) {
      const { parentId, name } = change.kind === 'put' ? change.row : change
      const path = indexPath(parentId, name)
      this.byHash.put(path, change.kind === 'put' ? change.row.hash : undefined)
      const stored = indexed[index]
      if (stored?.kind === 'put') this.recent.set(path, toSyncedRow(stored.row))
      else this.recent.delete(path)
    }
  }

  onChanged(listener: (parentIds: readonly string[], isOwn: boolean) => void): Disposable {
    return this.space.on('changed', ({ directories, origins }) =>
      listener(
        directories,
        origins.every((origin) => origin.kind === 'local'),
      ),
    )
  }

  private async rowAt(path: string): Promise<SyncedRow | undefined> {
    const recent = this.recent.get(path)
    if (recent !== undefined) return recent
    const { commits } = this
    const row = await this.space.index.get(path)
    if (row === undefined) return undefined
    const found = toSyncedRow(row)
    // A commit may have come between: what it wrote is newer
    if (!this.recent.has(path) && this.commits === commits) this.recent.set(path, found)
    return found
  }

  private async toChange(change: TreeChange): Promise<crdt.TreeChange> {
    const id = nodeId(change.nodeId)
    if (change.kind === 'delete') return { kind: 'remove', nodeId: id, observed: versionsOf(change.base) }
    if (change.kind === 'merge') {
      const data = toNodeData(change.data, change.baseHash)
      return { kind: 'merge', nodeId: id, sides: change.sides.map(versionsOf), data }
    }
    const { name, data } = change
    const place = { nodeId: id, parent: nodeId(change.parentId), name }
    if (change.kind === 'create') return { kind: 'create', ...place, data: toNodeData(data, undefined) }
    if (change.kind === 'move' && (await this.space.entry(id)) !== undefined)
      return { kind: 'move', ...place }
    // A move of what was deleted meanwhile says nothing to the space; an edit of that version brings it back
    const base = change.kind === 'edit' ? change.baseHash : data.hash
    return { kind: 'edit', ...place, observed: versionsOf(change.base), data: toNodeData(data, base) }
  }
}

function nodeId(id: string): NodeId {
  assert(isNodeId(id), 'node ids come from the space')
  return id
}

const indexPath = (parentId: string, name: string): string =>
  parentId === '' ? rootPath : rowKey(parentId, name)

function versionsOf(version: string): VersionVector {
  const versions = parseVector(version)
  assert(versions !== undefined, 'versions are written by this file')
  return versions
}

const hashOrNone = (text: string | undefined): BlobHash | undefined =>
  text !== undefined && isBlobHash(text) ? text : undefined

/** @returns undefined for kinds of a later version and for files whose content has no usable name. */
function toTreeEntry(entry: Entry): TreeEntry | undefined {
  if (entry.kind === 'unknown') return undefined
  const { data } = entry
  const kind: EntryKind = kindOf[entry.kind]
  const hash = hashOrNone(data.hash)
  if (kind === 'file' && hash === undefined) return undefined
  return {
    nodeId: entry.nodeId,
    parentId: entry.parent,
    name: entry.name,
    version: formatVector(data.versions),
    nodes: entry.nodes,
    isConflictCopy: entry.isConflict,
    kind,
    hash: kind === 'file' ? hash : undefined,
    size: data.sizeBytes ?? 0,
    mtimeNs: data.mtimeNs ?? 0n,
    executable: kind === 'file' && ((data.mode ?? 0) & 0o100) !== 0,
    target: data.target ?? '',
  }
}

function toFileVersion(version: DataVersion): FileVersion | undefined {
  const hash = hashOrNone(version.hash)
  if (version.kind !== 'file' || hash === undefined) return undefined
  return {
    kind: 'file',
    hash,
    size: version.sizeBytes ?? 0,
    mtimeNs: version.mtimeNs ?? 0n,
    executable: ((version.mode ?? 0) & 0o100) !== 0,
    target: '',
    version: formatVector(version.versions),
    baseHash: hashOrNone(version.base),
  }
}

function toNodeData(data: EntryData, base: BlobHash | undefined): NodeData {
  switch (data.kind) {
    case 'directory':
      return { kind: 'dir' }
    case 'symlink':
      return { kind: 'link', target: data.target }
    case 'file':
      return {
        kind: 'file',
        hash: data.hash,
        sizeBytes: data.size,
        mtimeNs: data.mtimeNs,
        mode: data.executable ? 0o755 : 0o644,
        base,
      }
  }
}

function toSyncedRow(row: IndexRow): SyncedRow {
  const slash = row.path.indexOf('/')
  const isRoot = row.path === rootPath
  const name = isRoot ? '' : row.path.slice(slash + 1)
  const { dev, ino, mtimeNs, ctimeNs } = row
  return {
    nodeId: row.nodeId,
    parentId: isRoot ? '' : row.path.slice(0, slash),
    name,
    diskName: row.diskPath ?? name,
    version: formatVector(row.versions),
    kind: kindOf[row.kind],
    hash: hashOrNone(row.hash),
    size: row.sizeBytes,
    executable: row.kind === 'file' && (row.mode & 0o100) !== 0,
    target: row.target ?? '',
    dev,
    ino,
    mtimeNs,
    ctimeNs,
    isRacy: row.flags.has('racy'),
    isLeftover: !row.flags.has('synced'),
  }
}

function toIndexChange(change: RowChange, written: ReadonlyMap<TreeChange, VersionVector>): IndexChange {
  if (change.kind === 'forget') return { kind: 'delete', path: indexPath(change.parentId, change.name) }
  const { row } = change
  const flags = new Set<IndexFlag>(row.isLeftover ? [] : ['synced'])
  if (row.isRacy) flags.add('racy')
  if (row.diskName !== row.name) flags.add('alias')
  const versions = change.writtenBy === undefined ? versionsOf(row.version) : written.get(change.writtenBy)
  assert(versions !== undefined, 'a row without a version belongs to a change of the same batch')
  const { dev, ino, mtimeNs, ctimeNs } = row
  return {
    kind: 'put',
    row: {
      path: indexPath(row.parentId, row.name),
      nodeId: nodeId(row.nodeId),
      kind: indexKindOf[row.kind],
      versions,
      hash: row.hash,
      sizeBytes: row.size,
      dev,
      ino,
      mtimeNs,
      ctimeNs,
      mode: row.executable ? 0o755 : 0o644,
      target: row.target === '' ? undefined : row.target,
      diskPath: row.diskName === row.name ? undefined : row.diskName,
      flags,
    },
  }
}

/** Places by content hash. About 100 bytes a file, the price of asking no scan of the store for it. */
function createHashIndex(): {
  put(path: string, hash: string | undefined): void
  paths(hash: string): readonly string[]
} {
  const hashOfPath = new Map<string, string>()
  const pathsOfHash = new Map<string, string | Set<string>>()
  const remove = (path: string): void => {
    const hash = hashOfPath.get(path)
    if (hash === undefined) return
    hashOfPath.delete(path)
    const paths = pathsOfHash.get(hash)
    if (paths instanceof Set) paths.delete(path)
    else if (paths === path) pathsOfHash.delete(hash)
    if (paths instanceof Set && paths.size === 0) pathsOfHash.delete(hash)
  }
  return {
    put(path, hash) {
      if (hashOfPath.get(path) === hash) return
      remove(path)
      if (hash === undefined) return
      hashOfPath.set(path, hash)
      const paths = pathsOfHash.get(hash)
      // Nearly every content stands at one place: a set only where there are more
      if (paths === undefined) pathsOfHash.set(hash, path)
      else if (paths instanceof Set) paths.add(path)
      else pathsOfHash.set(hash, new Set([paths, path]))
    },
    paths(hash) {
      const paths = pathsOfHash.get(hash)
      return paths === undefined ? [] : paths instanceof Set ? [...paths] : [paths]
    },
  }
}
