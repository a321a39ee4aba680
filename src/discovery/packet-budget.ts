/** How many packets are read: a token bucket per source address and one for all, as a bounded value. Pure but for its state. */
import { limits } from '../base/limits.ts'

export interface PacketBudget {
  /** @returns false when the packet should be dropped unread. */
  take(source: string, nowMs: number): boolean
  readonly sourceCount: number
}

interface Bucket {
  tokens: number
  atMs: number
}

const burstSeconds = 2

export function createPacketBudget(): PacketBudget {
  const sources = new Map<string, Bucket>()
  const all: Bucket = { tokens: limits.beaconPacketsPerSecond * burstSeconds, atMs: 0 }
  return {
    take(source, nowMs) {
      const perSource = limits.beaconSourcePacketsPerSecond
      const bucket = sources.get(source) ?? { tokens: perSource * burstSeconds, atMs: nowMs }
      // Most recently heard last, so that the first of the map is the one to forget
      sources.delete(source)
      sources.set(source, bucket)
      if (sources.size > limits.beaconSources) {
        for (const oldest of sources.keys()) {
          sources.delete(oldest)
          break
        }
      }
      // The source pays first: what one address sends too much must not use up what the others may send
      return takeFrom(bucket, perSource, nowMs) && takeFrom(all, limits.beaconPacketsPerSecond, nowMs)
    },
    get sourceCount() {
      return sources.size
    },
  }
}

function takeFrom(bucket: Bucket, perSecond: number, nowMs: number): boolean {
  const refill = (Math.max(0, nowMs - bucket.atMs) / 1000) * perSecond
  bucket.tokens = Math.min(perSecond * burstSeconds, bucket.tokens + refill)
  bucket.atMs = nowMs
  if (bucket.tokens < 1) return false
  bucket.tokens -= 1
  return true
}
