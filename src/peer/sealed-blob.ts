/**
 * How a long clipboard content is sealed: pieces of 1 MiB, each AES-256-GCM under a key for this content alone, so that
 * it can be written, read and checked piece by piece.
 *   sealed = (ciphertext of a piece | tag 16)+          at least one piece, also of an empty content
 *   nonce  = u32 number of the piece, big-endian | u8 1 for the last one, else 0 | 7 zeros
 * A piece that is cut, moved or missing at the end does not open.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { SkeinError } from '../base/errors.ts'

export const pieceBytes = 1024 * 1024
const tagBytes = 16
export const sealedPieceBytes = pieceBytes + tagBytes

export const pieceCount = (sizeBytes: number): number => Math.max(1, Math.ceil(sizeBytes / pieceBytes))
export const sealedLength = (sizeBytes: number): number => sizeBytes + tagBytes * pieceCount(sizeBytes)

/** @returns fresh sealed bytes of one piece. */
export function sealPiece(key: Uint8Array, index: number, isLast: boolean, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(index, isLast))
  const sealed = cipher.update(plain)
  cipher.final()
  return Buffer.concat([sealed, cipher.getAuthTag()])
}

/** @throws `blob.corrupt`. */
export function openPiece(key: Uint8Array, index: number, isLast: boolean, sealed: Uint8Array): Uint8Array {
  const end = sealed.byteLength - tagBytes
  try {
    if (end < 0) throw new RangeError('too short')
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(index, isLast))
    decipher.setAuthTag(sealed.subarray(end))
    const plain = decipher.update(sealed.subarray(0, end))
    decipher.final()
    return plain
  } catch (cause) {
    throw new SkeinError('blob.corrupt', 'this clipboard content is damaged', { cause })
  }
}

function nonceOf(index: number, isLast: boolean): Uint8Array {
  const nonce = new Uint8Array(12)
  new DataView(nonce.buffer).setUint32(0, index)
  nonce[4] = isLast ? 1 : 0
  return nonce
}
