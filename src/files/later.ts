/** What a folder does when some time has gone by: once, and then it counts as pending until it is done, or again and again. */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import type { Scope } from '../base/scope.ts'

export interface Later {
  once(delayMs: number, act: () => void): void
  /** Once, however often it is asked for meanwhile; nobody waits for it. */
  soon(delayMs: number, act: () => Promise<void>): void
  every(delayMs: () => number, act: () => void): void
  /** Once, and not yet. */
  readonly pending: number
}

export function createLater({ clock }: Pick<Env, 'clock'>, scope: Pick<Scope, 'spawn'>): Later {
  let pending = 0
  let isSoon = false
  return {
    once(delayMs, act) {
      pending++
      scope.spawn('later', async (signal) => {
        await sleep(clock, delayMs, signal)
        pending--
        act()
      })
    },
    soon(delayMs, act) {
      if (isSoon) return
      isSoon = true
      scope.spawn('soon', async (signal) => {
        await sleep(clock, delayMs, signal)
        isSoon = false
        await act()
      })
    },
    every(delayMs, act) {
      scope.spawn('every so often', async (signal) => {
        for (;;) {
          await sleep(clock, delayMs(), signal)
          act()
        }
      })
    },
    get pending() {
      return pending
    },
  }
}
