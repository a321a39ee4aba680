/**
 * What one pass has to decide about: the dirty directories of all three trees, new directories to their bottom, and
 * renames told apart from deletions by inode. Nothing is changed here, on no side.
 */
import { parentOf } from './filesystem.ts'
import type { FirstIndex } from './first-index.ts'
import {
  isAtRest,
  pathElsewhere,
  type ScanPlace,
  pathOfSeen,
  scanDirectory,
  type Seen,
  unlessDenied,
} from './scan.ts'

export interface LocalMove {
  /** Has the row; gone from the disk. */
  readonly from: Seen
  /** Has the stat; no row. */
  readonly to: Seen
}

export interface Collected {
  /** Parents before children. */
  readonly places: readonly Seen[]
  readonly moves: readonly LocalMove[]
  /** Ids for directories that are new on the disk: entry of the document at the same place, or fresh. By disk path. */
  readonly newIds: ReadonlyMap<string, string>
  /** Node ids of all directories that were looked at. */
  readonly scanned: ReadonlySet<string>
  /** Directories to look at in the next pass. */
  readonly again: readonly string[]
  /** Gone from the disk for so short that they may yet turn up as a rename: nothing is decided. */
  readonly held: readonly Seen[]
  /** New directories that were not looked into yet: there is much that is new already. */
  readonly unread: readonly string[]
  /** Dirty directories that were not there: should they come back, what changed in them is still to be found. */
  readonly gone: readonly string[]
}

const inodeOf = (of: { readonly dev: bigint; readonly ino: bigint }): string => `${of.dev}:${of.ino}`

export interface CollectOptions {
  /** Directories to look at, by node id. */
  readonly dirty: ReadonlySet<string>
  /** Everything below the root. */
  readonly all: boolean
  /** Whether a vanished place has been gone for long enough to be called deleted. */
  isGoneForGood(seen: Seen): boolean
  /** What is left for later. */
  readonly first?: Pick<FirstIndex, 'leaves' | 'looked'>
  /** Called between directories, so that a long walk lets others run. */
  breathe(): Promise<void>
}

/** Directories read at once: a look at one waits for the store several times, and the store answers many as fast as one. */
const scansAtOnce = 16
/** New places of one round: enough to work on, few enough to hold in memory. */
const newAtOnce = 16_384

export async function collect(place: ScanPlace, options: CollectOptions): Promise<Collected> {
  const state = createState(place, options)
  const waiting = options.all ? [place.tree.rootId] : [...options.dirty]
  while (waiting.length > 0) {
    await options.breathe()
    const ids = new Set(waiting.splice(0, scansAtOnce))
    for (const { further, found } of await Promise.all([...ids].map((id) => scanKnown(place, state, id)))) {
      for (const id of further) waiting.push(id)
      for (const seen of found) {
        if (!place.part.isWhole || !isAtRest(seen)) state.take(seen)
        if (options.all && seen.row?.kind === 'directory' && seen.stat?.kind === 'directory')
          waiting.push(seen.row.nodeId)
      }
    }
  }
  await expandAppeared(place, state, options)
  state.pair()
  await expandVanished(place, state, options)
  options.first?.looked(state.scanned)
  return state.result()
}

interface Scanned {
  readonly found: readonly Seen[]
  /** Other directories that are to be looked at for it. */
  readonly further: readonly string[]
}

/** A directory that has a row, unless it was looked at before. */
async function scanKnown(place: ScanPlace, state: State, id: string): Promise<Scanned> {
  const path = place.directories.pathOf(id)
  if (path === undefined) {
    // News of a directory that is shown as one with another: only that one stands on the disk
    const head = await place.tree.headOf(id)
    return { found: [], further: head === id ? [] : [head] }
  }
  if (state.scanned.has(id)) return { found: [], further: [] }
  const parents = [place.directories.parentOfLeftover(id), parentOfUnselected(place, id, path)]
  const further = parents.filter((parent) => parent !== undefined)
  const looked = await unlessDenied(place, `${path}/`, async () => ({
    stat: await place.filesystem.lstat(path),
  }))
  if (looked === undefined) return { found: [], further }
  if (looked.stat?.kind === 'directory') {
    state.scanned.add(id)
    return { found: await scanDirectory(place, id, path), further }
  }
  // Gone or replaced: that is for its parent to find out
  const parentId = place.directories.idOf(parentOf(path))
  if (path !== '' && parentId !== undefined) further.push(parentId)
  // One that comes back may have the same inode, which the watch on the old one knows nothing of
  place.watcher.remove(path)
  state.gone.push(id)
  return { found: [], further }
}

/** A directory that is not selected goes once it is empty: that is for its parent to find out. */
function parentOfUnselected({ part, directories }: ScanPlace, id: string, path: string): string | undefined {
  if (part.selection.isAll || path === '' || part.selection.selects(path, true)) return undefined
  return directories.placeOf(id)?.parentId
}

type State = ReturnType<typeof createState>

