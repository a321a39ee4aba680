/** How fast something goes: an exponential moving average over about 5 s, and how long the rest takes at that rate. */

export interface TransferRate {
  /** @param done grows; a smaller value than before begins anew. @param nowMs monotonic. */
  sample(done: number, nowMs: number): void
  /** Units per second. */
  readonly perSecond: number
  /** Undefined while the rate says nothing yet. */
  remainingMs(left: number): number | undefined
  /** Nothing is under way any more. */
  rest(): void
}

const spanMs = 5_000
/** The first moments say too little to foretell anything. */
const settledMs = 1_000

export function createTransferRate(): TransferRate {
  let before: { readonly done: number; readonly atMs: number } | undefined
  let startedMs = 0
  let lastMs = 0
  /** Average so far, and how much of the whole span it stands for: without it the first seconds would seem slow. */
  let [average, weight] = [0, 0]
  return {
    sample(done, nowMs) {
      if (before === undefined || done < before.done) {
        before = { done, atMs: nowMs }
        startedMs = lastMs = nowMs
        ;[average, weight] = [0, 0]
        return
      }
      const elapsedMs = nowMs - before.atMs
      if (elapsedMs <= 0) return
      const fade = Math.exp(-elapsedMs / spanMs)
      average = average * fade + ((done - before.done) / elapsedMs) * 1_000 * (1 - fade)
      weight = weight * fade + (1 - fade)
      before = { done, atMs: nowMs }
      lastMs = nowMs
    },
    get perSecond() {
      return weight === 0 ? 0 : average / weight
    },
    remainingMs(left) {
      const rate = weight === 0 ? 0 : average / weight
      if (lastMs - startedMs < settledMs || rate < 1) return undefined
      return (left / rate) * 1_000
    },
    rest() {
      before = undefined
      ;[average, weight] = [0, 0]
    },
  }
}
