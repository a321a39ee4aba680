/**
 * A folder's view of a SpaceTree: entries and changes in the folder's words, and its rows in the space's local index.
 * Rows are keyed by (parent node, name): the index path is `<parent node>/<name>`, the root's own row `-/root`, so that
 * renaming a directory touches one row.
 */
import type { BlobHash } from '../blobs/hash.ts'
import type { Intents } from '../crdt/intents.ts'
import type { IndexChange, IndexFlag, IndexRow } from '../crdt/local-index.ts'
import type { MergedSide } from '../crdt/merge-sides.ts'
import { isNodeId, type NodeId, rootNodeId } from '../crdt/node-id.ts'
import type { SpaceTree } from '../crdt/space.ts'
import type { TreeDirt } from '../crdt/tree-index.ts'
import type * as crdt from '../crdt/tree-change.ts'
import type { Entry } from '../crdt/tree-view.ts'
import { isConflictName } from '../crdt/view.ts'
import { formatVector, parseVector, type VersionVector } from '../crdt/version-vector.ts'
import { assert } from '../base/assert.ts'
import { nameOf, parentOf } from './filesystem.ts'
import {
  type ChangedBy,
  type Conflict,
  type EntryKind,
  type FolderTree,
  type MergeLeaf,
  partsOfVersion,
  type RowChange,
  type RowDigests,
  rowKey,
  type SyncedRow,
  type TreeChange,
  type TreeEntry,
  type TreeSummary,
  versionText,
} from './folder-tree.ts'
import { createHashIndex } from './hash-index.ts'
import { toNodeData } from './node-data.ts'
import { conflictOf, hashOrNone, isExecutable } from './node-conflict.ts'
import { placeOfRow } from './row-changes.ts'
import { createKeptDigests, type KeptDigests } from './row-digests.ts'
import { summarize } from './tree-summary.ts'
import { deviceOf, newestWriter, recordingOf } from './written-here.ts'

const kindOf = { file: 'file', dir: 'directory', link: 'symlink' } as const
const indexKindOf = { file: 'file', directory: 'dir', symlink: 'link' } as const
const rootPath = '-/root'
const idsAtOnce = 64
const recentMax = 4_096

/** @param space stays the caller's; this only reads and commits. Reads all rows once, for the look-up by hash. */
export async function createSpaceFolderTree(space: SpaceTree): Promise<FolderTree> {
  const tree = new SpaceFolderTree(space)
  await tree.load()
  return tree
}

class SpaceFolderTree implements FolderTree {
  readonly rootId = rootNodeId
  readonly intents: Intents
  private readonly space: SpaceTree
  private readonly byHash = createHashIndex()
  /** Index paths of conflict copies. */
  private readonly conflicts = new Set<string>()
  private ids: NodeId[] = []
  private loaded: TreeSummary | undefined
  /** Rows written a moment ago: what was just created is asked for by others next. */
  private readonly recent = new Map<string, SyncedRow>()
  private commits = 0
  private readonly kept: KeptDigests
  /** New nodes that the commit under way makes for what stands on the disk. */
  private recording: ReadonlySet<string> = new Set()

  constructor(space: SpaceTree) {
    this.space = space
    this.intents = space.intents
    this.kept = createKeptDigests(space.index)
  }

  async load(): Promise<void> {
    this.loaded = await this.summary()
  }

  async summary(): Promise<TreeSummary> {
    const { loaded } = this
    this.loaded = undefined
    // What was read at the start holds until something is written
    if (loaded !== undefined && this.commits === 0) return loaded
    const take = this.kept.begin()
    const summary = await summarize(this.space.index.outlines(), ({ directory, name, hash }) => {
      const path = rowKey(directory, name)
      if (hash !== '') this.byHash.add(path, hash)
      this.noteConflict(path, true)
    })
    take(summary)
    return summary
  }

