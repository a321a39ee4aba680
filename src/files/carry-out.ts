/**
 * Brings the disk to what the document says, task by task: old things out of the way, directories from the top, files as their
 * contents arrive, directories that were deleted last and from the bottom. One task's failure is that file's problem.
 */
import { hasCode, SkeinError } from '../base/errors.ts'
import {
  type Applied,
  type Applier,
  isNewAt,
  needsContent,
  needsOnlyMode,
  type NewlyPlaced,
} from './apply.ts'
import type { DiskTask } from './disk-task.ts'
import { joinPath } from './filesystem.ts'
import { rowKey, type RowChange, type TreeEntry } from './folder-tree.ts'
import type { PlacedFile, Placing } from './placing.ts'
import { isPutAway, leadsOnTo, putAway, tellBlocked } from './put-away.ts'
import { pathOfSeen, type ScanPlace, type Seen } from './scan.ts'
import type { StagedContent } from './stage.ts'
import type { Transfers } from './transfers.ts'

export interface CarryOutPlace extends ScanPlace {
  readonly placing: Placing
  /** From so many new files at once on one note stands for the syncs of them all. */
  readonly noteFrom: number
  readonly applier: Applier
  readonly transfers: Transfers
  /** Takes rows that now hold: into the directory map at once, into the index with the next `flush`. */
  record(rows: readonly RowChange[]): void
  /** Hands the recorded rows over: they go into the index once what was touched on the disk is synced. */
  flush(): Promise<void>
  /** Flushes and waits until the rows are in the index. */
  settled(): Promise<void>
}

export interface CarriedOut {
  /** Directories to look at again at once: somebody was faster, or one step led to another. */
  readonly again: readonly string[]
  /** Directories where something stood in the way that may be gone a little later. */
  readonly later: readonly string[]
}

export async function carryOut(
  place: CarryOutPlace,
  tasks: readonly DiskTask[],
  signal: AbortSignal,
): Promise<CarriedOut> {
  const again = new Set<string>()
  const flushing = { rows: 0, isHeld: false }
  const run = async (seen: Seen, act: () => Promise<Applied>): Promise<boolean> => {
    const path = pathOfSeen(seen)
    try {
      const applied = await act()
      if (applied === 'changed') again.add(seen.parentId)
      if (applied === 'changed' || applied === 'blocked') return applied === 'changed'
      place.record(await withRowsReplaced(place, applied.rows))
      // Somebody may have written to it before it was watched, or the disk keeps whole seconds: only a look can tell
      if (applied.rows.some((change) => change.kind === 'put' && change.row.isRacy)) again.add(seen.parentId)
      if (++flushing.rows >= flushEvery && !flushing.isHeld) {
        flushing.rows = 0
        await place.flush()
      }
      place.problems.clear(path)
      return true
    } catch (error) {
      if (hasCode(error, 'cancelled', 'folder.missing')) throw error
      // Somebody was faster: no problem, only a matter of the next look
      if (hasCode(error, 'not.found', 'file.changed')) again.add(seen.parentId)
      else place.problems.failed(path, error)
      return true
    }
  }
  const of = (kind: DiskTask['action']['kind']): readonly DiskTask[] =>
    tasks.filter((task) => task.action.kind === kind)
  const isDirectory = ({ seen }: DiskTask): boolean => seen.row?.kind === 'directory'
  for (const { seen } of of('trash').filter((task) => !isDirectory(task))) {
    await run(seen, () => place.applier.trash(seen))
    // Its place is free now for what the document shows there
    if (seen.here !== undefined) again.add(seen.parentId)
  }
  const away = tasks.filter(isPutAway)
  const isOnDisk = ({ seen }: DiskTask): boolean => seen.stat?.kind === 'directory'
  for (const task of away.filter((one) => !isOnDisk(one))) {
    await run(task.seen, () => putAway(place, task))
    for (const id of leadsOnTo(place, task)) again.add(id)
  }
  const blocked = await carryOutMoves(place, of('move'), run, again)
  const arrived = new Set(
    of('move')
      .filter((task) => !blocked.includes(task))
      .map(targetOf),
  )
  const wanted = [...of('materialise'), ...of('replace')].filter(
    ({ seen }) => !arrived.has(rowKey(seen.parentId, seen.name)),
  )
  const fresh: DiskTask[] = []
  for (const task of wanted) {
    if (isFresh(place, task)) fresh.push(task)
    else await bring(place, task, run, again)
  }
  await bringFresh(place, fresh, { run, flushing, signal })
  for (const { seen } of byDepth(of('trash').filter(isDirectory)))
    await run(seen, async () => withRowsBelow(place, await place.applier.trash(seen)))
  for (const task of byDepth(away).filter(isPutAway).filter(isOnDisk)) {
    const isAway = await run(task.seen, async () => withRowsBelow(place, await putAway(place, task)))
    if (!isAway) tellBlocked(place, task)
    else for (const id of leadsOnTo(place, task)) again.add(id)
  }
  await place.flush()
  // Where the disk takes two names for one that lasts until somebody renames one of them
  const isLasting = place.filesystem.foldsNames
  return { again: [...again], later: isLasting ? [] : blocked.map(({ seen }) => seen.parentId) }
}

