/**
 * Tells a new sealed record from one that was heard before, by the sender's own counters: recordings that are played
 * again, and the second copy that came by the other IP version, change nothing. Bounded; what was forgotten may count
 * as new again, which costs no more than a hint.
 */
import type { PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Announcement } from './beacon-record.ts'

export interface Freshness {
  /** @returns true the first time, and only for a sequence above the last one of its incarnation. */
  isNew(announcement: Announcement): boolean
  readonly peerCount: number
}

/** A device has one incarnation per interface and run. */
const incarnationsPerPeer = 32

export function createFreshness(): Freshness {
  const peers = new Map<PeerId, Map<string, number>>()
  return {
    isNew({ peerId, incarnation, sequence }) {
      const heard = peers.get(peerId) ?? new Map<string, number>()
      const key = Buffer.from(incarnation).toString('hex')
      const last = heard.get(key)
      if (last !== undefined && sequence <= last) return false
      heard.delete(key)
      heard.set(key, sequence)
      dropOldest(heard, incarnationsPerPeer)
      peers.delete(peerId)
      peers.set(peerId, heard)
      dropOldest(peers, limits.devices)
      return true
    },
    get peerCount() {
      return peers.size
    },
  }
}

/** Removes the entries set first until at most `count` are left. */
export function dropOldest(map: Map<unknown, unknown>, count: number): void {
  for (const key of map.keys()) {
    if (map.size <= count) return
    map.delete(key)
  }
}
