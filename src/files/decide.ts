/**
 * Turns what one pass collected into decisions: hashes what only content can tell, asks the planner about each place, and sorts
 * the answers into what goes into the document, what only touches the index, and what is to be done on the disk.
 */
import { hasCode } from '../base/errors.ts'
import type { BlobHash } from '../blobs/hash.ts'
import { rowFor } from './apply.ts'
import type { Collected, LocalMove } from './collect.ts'
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
import type { Hasher } from './hasher.ts'
import { parkedPrefix } from './names.ts'
import { type Action, type DiskState, planPlace } from './plan.ts'
import { problemText } from './problems.ts'
import { findOwn, looksSame, pathOfSeen, type ScanPlace, type Seen } from './scan.ts'

/** Something to do on the disk. */
export interface DiskTask {
  readonly seen: Seen
  readonly action: Extract<Action, { kind: 'materialise' | 'replace' | 'move' | 'trash' }>
}

export interface Deletion {
  readonly seen: Seen
  readonly change: TreeChange
  readonly row: RowChange
}

/** Changes and rows that belong together; parents first. */
export interface Step {
  readonly changes: readonly TreeChange[]
  readonly rows: readonly RowChange[]
}

export interface Decisions {
  readonly steps: readonly Step[]
  readonly deletions: readonly Deletion[]
  readonly tasks: readonly DiskTask[]
  /** Directories to look at again soon: racy files, renames that were none. */
  readonly again: readonly string[]
}

export interface DecidePlace extends ScanPlace {
  readonly hasher: Hasher
  /** Wall clock, the disk's own: only to tell whether a file changed just now. */
  nowMs(): number
}

/** A change this close to the look may be followed by another one with the same times. */
const racyMs = 20
const hashAtOnce = 4

interface Looked {
  readonly seen: Seen
  readonly disk: DiskState
  readonly stat: FileStat | undefined
  readonly isRacy: boolean
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
  for (const step of await decideMoves(place, collected.moves, signal)) {
    if (step === undefined) continue
    steps.push(step)
  }
  for (const looked of await lookAtAll(place, collected.places, signal)) {
    const { seen, disk } = looked
    if (looked.isRacy) again.push(seen.parentId)
    const own = seen.row === undefined ? undefined : await findOwn(place.tree, seen.row, seen)
    const planned = planPlace({ row: seen.row, disk, own, here: seen.here })
    // Set aside in a ring of renames that has dissolved since: it goes back to its own name
    const isParked = seen.diskName.startsWith(parkedPrefix) && disk.state === 'same' && own !== undefined
    const action: Action = isParked && planned.kind !== 'move' ? { kind: 'move', entry: own } : planned
    if (action.kind === 'materialise' && (await comesByMove(place, action.entry, again))) continue
    if (
      action.kind === 'materialise' ||
      action.kind === 'replace' ||
      action.kind === 'move' ||
      action.kind === 'trash'
    ) {
      tasks.push({ seen: { ...seen, stat: looked.stat }, action })
    } else if (action.kind === 'delete' && seen.row !== undefined) {
      const change: TreeChange = { kind: 'delete', nodeId: seen.row.nodeId, base: seen.row.version }
      deletions.push({ seen, change, row: { kind: 'forget', parentId: seen.parentId, name: seen.name } })
    } else {
      const step = await stepFor(place, looked, action, collected.newIds)
      if (step !== undefined) steps.push(step)
    }
  }
  return { steps, deletions, tasks, again }
}

