/**
 * Brings the disk to what the document says, task by task: old things out of the way, directories from the top, files as their
 * contents arrive, directories that were deleted last and from the bottom. One task's failure is that file's problem.
 */
import { hasCode } from '../base/errors.ts'
import { type Applied, type Applier, needsContent, needsOnlyMode } from './apply.ts'
import type { DiskTask } from './disk-task.ts'
import { rowKey, type RowChange, type TreeEntry } from './folder-tree.ts'
import { pathOfSeen, type ScanPlace, type Seen } from './scan.ts'
import type { Transfers } from './transfers.ts'

export interface CarryOutPlace extends ScanPlace {
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

export async function carryOut(place: CarryOutPlace, tasks: readonly DiskTask[]): Promise<CarriedOut> {
  const again = new Set<string>()
  let unflushed = 0
  const run = async (seen: Seen, act: () => Promise<Applied>): Promise<boolean> => {
    const path = pathOfSeen(seen)
    try {
      const applied = await act()
      if (applied === 'changed') again.add(seen.parentId)
      if (applied === 'changed' || applied === 'blocked') return applied === 'changed'
      place.record(applied.rows)
      if (++unflushed % flushEvery === 0) await place.flush()
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
  const blocked = await carryOutMoves(place, of('move'), run, again)
  const arrived = new Set(
    of('move')
      .filter((task) => !blocked.includes(task))
      .map(targetOf),
  )
  for (const task of [...of('materialise'), ...of('replace')]) {
    if (!arrived.has(rowKey(task.seen.parentId, task.seen.name))) await bring(place, task, run, again)
  }
  for (const { seen } of byDepth(of('trash').filter(isDirectory)))
    await run(seen, async () => withRowsBelow(place, await place.applier.trash(seen)))
  await place.flush()
  // Where the disk takes two names for one that lasts until somebody renames one of them
  const isLasting = place.filesystem.foldsNames
  return { again: [...again], later: isLasting ? [] : blocked.map(({ seen }) => seen.parentId) }
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
  await go(() => place.applier.placeFile(seen, entry, staged))
}

/** Tells the person that something else stands in its place. */
export function blockedBy(place: Pick<CarryOutPlace, 'filesystem' | 'problems'>, seen: Seen): void {
  const fix = place.filesystem.foldsNames
    ? 'this disk takes two names for one: rename one of them on another device'
    : 'it is looked at again'
  place.problems.set(pathOfSeen(seen), { cause: 'something else stands in its place', fix })
}
