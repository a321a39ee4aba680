/**
 * Rows of what was just done on the disk wait here until it would survive a power cut, then go into the index: a row says
 * that disk and document agree, and an index that outlives the files it speaks of would take them for deleted. Meanwhile
 * nobody waits: whoever asks for rows sees these as well, and all that comes while the disk is synced shares the next sync.
 * What is committed otherwise comes after what waits, so that rows keep their order.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { Touched } from './apply.ts'
import type { Filesystem } from './filesystem.ts'
import type { FolderTree, RowChange, SyncedRow } from './folder-tree.ts'
import { createPlacing, type Placing } from './placing.ts'
import { placeOfRow } from './row-changes.ts'

export interface Settling extends AsyncDisposable {
  /** The tree with the rows that wait. */
  readonly tree: FolderTree
  /** The same without them, and without waiting for them: for the `store` of `begin` alone. */
  readonly stored: FolderTree
  /** @param store commits rows; called for one batch after the other, in order. */
  begin(store: (rows: readonly RowChange[]) => Promise<void>): void
  /** Takes rows over; resolves at once unless very much waits. @throws what an earlier batch failed with. */
  add(rows: readonly RowChange[], touched: Touched): Promise<void>
  /** Resolves when nothing waits. @throws what a batch failed with: its rows are lost, their files are found by content. */
  drain(): Promise<void>
  /** Batches that wait. */
  readonly pending: number
  /** Files that get their names before they are durable. */
  readonly placing: Placing
}

interface Batch {
  readonly rows: readonly RowChange[]
  readonly touched: Touched
  /** Of the files that were placed for these rows. */
  readonly notes: readonly number[]
}

/** Rows in memory; whoever adds more waits for the disk. */
const rowsMax = 8_192
/** In a stream of so many files more of them are waited for: one sync of many costs little more than one of few. */
const streamFiles = 64
const gatherMs = 500

/** @param onEnd nothing waits any more, or a batch failed and all is to be looked at again. */
export function createSettling(
  clock: Clock,
  stored: FolderTree,
  filesystem: Pick<Filesystem, 'syncAll'>,
  onEnd: (hasFailed: boolean) => void,
): Settling {
  return new RowSettling({ clock, stored, filesystem, onEnd })
}

interface SettlingParts {
  readonly clock: Clock
  readonly stored: FolderTree
  readonly filesystem: Pick<Filesystem, 'syncAll'>
  readonly onEnd: (hasFailed: boolean) => void
}

class RowSettling implements Settling {
  private readonly clock: Clock
  readonly tree: FolderTree
  readonly stored: FolderTree
  readonly placing: Placing
  private readonly filesystem: Pick<Filesystem, 'syncAll'>
  private readonly onEnd: (hasFailed: boolean) => void
  private store: ((rows: readonly RowChange[]) => Promise<void>) | undefined
  private waiting: Batch[] = []
  private readonly unsettled = createOverlay()
  private running: Promise<void> | undefined
  /** Somebody waits for the disk. */
  private hurry = Promise.withResolvers<void>()
  private failure: { readonly error: unknown } | undefined

  constructor({ clock, stored, filesystem, onEnd }: SettlingParts) {
    this.clock = clock
    this.stored = stored
    this.placing = createPlacing(stored.intents)
    this.filesystem = filesystem
    this.onEnd = onEnd
    this.tree = withOverlay(stored, this.unsettled, () => this.drain())
  }

  get pending(): number {
    return this.waiting.length + (this.running === undefined ? 0 : 1)
  }

  begin(store: (rows: readonly RowChange[]) => Promise<void>): void {
    this.store = store
  }

  async add(rows: readonly RowChange[], touched: Touched): Promise<void> {
    this.check()
    if (rows.length + touched.files.length + touched.directories.length === 0) return
    this.unsettled.add(rows)
    this.waiting.push({ rows, touched, notes: this.placing.take() })
    this.running ??= this.run()
    if (this.unsettled.size > rowsMax) await this.drain()
  }

  async drain(): Promise<void> {
    await this[Symbol.asyncDispose]()
    this.check()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    while (this.running !== undefined) {
      this.hurry.resolve()
      await this.running
    }
  }

  private check(): void {
    const { failure } = this
    this.failure = undefined
    if (failure !== undefined) throw failure.error
  }

  private async run(): Promise<void> {
    try {
      while (this.waiting.length > 0) {
        if (this.unsettled.size >= streamFiles) await this.gather()
        await this.settle(this.waiting.splice(0))
        // In the loop: more may come meanwhile
        if (this.waiting.length === 0) await this.placing.tidy()
      }
    } catch (error) {
      // because: it is thrown to whoever comes next, which is soon: all is looked at again
      this.failure = { error }
      this.waiting = []
      this.unsettled.clear()
    } finally {
      this.running = undefined
    }
    this.onEnd(this.failure !== undefined)
  }

  private async gather(): Promise<void> {
    const timer = this.clock.setTimer(gatherMs, () => this.hurry.resolve())
    await this.hurry.promise
    timer[Symbol.dispose]()
    this.hurry = Promise.withResolvers()
  }

