/**
 * Turns what one pass collected into decisions: hashes what only content can tell, asks the planner about each place, and sorts
 * the answers into what goes into the document, what only touches the index, and what is to be done on the disk.
 */
import { rowFor } from './apply.ts'
import type { Collected, LocalMove } from './collect.ts'
import { type Deletion, deletionAt, deletionOf } from './deletion.ts'
import type { DiskTask } from './disk-task.ts'
import { type FileStat, sameSignature } from './filesystem.ts'
import {
  type EntryData,
  type RowChange,
  sameContent,
  sameData,
  type SyncedRow,
  type TreeChange,
  type TreeEntry,
} from './folder-tree.ts'
import type { GoneHere } from './gone-here.ts'
import { giveUpLost } from './lost-versions.ts'
import type { Merging } from './merging.ts'
import { look, type Looked, lookAtAll, type LookPlace } from './look.ts'
import { type Offering, offerNew } from './offer.ts'
import { createPartPlanner } from './part-decide.ts'
import type { Action } from './plan.ts'
import { asOwnDirectory, rekeyedRows } from './rekeyed-directories.ts'
import { isKeptOpen, isPutAway, tellBlocked } from './put-away.ts'
import { findOwn, isMisnamed, pathOfSeen, type ScanPlace, type Seen } from './scan.ts'
import type { Step } from './step.ts'
import { findSwapped } from './swapped-versions.ts'
import type { Transfers } from './transfers.ts'

export interface Decisions {
  readonly steps: readonly Step[]
  readonly deletions: readonly Deletion[]
  readonly tasks: readonly DiskTask[]
  /** Directories to look at again soon: racy files, renames that were none. */
  readonly again: readonly string[]
}

export interface DecidePlace extends ScanPlace, LookPlace, Offering {
  readonly goneHere: GoneHere
  readonly transfers: Transfers
  readonly merging: Pick<Merging, 'consider' | 'holds' | 'alsoIn'>
}

export async function decide(
  place: DecidePlace,
  collected: Collected,
  signal: AbortSignal,
): Promise<Decisions> {
  const steps: Step[] = []
  const deletions: Deletion[] = []
  const tasks: DiskTask[] = []
  const again: string[] = [...collected.again]
  const parts = createPartPlanner(place)
  await place.merging.consider(conflictsIn(await parts.selected(collected.places)))
  steps.push(...(await decideMoves(place, collected, again, signal)))
  const all = await lookAtAll(place, collected.places, signal)
  const swapped = findSwapped(place.part.isReadOnly ? [] : all)
  steps.push(...swapped.steps)
  for (const looked of all) {
    const { seen, disk } = looked
    if (swapped.places.has(seen)) continue
    if (looked.isTorn) {
      // Its bytes go to versions like any others; then its place is empty and is filled again
      tasks.push({ seen: { ...seen, stat: looked.stat }, action: { kind: 'trash' } })
      again.push(seen.parentId)
      continue
    }
    if (looked.isRacy) again.push(seen.parentId)
    if (isJustEmptied(looked)) continue
    const own = seen.row === undefined ? undefined : await findOwn(place.tree, seen.row, seen)
    const isElsewhere = own?.parentId !== seen.parentId || own.name !== seen.name
    const isPlacedHere =
      disk.state === 'absent' &&
      own !== undefined &&
      isElsewhere &&
      (await place.tree.isPlacedHere(own.nodeId))
    const planned = await parts.plan(looked, { row: seen.row, disk, own, here: seen.here, isPlacedHere })
    // Set aside in a ring of renames that has dissolved since, or in the way of something else: it goes to its own name
    const isParked = isMisnamed(seen) && disk.state === 'same' && own !== undefined
    const meant: Action = isParked && planned.kind !== 'move' ? { kind: 'move', entry: own } : planned
    const action = parts.checked(asOwnDirectory(place, collected.newIds, looked, meant), looked)
    if (isDiskTask(action) && isHeld(place, seen)) {
      place.merging.alsoIn(seen.parentId, nodesOf(seen))
      continue
    }
    if (action.kind === 'materialise' && (await comesByMove(place, action.entry, again))) continue
    if (
      !place.part.isReadOnly &&
      (await giveUpLost(place, { ...seen, stat: looked.stat }, action, { deletions, steps }))
    )
      continue
    if (isDiskTask(action)) {
      const task = { seen: { ...seen, stat: looked.stat }, action }
      if (!(await isKeptOpen(place, task))) tasks.push(task)
      else if (isPutAway(task)) tellBlocked(place, task)
    } else if (action.kind === 'delete' && seen.row !== undefined) {
      deletions.push(deletionAt(place, seen, { nodeId: action.nodeId, version: seen.row.version }))
    } else {
      if (action.kind === 'forget' && seen.row !== undefined) {
        if (action.isOurs !== true) place.goneHere.note(seen.row.nodeId, seen.row.version)
        // Where the document has it now it was taken to come by a move: it is to be fetched there
        again.push(seen.parentId, ...(own === undefined ? [] : [own.parentId]))
      }
      again.push(...belowAdopted(place, seen, action))
      if (isUnwatched(looked)) again.push(...place.directories.below(seen.row?.nodeId ?? ''))
      // Others moved it meanwhile: with the new version it follows
      if (action.kind === 'edit' && isElsewhere) again.push(seen.parentId)
      const step = await stepFor(place, looked, action, collected.newIds)
      if (action.kind === 'recreate') again.push(...madeBy(step))
      if (step !== undefined) steps.push(step)
      await offerNew(place, action, looked.bytes)
    }
  }
  return { steps, deletions, tasks, again }
}

