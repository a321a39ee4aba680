/** Takes from the disk what does not belong to the part that this device takes: not selected, or changed here and given up. */
import { hasCode } from '../base/errors.ts'
import type { Applied, Applier } from './apply.ts'
import type { DiskTask } from './disk-task.ts'
import { partsOfVersion } from './folder-tree.ts'
import { pathOfSeen, type ScanPlace, unlessDenied } from './scan.ts'

export interface PutAwayPlace extends Pick<ScanPlace, 'filesystem' | 'problems' | 'part'> {
  readonly applier: Pick<Applier, 'takeAway'>
}

export function isPutAway(task: DiskTask): task is PutAwayTask {
  return task.action.kind === 'release' || task.action.kind === 'overrule'
}

export type PutAwayTask = DiskTask & {
  readonly action: Extract<DiskTask['action'], { kind: 'release' | 'overrule' }>
}

/** Directories go when they are empty, from the bottom. */
export function putAway(place: PutAwayPlace, { seen, action }: PutAwayTask): Promise<Applied> {
  const { filesystem, applier, part } = place
  const { stat, row } = seen
  const path = pathOfSeen(seen)
  if (stat === undefined) return applier.takeAway(seen, () => Promise.resolve(true))
  if (stat.kind === 'directory') {
    return applier.takeAway(seen, async () => {
      try {
        await filesystem.removeDirectory(path)
        return true
      } catch (error) {
        if (!hasCode(error, 'file.exists')) throw error
        // What is in it is ignored, or a person's
        return 'stays'
      }
    })
  }
  if (action.kind === 'release' && stat.kind === 'file')
    return applier.takeAway(seen, () => part.released.take(path, stat))
  const version = row === undefined ? undefined : partsOfVersion(row.version).vector
  const about =
    action.kind === 'overrule'
      ? ({ cause: 'local', nodeId: row?.nodeId } as const)
      : ({ cause: 'deleted', nodeId: row?.nodeId, version } as const)
  const hash = action.kind === 'overrule' ? action.data.hash : row?.hash
  return applier.takeAway(
    seen,
    async () => (await part.versions.keepMoved(path, stat, { hash, about })) !== undefined,
  )
}

/**
 * A directory cannot go for what is in it. One that was made here and is not sent is listed, with all that is in it, and as a
 * problem where something else is to come to its place.
 */
export function tellBlocked(
  { problems, part }: Pick<PutAwayPlace, 'problems' | 'part'>,
  { seen, action }: PutAwayTask,
): void {
  if (action.kind !== 'overrule') return
  const path = pathOfSeen(seen)
  part.changes.note({ path, change: 'added', isDirectory: true, sizeBytes: 0 })
  if (seen.here === undefined) return
  problems.set(path, {
    cause: 'a directory that was made here, and is not sent, stands in its place',
    fix: 'move it elsewhere, or put it into versions: skein revert SPACE',
  })
}

/** A directory of the disk cannot go now: without trying it at each look. */
export async function isKeptOpen(
  place: Pick<ScanPlace, 'filesystem' | 'problems' | 'part' | 'tree'>,
  { seen, action }: DiskTask,
): Promise<boolean> {
  const { row, stat } = seen
  if (stat?.kind !== 'directory') return false
  const path = pathOfSeen(seen)
  const readNames = async (): Promise<readonly string[]> =>
    ((await unlessDenied(place, path, () => place.filesystem.readDirectory(path))) ?? []).map(
      ({ name }) => name,
    )
  // What others deleted and what is left out stays in: it goes once that is gone
  if (action.kind === 'trash' && row?.isLeftover === true) {
    const known = new Set((await place.tree.rows(row.nodeId)).map(({ diskName }) => diskName))
    return (await readNames()).some((name) => !known.has(name))
  }
  // With the last of it that goes it is looked at again; what a person put into it is hers
  const isWaiting = action.kind === 'release' || (action.kind === 'overrule' && !place.part.reverting.isOn)
  return isWaiting && (await readNames()).length > 0
}

/** Directories to look at once it is away: its place is free for what the document shows there, its directory maybe empty. */
export function leadsOnTo(
  { directories }: Pick<ScanPlace, 'directories'>,
  { seen, action }: PutAwayTask,
): readonly string[] {
  const above = action.kind === 'release' ? directories.placeOf(seen.parentId)?.parentId : undefined
  return [...(seen.here === undefined ? [] : [seen.parentId]), ...(above === undefined ? [] : [above])]
}
