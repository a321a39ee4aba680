/**
 * Keeps the derived rows of a space in step with its shard documents: a projection of the document host, so that
 * records and rows are always in one batch. It also says which directories have to be looked at again.
 */
import type * as Y from 'yjs'
import { assert } from '../base/assert.ts'
import type { SpaceId } from '../base/ids.ts'
import { findDetached, type ParentEdge } from './cycles.ts'
import type { RowChange } from './database.ts'
import { withPrefix } from './database.ts'
import type { ChangeOrigin, Projection } from './projection.ts'
import type { TreeNode } from './join.ts'
import { rootNodeId, type NodeId } from './node-id.ts'
import type { TreeRecord } from './record.ts'
import { Shard, type LiveRecord } from './shard.ts'
import type { Store } from './store.ts'
import * as rows from './tree-rows.ts'
import { createTreeView, type NodeSource, type TreeView } from './tree-view.ts'
import { Unseen, type UnseenBatch } from './unseen.ts'
import { isDirectory } from './view.ts'

/** What a batch changed in the tree. */
export interface TreeDirt {
  readonly nodes: readonly NodeId[]
  /** Directories whose entries may be others now. */
  readonly directories: readonly NodeId[]
  readonly origins: readonly ChangeOrigin[]
  /** Only new nodes of this device, and no directory shows anything else for them. */
  readonly isPlain: boolean
}

interface ShardDetail {
  readonly change: ReadonlyMap<NodeId, readonly rows.RecordLine[]>
  readonly isLocal: boolean
}

interface NodeChange {
  readonly id: NodeId
  readonly before: rows.PlaceRow | undefined
  readonly now: rows.IndexedNode | undefined
  readonly isLocal: boolean
}

/** Directories that are remembered; beyond it all are looked up again. */
const knownMax = 10_000

const isPlace = (node: TreeNode | undefined): boolean =>
  node !== undefined && (node.isTombstone || isDirectory(node))

export class TreeIndex implements Projection<ShardDetail> {
  readonly view: TreeView
  readonly unseen: Unseen
  /** Of the batch on its way, and of those before it that failed. */
  private readonly noted: UnseenBatch[] = []
  private readonly store: Store
  private readonly space: SpaceId
  private readonly onDirt: (dirt: TreeDirt) => void
  private readonly prefix: string
  private readonly shards = new Map<string, Shard>()
  private readonly markers = {
    missing: new Set<NodeId>(),
    detached: new Set<NodeId>(),
    hasTombstones: true,
  }
  private readonly source
  private waiting:
    | { nodes: readonly NodeId[]; directories: readonly NodeId[]; onlyFiles: boolean; isPlain: boolean }
    | undefined
  /** Directories that were looked up: each look at one asks for all above it. */
  private known = new Map<NodeId, TreeNode>()
  /** Batches with a deleted directory, stored or on their way. */
  private tombstoneBatches = 0
  /** Records of the lines that are being written. */
  private written: ReadonlyMap<string, TreeRecord> = new Map()

  constructor(store: Store, space: SpaceId, onDirt: (dirt: TreeDirt) => void) {
    this.store = store
    this.space = space
    this.onDirt = onDirt
    this.prefix = `t/${space}/`
    this.unseen = new Unseen(store, space)
    this.source = this.remembering(rows.createRowSource(store, space, this.markers))
    this.view = createTreeView(this.source)
  }

  /** @returns false when the rows have to be rebuilt. */
  async open(): Promise<boolean> {
    const version = await this.store.get(rows.versionKey(this.space))
    if (version === undefined || new TextDecoder().decode(version) !== rows.treeRowsVersion) return false
    this.markers.missing = await rows.readMarkers(this.store, this.space, 'o')
    this.markers.detached = await rows.readMarkers(this.store, this.space, 'y')
    this.markers.hasTombstones = await rows.hasTombstoneRows(this.store, this.space)
    await this.unseen.open()
    this.known = new Map()
    return true
  }

