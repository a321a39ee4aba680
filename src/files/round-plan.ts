/** What a round is about to do, told apart from what others did: for the watch over rounds that lead nowhere (round-again.ts). */
import type { DiskTask } from './disk-task.ts'
import { pathOfSeen } from './scan.ts'
import type { Step } from './step.ts'

/** What a round was about to do, as text: equal only for rounds that did the same from the same. */
export interface RoundPlan {
  tell(steps: readonly Step[]): void
  tasks(tasks: readonly DiskTask[]): void
  /** Steps and tasks. */
  readonly count: number
  readonly text: string
  /** One of the places, for a person. */
  readonly path: string | undefined
}

/** Enough to tell plans apart: what goes round is small, or it would be noticed. */
const partsMax = 64

export function createRoundPlan(): RoundPlan {
  const parts: string[] = []
  let count = 0
  let path: string | undefined
  const add = (part: () => readonly unknown[]): void => {
    if (parts.length < partsMax) parts.push(part().join(' '))
  }
  return {
    tell(steps) {
      count += steps.length
      for (const { changes, rows } of steps) {
        for (const change of changes)
          add(() => [change.kind, change.nodeId, 'base' in change ? change.base : ''])
        for (const change of rows)
          add(() =>
            change.kind === 'forget'
              ? [change.kind, change.parentId, change.name, change.nodeId]
              : [change.row.parentId, change.row.name, change.row.version, change.row.ctimeNs],
          )
      }
    },
    tasks(tasks) {
      count += tasks.length
      for (const { seen, action } of tasks) {
        path ??= pathOfSeen(seen)
        const entry = 'entry' in action ? action.entry : undefined
        add(() => [action.kind, pathOfSeen(seen), seen.row?.version, entry?.parentId, entry?.version])
      }
    },
    get count() {
      return count
    },
    get text() {
      return count === 0 ? '' : `${count}\n${parts.join('\n')}`
    },
    get path() {
      return path
    },
  }
}