/** A directory that vanished from the very place that something else came to takes the rows of what was in it along. */
async function withRowsReplaced(
  { tree, filesystem, directories }: CarryOutPlace,
  rows: readonly RowChange[],
): Promise<readonly RowChange[]> {
  const forgotten: RowChange[] = []
  for (const change of rows) {
    if (change.kind !== 'put') continue
    const { parentId, name, nodeId, diskName } = change.row
    const replaced = directories.idAt(parentId, name)
    if (replaced === undefined || replaced === nodeId) continue
    const path = directories.pathOf(replaced)
    const isElsewhere = path !== undefined && path !== joinPath(directories.pathOf(parentId) ?? '', diskName)
    // Parked in a ring of renames it is still there
    if (isElsewhere && (await filesystem.lstat(path))?.kind === 'directory') continue
    for (const id of directories.below(replaced)) {
      for (const row of await tree.rows(id))
        forgotten.push({ kind: 'forget', parentId: row.parentId, name: row.name, nodeId: row.nodeId })
    }
  }
  return forgotten.length === 0 ? rows : [...forgotten, ...rows]
}

/** With a directory its rows go, also of what vanished from it so lately that nothing was decided about it. */
async function withRowsBelow({ tree, directories }: CarryOutPlace, applied: Applied): Promise<Applied> {
  if (typeof applied !== 'object') return applied
  const rows = [...applied.rows]
  const gone = rows.flatMap((change) => (change.kind === 'forget' ? directories.below(change.nodeId) : []))
  for (const id of gone) {
    for (const { parentId, name, nodeId } of await tree.rows(id))
      rows.push({ kind: 'forget', parentId, name, nodeId })
  }
  return { rows }
}

const targetOf = ({ action }: DiskTask): string =>
  action.kind === 'move' ? rowKey(action.entry.parentId, action.entry.name) : ''

/** Tasks per commit. */
const flushEvery = 512

type Run = (seen: Seen, act: () => Promise<Applied>) => Promise<boolean>

const byDepth = (tasks: readonly DiskTask[]): readonly DiskTask[] =>
  [...tasks].sort((a, b) => pathOfSeen(b.seen).split('/').length - pathOfSeen(a.seen).split('/').length)

