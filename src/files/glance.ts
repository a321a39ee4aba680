/**
 * A look at everything that costs little: one walk over the disk gives a digest of each directory (disk-outline.ts), which is
 * held against the rows; only directories that differ are looked into, and those that the document may have changed since the
 * folder last settled (crdt/unseen.ts). That is all that can have happened while the program was off, or behind the
 * back of the watches. Not for folders that take a part of the space, and not instead of a look at everything for ever.
 */
import { hashOf } from '../blobs/hash.ts'
import type { Clock } from '../base/clock.ts'
import { emptyDigest } from './directory-digest.ts'
import type { Directories, Totals } from './directories.ts'
import { type DiskOutline, outlineDisk } from './disk-outline.ts'
import type { Filesystem } from './filesystem.ts'
import type { FolderPart } from './folder-part.ts'
import type { FolderTree, RowDigests, TreeSummary } from './folder-tree.ts'
import type { HashWorkers } from './hash-workers.ts'
import { takeDirectories } from './tree-summary.ts'
import type { Watcher } from './watch.ts'

export interface GlancePlace {
  readonly clock: Clock
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  readonly directories: Directories
  readonly watcher: Pick<Watcher, 'add' | 'isWatching'>
  readonly part: Pick<FolderPart, 'isWhole'>
  readonly ignoreText: () => string
  readonly workers?: Pick<HashWorkers, 'outline'> | undefined
}

export interface Work {
  readonly dirty: ReadonlySet<string>
  readonly all: boolean
  /** The disk may be another one anywhere. */
  readonly disk: boolean
}

export interface Glance {
  /** Fills the directories in memory from the rows. */
  load(): Promise<Totals>
  /** With the directories that a look at the disk finds in place of `disk`, or `all` where that does not tell. */
  narrowed<W extends Work>(work: W, signal: AbortSignal): Promise<W>
  /** All that the document shows is on the disk. */
  settle(): Promise<void>
  /** How long the last look took. */
  readonly tookMs: number
}

/** To be raised when this version puts on the disk what another one left out. */
const lookVersion = 1
/** The comparison of everything with everything is made so often, should any of this ever be wrong. */
const wholeEveryMs = 24 * 3_600_000

export function createGlance(place: GlancePlace): Glance {
  return new DiskGlance(place)
}

class DiskGlance implements Glance {
  tookMs = 0
  private readonly place: GlancePlace
  /** Read at the start, for the first look. */
  private summary: TreeSummary | undefined
  private wholeMs: number

  constructor(place: GlancePlace) {
    this.place = place
    this.wholeMs = place.clock.monotonicMs()
  }

  async load(): Promise<Totals> {
    const { tree, directories } = this.place
    this.summary = await tree.summary()
    return takeDirectories(this.summary, tree.rootId, directories)
  }

  async narrowed<W extends Work>(work: W, signal: AbortSignal): Promise<W> {
    const { clock } = this.place
    const { summary } = this
    this.summary = undefined
    if (!work.disk && !work.all) return work
    const startMs = clock.monotonicMs()
    const isWholeDue = startMs - this.wholeMs >= wholeEveryMs
    const found = work.all || isWholeDue ? undefined : await this.look(summary, signal)
    if (found === undefined) {
      this.wholeMs = startMs
      return { ...work, disk: false, all: true }
    }
    this.tookMs = clock.monotonicMs() - startMs
    return { ...work, disk: false, dirty: new Set([...work.dirty, ...found]) }
  }

  async settle(): Promise<void> {
    const { part, tree } = this.place
    if (part.isWhole) await tree.settle(this.token())
  }

  private token(): string {
    const rules = new TextEncoder().encode(this.place.ignoreText())
    return `${lookVersion} ${hashOf(rules)}`
  }

  /** @returns undefined when nothing is known of what the document had shown before. */
  private async look(known: TreeSummary | undefined, signal: AbortSignal): Promise<Set<string> | undefined> {
    const { tree, filesystem, part, watcher, workers } = this.place
    const unseen = part.isWhole ? tree.unseen(this.token()) : undefined
    const root = await filesystem.lstat('')
    if (unseen === undefined || root === undefined) return undefined
    const digests = await tree.digests()
    watcher.add('', root)
    await this.watchAll(known)
    const ignoreText = this.place.ignoreText()
    const outline = await (workers === undefined
      ? outlineDisk(filesystem, ignoreText, signal)
      : workers.outline(ignoreText, signal))
    const found = new Set(unseen)
    for (const { parentId } of tree.conflictPlaces()) found.add(parentId)
    for (const id of differing(outline, digests, this.place)) found.add(id)
    return found
  }

  /** Watched before they are listed, so that what changes afterwards is announced. */
  private async watchAll(known: TreeSummary | undefined): Promise<void> {
    const { tree, directories, filesystem, watcher } = this.place
    for (const { directories: rows } of known?.values() ?? []) {
      for (const row of rows) {
        const path = directories.pathOf(row.nodeId)
        if (path !== undefined) watcher.add(path, row)
      }
    }
    for (const id of known === undefined ? directories.below(tree.rootId) : []) {
      const path = directories.pathOf(id)
      if (path === undefined || watcher.isWatching(path)) continue
      // because: one that cannot be looked at is for the rounds to tell
      const stat = await filesystem.lstat(path).catch(() => undefined)
      if (stat?.kind === 'directory') watcher.add(path, stat)
    }
  }
}

function* differing(
  outline: DiskOutline,
  digests: RowDigests,
  { directories, tree }: Pick<GlancePlace, 'directories' | 'tree'>,
): Generator<string> {
  const places = new Map(outline.paths.map((path, index) => [path, index]))
  for (const id of directories.below(tree.rootId)) {
    const at = places.get(directories.pathOf(id) ?? '')
    const digest = digests.has(id) ? digests.get(id) : emptyDigest()
    const isSame =
      at !== undefined &&
      digest !== undefined &&
      digest.low === outline.low[at] &&
      digest.high === outline.high[at] &&
      digest.entries === outline.entries[at]
    if (!isSame) yield id
  }
}
