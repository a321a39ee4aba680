/** Places that are gone from the disk: for a moment each may still turn up elsewhere as a rename. */
import type { Clock } from '../base/clock.ts'
import type { Collected } from './collect.ts'
import type { Deletion } from './deletion.ts'
import { rowKey } from './folder-tree.ts'
import type { Seen } from './scan.ts'

export interface Vanished {
  /** It has been gone for long enough to be called deleted. */
  isGoneForGood(seen: Seen): boolean
  /** A round is over: what it did not find gone any more is there again. */
  looked(found: Pick<Collected, 'held' | 'scanned'>, braked: readonly Deletion[]): void
}

export function createVanished(clock: Pick<Clock, 'monotonicMs'>, graceMs: number): Vanished {
  const sinceMs = new Map<string, number>()
  const keyOf = ({ parentId, name }: Seen): string => rowKey(parentId, name)
  return {
    isGoneForGood(seen) {
      const nowMs = clock.monotonicMs()
      const atMs = sinceMs.get(keyOf(seen)) ?? nowMs
      sinceMs.set(keyOf(seen), atMs)
      return nowMs - atMs >= graceMs
    },
    looked({ held, scanned }, braked) {
      const stillGone = new Set([...held, ...braked.map(({ seen }) => seen)].map(keyOf))
      // Only what this round looked at: other places may be gone still
      for (const key of sinceMs.keys())
        if (scanned.has(key.slice(0, key.indexOf('/'))) && !stillGone.has(key)) sinceMs.delete(key)
    },
  }
}