/** Moves whose target is free first; what is left then is a ring, or blocked by something the next look will tell about. */
async function carryOutMoves(
  place: CarryOutPlace,
  moves: readonly DiskTask[],
  run: Run,
  again: Set<string>,
): Promise<readonly DiskTask[]> {
  let left = [...moves]
  for (let progress = true; progress && left.length > 0;) {
    progress = false
    const blocked: DiskTask[] = []
    for (const task of left) {
      if (await moveOne(place, task, run, again)) progress = true
      else blocked.push(task)
    }
    left = blocked
  }
  const sources = new Set(left.map(({ seen }) => rowKey(seen.parentId, seen.name)))
  const targets = new Set(left.map(targetOf))
  for (const task of left) {
    const { seen } = task
    // Only what another move waits for steps aside; what something else blocks stays where the person can see it
    if (!targets.has(rowKey(seen.parentId, seen.name)) || !sources.has(targetOf(task))) {
      if (place.filesystem.foldsNames) blockedBy(place, seen)
      continue
    }
    again.add(seen.parentId)
    // In the next pass it goes on from there, and whatever waits for its place can come
    await stepAside(place, seen, seen.name, run)
  }
  return left
}

async function stepAside(place: CarryOutPlace, seen: Seen, name: string, run: Run): Promise<void> {
  await run(seen, () =>
    place.applier.park(seen, name, async (rows) => {
      place.record(rows)
      await place.settled()
    }),
  )
}

async function moveOne(
  place: CarryOutPlace,
  { seen, action }: DiskTask,
  run: Run,
  again: Set<string>,
): Promise<boolean> {
  if (action.kind !== 'move') return true
  const { entry } = action
  const toParent = place.directories.pathOf(entry.parentId)
  // Its new parent is not on the disk yet: it comes in this pass or the next
  if (toParent === undefined) {
    again.add(seen.parentId)
    // ... or it comes to the very place where this stands: that is left to it
    if (seen.here?.kind === 'directory' && seen.row !== undefined && seen.here.nodeId !== seen.row.nodeId) {
      await stepAside(place, seen, `moving ${seen.row.nodeId}`, run)
      for (const id of place.directories.below(seen.row.nodeId)) again.add(id)
    }
    return true
  }
  const moved = await run(seen, () => place.applier.move(seen, entry, toParent))
  if (moved) again.add(seen.parentId).add(entry.parentId)
  if (moved && seen.row?.kind === 'directory')
    for (const id of place.directories.below(seen.row.nodeId)) again.add(id)
  return moved
}

/** A file whose content is here, for a place where nothing is recorded. */
function isFresh({ transfers }: CarryOutPlace, { seen, action }: DiskTask): boolean {
  if (action.kind !== 'materialise' && action.kind !== 'replace') return false
  const { entry } = action
  return needsContent(entry) && isNewAt(seen) && transfers.staged(entry.hash) !== undefined
}

interface Carrying {
  readonly run: Run
  /** While it is held nothing is flushed: a note goes with the rows that are flushed next, and must stand for all of them. */
  readonly flushing: { isHeld: boolean }
  readonly signal: AbortSignal
}

/** From this size on a note costs less than to sync a file before it has its name. */
const noteFromBytes = 1024 * 1024

/** Of many, and of large ones, it is noted what they are to be, once for all of them; small ones are placed many in one step. */
async function bringFresh(
  place: CarryOutPlace,
  tasks: readonly DiskTask[],
  carrying: Carrying,
): Promise<void> {
  const files = tasks.flatMap((task) => freshFile(place, task) ?? [])
  for (let index = 0; index < files.length; index += flushEvery) {
    const part = files.slice(index, index + flushEvery)
    const isNoted = part.length >= place.noteFrom || part.some(({ placed }) => placed.size >= noteFromBytes)
    await place.flush()
    carrying.flushing.isHeld = true
    try {
      if (isNoted) await place.placing.note(part.map(({ placed }) => placed))
      await placeFresh(place, part, carrying, isNoted)
    } finally {
      carrying.flushing.isHeld = false
    }
    await place.flush()
  }
}

