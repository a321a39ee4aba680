/**
 * Gives memory back when the peer has become quiet. V8 collects as memory is asked for: after a start or a large
 * transfer an idle peer would keep tens of MB of garbage, compiled code nobody runs and empty young space for hours
 * (measured: 150 MB resident after a start, 113 MB after this). It takes 0.1-0.2 s, so it waits for a quiet time and
 * for enough to gain. Does nothing where Node was started without --expose-gc.
 */
import type { Env } from '../base/env.ts'

export interface MemoryTrimParts {
  /** CPU time used so far by all threads. */
  readonly cpuMs: () => number
  /** Bytes that the JavaScript heap holds of the system. */
  readonly heapBytes: () => number
  readonly collect: () => void
}

const lookEveryMs = 4_000
/** Of one core; a small board at rest uses about 3 %. */
const quietLoad = 0.05
/** Less than this, or than this part of all, is not worth a pause. */
const worthBytes = 4 * 1024 * 1024
const worthPart = 0.1
/** A large heap takes long to collect: at rest that must stay far below one per cent of a core. */
const restFactor = 1_000

/** Looks until disposed. @param parts default: this process. */
export function trimMemoryWhenQuiet(env: Env, parts = ofThisProcess()): Disposable | undefined {
  if (parts === undefined) return undefined
  let keptBytes = 0
  let restUntilMs = 0
  let cpuMs = parts.cpuMs()
  let timer: Disposable
  const look = (): void => {
    timer = env.clock.setTimer(lookEveryMs, look)
    const usedMs = parts.cpuMs() - cpuMs
    cpuMs += usedMs
    const startMs = env.clock.monotonicMs()
    const beforeBytes = parts.heapBytes()
    const gainBytes = beforeBytes - keptBytes
    if (usedMs > lookEveryMs * quietLoad || gainBytes < Math.max(worthBytes, keptBytes * worthPart)) return
    // After a lot of work a lot is to be had: at once
    if (startMs < restUntilMs && gainBytes < keptBytes) return
    parts.collect()
    keptBytes = parts.heapBytes()
    restUntilMs = startMs + (env.clock.monotonicMs() - startMs) * restFactor
    env.log.debug('memory given back', {
      bytes: beforeBytes - keptBytes,
      tookMs: Math.round(env.clock.monotonicMs() - startMs),
    })
  }
  timer = env.clock.setTimer(lookEveryMs, look)
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() }
}

function ofThisProcess(): MemoryTrimParts | undefined {
  const { gc } = globalThis
  if (gc === undefined) return undefined
  return {
    cpuMs() {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    heapBytes: () => process.memoryUsage().heapTotal,
    // because: only this flavour also lets go of compiled code and shrinks the young generation
    collect: () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
  }
}
