/**
 * What a content is made of, so that somebody who holds a similar one fetches only the rest: the hash of every block, as
 * rsync's and zsync's signatures (Tridgell 1996, ch. 3; http://zsync.moria.org.uk). An asker may forge nothing with it: it is
 * of one length for one size of content, and what is put together by it counts only when the hash of the whole says so.
 *
 *   list  = 'SBL1' | block length u32 | size u64 | block*      big endian
 *   block = anchor[8] | hash[16]         its first bytes (zeros behind a shorter one); the first half of its BLAKE3
 *
 * In place of a rolling checksum a block is looked for by its first bytes: nothing has to be summed up for a list, which
 * hashes at 2-5 GB/s so; content-defined chunks were measured at 1.2 GB/s and have to be cut on both sides.
 */
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { hashBytesOf } from './hash.ts'

export const anchorBytes = 8
export const strongBytes = 16
export const entryBytes = anchorBytes + strongBytes
const magic = 0x53_42_4c_31
const headerBytes = 16
const leastBlockBytes = 64 * 1024

export interface BlockList {
  readonly sizeBytes: number
  readonly blockBytes: number
  readonly count: number
  /** `count` times anchor and hash. */
  readonly entries: Uint8Array
}

/** Doubles with the content, so that a list stays below limits.blockListBlocks. Undefined for what is too long to have one. */
export function blockBytesFor(sizeBytes: number): number | undefined {
  let blockBytes = leastBlockBytes
  while (Math.ceil(sizeBytes / blockBytes) > limits.blockListBlocks) blockBytes *= 2
  return blockBytes <= limits.blobRangeBytes ? blockBytes : undefined
}

/** Of a list for a content of this size. */
export function blockListBytes(sizeBytes: number, blockBytes: number): number {
  return headerBytes + Math.ceil(sizeBytes / blockBytes) * entryBytes
}

export interface BlockListBuilder {
  /** The next bytes: whole blocks, but for the last call. */
  update(bytes: Uint8Array): void
  /** @returns the encoded list. @throws `file.changed` when it was not as much as announced. */
  finish(): Uint8Array<ArrayBuffer>
}

/** @returns undefined for a content that is too long. */
export function createBlockListBuilder(sizeBytes: number): BlockListBuilder | undefined {
  const blockBytes = blockBytesFor(sizeBytes)
  if (blockBytes === undefined) return undefined
  const list = new Uint8Array(blockListBytes(sizeBytes, blockBytes))
  const view = new DataView(list.buffer)
  view.setUint32(0, magic)
  view.setUint32(4, blockBytes)
  view.setBigUint64(8, BigInt(sizeBytes))
  let at = headerBytes
  let done = 0
  return {
    update(bytes) {
      for (let from = 0; from < bytes.byteLength; from += blockBytes) {
        const block = bytes.subarray(from, from + blockBytes)
        if (at + entryBytes > list.byteLength) throw grown()
        list.set(block.subarray(0, anchorBytes), at)
        list.set(hashBytesOf(block).subarray(0, strongBytes), at + anchorBytes)
        at += entryBytes
        done += block.byteLength
      }
    },
    finish() {
      if (done !== sizeBytes) throw grown()
      return list
    },
  }
}

const grown = (): SkeinError => new SkeinError('file.changed', 'the content changed while it was listed')

/** @param sizeBytes what the record says. @throws `codec.invalid` for anything but a list of exactly that. */
export function decodeBlockList(bytes: Uint8Array, sizeBytes: number): BlockList {
  const refuse = (why: string): never => {
    throw new SkeinError('codec.invalid', `block list refused: ${why}`)
  }
  const blockBytes = blockBytesFor(sizeBytes)
  if (blockBytes === undefined || bytes.byteLength < headerBytes) return refuse('too short')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0) !== magic) return refuse('no such format')
  if (view.getUint32(4) !== blockBytes) return refuse('blocks of another length')
  if (view.getBigUint64(8) !== BigInt(sizeBytes)) return refuse('for a content of another size')
  if (bytes.byteLength !== blockListBytes(sizeBytes, blockBytes)) return refuse('cut short or too long')
  const entries = bytes.subarray(headerBytes)
  return { sizeBytes, blockBytes, count: entries.byteLength / entryBytes, entries }
}

/** Whether this is the block of that number. @param bytes as long as the block. */
export function isBlockOf({ entries }: BlockList, index: number, bytes: Uint8Array): boolean {
  const at = index * entryBytes
  for (let byte = 0; byte < Math.min(anchorBytes, bytes.byteLength); byte++) {
    if (entries[at + byte] !== bytes[byte]) return false
  }
  const strong = hashBytesOf(bytes)
  for (let byte = 0; byte < strongBytes; byte++) {
    if (entries[at + anchorBytes + byte] !== strong[byte]) return false
  }
  return true
}