async function placeFresh(
  place: CarryOutPlace,
  files: readonly FreshFile[],
  { run, signal }: Carrying,
  isNoted: boolean,
): Promise<void> {
  const small = isNoted ? files.filter(isInMemory) : []
  for (const batch of batchesOf(small)) {
    const outcomes = await place.applier.placeNew(batch, signal)
    for (const [index, { seen, placed }] of batch.entries()) {
      const outcome = outcomes[index] ?? 'changed'
      if (typeof outcome === 'object' && !(outcome instanceof SkeinError)) place.transfers.used(placed.hash)
      const act = (): Promise<Applied> =>
        outcome instanceof SkeinError ? Promise.reject(outcome) : Promise.resolve(outcome)
      if (!(await run(seen, act))) blockedBy(place, seen)
    }
  }
  for (const file of isNoted ? files.filter((one) => !isInMemory(one)) : files) {
    const go = async (act: () => Promise<Applied>): Promise<void> => {
      if (!(await run(file.seen, act))) blockedBy(place, file.seen)
    }
    await bringFile(place, file.task, file.entry, go)
  }
}

interface FreshFile {
  readonly task: DiskTask
  readonly seen: Seen
  readonly entry: TreeEntry
  readonly bytes: StagedContent
  readonly placed: PlacedFile
}

const isInMemory = (file: FreshFile): file is FreshFile & NewlyPlaced => file.bytes instanceof Uint8Array

function freshFile({ transfers }: CarryOutPlace, task: DiskTask): FreshFile | undefined {
  const { seen, action } = task
  if (action.kind !== 'materialise' && action.kind !== 'replace') return undefined
  const { entry } = action
  const bytes = needsContent(entry) ? transfers.staged(entry.hash) : undefined
  if (!needsContent(entry) || bytes === undefined) return undefined
  const { size, mtimeNs, hash } = entry
  return { task, seen, entry, bytes, placed: { path: pathOfSeen(seen), size, mtimeNs, hash } }
}

/** Files and bytes of one step. */
const batchFiles = 128
const batchBytes = 4 * 1024 * 1024

function* batchesOf<T extends NewlyPlaced>(files: readonly T[]): Generator<readonly T[]> {
  let batch: T[] = []
  let bytes = 0
  for (const file of files) {
    batch.push(file)
    bytes += file.bytes.byteLength
    if (batch.length < batchFiles && bytes < batchBytes) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

async function bring(place: CarryOutPlace, task: DiskTask, run: Run, again: Set<string>): Promise<void> {
  const { seen, action } = task
  if (action.kind !== 'materialise' && action.kind !== 'replace') return
  const { entry } = action
  const go = async (act: () => Promise<Applied>): Promise<void> => {
    if (!(await run(seen, act))) blockedBy(place, seen)
  }
  if (entry.kind === 'directory') {
    await go(() => place.applier.makeDirectory(seen, entry))
    again.add(entry.nodeId)
  } else if (entry.kind === 'symlink') await go(() => place.applier.makeSymlink(seen, entry))
  else if (action.kind === 'replace' && seen.row !== undefined && needsOnlyMode(seen.row, entry))
    await go(() => place.applier.setExecutable(seen, entry))
  else await bringFile(place, task, entry, go)
}

/** The content is here already, or will be: then this place is looked at again. */
export async function bringFile(
  place: CarryOutPlace,
  task: DiskTask,
  entry: TreeEntry,
  go: (act: () => Promise<Applied>) => Promise<void>,
): Promise<void> {
  if (!needsContent(entry)) return
  const { seen } = task
  const staged = place.transfers.staged(entry.hash)
  if (staged === undefined) {
    place.transfers.want(
      { parentId: seen.parentId, name: seen.name, nodeId: entry.nodeId, path: pathOfSeen(seen), task },
      entry.hash,
      entry.size,
    )
    return
  }
  place.transfers.used(entry.hash)
  const isNoted = place.placing.isNoted(pathOfSeen(seen), entry.hash)
  await go(() => place.applier.placeFile(seen, entry, staged, isNoted))
}

/** Tells the person that something else stands in its place. */
export function blockedBy(place: Pick<CarryOutPlace, 'filesystem' | 'problems'>, seen: Seen): void {
  const fix = place.filesystem.foldsNames
    ? 'this disk takes two names for one: rename one of them on another device'
    : 'it is looked at again'
  place.problems.set(pathOfSeen(seen), { cause: 'something else stands in its place', fix })
}