/**
 * A directory that stands for other ones as well from now on: what is in them was news of a directory unknown here, and their
 * rows, and with them the watches, begin anew.
 */
function belowAdopted({ directories }: ScanPlace, { row }: Seen, action: Action): readonly string[] {
  if (action.kind !== 'adopt' || row === undefined || action.entry.nodeId === row.nodeId) return []
  return [
    ...(row.kind === 'directory' ? directories.below(row.nodeId) : []),
    ...(action.entry.kind === 'directory' ? directories.below(action.entry.nodeId) : []),
  ]
}

/** What came to the place of something else: nobody has looked into such a directory, and it is not watched yet. */
const madeBy = (step: Step | undefined): readonly string[] =>
  (step?.changes ?? []).flatMap((change) => (change.kind === 'create' ? [change.nodeId] : []))

/** Another directory stands here, or the disk spells it in another way now: what was watched is not this path. */
const isUnwatched = ({ seen: { row, diskName }, stat }: Looked): boolean =>
  // What is no directory has nothing to watch: where it is not told, this would be asked for with each look
  row?.kind === 'directory' &&
  stat?.kind === 'directory' &&
  (row.ino !== stat.ino || row.diskName !== diskName)

/** Between being made, or cut, and being written: as an empty version it would land in the versions of all devices. */
const isJustEmptied = ({ disk, isRacy, seen }: Looked): boolean =>
  isRacy &&
  disk.state === 'present' &&
  disk.data.kind === 'file' &&
  disk.data.size === 0 &&
  seen.row?.size !== 0

const isDiskTask = (action: Action): action is DiskTask['action'] =>
  action.kind === 'materialise' ||
  action.kind === 'replace' ||
  action.kind === 'move' ||
  action.kind === 'trash' ||
  action.kind === 'release' ||
  action.kind === 'overrule'

const conflictsIn = (places: readonly Seen[]): readonly string[] =>
  places.flatMap(({ here }) => (here?.isConflictCopy === true ? here.nodes : []))

/** Its versions are being merged: the disk waits for the outcome instead of showing conflict copies for a moment. */
export const isHeld = ({ merging }: { readonly merging: Pick<Merging, 'holds'> }, seen: Seen): boolean =>
  nodesOf(seen).some((nodeId) => merging.holds(nodeId))

const nodesOf = ({ row, here }: Seen): readonly string[] => [
  ...(row === undefined ? [] : [row.nodeId]),
  ...(here?.nodes ?? []),
]

/** True when the entry stands elsewhere on this disk and will be moved here: its old place is looked at as well. */
async function comesByMove(place: ScanPlace, entry: TreeEntry, again: string[]): Promise<boolean> {
  if (entry.kind === 'directory') return place.directories.pathOf(entry.nodeId) !== undefined
  if (entry.hash === undefined) return false
  const row = (await place.tree.rowsWithHash(entry.hash)).find(
    (known) => known.nodeId === entry.nodeId && known.version === entry.version,
  )
  if (row === undefined || (row.parentId === entry.parentId && row.name === entry.name)) return false
  // A row of a directory that is gone: nothing is there to come
  if (place.directories.pathOf(row.parentId) === undefined) return false
  // Its own directory is being looked at: a move that is blocked there would go round and round
  if (row.parentId !== entry.parentId) again.push(row.parentId)
  return true
}