  /** After the rows were made anew: without deleted directories nobody looks for them in vain. */
  async lookForTombstones(flush: () => Promise<void>): Promise<void> {
    // What is on its way now has said so before it is stored
    await flush()
    const { tombstoneBatches } = this
    const areThere = await rows.hasTombstoneRows(this.store, this.space)
    this.markers.hasTombstones = areThere || tombstoneBatches !== this.tombstoneBatches
  }

  matches(name: string): boolean {
    return name.startsWith(this.prefix)
  }

  loaded(name: string, document: Y.Doc): void {
    this.shards.set(name, new Shard(document))
  }

  evicted(name: string): void {
    this.shards.delete(name)
  }

  /** Living records of a node whose shard document is in memory. */
  recordsOf(name: string, id: NodeId): readonly LiveRecord[] {
    return this.shards.get(name)?.of(id) ?? []
  }

  /** Deletes records of a shard whose document is in memory, and adds others. */
  write(name: string, device: string, removed: readonly LiveRecord[], added: readonly rows.Line[]): void {
    const shard = this.shards.get(name)
    assert(shard !== undefined, 'a shard is in memory while it is written')
    this.written = new Map(
      added.flatMap(({ text, record }) => (record === undefined ? [] : [[text, record]])),
    )
    try {
      const texts = added.map(({ text }) => text)
      shard.write(device, removed, texts)
    } finally {
      this.written = new Map()
    }
  }

  whole(name: string): ShardDetail {
    const change = new Map<NodeId, readonly rows.RecordLine[]>()
    const shard = this.shards.get(name)
    for (const id of shard?.ids() ?? []) change.set(id, this.linesOf(this.recordsOf(name, id)))
    return { change, isLocal: false }
  }

  node(id: NodeId): Promise<TreeNode | undefined> {
    return this.source.node(id)
  }

  forgetMarkers(): void {
    this.known = new Map()
    this.markers.hasTombstones = true
    this.markers.missing = new Set()
    this.markers.detached = new Set()
  }

  changed(name: string, transaction: Y.Transaction): ShardDetail {
    const change = new Map<NodeId, readonly rows.RecordLine[]>()
    for (const [id, records] of this.shards.get(name)?.changed(transaction) ?? []) {
      const lines = this.linesOf(records)
      change.set(id, lines)
      // Lamport times of others, before anybody here can build on what they wrote
      if (!transaction.local) for (const { record } of lines) this.store.observe(record.lamport)
    }
    return { change, isLocal: transaction.local }
  }

  private linesOf(records: readonly LiveRecord[]): readonly rows.RecordLine[] {
    return rows.recordLines(
      records.map(({ text }) => {
        const record = this.written.get(text)
        return record === undefined ? { text } : { text, record }
      }),
    )
  }

  async rows(details: readonly { readonly detail: ShardDetail }[]): Promise<readonly RowChange[]> {
    const latest = new Map<NodeId, { records: readonly rows.RecordLine[]; isLocal: boolean }>()
    for (const { detail } of details) {
      for (const [id, records] of detail.change) {
        const isLocal = detail.isLocal && (latest.get(id)?.isLocal ?? true)
        latest.set(id, { records, isLocal })
      }
    }
    if (latest.size === 0) return []
    const ids = [...latest.keys()]
    const places = await this.store.getMany(ids.map((id) => rows.placeKey(this.space, id)))
    const changes = ids.map((id, index): NodeChange => {
      const { records, isLocal } = latest.get(id) ?? { records: [], isLocal: true }
      const now = rows.indexedNode(records)
      return { id, before: rows.decodePlace(places[index]), now, isLocal }
    })
    // Before the rows are there, so that nobody misses them
    if (changes.some(({ now }) => now?.node.isTombstone === true)) {
      this.markers.hasTombstones = true
      this.tombstoneBatches++
    }
    const out = changes.flatMap(({ id, before, now }) => rows.nodeRows(this.space, id, before, now))
    const hasArrived = changes.some(({ id }) => this.markers.missing.has(id))
    out.push(...(await this.missingRows(changes)))
    const { dirty, hasRevived } = await this.dirtyDirectories(changes)
    // What waited for its directory at the top goes there now
    if (hasArrived) dirty.add(rootNodeId)
    const detachedRows = await this.detachedRows(changes, dirty)
    out.push(...detachedRows)
    const onlyFiles = changes.every(
      ({ before, now }) => (before === undefined || before.letter === 'f') && !isPlace(now?.node),
    )
    const isNew = changes.every(
      ({ before, now, isLocal }) => isLocal && before === undefined && now !== undefined,
    )
    const isPlain = isNew && !hasRevived && !hasArrived && detachedRows.length === 0
    this.waiting = { nodes: ids, directories: [...dirty], onlyFiles, isPlain }
    // What is made new here stands on the disk already, or its folder says so itself
    if (!isPlain) {
      const noted = this.unseen.begin(dirty)
      this.noted.push(noted)
      out.push(...noted.rows)
    }
    return out
  }