/** True when the entry stands elsewhere on this disk and will be moved here: its old place is looked at as well. */
async function comesByMove(place: ScanPlace, entry: TreeEntry, again: string[]): Promise<boolean> {
  if (entry.kind === 'directory') return place.directories.pathOf(entry.nodeId) !== undefined
  if (entry.hash === undefined) return false
  const row = (await place.tree.rowsWithHash(entry.hash)).find(
    (known) => known.nodeId === entry.nodeId && known.version === entry.version,
  )
  if (row === undefined || (row.parentId === entry.parentId && row.name === entry.name)) return false
  again.push(row.parentId)
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
  const { seen, stat, isRacy } = looked
  const { row, parentId, name, diskName } = seen
  const forget: RowChange = { kind: 'forget', parentId, name }
  const written = (nodeId: string, data: EntryData): readonly RowChange[] =>
    stat === undefined
      ? []
      : [put({ ...rowFor({ ...data, nodeId, parentId, name, version: '' }, diskName, stat), isRacy })]
  const create = (data: EntryData): TreeChange & { kind: 'create' } => {
    const nodeId = newIds.get(pathOfSeen(seen)) ?? place.tree.newNodeId()
    return { kind: 'create', nodeId, parentId, name, data }
  }
  switch (action.kind) {
    case 'forget':
      return { changes: [], rows: [forget] }
    case 'adopt': {
      if (stat === undefined) return undefined
      const rekeyed =
        row !== undefined && row.kind === 'directory' && row.nodeId !== action.entry.nodeId
          ? await rekeyChildren(place, row.nodeId, action.entry.nodeId)
          : []
      const adopted = rowFor({ ...action.entry, parentId, name }, diskName, stat)
      return { changes: [], rows: [put({ ...adopted, isRacy }), ...rekeyed] }
    }
    case 'create': {
      const change = create(action.data)
      return { changes: [change], rows: written(change.nodeId, action.data) }
    }
    case 'edit': {
      if (row === undefined) return undefined
      return {
        changes: [
          {
            kind: 'edit',
            nodeId: row.nodeId,
            base: row.version,
            baseHash: row.hash,
            parentId,
            name,
            data: action.data,
          },
        ],
        rows: written(row.nodeId, action.data),
      }
    }
    case 'recreate': {
      if (row === undefined) return undefined
      const change = create(action.data)
      const gone: readonly TreeChange[] = action.deletesOld
        ? [{ kind: 'delete', nodeId: row.nodeId, base: row.version }]
        : []
      return { changes: [...gone, change], rows: [forget, ...written(change.nodeId, action.data)] }
    }
    case 'nothing':
      return refreshed(looked)
    case 'materialise':
    case 'replace':
    case 'move':
    case 'trash':
    case 'delete':
      return undefined
  }
}

/** Same content under other times, or another spelling: only the row follows. */
function refreshed({ seen, disk, stat, isRacy }: Looked): Step | undefined {
  const { row } = seen
  if (row === undefined || stat === undefined || disk.state !== 'same') return undefined
  const isDirectory = row.kind === 'directory'
  const fresh = isDirectory
    ? row.ino === stat.ino && row.dev === stat.dev
    : sameSignature(row, stat) && row.isRacy === isRacy
  if (fresh && row.diskName === seen.diskName) return undefined
  return {
    changes: [],
    rows: [put({ ...rowFor(row, seen.diskName, stat), isRacy, isLeftover: row.isLeftover })],
  }
}

/** The directory shown here is another node now (two were merged): rows below it follow. */
async function rekeyChildren(place: ScanPlace, fromId: string, toId: string): Promise<readonly RowChange[]> {
  const rows = await place.tree.rows(fromId)
  return rows.flatMap((row): RowChange[] => [
    { kind: 'forget', parentId: fromId, name: row.name },
    put({ ...row, parentId: toId }),
  ])
}

