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
  const pieces: Uint8Array[] = []
  let first = 0
  let waiting = 0
  let slab = new Uint8Array(0)
  let runStart = 0
  let used = 0

  const endRun = (): void => {
    if (used > runStart) pieces.push(slab.subarray(runStart, used))
    runStart = used
  }
  const reserve = (count: number): void => {
    if (slab.byteLength - used >= count) return
    endRun()
    // Buffer's own allocator does not clear the memory; all of it is written before it is sent
    slab = Buffer.allocUnsafeSlow(slabBytes)
    runStart = used = 0
  }
  const writeHeader = (sizeBytes: number): void => {
    slab[used] = sizeBytes >>> 24
    slab[used + 1] = sizeBytes >>> 16
    slab[used + 2] = sizeBytes >>> 8
    slab[used + 3] = sizeBytes
    used += headerBytes
  }
  return {
    get waitingBytes() {
      return waiting
    },
    add(parts, sizeBytes) {
      waiting += sizeBytes + headerBytes
      if (sizeBytes <= copyBytes) {
        reserve(headerBytes + sizeBytes)
        writeHeader(sizeBytes)
        for (const part of parts) {
          slab.set(part, used)
          used += part.byteLength
        }
        return
      }
      reserve(headerBytes)
      writeHeader(sizeBytes)
      endRun()
      for (const part of parts) if (part.byteLength > 0) pieces.push(part)
    },
    take(maxBytes) {
      endRun()
      const taken: Uint8Array[] = []
      let sizeBytes = 0
      while (sizeBytes < maxBytes) {
        const piece = pieces[first]
        if (piece === undefined) break
        const room = maxBytes - sizeBytes
        if (piece.byteLength > room) {
          taken.push(piece.subarray(0, room))
          pieces[first] = piece.subarray(room)
          sizeBytes += room
          break
        }
        taken.push(piece)
        sizeBytes += piece.byteLength
        first++
      }
      if (first === pieces.length) {
        pieces.length = 0
        first = 0
      } else if (first > 256) {
        pieces.splice(0, first)
        first = 0
      }
      waiting -= sizeBytes
      return taken
    },
    clear() {
      pieces.length = 0
      first = waiting = 0
      runStart = used
    },
  }
}