function createState(place: ScanPlace, { first }: Pick<CollectOptions, 'first'>) {
  const scanned = new Set<string>()
  const steady: Seen[] = []
  const vanished = new Map<string, Seen>()
  const appeared = new Map<string, Seen>()
  const newIds = new Map<string, string>()
  const moves: LocalMove[] = []
  const again: string[] = []
  const held: Seen[] = []
  const gone: string[] = []
  const unread: string[] = []
  const take = (seen: Seen): void => {
    if (first?.leaves(seen) === true) return
    if (seen.row !== undefined && seen.stat === undefined) vanished.set(pathOfSeen(seen), seen)
    else if (seen.row === undefined && seen.stat !== undefined) appeared.set(pathOfSeen(seen), seen)
    else steady.push(seen)
  }
  const drop = (map: Map<string, Seen>, below: string): void => {
    for (const path of map.keys()) if (path.startsWith(`${below}/`)) map.delete(path)
  }
  /** An inode that left one place and turned up at another was renamed. Content is compared before it is believed (ingest.ts). */
  const pair = (): void => {
    if (place.part.isReadOnly) return
    const fresh = new Set(newIds.values())
    const byInode = new Map(
      [...vanished.values()].map((seen) => [seen.row === undefined ? '' : inodeOf(seen.row), seen]),
    )
    for (const [path, to] of appeared) {
      const from = to.stat === undefined ? undefined : byInode.get(inodeOf(to.stat))
      if (from?.row === undefined || from.row.kind !== to.stat?.kind || !vanished.has(pathOfSeen(from)))
        continue
      // A directory that is new where nothing is selected is not sent: nothing can be moved into it for others
      if (fresh.has(to.parentId) && !place.part.selection.selects(to.parentPath, true)) continue
      moves.push({ from, to })
      vanished.delete(pathOfSeen(from))
      appeared.delete(path)
      if (from.row.kind !== 'directory') continue
      // What lies in a renamed directory came along: its rows hold, only the way to it changed
      drop(vanished, pathOfSeen(from))
      drop(appeared, path)
      for (const known of newIds.keys())
        if (known === path || known.startsWith(`${path}/`)) newIds.delete(known)
      again.push(...place.directories.below(from.row.nodeId))
    }
  }
  const result = (): Collected => ({
    places: [
      ...steady,
      ...[...appeared.values()].sort((a, b) => depthOf(a) - depthOf(b)),
      ...[...vanished.values()].sort((a, b) => depthOf(b) - depthOf(a)),
    ],
    moves,
    newIds,
    scanned,
    again,
    held,
    gone,
    unread,
  })
  return { scanned, steady, vanished, appeared, newIds, held, gone, unread, again, take, pair, result }
}

const depthOf = (seen: Seen): number => pathOfSeen(seen).split('/').length

/** New directories, to their bottom. */
async function expandAppeared(place: ScanPlace, state: State, options: CollectOptions): Promise<void> {
  const waiting = [...state.appeared.values()].filter(({ stat }) => stat?.kind === 'directory')
  const goneInodes = new Set(
    [...state.vanished.values()].flatMap(({ row }) => (row?.kind === 'directory' ? [inodeOf(row)] : [])),
  )
  // Where something vanished it may be among what is new, however much that is
  const isMuch = (): boolean => state.vanished.size === 0 && state.appeared.size > newAtOnce
  const scan = async (seen: Seen): Promise<readonly Seen[]> => {
    const path = pathOfSeen(seen)
    if (seen.stat === undefined || state.newIds.has(path)) return []
    // A renamed directory has rows already: pair first, walk it in the next pass
    if (!place.part.isReadOnly && goneInodes.has(inodeOf(seen.stat))) return []
    const known = await knownHere(place, seen)
    const id = known ?? place.tree.newNodeId()
    state.newIds.set(path, id)
    if (isMuch()) {
      state.unread.push(id)
      return []
    }
    return await scanDirectory(place, id, path, known === undefined)
  }
  while (waiting.length > 0) {
    await options.breathe()
    const found = await Promise.all(waiting.splice(0, scansAtOnce).map(scan))
    for (const inner of found.flat()) {
      state.take(inner)
      const isNew = inner.row === undefined && inner.stat?.kind === 'directory'
      if (isNew && options.first?.leaves(inner) !== true) waiting.push(inner)
    }
  }
}

/** The node of the document that a new directory can be: one that stands elsewhere on this disk it is not. */
async function knownHere(
  place: ScanPlace,
  { here, parentPath, diskName }: Seen,
): Promise<string | undefined> {
  if (here?.kind !== 'directory') return undefined
  const elsewhere = pathElsewhere(place, here.nodeId, { parentPath, diskName })
  if (elsewhere === undefined) return here.nodeId
  return (await place.filesystem.lstat(elsewhere))?.kind === 'directory' ? undefined : here.nodeId
}

/** Directories that are gone take all their rows with them, once that is certain. */
async function expandVanished(place: ScanPlace, state: State, options: CollectOptions): Promise<void> {
  const waiting = [...state.vanished.values()]
  const certain = new Set<Seen>()
  for (let seen = waiting.shift(); seen !== undefined; seen = waiting.shift()) {
    await options.breathe()
    // Where nothing is sent, nothing is deleted by it
    const isCertain = certain.has(seen) || place.part.isReadOnly
    if (!isCertain && !options.isGoneForGood(seen)) {
      state.vanished.delete(pathOfSeen(seen))
      state.held.push(seen)
      continue
    }
    if (seen.row?.kind !== 'directory' || state.scanned.has(seen.row.nodeId)) continue
    state.scanned.add(seen.row.nodeId)
    for (const inner of await scanDirectory(place, seen.row.nodeId, pathOfSeen(seen))) {
      state.take(inner)
      if (inner.row === undefined) continue
      certain.add(inner)
      waiting.push(inner)
    }
  }
  // What was found below may have been carried out of the directory before it went
  state.pair()
}
