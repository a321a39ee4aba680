/**
 * Who of the unknown may even start a handshake. Strangers are not told apart yet, so room is shared by address:
 * when all places are taken, the address that holds most loses its oldest, and a newcomer from an address that
 * holds none still gets in. Pure: the caller closes what `admit` names.
 */
import { limits } from '../base/limits.ts'

/** Stands for one unauthenticated connection; the caller destroys an evicted one. */
export interface Newcomer {
  destroy(): unknown
}

export interface Admission {
  /** @returns whether to go on, and another one that must make room. */
  admit(
    connection: Newcomer,
    address: string,
    nowMs: number,
  ): { readonly isAdmitted: boolean; readonly evicted: Newcomer | undefined }
  /** It is authenticated, or gone. Idempotent. */
  release(connection: Newcomer): void
  readonly size: number
}

interface Bucket {
  readonly waiting: Set<Newcomer>
  tokens: number
  atMs: number
}

const refusal = { isAdmitted: false, evicted: undefined } as const

export function createAdmission(
  places: number = limits.pendingConnections,
  perSecond: number = limits.inboundConnectionsPerSecond,
): Admission {
  const buckets = new Map<string, Bucket>()
  const keys = new Map<Newcomer, string>()

  const release = (connection: Newcomer): void => {
    const key = keys.get(connection)
    if (key === undefined) return
    keys.delete(connection)
    buckets.get(key)?.waiting.delete(connection)
  }
  /** Addresses are forgotten once their rate is full again; a flood from many is bounded by dropping the idle ones. */
  const sweep = (nowMs: number): void => {
    for (const [key, bucket] of buckets) {
      if (bucket.waiting.size === 0 && nowMs - bucket.atMs >= 1000) buckets.delete(key)
    }
  }
  const fullest = (): Bucket | undefined => {
    let most: Bucket | undefined
    for (const bucket of buckets.values()) if (bucket.waiting.size > (most?.waiting.size ?? 0)) most = bucket
    return most
  }
  return {
    admit(connection, address, nowMs) {
      if (buckets.size > places * 4) sweep(nowMs)
      const key = addressKey(address)
      let bucket = buckets.get(key)
      if (bucket === undefined) {
        bucket = { waiting: new Set(), tokens: perSecond, atMs: nowMs }
        buckets.set(key, bucket)
      }
      bucket.tokens = Math.min(perSecond, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond)
      bucket.atMs = nowMs
      if (bucket.tokens < 1) return refusal
      bucket.tokens--
      let evicted: Newcomer | undefined
      if (keys.size >= places) {
        const most = fullest()
        if (most === undefined || most.waiting.size <= bucket.waiting.size) return refusal
        evicted = most.waiting.values().next().value
        if (evicted !== undefined) release(evicted)
      }
      bucket.waiting.add(connection)
      keys.set(connection, key)
      return { isAdmitted: true, evicted }
    },
    release,
    get size() {
      return keys.size
    },
  }
}

/** One IPv4 address, or one IPv6 /64: a single host may use all of that. */
export function addressKey(address: string): string {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('%')[0]?.split('::') ?? []
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros: string[] =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0')
  return [...front, ...zeros, ...back]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
