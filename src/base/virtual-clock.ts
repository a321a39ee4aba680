/** A clock that moves only when told: for tests and simulations. Timers fire in (due time, creation) order. */
import type { Clock } from './clock.ts'
import { createHeap } from './heap.ts'

export interface VirtualClock extends Clock {
  /** Fires every timer due within `byMs`, in order, then stands at now + byMs. */
  advance(byMs: number): void
  /** Moves to the next timer and fires it. @returns false when none waits. */
  step(): boolean
  /** Due time of the next timer (monotonic ms), or undefined. */
  nextDueMs(): number | undefined
  /** Makes the wall clock jump, the monotonic one not. */
  jumpWall(byMs: number): void
}

interface Timer {
  readonly dueMs: number
  readonly sequence: number
  readonly callback: () => void
  cancelled: boolean
}

export function createVirtualClock(wallStartMs = 1_700_000_000_000): VirtualClock {
  let nowMs = 0
  let wallOffsetMs = wallStartMs
  let sequence = 0
  const heap = createHeap<Timer>(
    (a, b) => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence),
  )

  const dropCancelled = (): void => {
    while (heap.first()?.cancelled === true) heap.pop()
  }
  const step = (): boolean => {
    dropCancelled()
    const timer = heap.pop()
    if (timer === undefined) return false
    nowMs = Math.max(nowMs, timer.dueMs)
    timer.callback()
    return true
  }
  return {
    nowMs: () => wallOffsetMs + nowMs,
    monotonicMs: () => nowMs,
    setTimer(delayMs, callback) {
      const timer: Timer = {
        dueMs: nowMs + Math.max(0, delayMs),
        sequence: sequence++,
        callback,
        cancelled: false,
      }
      heap.push(timer)
      return {
        [Symbol.dispose]: () => {
          timer.cancelled = true
        },
      }
    },
    advance(byMs) {
      const untilMs = nowMs + byMs
      for (;;) {
        dropCancelled()
        const next = heap.first()
        if (next === undefined || next.dueMs > untilMs) break
        step()
      }
      nowMs = untilMs
    },
    step,
    nextDueMs() {
      dropCancelled()
      return heap.first()?.dueMs
    },
    jumpWall(byMs) {
      wallOffsetMs += byMs
    },
  }
}
