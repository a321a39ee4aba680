/**
 * A directory of the disk becomes another node when several of one name are shown as one, or when others deleted it and
 * made it again; its rows then follow to that node. Where the node stands elsewhere on this disk still, because others
 * moved it here, the two exchange their nodes: no node ever stands at two places, and what lies in the other directory
 * comes here piece by piece. What was collected in either speaks of the old nodes: it is left to the next pass, or rows
 * would be written where no directory leads.
 */
import { rowFor } from './apply.ts'
import type { Collected } from './collect.ts'
import { type FileStat, isWithin } from './filesystem.ts'
import { type RowChange, rowKey, type SyncedRow, type TreeEntry } from './folder-tree.ts'
import { type Action, type DiskState, planPlace } from './plan.ts'
import { findOwn, pathElsewhere, pathOfSeen, type ScanPlace, type Seen } from './scan.ts'

type RowPlace = Pick<ScanPlace, 'tree' | 'directories'>

/** What was collected, without all that lies in a directory that becomes another node in this pass. */
export async function withoutRekeyed(place: RowPlace, collected: Collected): Promise<Collected> {
  const paths: string[] = []
  const exchanged = new Set<string>()
  for (const seen of collected.places.filter(mayBeRekeyed)) {
    const entry = await rekeyedTo(place, seen)
    if (entry === undefined) continue
    paths.push(pathOfSeen(seen))
    const elsewhere = pathElsewhere(place, entry.nodeId, seen)
    if (elsewhere === undefined) continue
    paths.push(elsewhere)
    exchanged.add(elsewhere)
  }
  if (paths.length === 0) return collected
  const isIn = (seen: Seen): boolean =>
    paths.some((path) => isWithin(seen.parentPath, path)) || exchanged.has(pathOfSeen(seen))
  const left = [
    ...collected.places.filter(isIn),
    ...collected.moves.filter(({ from, to }) => isIn(from) || isIn(to)).flatMap(({ from, to }) => [from, to]),
  ]
  return {
    ...collected,
    places: collected.places.filter((seen) => !isIn(seen)),
    moves: collected.moves.filter(({ from, to }) => !isIn(from) && !isIn(to)),
    again: [...collected.again, ...new Set(left.map(({ parentId }) => parentId))],
  }
}

const mayBeRekeyed = ({ row, stat, here }: Seen): boolean =>
  row?.kind === 'directory' &&
  stat?.kind === 'directory' &&
  here?.kind === 'directory' &&
  here.nodeId !== row.nodeId

async function rekeyedTo({ tree }: RowPlace, seen: Seen): Promise<TreeEntry | undefined> {
  const { row, here } = seen
  if (row === undefined) return undefined
  const action = planPlace({ row, disk: { state: 'same' }, own: await findOwn(tree, row, seen), here })
  // Anything else may be blocked for long, and what lies in it must not wait for that
  return action.kind === 'adopt' && action.entry.nodeId !== row.nodeId ? action.entry : undefined
}

/**
 * A directory that stands where the document moved another one to, which is elsewhere on this disk still, becomes a node
 * of its own, shown as one with that.
 * @param newIds the ids that were chosen for new directories, by path.
 */
export function asOwnDirectory(
  place: Pick<ScanPlace, 'directories'>,
  newIds: ReadonlyMap<string, string>,
  { seen, disk }: { readonly seen: Seen; readonly disk: DiskState },
  action: Action,
): Action {
  if (action.kind !== 'adopt' || action.entry.kind !== 'directory' || disk.state !== 'present') return action
  const { row } = seen
  const { data } = disk
  const { nodeId } = action.entry
  if (row?.kind === 'directory') return action
  if (row === undefined) {
    const id = newIds.get(pathOfSeen(seen))
    return id === undefined || id === nodeId ? action : { kind: 'create', data }
  }
  if (pathElsewhere(place, nodeId, seen) === undefined) return action
  return { kind: 'recreate', data, deletesOld: action.deletesOld === true }
}

/** All rows of a directory that becomes the node of `entry`, as they are then. */
export async function rekeyedRows(
  place: RowPlace,
  seen: Seen & { readonly row: SyncedRow },
  { entry, stat }: { readonly entry: TreeEntry; readonly stat: FileStat },
): Promise<readonly RowChange[]> {
  const { tree, directories } = place
  const { row, parentId, name, diskName } = seen
  const [fromId, toId] = [row.nodeId, entry.nodeId]
  const otherPlace = directories.placeOf(toId)
  const other = otherPlace && (await tree.row(otherPlace.parentId, otherPlace.name))
  const swapped = (id: string): string => (id === fromId ? toId : id === toId ? fromId : id)
  const below = [...(await tree.rows(fromId)), ...(other === undefined ? [] : await tree.rows(toId))]
  const after = new Map(below.map((one) => [rowKey(one.parentId, one.name), one]))
  after.set(rowKey(parentId, name), rowFor({ ...entry, parentId, name: row.name }, diskName, stat))
  if (other?.nodeId === toId)
    after.set(rowKey(other.parentId, other.name), { ...other, nodeId: fromId, version: row.version })
  const puts = [...after.values()].map((one) => ({ ...one, parentId: swapped(one.parentId) }))
  const gone = below.map((one): RowChange => ({ ...placeOf(one), kind: 'forget', nodeId: one.nodeId }))
  // Parents first, for those who follow along in memory
  return [...gone, ...puts.reverse().map((one): RowChange => ({ kind: 'put', row: one }))]
}

const placeOf = ({ parentId, name }: SyncedRow): { readonly parentId: string; readonly name: string } => ({
  parentId,
  name,
})
