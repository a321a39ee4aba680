/**
 * The tree of one space: what is visible, and how this device changes it. The seam that file sync codes against. It
 * owns no disk and no content: entries carry hashes, the local index carries what lies on disk.
 */
import type { Env } from '../base/env.ts'
import { createEmitter, type Events } from '../base/events.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { errorFields } from '../base/log.ts'
import { randomBelow } from '../base/random.ts'
import type { RowChange } from './database.ts'
import type { DocHost } from './doc-host.ts'
import { readRepaired } from './store.ts'
import type { TreeNode } from './join.ts'
import { createIntents, type Intents } from './intents.ts'
import {
  createLocalIndex,
  forgetLocalIndex,
  type IndexChange,
  type IndexRow,
  type LocalIndex,
} from './local-index.ts'
import { isNodeId, newNodeIds, type NodeId, type Writer, writerOf } from './node-id.ts'
import { parseRecord, type TreeRecord } from './record.ts'
import { shardCount, shardName, type LiveRecord } from './shard.ts'
import type { UnseenBatch } from './unseen.ts'
import {
  applyChange,
  type ChangeResult,
  type Draft,
  type DraftRecord,
  type TreeChange,
} from './tree-change.ts'
import { TreeIndex, type TreeDirt } from './tree-index.ts'
import * as rows from './tree-rows.ts'
import type { Entry, TreeView } from './tree-view.ts'

export interface SpaceEvents {
  /** After the batch is stored. Directories may be gone; `children` of the others is to be looked at again. */
  changed: TreeDirt
}

/** Index rows of a commit, or how they follow from its results: they carry the new versions. */
export type CommitRows =
  | readonly IndexChange[]
  | ((results: readonly ChangeResult[]) => readonly IndexChange[])

export interface SpaceTree extends Events<SpaceEvents>, Disposable {
  readonly id: SpaceId
  readonly index: LocalIndex
  readonly intents: Intents
  /** Who this device is in what it writes from now on. */
  readonly writer: Writer
  /** Entries of a directory by name (rootNodeId for the top). Empty for what is no directory. */
  children(directory: NodeId): Promise<readonly Entry[]>
  lookup(path: string): Promise<Entry | undefined>
  /** The entry that shows the first version of a node. */
  entry(nodeId: NodeId): Promise<Entry | undefined>
  /** A node with all its concurrent versions, shown or not. */
  node(nodeId: NodeId): Promise<TreeNode | undefined>
  walk(): AsyncIterable<Entry>
  /** The directories that are shown as one with this one. */
  members(directory: NodeId): Promise<readonly NodeId[]>
  /**
   * Changes the tree: records and index rows in one atomic batch, stored before any peer hears of it.
   * @param onBefore is told which index rows stood at the places of `rows`.
   * @returns one result per change, in order. @throws `file.unsafe` for a name that cannot be kept (nothing is
   * changed then), `store.failed`.
   */
  commit(
    changes: readonly TreeChange[],
    rows?: CommitRows,
    onBefore?: (before: readonly (IndexRow | undefined)[]) => void,
  ): Promise<readonly ChangeResult[]>
  /** Ids for new nodes that are made together: they lie together, which makes the commit cheap. */
  newIds(count: number): readonly NodeId[]
  /** Derives all rows again from the records. */
  rebuild(): Promise<void>
  /** Directories that changed since the folder settled as `token`; undefined when it never did. */
  unseen(token: string): readonly NodeId[] | undefined
  /** What the document shows now is on the disk, as far as a folder of this kind puts it there. @throws `store.failed`. */
  settle(token: string): Promise<void>
}

export interface SpaceOptions {
  readonly id: SpaceId
  readonly device: DeviceId
}

/** Nodes made together go into one shard, up to so many: then the next shard by lot, so that shards stay even. */
const shardRun = 256

/** @throws `store.failed`. */
export async function openSpace(env: Env, host: DocHost, options: SpaceOptions): Promise<SpaceTree> {
  const space = new HostedSpace(env, host, options)
  await space.open()
  return space
}