function put(row: SyncedRow): RowChange {
  return { kind: 'put', row }
}

async function stepFor(
  place: DecidePlace,
  looked: Looked,
  action: Action,
  newIds: ReadonlyMap<string, string>,
): Promise<Step | undefined> {
  const { seen, disk, stat, isRacy, heldAttributes } = looked
  const { row, parentId, name, diskName } = seen
  const forget: readonly RowChange[] =
    row === undefined ? [] : [{ kind: 'forget', parentId, name, nodeId: row.nodeId }]
  const written = (change: DataChange): readonly RowChange[] =>
    stat === undefined ? [] : [writtenRow(change, { diskName, stat, isRacy, heldAttributes })]
  const create = (data: EntryData): DataChange => {
    const nodeId = newIds.get(pathOfSeen(seen)) ?? place.tree.newNodeId()
    return { kind: 'create', nodeId, parentId, name, data, isFirst: seen.here === undefined }
  }
  switch (action.kind) {
    case 'forget':
      return { changes: [], rows: forget }
    case 'adopt': {
      if (stat === undefined) return undefined
      const { entry } = action
      const gone = row !== undefined && action.deletesOld === true ? [deletionOf(place, row)] : []
      if (row?.kind === 'directory' && entry.kind === 'directory' && row.nodeId !== entry.nodeId)
        return { changes: gone, rows: await rekeyedRows(place, { ...seen, row }, { entry, stat }) }
      const { attributes } = disk.state === 'present' ? disk.data : (row ?? entry)
      const told = { ...entry, parentId, name, attributes, heldAttributes }
      const adopted = put({ ...rowFor(told, diskName, stat), isRacy })
      const left = row?.kind === entry.kind ? [] : forget
      return { changes: gone, rows: [...left, adopted] }
    }
    case 'create': {
      const change = create(action.data)
      return { changes: [change], rows: written(change) }
    }
    case 'edit': {
      if (row === undefined) return undefined
      const change = editOf(row, parentId, name, action.data)
      return { changes: [change], rows: written(change) }
    }
    case 'recreate': {
      if (row === undefined) return undefined
      const change = create(action.data)
      const gone = action.deletesOld ? [deletionOf(place, row)] : []
      return { changes: [...gone, change], rows: [...forget, ...written(change)] }
    }
    case 'nothing':
      return refreshed(looked)
    case 'materialise':
    case 'replace':
    case 'move':
    case 'trash':
    case 'delete':
    case 'keep':
    case 'release':
    case 'overrule':
      return undefined
  }
}

/** Same content under other times, or another spelling: only the row follows. */
function refreshed({ seen, disk, stat, isRacy, heldAttributes }: Looked): Step | undefined {
  const { row } = seen
  if (row === undefined || stat === undefined || disk.state !== 'same') return undefined
  const isDirectory = row.kind === 'directory'
  const fresh = isDirectory
    ? row.ino === stat.ino && row.dev === stat.dev
    : sameSignature(row, stat) && row.isRacy === isRacy
  if (fresh && row.diskName === seen.diskName) return undefined
  return {
    changes: [],
    rows: [
      put({ ...rowFor({ ...row, heldAttributes }, seen.diskName, stat), isRacy, isLeftover: row.isLeftover }),
    ],
  }
}

type DataChange = Extract<TreeChange, { kind: 'create' | 'edit' }>

function editOf(row: SyncedRow, parentId: string, name: string, data: EntryData): DataChange {
  const { nodeId, version: base, hash: baseHash } = row
  return { kind: 'edit', nodeId, base, baseHash, parentId, name, data }
}

interface OnDisk {
  readonly diskName: string
  readonly stat: FileStat
  readonly isRacy: boolean
  readonly heldAttributes?: string | undefined
}

