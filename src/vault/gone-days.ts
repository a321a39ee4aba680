/**
 * How long contents of a vault have not been wanted: counted in days of this device on which it looked and they were gone,
 * never in differences of wall clocks, which can jump. What is wanted again starts from nothing. Pure but for the clock.
 */
import { array, bytes, decodeCanonical, encodeCanonical, integer, object, text } from '../base/codec.ts'
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { type BlobHash, hashFromText, hashToText } from '../blobs/hash.ts'

/** Contents counted at once; the rest waits for its turn, and is kept meanwhile. */
const countedMax = 50_000
/** Within one run so much time goes by between two days, whatever the wall clock says. */
const betweenMs = 20 * 3_600_000
const shape = object({
  v: integer(1, 1),
  on: text(16),
  gone: array(object({ hash: bytes(32, 32), days: integer(10_000) }), countedMax),
})

export interface GoneDays {
  /** @param gone those held and not wanted now. @returns those that may go. */
  due(gone: Iterable<BlobHash>): ReadonlySet<BlobHash>
  /** What was counted so far, to be kept. */
  encode(): Uint8Array
  readonly isChanged: boolean
}

/** @param kept what `encode` gave; anything else counts as nothing. */
export function createGoneDays(clock: Clock, kept: Uint8Array | undefined): GoneDays {
  let { on, days } = decodeDays(kept)
  let countedMs = Number.NEGATIVE_INFINITY
  let isChanged = false
  return {
    get isChanged() {
      return isChanged
    },
    due(gone) {
      const today = new Date(clock.nowMs()).toISOString().slice(0, 10)
      const nowMs = clock.monotonicMs()
      const isFurtherDay = today !== on && nowMs - countedMs >= betweenMs
      const next = new Map<BlobHash, number>()
      for (const hash of gone) {
        if (next.size >= countedMax) break
        next.set(hash, (days.get(hash) ?? 0) + (isFurtherDay ? 1 : 0))
      }
      isChanged ||= isFurtherDay || next.size !== days.size
      if (isFurtherDay) {
        on = today
        countedMs = nowMs
      }
      days = next
      return new Set([...next].filter(([, count]) => count > limits.versionDays).map(([hash]) => hash))
    },
    encode() {
      isChanged = false
      const gone = [...days].map(([hash, count]) => ({ hash: hashFromText(hash), days: count }))
      return encodeCanonical({ v: 1, on, gone })
    },
  }
}

function decodeDays(kept: Uint8Array | undefined): { on: string; days: Map<BlobHash, number> } {
  if (kept === undefined) return { on: '', days: new Map() }
  const { on, gone } = decodeCanonical(kept, shape, countedMax * 64)
  return { on, days: new Map(gone.map(({ hash, days }) => [hashToText(hash), days])) }
}
