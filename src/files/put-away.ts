/** Takes from the disk what does not belong to the part that this device takes: not selected, or changed here and given up. */
import { hasCode } from '../base/errors.ts'
import type { Applied, Applier } from './apply.ts'
import type { DiskTask } from './disk-task.ts'
import { partsOfVersion } from './folder-tree.ts'
import { pathOfSeen, type ScanPlace } from './scan.ts'

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

/** A directory could not go: it is told where something else is to come to its place. */
export function tellBlocked(
  { problems }: Pick<PutAwayPlace, 'problems'>,
  { seen, action }: PutAwayTask,
): void {
  if (action.kind !== 'overrule' || seen.here === undefined) return
  problems.set(pathOfSeen(seen), {
    cause: 'a directory that was made here, and is not sent, stands in its place',
    fix: 'move it elsewhere, or put it into versions: skein revert SPACE',
  })
}

/** Directories to look at once it is away: its place is free for what the document shows there, its directory maybe empty. */
export function leadsOnTo(
  { directories }: Pick<ScanPlace, 'directories'>,
  { seen, action }: PutAwayTask,
): readonly string[] {
  const above = action.kind === 'release' ? directories.placeOf(seen.parentId)?.parentId : undefined
  return [...(seen.here === undefined ? [] : [seen.parentId]), ...(above === undefined ? [] : [above])]
}