  /** A reading that began before a change was stored must not be remembered after it. */
  private remembering(source: NodeSource): NodeSource {
    return {
      ...source,
      node: async (id) => {
        const { known } = this
        const found = known.get(id) ?? (await source.node(id))
        if (found === undefined || !isDirectory(found)) return found
        if (known.size > knownMax) known.clear()
        known.set(id, found)
        return found
      },
    }
  }

  private forgetKnown(ids: readonly NodeId[]): void {
    // Another map: whoever reads now remembers in the old one
    const known = new Map(this.known)
    for (const id of ids) known.delete(id)
    this.known = known
  }

  stored(origins: readonly ChangeOrigin[]): void {
    const { waiting } = this
    this.waiting = undefined
    for (const noted of this.noted.splice(0)) noted.stored()
    if (waiting === undefined) return
    const { nodes, directories, onlyFiles, isPlain } = waiting
    if (!onlyFiles) this.forgetKnown(nodes)
    this.view.invalidate(onlyFiles)
    this.onDirt({ nodes, directories, origins, isPlain })
  }

  /** Which parents are named by nodes but are no directories here. */
  private async missingRows(changes: readonly NodeChange[]): Promise<readonly RowChange[]> {
    const now = new Map(changes.map((change) => [change.id, change.now?.node]))
    const parents = new Set<NodeId>()
    const out: RowChange[] = []
    for (const { id, before, now: indexed } of changes) {
      const isDirectoryNow = indexed !== undefined && isDirectory(indexed.node)
      if (indexed !== undefined) parents.add(indexed.node.parent)
      if (isDirectoryNow && this.markers.missing.delete(id)) {
        out.push({ type: 'del', key: rows.missingKey(this.space, id) })
      }
      if (!isDirectoryNow && before !== undefined && before.letter !== 'f') parents.add(id)
    }
    parents.delete(rootNodeId)
    const unknown = [...parents].filter((id) => !now.has(id) && !this.markers.missing.has(id))
    const places = await this.store.getMany(unknown.map((id) => rows.placeKey(this.space, id)))
    for (const id of parents) {
      const node = now.get(id)
      const place = now.has(id) ? undefined : rows.decodePlace(places[unknown.indexOf(id)])
      const isKnown = node === undefined ? place !== undefined && place.letter !== 'f' : isDirectory(node)
      if (isKnown || this.markers.missing.has(id)) continue
      this.markers.missing.add(id)
      out.push({ type: 'put', key: rows.missingKey(this.space, id), value: new Uint8Array() })
    }
    return out
  }

