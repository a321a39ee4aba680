/**
 * Texts of rows as bytes. Rows are made by the hundred thousand and live until their batch is written: a buffer for each of
 * them costs more time than the text, and leaves the heap of the process in pieces (50 MB that nobody could give back,
 * after 100,000 files). So they lie in common buffers, which go with the last of them.
 */
const encoder = new TextEncoder()
const slabBytes = 64 * 1024
/** A UTF-16 unit takes this much at most. */
const unitBytes = 3

let slab = new Uint8Array(0)
let used = 0

/** @returns bytes that lie among those of other rows: to be written or copied, not to be kept. */
export function encodeRowText(text: string): Uint8Array {
  const mostBytes = text.length * unitBytes
  if (mostBytes > slabBytes / 8) return encoder.encode(text)
  if (used + mostBytes > slab.byteLength) {
    slab = new Uint8Array(slabBytes)
    used = 0
  }
  const { written } = encoder.encodeInto(text, slab.subarray(used))
  used += written
  return slab.subarray(used - written, used)
}
