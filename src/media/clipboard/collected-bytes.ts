/**
 * Bytes that come in parts, in one buffer: the parts can be let go of at once. What was announced as the whole is
 * allocated at the start, within bounds; more is taken in anyway.
 */
export interface CollectedBytes {
  add(part: Uint8Array): void
  /** All that was added; nothing may be added afterwards. */
  finish(): Uint8Array
}

/** @param expectedBytes somebody else's word. @param maxBytes more is not allocated for a mere announcement. */
export function collectBytes(expectedBytes: number, maxBytes: number): CollectedBytes {
  let buffer = new Uint8Array(Math.min(expectedBytes, maxBytes))
  let length = 0
  return {
    add(part) {
      const needed = length + part.byteLength
      if (needed > buffer.byteLength) {
        const larger = new Uint8Array(Math.max(needed, buffer.byteLength * 2))
        larger.set(buffer.subarray(0, length))
        buffer = larger
      }
      buffer.set(part, length)
      length = needed
    },
    finish: () => (length === buffer.byteLength ? buffer : buffer.slice(0, length)),
  }
}