class HostedSpace implements SpaceTree {
  readonly id: SpaceId
  readonly index: LocalIndex
  readonly intents: Intents
  private readonly env: Env
  private readonly host: DocHost
  private readonly device: DeviceId
  private readonly events
  private readonly tree: TreeIndex
  private readonly subscriptions: Disposable[] = []
  /** Repairs going on: readers wait for them, because what is missing meanwhile is not deleted. */
  private upkeep: Promise<void> = Promise.resolve()

  constructor(env: Env, host: DocHost, options: SpaceOptions) {
    this.env = env
    this.host = host
    this.id = options.id
    this.device = options.device
    this.events = createEmitter<SpaceEvents>(env.log)
    this.index = createLocalIndex(host.store, options.id)
    this.intents = createIntents(host.store, options.id)
    this.tree = new TreeIndex(host.store, options.id, (dirt) => this.events.emit('changed', dirt))
  }

  on: SpaceTree['on'] = (name, listener) => this.events.on(name, listener)
  children = (directory: NodeId): Promise<readonly Entry[]> => this.whole((view) => view.children(directory))
  lookup = (path: string): Promise<Entry | undefined> => this.whole((view) => view.lookup(path))
  entry = (nodeId: NodeId): Promise<Entry | undefined> => this.whole((view) => view.entry(nodeId))
  node = async (nodeId: NodeId): Promise<TreeNode | undefined> => {
    await this.upkeep
    return await this.tree.node(nodeId)
  }
  members = (directory: NodeId): Promise<readonly NodeId[]> => this.whole((view) => view.members(directory))

  async *walk(): AsyncGenerator<Entry> {
    await this.upkeep
    yield* this.tree.view.walk()
  }

  async open(): Promise<void> {
    const { store } = this.host
    this.subscriptions.push(
      this.host.addProjection(this.tree),
      this.host.on('damaged', ({ name }) => {
        if (this.tree.matches(name)) this.later('repair', () => this.repair(name))
      }),
      store.on('corrupt', ({ key }) => {
        if (rows.isDerivedKey(key, this.id)) this.later('rebuild', () => this.rebuild())
      }),
    )
    await readRepaired(store, () => this.reload())
    this.subscriptions.push(store.on('reopened', () => this.later('reload', () => this.reload())))
  }

  [Symbol.dispose](): void {
    for (const subscription of this.subscriptions.splice(0)) subscription[Symbol.dispose]()
  }

  newIds(count: number): readonly NodeId[] {
    const ids: NodeId[] = []
    while (ids.length < count) {
      const shard = randomBelow(this.env.random, shardCount)
      ids.push(...newNodeIds(this.env.random, shard, Math.min(shardRun, count - ids.length)))
    }
    return ids
  }

  async commit(
    changes: readonly TreeChange[],
    indexRows: CommitRows = [],
    onBefore?: (before: readonly (IndexRow | undefined)[]) => void,
  ): Promise<readonly ChangeResult[]> {
    const twins: (readonly NodeId[])[] = []
    for (const change of changes) twins.push(await this.twinsOf(change))
    const names = new Set<string>()
    for (const [index, change] of changes.entries()) {
      for (const id of [change.nodeId, ...(twins[index] ?? [])]) names.add(shardName(this.id, id))
    }
    for (;;) {
      const missing = new Set<string>()
      let results: readonly ChangeResult[] = []
      const noted: UnseenBatch[] = []
      const follow = async (): Promise<readonly RowChange[]> => {
        if (missing.size > 0) return []
        const changed = typeof indexRows === 'function' ? indexRows(results) : indexRows
        noted.push(this.unseenBatch(changes, changed))
        const kept = await this.index.storeRows(changed, onBefore)
        return [...kept, ...noted.flatMap((batch) => batch.rows)]
      }
      const work = (): void => {
        const draft = new ShardDraft(this, names, missing)
        results = changes.map((change, index) => applyChange(draft, change, twins[index] ?? []))
        if (missing.size === 0) draft.write()
      }
      try {
        await this.host.transact([...names], work, follow)
      } finally {
        for (const batch of noted) batch.stored()
      }
      if (missing.size === 0) return results
      // A split put a node into a shard that was not named: nothing was written, once more with it at hand
      for (const name of missing) names.add(name)
    }
  }

