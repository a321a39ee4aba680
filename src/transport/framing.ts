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
/** What came while nobody took it is held in blocks: one record of TLS. */
const blockBytes = 16 * 1024
/** Blocks kept for the next time: one window of bulk. */
const blocksMax = limits.bulkWindowBytes / blockBytes

export interface Framer {
  /** Bytes that came and were not handed out yet. */
  readonly heldBytes: number
  /** Takes a chunk, whose bytes are its own from the next `keep` on. */
  push(chunk: Uint8Array): void
  /** The chunks belong to somebody else again: what was not taken of them is copied. */
  keep(): void
  /**
   * The next whole message, or undefined until more comes. Valid until the next call, it lies in the one assembly buffer.
   * @throws `limit.exceeded` for a length that is too long.
   */
  next(): Uint8Array | undefined
  /** Forgets everything. */
  clear(): void
}

export function createFramer(maxBytes: number = limits.messageBytes): Framer {
  return new ChunkFramer(maxBytes)
}

class ChunkFramer implements Framer {
  readonly #maxBytes: number
  readonly #chunks: Uint8Array[] = []
  #first = 0 // index of the first chunk not used up
  #offset = 0 // into that chunk
  #kept = 0 // index of the first chunk that is still somebody else's
  readonly #blocks: Uint8Array[] = []
  #held = 0
  #length = -1 // of the message being read, -1 while its header is not complete
  #assembly = new Uint8Array(0)
  #assembled = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get heldBytes(): number {
    return this.#held + this.#assembled + (this.#length >= 0 ? headerBytes : 0)
  }

  push(chunk: Uint8Array): void {
    if (chunk.byteLength === 0) return
    this.#chunks.push(chunk)
    this.#held += chunk.byteLength
  }

  keep(): void {
    for (let index = Math.max(this.#first, this.#kept); index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index]
      if (chunk === undefined) continue
      const isFirst = index === this.#first
      this.#chunks[index] = this.#copy(isFirst ? chunk.subarray(this.#offset) : chunk)
      if (isFirst) this.#offset = 0
    }
    this.#kept = this.#chunks.length
  }

  next(): Uint8Array | undefined {
    if (this.#length < 0) {
      if (this.#held < headerBytes) return undefined
      const announced = this.#readLength()
      if (announced > this.#maxBytes) {
        throw new SkeinError(
          'limit.exceeded',
          `message of ${announced} bytes announced, at most ${this.#maxBytes} allowed`,
        )
      }
      this.#length = announced
    }
    const length = this.#length
    this.#assemble(length)
    if (this.#assembled < length) return undefined
    this.#assembled = 0
    this.#length = -1
    return this.#assembly.subarray(0, length)
  }

  clear(): void {
    this.#chunks.length = 0
    this.#first = this.#offset = this.#kept = this.#held = this.#assembled = 0
    this.#length = -1
    this.#assembly = new Uint8Array(0)
  }

  /** Into a block that is used again, where that is worth it: small pieces would take more than they are. */
  #copy(chunk: Uint8Array): Uint8Array {
    const isWorth = chunk.byteLength > blockBytes / 2 && chunk.byteLength <= blockBytes
    if (!isWorth) return new Uint8Array(chunk)
    const block = this.#blocks.pop() ?? new Uint8Array(blockBytes)
    block.set(chunk)
    return block.subarray(0, chunk.byteLength)
  }

  #readLength(): number {
    let value = 0
    let index = this.#first
    let at = this.#offset
    for (let count = 0; count < headerBytes; count++) {
      let chunk = this.#chunks[index]
      while (chunk !== undefined && at >= chunk.byteLength) {
        at = 0
        chunk = this.#chunks[++index]
      }
      value = value * 256 + (chunk?.[at] ?? 0)
      at++
    }
    this.#skip(headerBytes)
    return value
  }

  /** Moves what there is of the message out of the chunks, so that they are free again. */
  #assemble(length: number): void {
    while (this.#assembled < length && this.#held > 0) {
      const chunk = this.#chunks[this.#first]
      if (chunk === undefined) return
      const count = Math.min(length - this.#assembled, chunk.byteLength - this.#offset)
      this.#grow(this.#assembled + count, length)
      this.#assembly.set(chunk.subarray(this.#offset, this.#offset + count), this.#assembled)
      this.#assembled += count
      this.#skip(count)
    }
  }

  #grow(neededBytes: number, length: number): void {
    if (this.#assembly.byteLength >= neededBytes) return
    const wanted = Math.max(neededBytes, firstAssemblyBytes, this.#assembly.byteLength * 2)
    const larger = new Uint8Array(Math.min(length, wanted))
    larger.set(this.#assembly.subarray(0, this.#assembled))
    this.#assembly = larger
  }

  #skip(count: number): void {
    this.#held -= count
    this.#offset += count
    let chunk = this.#chunks[this.#first]
    while (chunk !== undefined && this.#offset >= chunk.byteLength) {
      this.#offset -= chunk.byteLength
      const isBlock = this.#first < this.#kept && chunk.buffer.byteLength === blockBytes
      if (isBlock && this.#blocks.length < blocksMax) this.#blocks.push(new Uint8Array(chunk.buffer))
      chunk = this.#chunks[++this.#first]
    }
    if (this.#first === this.#chunks.length) {
      this.#chunks.length = 0
      this.#first = this.#kept = 0
    } else if (this.#first > 64) {
      this.#chunks.splice(0, this.#first)
      this.#kept = Math.max(0, this.#kept - this.#first)
      this.#first = 0
    }
  }
}