  async digests(): Promise<RowDigests> {
    const kept = await this.kept.current()
    return kept ?? new Map([...(await this.summary())].map(([id, { digest }]) => [id, digest]))
  }

  unseen = (token: string): readonly string[] | undefined => this.space.unseen(token)
  settle(token: string): Promise<void> {
    // At rest nobody asks for what was created a moment ago
    this.recent.clear()
    return this.space.settle(token)
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

  async headOf(directoryId: string): Promise<string> {
    const [head] = await this.space.members(nodeId(directoryId))
    return head ?? directoryId
  }

  async isPlacedHere(id: string): Promise<boolean> {
    const node = await this.space.node(nodeId(id))
    return node !== undefined && deviceOf(node.place.writer) === deviceOf(this.space.writer)
  }

  async isWrittenHere(id: string, version: string): Promise<boolean> {
    const node = await this.space.node(nodeId(id))
    const { vector } = partsOfVersion(version)
    const found = node?.versions.find(({ versions }) => formatVector(versions) === vector)
    if (found === undefined) return false
    const writers = found.sides?.map(({ versions }) => newestWriter(versions)) ?? [found.stamp.writer]
    return writers.some((writer) => writer !== undefined && deviceOf(writer) === deviceOf(this.space.writer))
  }

  async conflict(id: string): Promise<Conflict | undefined> {
    const node = await this.space.node(nodeId(id))
    return node === undefined ? undefined : conflictOf(node)
  }

  conflictPlaces(): readonly { readonly parentId: string; readonly name: string }[] {
    return [...this.conflicts].map((path) => ({ parentId: parentOf(path), name: nameOf(path) }))
  }

  async rows(parentId: string): Promise<readonly SyncedRow[]> {
    if (this.kept.isEmpty(parentId)) return []
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

  async commit(
    changes: readonly TreeChange[],
    rows: readonly RowChange[],
  ): Promise<readonly (SyncedRow | undefined)[]> {
    const wanted: crdt.TreeChange[] = []
    let indexed: readonly IndexChange[] = []
    let before: readonly (IndexRow | undefined)[] = []
    for (const change of changes) wanted.push(await this.toChange(change))
    this.recording = recordingOf(changes, rows)
    const rowsFor = (results: readonly crdt.ChangeResult[]): readonly IndexChange[] => {
      const written = new Map<TreeChange, VersionVector>()
      for (const [index, change] of changes.entries()) {
        const versions = results[index]?.versions
        if (versions !== undefined) written.set(change, versions)
      }
      indexed = rows.map((change) => toIndexChange(change, written))
      return indexed
    }
    const directories = new Set(rows.map((change) => parentOf(pathOfRow(change))))
    this.kept.written(directories)
    try {
      await this.space.commit(wanted, rowsFor, (found) => (before = found))
    } finally {
      this.commits++
      this.kept.written(directories)
    }
    if (this.recent.size > recentMax) this.recent.clear()
    for (const [index, change] of rows.entries()) {
      const path = pathOfRow(change)
      this.noteHash(path, before[index]?.hash, change.kind === 'put' ? change.row.hash : undefined)
      this.noteConflict(path, change.kind === 'put')
      const stored = indexed[index]
      if (stored?.kind === 'put') this.recent.set(path, toSyncedRow(stored.row))
      else this.recent.delete(path)
    }
    return before.map((row) => (row === undefined ? undefined : toSyncedRow(row)))
  }

  onChanged(listener: (parentIds: readonly string[], by: ChangedBy) => void): Disposable {
    return this.space.on('changed', (dirt) => {
      const isOwn = dirt.origins.every((origin) => origin.kind === 'local')
      listener(dirt.directories, !isOwn ? 'others' : this.isRecording(dirt) ? 'recording' : 'self')
    })
  }

  /** Nothing but the new nodes of the commit under way, and no directory shows anything else for it. */
  private isRecording({ nodes, isPlain }: Pick<TreeDirt, 'nodes' | 'isPlain'>): boolean {
    return isPlain && nodes.every((id) => this.recording.has(id))
  }

  private noteHash(path: string, before: string | undefined, now: string | undefined): void {
    if (before === now) return
    if (before !== undefined) this.byHash.remove(path, before)
    if (now !== undefined) this.byHash.add(path, now)
  }

  private noteConflict(path: string, isThere: boolean): void {
    if (!path.includes(' (conflict ')) return
    if (isThere && isConflictName(nameOf(path))) this.conflicts.add(path)
    else this.conflicts.delete(path)
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
    if (change.kind === 'delete') return { kind: 'remove', nodeId: id, ...observedOf(change.base) }
    if (change.kind === 'merge') {
      const data = toNodeData(change.data, change.baseHash)
      const leaves = change.leaves?.map(toSide)
      return { kind: 'merge', nodeId: id, sides: change.sides.map(versionsOf), leaves, data }
    }
    const { name, data } = change
    const place = { nodeId: id, parent: nodeId(change.parentId), name }
    if (change.kind === 'create') return { kind: 'create', ...place, data: toNodeData(data, undefined) }
    if (change.kind === 'move' && (await this.space.entry(id)) !== undefined)
      return { kind: 'move', ...place }
    // A move of what was deleted meanwhile says nothing to the space; an edit of that version brings it back
    const base = change.kind === 'edit' ? change.baseHash : data.hash
    return { kind: 'edit', ...place, ...observedOf(change.base), data: toNodeData(data, base) }
  }
}

function nodeId(id: string): NodeId {
  assert(isNodeId(id), 'node ids come from the space')
  return id
}

const indexPath = (parentId: string, name: string): string =>
  parentId === '' ? rootPath : rowKey(parentId, name)

function pathOfRow(change: RowChange): string {
  const { parentId, name } = placeOfRow(change)
  return indexPath(parentId, name)
}

function versionsOf(version: string): VersionVector {
  const versions = parseVector(partsOfVersion(version).vector)
  assert(versions !== undefined, 'versions are written by this file')
  return versions
}

function observedOf(version: string): {
  readonly observed: VersionVector
  readonly observedHash: string | undefined
} {
  return { observed: versionsOf(version), observedHash: partsOfVersion(version).hash }
}

const toSide = ({ hash, versions, baseHash, executable }: MergeLeaf): MergedSide => ({
  versions: versionsOf(versions),
  hash,
  base: baseHash,
  isExecutable: executable,
})

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
    version: versionText(formatVector(data.versions), kind === 'file' ? hash : undefined),
    nodes: entry.nodes,
    isConflictCopy: entry.isConflict,
    kind,
    hash: kind === 'file' ? hash : undefined,
    size: data.sizeBytes ?? 0,
    mtimeNs: data.mtimeNs ?? 0n,
    executable: kind === 'file' && isExecutable(data.mode),
    target: data.target ?? '',
    attributes: data.attributes,
  }
}

function toSyncedRow(row: IndexRow): SyncedRow {
  const slash = row.path.indexOf('/')
  const isRoot = row.path === rootPath
  const name = isRoot ? '' : row.path.slice(slash + 1)
  const { dev, ino, mtimeNs, ctimeNs } = row
  const hash = hashOrNone(row.hash)
  return {
    nodeId: row.nodeId,
    parentId: isRoot ? '' : row.path.slice(0, slash),
    name,
    diskName: row.diskPath ?? name,
    version: versionText(formatVector(row.versions), hash),
    kind: kindOf[row.kind],
    hash,
    size: row.sizeBytes,
    executable: row.kind === 'file' && (row.mode & 0o100) !== 0,
    target: row.target ?? '',
    attributes: row.attributes,
    heldAttributes: row.heldAttributes,
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
      attributes: row.attributes,
      heldAttributes: row.heldAttributes,
      flags,
    },
  }
}
