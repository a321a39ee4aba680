/**
 * Messages on a byte stream. Wire, after the one status byte of the acceptor (see stream-channel.ts):
 *   message = u32 length (big endian) | length bytes        length <= limits.messageBytes
 * A length is checked before anything is allocated for it, and memory grows only with bytes that really came.
 * Pull style: bytes are pushed as they arrive, a message is taken only when somebody is ready for it.
 */
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'

export const headerBytes = 4

/** First size of the assembly buffer; it doubles as bytes arrive, so that a bare header costs a peer nothing less. */
const firstAssemblyBytes = 64 * 1024

export interface Framer {
  /** Bytes that came and were not handed out yet. */
  readonly heldBytes: number
  /** Takes over a chunk. */
  push(chunk: Uint8Array): void
  /**
   * The next whole message, or undefined until more comes. Valid until the next call: it may be a view of a pushed
   * chunk or of the one assembly buffer. @throws `limit.exceeded` for a length that is too long.
   */
  next(): Uint8Array | undefined
  /** Forgets everything. */
  clear(): void
}

export function createFramer(maxBytes: number = limits.messageBytes): Framer {
  const chunks: Uint8Array[] = []
  let first = 0 // index of the first chunk not used up
  let offset = 0 // into that chunk
  let held = 0
  let length = -1 // of the message being read, -1 while its header is not complete
  let assembly = new Uint8Array(0)
  let assembled = 0

  const dropUsed = (): void => {
    if (first === chunks.length) {
      chunks.length = 0
      first = 0
    } else if (first > 64) {
      chunks.splice(0, first)
      first = 0
    }
  }
  const skip = (count: number): void => {
    held -= count
    offset += count
    for (
      let chunk = chunks[first];
      chunk !== undefined && offset >= chunk.byteLength;
      chunk = chunks[first]
    ) {
      offset -= chunk.byteLength
      first++
    }
    dropUsed()
  }
  const readLength = (): number => {
    let value = 0
    let index = first
    let at = offset
    for (let count = 0; count < headerBytes; count++) {
      let chunk = chunks[index]
      while (chunk !== undefined && at >= chunk.byteLength) {
        at = 0
        chunk = chunks[++index]
      }
      value = value * 256 + (chunk?.[at] ?? 0)
      at++
    }
    skip(headerBytes)
    return value
  }
  const grow = (neededBytes: number): void => {
    if (assembly.byteLength >= neededBytes) return
    const size = Math.min(length, Math.max(neededBytes, firstAssemblyBytes, assembly.byteLength * 2))
    const larger = new Uint8Array(size)
    larger.set(assembly.subarray(0, assembled))
    assembly = larger
  }
  /** Moves what there is of the message out of the chunks, so that they are free again. */
  const assemble = (): void => {
    while (assembled < length && held > 0) {
      const chunk = chunks[first]
      if (chunk === undefined) return
      const part = chunk.subarray(offset, offset + Math.min(length - assembled, chunk.byteLength - offset))
      grow(assembled + part.byteLength)
      assembly.set(part, assembled)
      assembled += part.byteLength
      skip(part.byteLength)
    }
  }
  return {
    get heldBytes() {
      return held + assembled + (length >= 0 ? headerBytes : 0)
    },
    push(chunk) {
      if (chunk.byteLength === 0) return
      chunks.push(chunk)
      held += chunk.byteLength
    },
    next() {
      if (length < 0) {
        if (held < headerBytes) return undefined
        const announced = readLength()
        if (announced > maxBytes) {
          throw new SkeinError(
            'limit.exceeded',
            `message of ${announced} bytes announced, at most ${maxBytes} allowed`,
          )
        }
        length = announced
      }
      const chunk = chunks[first]
      let message: Uint8Array
      if (assembled === 0 && chunk !== undefined && chunk.byteLength - offset >= length) {
        // A plain Uint8Array, never a Buffer: `slice` must copy for those who keep a message
        message = new Uint8Array(chunk.buffer, chunk.byteOffset + offset, length)
        if (length > 0) skip(length)
      } else {
        assemble()
        if (assembled < length) return undefined
        message = assembly.subarray(0, length)
        assembled = 0
      }
      length = -1
      return message
    },
    clear() {
      chunks.length = 0
      first = offset = held = assembled = 0
      length = -1
      assembly = new Uint8Array(0)
    },
  }
}
