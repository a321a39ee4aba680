/** Many deadlines behind one timer: armed for the earliest, re-armed when it fires. A timer per call would cost more than the call. */
import type { Clock } from './clock.ts'

export interface Deadlines extends Disposable {
  /** Makes sure that `sweep` runs at the latest when this moment (monotonic ms) has come. */
  arm(deadlineMs: number): void
}

/** @param sweep ends what is overdue at `nowMs` and returns the earliest deadline left, Infinity for none. */
export function createDeadlines(clock: Clock, sweep: (nowMs: number) => number): Deadlines {
  let timer: Disposable | undefined
  let dueMs = Infinity
  let disposed = false
  const arm = (deadlineMs: number): void => {
    if (deadlineMs >= dueMs || disposed) return
    timer?.[Symbol.dispose]()
    dueMs = deadlineMs
    timer = clock.setTimer(Math.max(0, deadlineMs - clock.monotonicMs()), fire)
  }
  const fire = (): void => {
    dueMs = Infinity
    const nextMs = sweep(clock.monotonicMs())
    if (nextMs !== Infinity) arm(nextMs)
  }
  return {
    arm,
    [Symbol.dispose]() {
      disposed = true
      timer?.[Symbol.dispose]()
    },
  }
}
