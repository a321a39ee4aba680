/** A clock that moves only when told: for tests and simulations. Timers fire in (due time, creation) order. */
import { assert } from './assert.ts'
import type { Clock } from './clock.ts'

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
  const heap: Timer[] = []

  const before = (a: Timer, b: Timer): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence)
  const at = (index: number): Timer => {
    const timer = heap[index]
    assert(timer !== undefined, 'timer heap index in range')
    return timer
  }
  const swap = (i: number, j: number): void => {
    const held = at(i)
    heap[i] = at(j)
    heap[j] = held
  }
  const push = (timer: Timer): void => {
    heap.push(timer)
    let index = heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(at(index), at(parent))) break
      swap(index, parent)
      index = parent
    }
  }
  const pop = (): Timer | undefined => {
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined) return undefined
    if (heap.length === 0) return top
    heap[0] = last
    for (let index = 0; ; ) {
      const left = index * 2 + 1
      if (left >= heap.length) break
      const right = left + 1
      const child = right < heap.length && before(at(right), at(left)) ? right : left
      if (!before(at(child), at(index))) break
      swap(index, child)
      index = child
    }
    return top
  }
  const dropCancelled = (): void => {
    while (heap[0]?.cancelled === true) pop()
  }
  const step = (): boolean => {
    dropCancelled()
    const timer = pop()
    if (timer === undefined) return false
    nowMs = Math.max(nowMs, timer.dueMs)
    timer.callback()
    return true
  }
  return {
    nowMs: () => wallOffsetMs + nowMs,
    monotonicMs: () => nowMs,
    setTimer(delayMs, callback) {
      const timer: Timer = { dueMs: nowMs + Math.max(0, delayMs), sequence: sequence++, callback, cancelled: false }
      push(timer)
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
        const next = heap[0]
        if (next === undefined || next.dueMs > untilMs) break
        step()
      }
      nowMs = untilMs
    },
    step,
    nextDueMs() {
      dropCancelled()
      return heap[0]?.dueMs
    },
    jumpWall(byMs) {
      wallOffsetMs += byMs
    },
  }
}
