/**
 * What a channel still has to write: small messages are copied side by side into one slab, so that a burst becomes
 * one write; the parts of large ones are kept as they are. No I/O here.
 */
import { headerBytes } from './framing.ts'

/** Up to here copying is cheaper than one more element in every list on the way to the socket. */
const copyBytes = 8 * 1024
const slabBytes = 16 * 1024

export interface Outbox {
  /** Bytes waiting, headers included. */
  readonly waitingBytes: number
  /** Adds one framed message; takes over the parts. @param sizeBytes their sum. */
  add(parts: readonly Uint8Array[], sizeBytes: number): void
  /** Takes whole pieces in order until about `maxBytes`; a piece longer than that is cut. Empty when none waits. */
  take(maxBytes: number): Uint8Array[]
  clear(): void
}

export function createOutbox(): Outbox {
  return new SlabOutbox()
}

class SlabOutbox implements Outbox {
  readonly #pieces: Uint8Array[] = []
  #first = 0
  #waiting = 0
  #slab: Uint8Array = new Uint8Array(0)
  #runStart = 0 // of what was copied into the slab and is not yet a piece
  #used = 0

  get waitingBytes(): number {
    return this.#waiting
  }

  add(parts: readonly Uint8Array[], sizeBytes: number): void {
    this.#waiting += sizeBytes + headerBytes
    if (sizeBytes <= copyBytes) {
      this.#reserve(headerBytes + sizeBytes)
      this.#writeHeader(sizeBytes)
      for (const part of parts) {
        this.#slab.set(part, this.#used)
        this.#used += part.byteLength
      }
      return
    }
    this.#reserve(headerBytes)
    this.#writeHeader(sizeBytes)
    this.#endRun()
    for (const part of parts) if (part.byteLength > 0) this.#pieces.push(part)
  }

  take(maxBytes: number): Uint8Array[] {
    this.#endRun()
    const taken: Uint8Array[] = []
    let sizeBytes = 0
    while (sizeBytes < maxBytes) {
      const piece = this.#pieces[this.#first]
      if (piece === undefined) break
      const room = maxBytes - sizeBytes
      if (piece.byteLength > room) {
        taken.push(piece.subarray(0, room))
        this.#pieces[this.#first] = piece.subarray(room)
        sizeBytes += room
        break
      }
      taken.push(piece)
      sizeBytes += piece.byteLength
      this.#first++
    }
    this.#dropTaken()
    this.#waiting -= sizeBytes
    return taken
  }

  clear(): void {
    this.#pieces.length = 0
    this.#first = this.#waiting = 0
    this.#runStart = this.#used
  }

  #dropTaken(): void {
    if (this.#first === this.#pieces.length) this.#pieces.length = 0
    else if (this.#first > 256) this.#pieces.splice(0, this.#first)
    else return
    this.#first = 0
  }

  #endRun(): void {
    if (this.#used > this.#runStart) this.#pieces.push(this.#slab.subarray(this.#runStart, this.#used))
    this.#runStart = this.#used
  }

  #reserve(count: number): void {
    if (this.#slab.byteLength - this.#used >= count) return
    this.#endRun()
    // Buffer's own allocator does not clear the memory; all of it is written before it is sent
    this.#slab = Buffer.allocUnsafeSlow(slabBytes)
    this.#runStart = this.#used = 0
  }

  #writeHeader(sizeBytes: number): void {
    const at = this.#used
    this.#slab[at] = sizeBytes >>> 24
    this.#slab[at + 1] = sizeBytes >>> 16
    this.#slab[at + 2] = sizeBytes >>> 8
    this.#slab[at + 3] = sizeBytes
    this.#used += headerBytes
  }
}
