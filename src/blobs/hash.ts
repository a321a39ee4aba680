/**
 * Names of contents: BLAKE3-256 (https://github.com/BLAKE3-team/BLAKE3-specs), as 43 characters of base64url in records,
 * keys and APIs, as 32 bytes on the wire.
 */
import { Blake3Hasher, blake3 } from '@napi-rs/blake-hash'

declare const brand: unique symbol
/** BLAKE3-256 of some content, 43 characters of base64url without padding. */
export type BlobHash = string & { readonly [brand]: 'BlobHash' }

export const hashBytes = 32
const pattern = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

export const isBlobHash = (text: string): text is BlobHash => pattern.test(text)

/** @param bytes exactly 32. */
export function hashToText(bytes: Uint8Array): BlobHash {
  // because: 32 bytes in base64url are the brand's definition
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url') as BlobHash
}

/** @returns 32 fresh bytes. */
export const hashFromText = (hash: BlobHash): Uint8Array => Buffer.from(hash, 'base64url')

/** @returns 32 fresh bytes. */
export const hashBytesOf = (content: Uint8Array): Uint8Array => blake3(content)

export const hashOf = (content: Uint8Array): BlobHash => hashToText(blake3(content))

/** Hashes content in pieces. */
export interface BlobHasher {
  update(bytes: Uint8Array): void
  digest(): BlobHash
}

export function createBlobHasher(): BlobHasher {
  const hasher = new Blake3Hasher()
  return {
    update: (bytes) => void hasher.update(bytes),
    digest: () => hashToText(hasher.digestBuffer()),
  }
}