  private async settle(group: readonly Batch[]): Promise<void> {
    assert(this.store !== undefined, 'settling has begun')
    const files = new Set(group.flatMap(({ touched }) => touched.files))
    const directories = new Set(group.flatMap(({ touched }) => touched.directories))
    // Files first, then their names
    if (files.size + directories.size > 0) await this.filesystem.syncAll([...files], [...directories])
    for (const { rows, notes } of group) {
      if (rows.length > 0) await this.store(rows)
      this.unsettled.remove(rows)
      this.placing.settled(notes)
    }
  }
}

interface Overlay {
  add(rows: readonly RowChange[]): void
  /** Those that were not overruled since. */
  remove(rows: readonly RowChange[]): void
  clear(): void
  in(parentId: string): ReadonlyMap<string, RowChange> | undefined
  withHash(hash: BlobHash): readonly SyncedRow[]
  readonly size: number
}

function createOverlay(): Overlay {
  const places = new Map<string, Map<string, RowChange>>()
  const byHash = new Map<BlobHash, Set<SyncedRow>>()
  let size = 0
  const forgetHash = ({ hash }: SyncedRow, row: SyncedRow): void => {
    const rows = hash === undefined ? undefined : byHash.get(hash)
    rows?.delete(row)
    if (hash !== undefined && rows?.size === 0) byHash.delete(hash)
  }
  const take = (change: RowChange): void => {
    const { parentId, name } = placeOfRow(change)
    const names = places.get(parentId) ?? new Map<string, RowChange>()
    const before = names.get(name)
    // Within one batch what came to a place holds against what left it, as in a commit
    if (before === undefined) size++
    else if (before.kind === 'put') forgetHash(before.row, before.row)
    places.set(parentId, names.set(name, change))
    if (change.kind !== 'put' || change.row.hash === undefined) return
    byHash.set(change.row.hash, (byHash.get(change.row.hash) ?? new Set()).add(change.row))
  }
  return {
    add(rows) {
      for (const change of rows) if (change.kind === 'forget') take(change)
      for (const change of rows) if (change.kind === 'put') take(change)
    },
    remove(rows) {
      for (const change of rows) {
        const { parentId, name } = placeOfRow(change)
        const names = places.get(parentId)
        if (names?.get(name) !== change) continue
        names.delete(name)
        size--
        if (names.size === 0) places.delete(parentId)
        if (change.kind === 'put') forgetHash(change.row, change.row)
      }
    },
    clear() {
      places.clear()
      byHash.clear()
      size = 0
    },
    in: (parentId) => places.get(parentId),
    withHash: (hash) => [...(byHash.get(hash) ?? [])],
    get size() {
      return size
    },
  }
}

/** A row that waits hides the stored one of its place; one that is forgotten hides only a row of its own node. */
function overlaid(change: RowChange | undefined, row: SyncedRow | undefined): SyncedRow | undefined {
  if (change === undefined) return row
  if (change.kind === 'put') return change.row
  return row?.nodeId === change.nodeId ? undefined : row
}

function withOverlay(stored: FolderTree, overlay: Overlay, drain: () => Promise<void>): FolderTree {
  const at = (parentId: string, name: string): RowChange | undefined => overlay.in(parentId)?.get(name)
  return {
    rootId: stored.rootId,
    intents: stored.intents,
    newNodeId: () => stored.newNodeId(),
    children: (parentId) => stored.children(parentId),
    entries: (id) => stored.entries(id),
    child: (parentId, name, likely) => stored.child(parentId, name, likely),
    headOf: (directoryId) => stored.headOf(directoryId),
    isPlacedHere: (id) => stored.isPlacedHere(id),
    isWrittenHere: (id, version) => stored.isWrittenHere(id, version),
    conflictPlaces: () => stored.conflictPlaces(),
    conflict: (id) => stored.conflict(id),
    onChanged: (listener) => stored.onChanged(listener),
    summary: () => stored.summary(),
    digests: () => stored.digests(),
    unseen: (token) => stored.unseen(token),
    settle: (token) => stored.settle(token),
    async rows(parentId) {
      // Looked up first: what is stored meanwhile is in the answer twice, not missing
      const waiting = new Map(overlay.in(parentId))
      const rows = await stored.rows(parentId)
      if (waiting.size === 0) return rows
      const found = new Map(rows.map((row) => [row.name, row]))
      for (const [name, change] of waiting) {
        const row = overlaid(change, found.get(name))
        if (row === undefined) found.delete(name)
        else found.set(name, row)
      }
      return [...found.values()]
    },
    async row(parentId, name) {
      const change = at(parentId, name)
      return change?.kind === 'put' ? change.row : overlaid(change, await stored.row(parentId, name))
    },
    async rowsAt(places) {
      const waiting = places.map(({ parentId, name }) => at(parentId, name))
      const rows = await stored.rowsAt(places)
      return rows.map((row, index) => overlaid(waiting[index], row))
    },
    async rowsWithHash(hash) {
      const waiting = overlay.withHash(hash)
      const rows = await stored.rowsWithHash(hash)
      const left = rows.filter(({ parentId, name }) => at(parentId, name) === undefined)
      return [...waiting, ...left]
    },
    async commit(changes, rows) {
      await drain()
      return await stored.commit(changes, rows)
    },
  }
}