  /**
   * New and ended cycles. Only a directory that moved can close one; a new one of our own cannot, its id is fresh.
   * The set is changed before the batch is stored: a node shown at the top a moment early does no harm, a cycle met by
   * a reader would.
   */
  private async detachedRows(
    changes: readonly NodeChange[],
    dirty: Set<NodeId>,
  ): Promise<readonly RowChange[]> {
    const now = new Map(changes.map((change) => [change.id, change.now?.node]))
    const starts = new Set<NodeId>()
    for (const { id, before, now: indexed, isLocal } of changes) {
      if (indexed === undefined || !isDirectory(indexed.node)) continue
      const hasMoved = before === undefined ? !isLocal : before.parent !== indexed.node.parent
      if (hasMoved) starts.add(id)
    }
    const { detached } = this.markers
    // On a known cycle also a rename counts: it makes another edge the newest
    const hasFolders = changes.some(
      ({ before, now: indexed }) =>
        (before !== undefined && before.letter !== 'f') ||
        (indexed !== undefined && isDirectory(indexed.node)),
    )
    if (starts.size === 0 && (detached.size === 0 || !hasFolders)) return []
    for (const id of detached) starts.add(id)
    const edgeOf = async (id: NodeId): Promise<ParentEdge | undefined> => {
      const node = now.has(id) ? now.get(id) : await this.source.node(id)
      return node !== undefined && isDirectory(node) ? node : undefined
    }
    const next = await findDetached(starts, edgeOf)
    const out: RowChange[] = []
    for (const id of new Set([...detached, ...next])) {
      if (detached.has(id) === next.has(id)) continue
      const key = rows.detachedKey(this.space, id)
      out.push(next.has(id) ? { type: 'put', key, value: new Uint8Array() } : { type: 'del', key })
      dirty.add(rootNodeId)
      const edge = await edgeOf(id)
      if (edge !== undefined) dirty.add(edge.parent)
    }
    this.markers.detached = new Set(next)
    return out
  }

  /** `hasRevived`: nodes lie in deleted or unknown directories, which show themselves for it elsewhere. */
  private async dirtyDirectories(
    changes: readonly NodeChange[],
  ): Promise<{ readonly dirty: Set<NodeId>; readonly hasRevived: boolean }> {
    const dirty = new Set<NodeId>()
    const spots = new Set<string>()
    const now = new Map(changes.map((change) => [change.id, change.now?.node]))
    for (const { id, before, now: indexed, isLocal } of changes) {
      if (before !== undefined) dirty.add(before.parent)
      if (indexed !== undefined) dirty.add(indexed.node.parent)
      const isDirectoryNow = indexed !== undefined && isDirectory(indexed.node)
      if (!isDirectoryNow && (before === undefined || before.letter === 'f')) continue
      dirty.add(id)
      // Our own new directory is empty: whatever it merges with shows what it did before
      if (before === undefined && isLocal) continue
      // Directories of the same name are one entry: those that were, or become, one with it show other entries now
      for (const { parent, name } of [before, indexed?.node].filter((spot) => spot !== undefined)) {
        for (const family of this.markers.hasTombstones ? ['c', 'x'] : ['c'])
          spots.add(`${family}!${this.space}!${parent}/${name}/`)
      }
    }
    await Promise.all([...spots].map((prefix) => this.addIdsAt(prefix, dirty)))
    let hasRevived = this.markers.hasTombstones && (await this.addDeletedAncestors(dirty, now))
    for (const id of dirty) {
      if (!this.markers.missing.has(id)) continue
      dirty.add(rootNodeId)
      hasRevived = true
    }
    return { dirty, hasRevived }
  }

  private async addIdsAt(prefix: string, dirty: Set<NodeId>): Promise<void> {
    // because: keys of this family end in a node id
    for await (const key of this.store.keys(withPrefix(prefix))) dirty.add(key.slice(-16) as NodeId)
  }

  /** A deleted directory shows itself, or stops to, when something in it does. */
  private async addDeletedAncestors(dirty: Set<NodeId>, now: ReadonlyMap<NodeId, unknown>): Promise<boolean> {
    let hasAny = false
    for (const id of dirty) {
      // The set grows while it is walked: parents of deleted directories are looked at in turn
      if (id === rootNodeId || now.has(id)) continue
      const place = rows.decodePlace(await this.store.get(rows.placeKey(this.space, id)))
      if (place?.letter !== 't') continue
      dirty.add(place.parent)
      hasAny = true
    }
    return hasAny
  }
}
