/**
 * Contents that others pushed and no record has named yet: held in memory for a while, named by the hash of their bytes,
 * so that nothing can be passed off as something else. Bounded by bytes, each device by a share of them; what is too
 * much or waits too long is dropped and is asked for later like any other content.
 */
import type { Clock } from '../base/clock.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type BlobHash, hashOf } from './hash.ts'

export interface Pushed extends Disposable {
  /** Takes a content in; the bytes are copied. */
  put(remote: DeviceId, bytes: Uint8Array): void
  /** Resolves once what is held leaves room for more; after a while in any case. */
  room(remote: DeviceId): Promise<void>
  get(hash: BlobHash): Uint8Array | undefined
  /** It is in its place: nobody waits for it here any more. */
  drop(hash: BlobHash): void
  /** While contents are coming in: waits a moment for this one. @returns undefined when it is not among them. */
  expect(hash: BlobHash): Promise<Uint8Array | undefined>
  readonly heldBytes: number
}

interface Held {
  readonly bytes: Uint8Array
  readonly remote: DeviceId
  readonly sinceMs: number
}

/** Nothing came for so long: what is missing was not pushed. */
const quietMs = 30
/** Longest wait for one content. */
const patienceMs = 2_000
/** A device that sends faster than its contents are placed waits so long at most; then the oldest leave. */
const roomMs = 5_000
/** The record was lost, refused or is still far away. */
const keepMs = 30_000
/** What holding one costs beside its bytes: many empty ones are bounded as well. */
const overheadBytes = 256

export function createPushed(clock: Clock): Pushed {
  return new PushedContents(clock)
}

class PushedContents implements Pushed {
  heldBytes = 0
  private readonly clock: Clock
  private readonly held = new Map<BlobHash, Held>()
  private readonly bytesOf = new Map<DeviceId, number>()
  private readonly expected = new Map<BlobHash, PromiseWithResolvers<Uint8Array | undefined>>()
  private readonly crowded = new Set<() => void>()
  private lastMs = Number.NEGATIVE_INFINITY
  private quietTimer: Disposable | undefined
  private sweepTimer: Disposable | undefined

  constructor(clock: Clock) {
    this.clock = clock
  }

  put(remote: DeviceId, bytes: Uint8Array): void {
    const own = bytes.slice()
    const hash = hashOf(own)
    this.lastMs = this.clock.monotonicMs()
    this.drop(hash)
    this.held.set(hash, { bytes: own, remote, sinceMs: this.lastMs })
    this.count(remote, own.byteLength + overheadBytes)
    this.makeRoom(remote)
    this.sweepTimer ??= this.clock.setTimer(keepMs, () => this.sweep())
    const waiter = this.expected.get(hash)
    this.expected.delete(hash)
    waiter?.resolve(own)
  }

  async room(remote: DeviceId): Promise<void> {
    if (!this.isCrowded(remote)) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer[Symbol.dispose]()
        this.crowded.delete(look)
        resolve()
      }
      const look = (): void => {
        if (!this.isCrowded(remote)) done()
      }
      const timer = this.clock.setTimer(roomMs, done)
      this.crowded.add(look)
    })
  }

  get(hash: BlobHash): Uint8Array | undefined {
    return this.held.get(hash)?.bytes
  }

  drop(hash: BlobHash): void {
    const found = this.held.get(hash)
    if (found === undefined) return
    this.held.delete(hash)
    this.count(found.remote, -found.bytes.byteLength - overheadBytes)
    for (const look of this.crowded) look()
  }

  async expect(hash: BlobHash): Promise<Uint8Array | undefined> {
    const there = this.get(hash)
    if (there !== undefined || this.clock.monotonicMs() - this.lastMs > quietMs) return there
    let waiter = this.expected.get(hash)
    if (waiter === undefined) {
      waiter = Promise.withResolvers()
      this.expected.set(hash, waiter)
      const own = waiter
      const timer = this.clock.setTimer(patienceMs, () => this.giveUp(hash, own))
      void own.promise.then(() => timer[Symbol.dispose]())
    }
    this.watchQuiet()
    return await waiter.promise
  }

  [Symbol.dispose](): void {
    this.quietTimer?.[Symbol.dispose]()
    this.sweepTimer?.[Symbol.dispose]()
    for (const [hash, waiter] of this.expected) this.giveUp(hash, waiter)
    this.held.clear()
    this.bytesOf.clear()
    this.heldBytes = 0
    for (const look of this.crowded) look()
  }

  private giveUp(hash: BlobHash, waiter: PromiseWithResolvers<Uint8Array | undefined>): void {
    if (this.expected.get(hash) === waiter) this.expected.delete(hash)
    waiter.resolve(undefined)
  }

  private watchQuiet(): void {
    if (this.quietTimer !== undefined) return
    const leftMs = this.lastMs + quietMs - this.clock.monotonicMs()
    this.quietTimer = this.clock.setTimer(Math.max(1, leftMs), () => {
      this.quietTimer = undefined
      if (this.expected.size === 0) return
      if (this.clock.monotonicMs() - this.lastMs < quietMs) return this.watchQuiet()
      const { lastMs } = this
      // The loop may have stood still: what came meanwhile is read before the next timer
      this.quietTimer = this.clock.setTimer(1, () => {
        this.quietTimer = undefined
        if (lastMs !== this.lastMs) return this.watchQuiet()
        for (const [hash, waiter] of this.expected) this.giveUp(hash, waiter)
      })
    })
  }

  private count(remote: DeviceId, bytes: number): void {
    this.heldBytes += bytes
    const left = (this.bytesOf.get(remote) ?? 0) + bytes
    if (left === 0) this.bytesOf.delete(remote)
    else this.bytesOf.set(remote, left)
  }

  private isCrowded(remote: DeviceId): boolean {
    return (
      this.heldBytes > limits.pushedBytes / 2 ||
      (this.bytesOf.get(remote) ?? 0) > limits.pushedBytesPerDevice / 2
    )
  }

  private makeRoom(remote: DeviceId): void {
    for (const [hash, one] of this.held) {
      const isOver = (this.bytesOf.get(remote) ?? 0) > limits.pushedBytesPerDevice
      if (!isOver && this.heldBytes <= limits.pushedBytes) return
      // Whoever sends too much loses its own first
      if (isOver && one.remote !== remote) continue
      this.drop(hash)
    }
  }

  private sweep(): void {
    this.sweepTimer = undefined
    const beforeMs = this.clock.monotonicMs() - keepMs
    for (const [hash, { sinceMs }] of this.held) {
      if (sinceMs > beforeMs) break
      this.drop(hash)
    }
    if (this.held.size > 0) this.sweepTimer = this.clock.setTimer(keepMs / 2, () => this.sweep())
  }
}
