/**
 * Brings the right bytes back where the disk damaged a file: they are fetched like any content, and only once they are
 * here and verified the damaged ones give way, into versions. Nothing of it is told to other devices.
 */
import type { Damage, DamagedPlace } from './damage.ts'
import type { DiskTask } from './disk-task.ts'
import type { Directories } from './directories.ts'
import { joinPath, sameSignature } from './filesystem.ts'
import type { Merging } from './merging.ts'
import type { Problem } from './problems.ts'
import { findOwn, type ScanPlace, scanPlace } from './scan.ts'

export interface RepairPlace extends ScanPlace {
  readonly damage: Damage
  readonly merging: Pick<Merging, 'holds'>
}

/** What is to be done about all that is damaged. */
export async function repairTasks(place: RepairPlace): Promise<readonly DiskTask[]> {
  const tasks: DiskTask[] = []
  for (const { parentId, name } of place.damage.list()) {
    const task = await repairTask(place, { parentId, name })
    if (task !== undefined) tasks.push(task)
  }
  return tasks
}

/** @returns undefined when there is no damage, or none any more, or something else is to happen there first. */
export async function repairTask(
  place: RepairPlace,
  { parentId, name }: Pick<DamagedPlace, 'parentId' | 'name'>,
): Promise<DiskTask | undefined> {
  const damaged = place.damage.at(parentId, name)
  if (damaged === undefined) return undefined
  const row = await place.tree.row(parentId, name)
  // Deleted, moved or written anew: what stands there is another version, by this device or by others
  if (
    row === undefined ||
    row.version !== damaged.version ||
    place.directories.pathOf(parentId) === undefined
  ) {
    place.damage.settle(parentId, name)
    return undefined
  }
  const seen = await scanPlace(place, damaged)
  // Touched since: the folder looks at it first
  if (seen?.row === undefined || seen.stat === undefined || !sameSignature(seen.row, seen.stat))
    return undefined
  const own = await findOwn(place.tree, seen.row, seen)
  const isStill = own?.version === row.version && own.parentId === parentId && own.name === name
  // A merge decides about the node first
  if (!isStill || place.merging.holds(row.nodeId)) return undefined
  // What goes to versions is not what the row says
  const asIs = { ...seen.row, hash: damaged.actual }
  return { seen: { ...seen, row: asIs }, action: { kind: 'materialise', entry: own } }
}

/** What a person is told, by path. */
export function damageProblems(damage: Damage, directories: Pick<Directories, 'pathOf'>): readonly Problem[] {
  return damage.list().flatMap(({ parentId, name, actual }): readonly Problem[] => {
    const parent = directories.pathOf(parentId)
    if (parent === undefined) return []
    const cause =
      actual === undefined
        ? 'the disk cannot read it any more'
        : 'its bytes changed on the disk though nobody wrote to it: the disk or the memory is failing'
    const fix = 'check this disk; the right bytes come by themselves from a device that has them'
    return [{ path: joinPath(parent, name), cause, fix }]
  })
}