  async rebuild(): Promise<void> {
    const { store } = this.host
    const isKnown = (await store.get(rows.versionKey(this.id))) !== undefined
    await this.host.flush()
    if (!isKnown) {
      // Rows of another layout, or of a rebuild that did not end. Nobody reads this space yet
      const doomed: RowChange[] = []
      for await (const key of rows.derivedKeys(store, this.id)) doomed.push({ type: 'del', key })
      await store.write(doomed)
      this.tree.forgetMarkers()
    }
    for (const name of this.shardNames()) await this.host.refresh(name)
    if (isKnown) return
    await this.tree.lookForTombstones(() => this.host.flush())
    const value = new TextEncoder().encode(rows.treeRowsVersion)
    await store.write([{ type: 'put', key: rows.versionKey(this.id), value }])
  }

  unseen(token: string): readonly NodeId[] | undefined {
    return this.tree.unseen.since(token)
  }

  async settle(token: string): Promise<void> {
    const { unseen } = this.tree
    if (unseen.isSettled(token)) return
    const settling = unseen.settle(token)
    const rows = (): Promise<readonly RowChange[]> => Promise.resolve(settling.rows())
    await this.host.transact([], () => undefined, rows)
    settling.stored()
  }

  /** Living records of a node; its shard must be in memory. For drafts. */
  recordsOf(id: NodeId): readonly LiveRecord[] {
    return this.tree.recordsOf(shardName(this.id, id), id)
  }

  get writer(): Writer {
    return writerOf(this.device, this.host.store.identity.incarnation)
  }

  /** Inside `host.transact` that names the shard. */
  writeShard(name: string, removed: readonly LiveRecord[], added: readonly rows.Line[]): void {
    this.tree.write(name, this.device.slice(0, 8), removed, added)
  }

  tick(): number {
    return this.host.store.tick()
  }

  /** A place whose row goes may have to be filled again; one that is made without a row is to be filled. */
  private unseenBatch(changes: readonly TreeChange[], indexed: readonly IndexChange[]): UnseenBatch {
    const put = new Set(indexed.map((change) => (change.kind === 'put' ? change.row.path : '')))
    const gone = indexed.map((change) => (change.kind === 'delete' ? change.path : ''))
    const ids = gone.map((path) => path.slice(0, Math.max(0, path.lastIndexOf('/'))))
    for (const change of changes)
      if (change.kind === 'create' && !put.has(`${change.parent}/${change.name}`)) ids.push(change.parent)
    return this.tree.unseen.begin(ids.filter(isNodeId))
  }

  /** Nodes that a change must take along because they are shown as one with its node. */
  private async twinsOf(change: TreeChange): Promise<readonly NodeId[]> {
    if (change.kind === 'create' || change.kind === 'merge') return []
    const entry = await this.tree.view.entry(change.nodeId)
    return entry?.nodes.filter((id) => id !== change.nodeId) ?? []
  }

  /**
   * Part of a shard was lost. The rows still hold its records (each under its own checksum), so they are written again
   * at once: nothing vanishes here, and a peer that holds the originals adds equal ones, which join to the same node.
   */
  private async repair(name: string): Promise<void> {
    const lost = await rows.recordsOfShard(this.host.store, this.id, Number.parseInt(name.slice(-2), 16))
    await this.host.transact([name], () => {
      const added: rows.Line[] = []
      for (const [id, texts] of lost) {
        const held = new Set(this.tree.recordsOf(name, id).map((record) => record.text))
        for (const text of texts) if (!held.has(text)) added.push({ text })
      }
      if (added.length > 0) this.writeShard(name, [], added)
    })
    this.env.log.warn('damaged shard repaired from the index', { document: name, nodes: lost.size })
  }

