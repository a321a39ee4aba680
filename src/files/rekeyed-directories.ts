/**
 * A directory of the disk becomes another node when several of one name are shown as one, or when others deleted it and
 * made it again; its rows then follow to that node (decide.ts). What was collected in it speaks of the old node, and rows
 * written for it would lie where no directory leads: all of it is left to the next pass.
 */
import type { Collected } from './collect.ts'
import { isWithin } from './filesystem.ts'
import { planPlace } from './plan.ts'
import { findOwn, pathOfSeen, type ScanPlace, type Seen } from './scan.ts'

/** What was collected, without all that lies in a directory that becomes another node in this pass. */
export async function withoutRekeyed(
  place: Pick<ScanPlace, 'tree'>,
  collected: Collected,
): Promise<Collected> {
  const paths: string[] = []
  for (const seen of collected.places) if (await isRekeyed(place, seen)) paths.push(pathOfSeen(seen))
  if (paths.length === 0) return collected
  const isIn = ({ parentPath }: Seen): boolean => paths.some((path) => isWithin(parentPath, path))
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

async function isRekeyed({ tree }: Pick<ScanPlace, 'tree'>, seen: Seen): Promise<boolean> {
  const { row, stat, here } = seen
  if (row?.kind !== 'directory' || stat?.kind !== 'directory') return false
  if (here?.kind !== 'directory' || here.nodeId === row.nodeId) return false
  const action = planPlace({ row, disk: { state: 'same' }, own: await findOwn(tree, row, seen), here })
  return action.kind === 'adopt' && action.entry.nodeId !== row.nodeId
}
