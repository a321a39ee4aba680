/** The machine's own clock. The only place (with the process entry) that reads time or sets timers. */
import type { Clock } from './clock.ts'

export function createSystemClock(): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    setTimer(delayMs, callback) {
      const handle = setTimeout(callback, delayMs)
      return { [Symbol.dispose]: () => clearTimeout(handle) }
    },
  }
}
