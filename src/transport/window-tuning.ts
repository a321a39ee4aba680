/**
 * How large a receive window may be, as a pure function: as much as the link carries in its own round trip plus a
 * little queue. A window is what a sender may have on the way, so it bounds the queue in front of a slow link, and
 * with it the delay of everything else there: 2 MiB would stand 0.8 s before 20 Mbit/s. Receiver-driven and
 * delay-based, in the manner of FAST TCP (Wei et al. 2006): with rate = window / (base + queue), the fixed point of
 * window' = rate * (base + target) is queue = target. On a LAN the result is beyond the cap and nothing changes.
 */

/** Queueing delay that bulk may cause. */
const targetQueueMs = 20
/** Small enough for 20 Mbit/s, large enough for a write to be worth it. */
export const leastWindowBytes = 64 * 1024

export interface WindowSample {
  readonly windowBytes: number
  /** Bytes that came in `elapsedMs`, while data flowed without a pause. */
  readonly receivedBytes: number
  readonly elapsedMs: number
  /** Least round trip seen on the connection. */
  readonly baseRttMs: number
  readonly mostBytes: number
}

/** @returns the next window: at most twice and at least half of the last, within bounds. */
export function nextWindowBytes(sample: WindowSample): number {
  const { windowBytes, receivedBytes, elapsedMs, baseRttMs, mostBytes } = sample
  const bytesPerMs = elapsedMs > 0 ? receivedBytes / elapsedMs : Infinity
  const wanted = bytesPerMs * (baseRttMs + targetQueueMs)
  const steady = Math.min(windowBytes * 2, Math.max(windowBytes / 2, wanted))
  return Math.round(Math.min(mostBytes, Math.max(leastWindowBytes, steady)))
}
