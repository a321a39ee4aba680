/**
 * Brings the disk to what the document says, task by task: old things out of the way, directories from the top, files as their
 * contents arrive, directories that were deleted last and from the bottom. One task's failure is that file's problem.
 */
import { hasCode } from '../base/errors.ts'
import { type Applied, type Applier, needsOnlyDetails } from './apply.ts'
import {
  blockedBy,
  bringFile,
  bringFresh,
  type BringPlace,
  flushEvery,
  isFresh,
  type Run,
} from './bring-files.ts'
import type { DiskTask } from './disk-task.ts'
import { joinPath } from './filesystem.ts'
import { rowKey, type RowChange } from './folder-tree.ts'
import { isPutAway, leadsOnTo, putAway, tellBlocked } from './put-away.ts'
import { pathOfSeen, type ScanPlace, type Seen, unlessDenied } from './scan.ts'
import { isInHeldDirectory, wayInto } from './way-into.ts'

export interface CarryOutPlace extends ScanPlace, BringPlace {
  readonly applier: Applier
  /** Takes rows that now hold: into the directory map at once, into the index with the next `flush`. */
  record(rows: readonly RowChange[]): void
  /** Flushes and waits until the rows are in the index. */
  settled(): Promise<void>
  /** Deletions wait for a person, who decides about all of them at once. */
  holdsDeletions(): boolean
}

export interface CarriedOut {
  /** Directories to look at again at once: somebody was faster, or one step led to another. */
  readonly again: readonly string[]
  /** Directories where something stood in the way that may be gone a little later. */
  readonly later: readonly string[]
  /** Directories that were made: what the document has in them is waited for. */
  readonly made: readonly string[]
}

export async function carryOut(
  place: CarryOutPlace,
  tasks: readonly DiskTask[],
  signal: AbortSignal,
): Promise<CarriedOut> {
  const again = new Set<string>()
  const later = new Set<string>()
  const flushing = { rows: 0, isHeld: false }
  const run = async (seen: Seen, act: () => Promise<Applied>): Promise<boolean> => {
    const path = pathOfSeen(seen)
    try {
      const applied = await act()
      if (applied === 'changed') again.add(seen.parentId)
      if (applied === 'changed' || applied === 'blocked') return applied === 'changed'
      for (const id of await unplaced(place, seen, applied.rows)) again.add(id)
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
      if (hasCode(error, 'not.found', 'file.changed'))
        ((await isInHeldDirectory(place, seen)) ? later : again).add(seen.parentId)
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
  if (!waitsForPerson(place)) for (const { seen } of blocked) later.add(seen.parentId)
  return { again: [...again], later: [...later], made: wanted.flatMap((task) => madeBy(place, task)) }
}

/**
 * What stands in the way stays there until a person moves it: where the disk takes two names for one, and where what she put
 * there is not sent. With what she does it is looked at again.
 */
const waitsForPerson = ({ filesystem, part }: CarryOutPlace): boolean =>
  filesystem.foldsNames || part.isReadOnly

/**
 * What stood in a place until now has no row there any more, and was perhaps waited for to come from there to where the
 * document has it. @returns the directories to look into for it.
 */
async function unplaced(
  { tree }: CarryOutPlace,
  seen: Seen,
  rows: readonly RowChange[],
): Promise<readonly string[]> {
  const found: string[] = []
  for (const change of rows) {
    if (change.kind !== 'put') continue
    const { parentId, name, nodeId } = change.row
    const isHere = parentId === seen.parentId && name === seen.name
    const before = isHere ? seen.row : await tree.row(parentId, name)
    if (before === undefined || before.nodeId === nodeId) continue
    for (const entry of await tree.entries(before.nodeId)) found.push(entry.parentId)
  }
  return found
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

/** A directory that the task was to make, if it stands now. */
function madeBy({ directories }: CarryOutPlace, { action }: DiskTask): readonly string[] {
  if (action.kind !== 'materialise' || action.entry.kind !== 'directory') return []
  const { nodeId } = action.entry
  return directories.pathOf(nodeId) === undefined ? [] : [nodeId]
}

const targetOf = ({ action }: DiskTask): string =>
  action.kind === 'move' ? rowKey(action.entry.parentId, action.entry.name) : ''

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
      if (waitsForPerson(place)) blockedBy(place, seen)
      continue
    }
    again.add(seen.parentId)
    // In the next pass it goes on from there, and whatever waits for its place can come
    await stepAside(place, seen, run)
  }
  return left
}

async function stepAside(place: CarryOutPlace, seen: Seen, run: Run): Promise<void> {
  await run(seen, () =>
    place.applier.park(seen, async (rows) => {
      place.record(rows)
      await place.settled()
    }),
  )
}

/** It is nowhere on this device from now on; a directory with something in it stays where the person can see it. */
const leaveOut = (place: CarryOutPlace, seen: Seen, run: Run): Promise<boolean> =>
  run(seen, async () => {
    const isDirectory = seen.row?.kind === 'directory'
    const isFull = isDirectory && (await place.filesystem.readDirectory(pathOfSeen(seen))).length > 0
    return isFull ? 'blocked' : await place.applier.trash(seen)
  })

/** A directory that a person removed from this disk, where that is not sent: nothing can come to it. */
async function isRemovedHere(place: CarryOutPlace, path: string): Promise<boolean> {
  if (!place.part.isReadOnly) return false
  const looked = await unlessDenied(place, path, async () => ({ stat: await place.filesystem.lstat(path) }))
  return looked !== undefined && looked.stat === undefined
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
  // What is to come to it goes the way of that
  if (toParent !== undefined && (await isRemovedHere(place, toParent)))
    return await leaveOut(place, seen, run)
  // Its new parent is not on the disk yet: it comes in this pass or the next
  if (toParent === undefined) {
    const way = await wayInto(place, entry.parentId, seen)
    if (way === 'blocked') return false
    // Others moved it, by other rules, to where this device keeps nothing
    if (way === 'left-out') return await leaveOut(place, seen, run)
    again.add(seen.parentId)
    if (way === 'itself') await stepAside(place, seen, run)
    // ... or it comes to the very place where this stands: that is left to it
    else if (
      seen.here?.kind === 'directory' &&
      seen.row !== undefined &&
      seen.here.nodeId !== seen.row.nodeId
    ) {
      await stepAside(place, seen, run)
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
    // What was to move into it may have waited with a word to the person
    if (place.filesystem.foldsNames && place.directories.pathOf(entry.nodeId) !== undefined)
      for (const { path } of place.problems.list()) again.add(place.directories.nearestOf(path))
  } else if (entry.kind === 'symlink') await go(() => place.applier.makeSymlink(seen, entry))
  else if (action.kind === 'replace' && seen.row !== undefined && needsOnlyDetails(seen.row, entry))
    await go(() => place.applier.setDetails(seen, entry))
  else await bringFile(place, task, entry, go)
}
