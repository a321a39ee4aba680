/**
 * One simulated operating-system process: its timers and what the network brings run only while it runs. A frozen
 * process does it all late, timers before network as Node's event loop does; a killed one never.
 */
import type { Clock } from '../src/base/clock.ts'

export interface SimulatedProcess {
  readonly clock: Clock
  readonly state: 'running' | 'frozen' | 'killed'
  /** Runs work of this process now, or when it runs again. */
  run(work: () => void): void
  freeze(): void
  thaw(): void
  kill(): void
}

export function createSimulatedProcess(clock: Clock): SimulatedProcess {
  let state: SimulatedProcess['state'] = 'running'
  const timers = new Set<Disposable>()
  const lateTimers: (() => void)[] = []
  const lateWork: (() => void)[] = []
  const when = (late: (() => void)[], work: () => void): void => {
    if (state === 'running') work()
    else if (state === 'frozen') late.push(work)
  }
  return {
    get state() {
      return state
    },
    run: (work) => when(lateWork, work),
    clock: {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      setTimer(delayMs, callback) {
        let isDisposed = false
        const fire = (): void => {
          if (!isDisposed) callback()
        }
        const timer = clock.setTimer(delayMs, () => {
          timers.delete(timer)
          when(lateTimers, fire)
        })
        timers.add(timer)
        return {
          [Symbol.dispose]: () => {
            isDisposed = true
            timers.delete(timer)
            timer[Symbol.dispose]()
          },
        }
      },
    },
    freeze() {
      if (state === 'running') state = 'frozen'
    },
    thaw() {
      if (state !== 'frozen') return
      state = 'running'
      // Two turns of the event loop, so that what the timers start can run before the network is read
      const work = lateWork.splice(0)
      for (const timer of lateTimers.splice(0)) timer()
      clock.setTimer(0, () => work.forEach((item) => when(lateWork, item)))
    },
    kill() {
      state = 'killed'
      for (const timer of timers) timer[Symbol.dispose]()
      timers.clear()
      lateTimers.length = 0
      lateWork.length = 0
    },
  }
}