/** The row of what a change puts into the document; its version is known once that is written. */
function writtenRow(change: DataChange, { diskName, stat, isRacy, heldAttributes }: OnDisk): RowChange {
  const { nodeId, parentId, name, data } = change
  const row = rowFor({ ...data, heldAttributes, nodeId, parentId, name, version: '' }, diskName, stat)
  return { kind: 'put', row: { ...row, isRacy }, writtenBy: change }
}

async function decideMoves(
  place: DecidePlace,
  collected: Collected,
  again: string[],
  signal: AbortSignal,
): Promise<readonly Step[]> {
  const steps: Step[] = []
  for (const move of collected.moves) {
    const looked = await look(place, { ...move.to, row: undefined }, signal, move.from.row)
    if (looked?.disk.state === 'present' && looked.stat !== undefined) {
      const { stat, isRacy, heldAttributes } = looked
      const { row } = move.from
      // Moved by our own hand right before a crash, and damaged by the disk before that: no edit either
      const isDamage = row !== undefined && place.damage.isMoved(row, stat, looked.disk.data.hash)
      const found = { data: isDamage ? row : looked.disk.data, stat, isRacy, heldAttributes }
      const isCopy = row !== undefined && !isThere(move, row) && (await isCopyOfOthers(place, move.from, row))
      const moved = isCopy ? decideCopyMove(place, move, found) : decideMove(place, move, found)
      if (isDamage) place.damage.recorded(moved.flatMap(({ rows }) => rows))
      steps.push(...moved)
    }
    again.push(move.from.parentId, move.to.parentId)
  }
  return steps
}

interface FoundData extends Omit<OnDisk, 'diskName'> {
  readonly data: EntryData
}

/** The document has it there already: then only the row was missing (a crash right after our own rename). */
const isThere = ({ to }: Pick<LocalMove, 'to'>, row: SyncedRow): boolean =>
  to.here?.nodeId === row.nodeId && to.here.version === row.version

/** True for one of several versions of a file that has lost its name, to the first of them or to something else. */
async function isCopyOfOthers({ tree }: ScanPlace, { here }: Seen, row: SyncedRow): Promise<boolean> {
  const { nodeId, version, kind } = row
  const [first, ...others] = kind === 'file' ? ((await tree.conflict(nodeId))?.versions ?? []) : []
  if (first?.version !== version) return others.some((other) => other.version === version)
  return others.length > 0 && here?.nodeId === nodeId && here.isConflictCopy
}

/** Who gives a conflict copy a name of its own wants a file of its own: the one that keeps the name stays where it is. */
function decideCopyMove(
  place: ScanPlace,
  { from, to }: LocalMove,
  { data, ...found }: FoundData,
): readonly Step[] {
  const { row } = from
  if (row === undefined) return []
  const { parentId, name, diskName } = to
  const { nodeId, version: base } = row
  const create: DataChange = { kind: 'create', nodeId: place.tree.newNodeId(), parentId, name, data }
  const forget: RowChange = { kind: 'forget', parentId: from.parentId, name: from.name, nodeId }
  return [
    {
      changes: [create, { kind: 'delete', nodeId, base }],
      rows: [forget, writtenRow(create, { diskName, ...found })],
    },
  ]
}

function decideMove(
  place: ScanPlace,
  { from, to }: LocalMove,
  { data, ...found }: FoundData,
): readonly Step[] {
  const { row } = from
  const { parentId, name, diskName } = to
  if (row === undefined) return []
  if (!sameContent(data, row)) {
    // The inode was used again for something else: one file went, another one came. The next look finds the first gone
    const change: DataChange = { kind: 'create', nodeId: place.tree.newNodeId(), parentId, name, data }
    return [{ changes: [change], rows: [writtenRow(change, { diskName, ...found })] }]
  }
  const { nodeId, version: base } = row
  const move: TreeChange = { kind: 'move', nodeId, base, parentId, name, data: row }
  const forget: RowChange = { kind: 'forget', parentId: from.parentId, name: from.name, nodeId }
  const moved = put(rowFor({ ...row, parentId, name }, diskName, found.stat))
  const steps: Step[] = [{ changes: isThere({ to }, row) ? [] : [move], rows: [forget, moved] }]
  if (sameData(data, row)) return steps
  const edit = editOf(row, parentId, name, data)
  return [...steps, { changes: [edit], rows: [writtenRow(edit, { diskName, ...found })] }]
}
