/** Holds bytes back so that on average no more than so many pass in a second. Later ones queue behind earlier ones. */
import { type Clock, sleep } from '../base/clock.ts'

export interface RateLimit {
  /** @returns undefined when they may pass at once, else a wait. @throws the signal's reason. */
  take(sizeBytes: number, signal?: AbortSignal): Promise<void> | undefined
}

/** Unused time that may be made up for: pauses between requests are not lost, and no burst is longer. */
const burstMs = 100

/** @param bytesPerSecond undefined: no limit. */
export function createRateLimit(clock: Clock, bytesPerSecond: number | undefined): RateLimit {
  if (bytesPerSecond === undefined) return { take: () => undefined }
  let freeAtMs = -Infinity
  return {
    take(sizeBytes, signal) {
      const nowMs = clock.monotonicMs()
      const startMs = Math.max(freeAtMs, nowMs - burstMs)
      freeAtMs = startMs + (sizeBytes / bytesPerSecond) * 1000
      return startMs <= nowMs ? undefined : sleep(clock, startMs - nowMs, signal)
    },
  }
}