  private async reload(): Promise<void> {
    const isReady = await this.tree.open()
    if (this.host.store.identity.reason === 'damaged') await this.startAnew()
    else if (!isReady) await this.rebuild()
  }

  /**
   * Rows of any kind may be gone without a trace, and old ones back. What the shards still hold is the truth, with what
   * the rows add to those that are known to be damaged; a row of the local index without its record would read as
   * "deleted by others", so that index is forgotten.
   */
  private async startAnew(): Promise<void> {
    const { store } = this.host
    await forgetLocalIndex(store, this.id)
    await this.tree.unseen.open()
    const damaged = new Set<string>()
    using _watch = this.host.on('damaged', ({ name }) => void damaged.add(name))
    await this.host.read(this.shardNames(), () => undefined)
    for (const name of damaged) if (this.tree.matches(name)) await this.repair(name)
    await store.write([{ type: 'del', key: rows.versionKey(this.id) }])
    await this.rebuild()
    this.env.log.warn('space put together again from its documents', {
      spaceId: this.id,
      damaged: damaged.size,
    })
  }

  private shardNames(): readonly string[] {
    const prefix = `t/${this.id}/`
    return this.host.names().filter((name) => name.startsWith(prefix))
  }

  private async whole<T>(read: (view: TreeView) => Promise<T>): Promise<T> {
    await this.upkeep
    return await read(this.tree.view)
  }

  private later(what: string, work: () => Promise<void>): void {
    this.upkeep = this.upkeep.then(work).catch((error: unknown) => {
      this.env.log.error('space upkeep failed', { what, ...errorFields(error) })
    })
  }
}

/** A commit under way: reads living records from the shards in memory, collects what is to be written. */
class ShardDraft implements Draft {
  private readonly space: HostedSpace
  private readonly names: ReadonlySet<string>
  private readonly missing: Set<string>
  private readonly nodes = new Map<NodeId, DraftRecord[]>()
  private readonly removed: { readonly id: NodeId; readonly record: LiveRecord }[] = []

  constructor(space: HostedSpace, names: ReadonlySet<string>, missing: Set<string>) {
    this.space = space
    this.names = names
    this.missing = missing
  }

  get writer(): Draft['writer'] {
    return this.space.writer
  }

  tick(): number {
    return this.space.tick()
  }

  live(id: NodeId): readonly DraftRecord[] {
    let records = this.nodes.get(id)
    if (records === undefined) {
      this.need(id)
      records = []
      for (const stored of this.space.recordsOf(id)) {
        const parsed = parseRecord(stored.text)
        if (parsed.ok) records.push({ record: parsed.record, stored })
      }
      this.nodes.set(id, records)
    }
    return [...records]
  }

  remove(record: DraftRecord): void {
    const { id } = record.record
    const left = this.live(id).filter((one) => one.record !== record.record)
    this.nodes.set(id, left)
    if (record.stored !== undefined) this.removed.push({ id, record: record.stored })
  }

  add(record: TreeRecord, text: string): void {
    this.need(record.id)
    this.nodes.set(record.id, [...this.live(record.id), { record, stored: undefined, text }])
  }

  write(): void {
    const work = new Map<string, { removed: LiveRecord[]; added: rows.Line[] }>()
    const of = (id: NodeId): { removed: LiveRecord[]; added: rows.Line[] } => {
      const name = shardName(this.space.id, id)
      const found = work.get(name) ?? { removed: [], added: [] }
      work.set(name, found)
      return found
    }
    for (const { id, record } of this.removed) of(id).removed.push(record)
    for (const [id, records] of this.nodes) {
      for (const { record, text } of records) if (text !== undefined) of(id).added.push({ text, record })
    }
    for (const [name, { removed, added }] of work) {
      if (removed.length + added.length > 0) this.space.writeShard(name, removed, added)
    }
  }

  private need(id: NodeId): void {
    const name = shardName(this.space.id, id)
    if (!this.names.has(name)) this.missing.add(name)
  }
}