async function decideMoves(
  place: DecidePlace,
  moves: readonly LocalMove[],
  signal: AbortSignal,
): Promise<readonly (Step | undefined)[]> {
  const steps: (Step | undefined)[] = []
  for (const { from, to } of moves) {
    const { row } = from
    const looked = await look(place, { ...to, row: undefined }, signal)
    if (row === undefined || looked?.disk.state !== 'present' || looked.stat === undefined) continue
    const { data } = looked.disk
    const forget: RowChange = { kind: 'forget', parentId: from.parentId, name: from.name }
    if (!sameContent(data, row)) {
      // The inode was used again for something else: one file went, another one came. The next pass sees it as that
      const nodeId = place.tree.newNodeId()
      const created = put({
        ...rowFor(
          { ...data, nodeId, parentId: to.parentId, name: to.name, version: '' },
          to.diskName,
          looked.stat,
        ),
        isRacy: looked.isRacy,
      })
      steps.push({
        changes: [{ kind: 'create', nodeId, parentId: to.parentId, name: to.name, data }],
        rows: [created],
      })
      continue
    }
    const moved = put(rowFor({ ...row, parentId: to.parentId, name: to.name }, to.diskName, looked.stat))
    const isThere = to.here?.nodeId === row.nodeId && to.here.version === row.version
    // The document may have it there already: then only the row was missing (a crash right after our own rename)
    const change: TreeChange = {
      kind: 'move',
      nodeId: row.nodeId,
      base: row.version,
      parentId: to.parentId,
      name: to.name,
      data: row,
    }
    steps.push({ changes: isThere ? [] : [change], rows: [forget, moved] })
    if (sameData(data, row)) continue
    steps.push({
      changes: [
        {
          kind: 'edit',
          nodeId: row.nodeId,
          base: row.version,
          baseHash: row.hash,
          parentId: to.parentId,
          name: to.name,
          data,
        },
      ],
      rows: [
        put(
          rowFor(
            { ...data, nodeId: row.nodeId, parentId: to.parentId, name: to.name, version: '' },
            to.diskName,
            looked.stat,
          ),
        ),
      ],
    })
  }
  return steps
}

/** Looks at all, several hashes at once, in the order given. What cannot be read is a problem of its own and left out. */
async function lookAtAll(
  place: DecidePlace,
  places: readonly Seen[],
  signal: AbortSignal,
): Promise<readonly Looked[]> {
  const results: (Looked | undefined)[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < places.length; index = next++) {
      const seen = places[index]
      if (seen !== undefined) results[index] = await look(place, seen, signal)
    }
  }
  await Promise.all(Array.from({ length: hashAtOnce }, lane))
  return results.filter((looked) => looked !== undefined)
}

export async function look(place: DecidePlace, seen: Seen, signal: AbortSignal): Promise<Looked | undefined> {
  const { row, stat } = seen
  if (stat === undefined) return { seen, disk: { state: 'absent' }, stat, isRacy: false }
  if (row !== undefined && looksSame(row, stat) === true)
    return { seen, disk: { state: 'same' }, stat, isRacy: false }
  const path = pathOfSeen(seen)
  try {
    const found = await readData(place, path, stat, signal)
    place.problems.clear(path)
    const isRacy =
      found.stat.kind === 'file' && Math.abs(place.nowMs() - Number(found.stat.mtimeNs / 1_000_000n)) < racyMs
    const isSame = row !== undefined && sameData(row, found.data)
    return {
      seen,
      disk: isSame ? { state: 'same' } : { state: 'present', data: found.data },
      stat: found.stat,
      isRacy,
    }
  } catch (error) {
    signal.throwIfAborted()
    // What vanished meanwhile was announced by its directory: no problem, only a matter of the next look
    if (!hasCode(error, 'not.found')) place.problems.set(path, problemText(error))
    return undefined
  }
}

async function readData(
  place: DecidePlace,
  path: string,
  stat: FileStat,
  signal: AbortSignal,
): Promise<{ readonly data: EntryData; readonly stat: FileStat }> {
  const plain = { hash: undefined, size: 0, mtimeNs: stat.mtimeNs, executable: false, target: '' }
  if (stat.kind === 'directory') return { data: { ...plain, kind: 'directory' }, stat }
  if (stat.kind === 'symlink')
    return { data: { ...plain, kind: 'symlink', target: await place.filesystem.readLink(path) }, stat }
  const hashed: { readonly hash: BlobHash; readonly stat: FileStat } = await place.hasher.hash(path, signal)
  const { size, mtimeNs, mode } = hashed.stat
  return {
    data: { ...plain, kind: 'file', hash: hashed.hash, size, mtimeNs, executable: (mode & 0o100) !== 0 },
    stat: hashed.stat,
  }
}
