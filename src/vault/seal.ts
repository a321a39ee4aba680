/**
 * Sealing for devices that hold a space without being able to read it. All keys come from one space key by HKDF-SHA256
 * (RFC 5869). A sealed thing is AES-256-GCM under a key of its own:
 *   id     = HMAC-SHA256(ids key, kind || plain)      the same bytes get the same id, and only key holders can tell which
 *   key    = HMAC-SHA256(seal key, id)                one key for one plaintext, so the nonce may be all zeros
 *   sealed = ciphertext || tag 16                     kind and vault are authenticated too
 * Deterministic on purpose: equal bytes are stored once, and a repeated upload writes the same bytes. What the holder
 * learns: how many blocks there are, when they come and go, and the length of records to the next power of two.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto'
import { SkeinError } from '../base/errors.ts'
import { encodeId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'

export const spaceKeyBytes = 32
export const sealedIdBytes = 32
const tagBytes = 16

/** 'block': part of contents, always of one length. 'record': what is known about blocks and documents. */
export type SealedKind = 'block' | 'record'

/** Bytes of content in one block. */
export const blockPlainBytes = limits.vaultBlockBytes - tagBytes
/** Bytes of a record's body at most. */
export const recordBodyBytes = limits.vaultRecordBytes - 4
const leastRecordBytes = 256

export interface Sealed {
  /** 32 bytes. */
  readonly id: Uint8Array
  readonly bytes: Uint8Array
}

export interface Sealer {
  /** What holders know the space by: 26 characters that say nothing. */
  readonly vault: string
  /** @param plain blockPlainBytes at most; padded with zeros to one length. */
  sealBlock(plain: Uint8Array): Sealed
  /** @returns blockPlainBytes. @throws `blob.corrupt`. */
  openBlock(id: Uint8Array, sealed: Uint8Array): Uint8Array
  /** @param body recordBodyBytes at most; padded to a power of two. */
  sealRecord(body: Uint8Array): Sealed
  /** @throws `blob.corrupt`. */
  openRecord(id: Uint8Array, sealed: Uint8Array): Uint8Array
}

/** @param spaceKey 32 bytes of chance; kept by the caller. */
export function createSealer(spaceKey: Uint8Array): Sealer {
  const derive = (purpose: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', spaceKey, new Uint8Array(), `skein/vault/1/${purpose}`, length))
  const vault = encodeId(derive('name', 16))
  const idsKey = derive('ids', 32)
  const sealKey = derive('seal', 32)
  const about = (kind: SealedKind): Uint8Array => new TextEncoder().encode(`skein/vault/1 ${kind} ${vault}`)
  const keyOf = (id: Uint8Array): Uint8Array => createHmac('sha256', sealKey).update(id).digest()
  const nonce = new Uint8Array(12)

  const seal = (kind: SealedKind, plain: Uint8Array): Sealed => {
    const id = new Uint8Array(createHmac('sha256', idsKey).update(about(kind)).update(plain).digest())
    const cipher = createCipheriv('aes-256-gcm', keyOf(id), nonce)
    cipher.setAAD(about(kind))
    const bytes = new Uint8Array(plain.byteLength + tagBytes)
    bytes.set(cipher.update(plain))
    cipher.final()
    bytes.set(cipher.getAuthTag(), plain.byteLength)
    return { id, bytes }
  }
  const open = (kind: SealedKind, id: Uint8Array, sealed: Uint8Array): Uint8Array => {
    if (sealed.byteLength <= tagBytes) throw notWhatWasSealed()
    try {
      const decipher = createDecipheriv('aes-256-gcm', keyOf(id), nonce)
      decipher.setAAD(about(kind))
      decipher.setAuthTag(sealed.subarray(sealed.byteLength - tagBytes))
      const plain = decipher.update(sealed.subarray(0, sealed.byteLength - tagBytes))
      decipher.final()
      return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength)
    } catch (error) {
      throw notWhatWasSealed(error)
    }
  }
  return {
    vault,
    sealBlock: (plain) => seal('block', padded(plain, blockPlainBytes)),
    openBlock(id, sealed) {
      if (sealed.byteLength !== limits.vaultBlockBytes) throw notWhatWasSealed()
      return open('block', id, sealed)
    },
    sealRecord(body) {
      let length = leastRecordBytes
      while (length < body.byteLength + 4) length *= 2
      const plain = new Uint8Array(Math.min(length, limits.vaultRecordBytes))
      if (plain.byteLength < body.byteLength + 4)
        throw new SkeinError('limit.exceeded', `a record of ${body.byteLength} bytes`)
      new DataView(plain.buffer).setUint32(0, body.byteLength)
      plain.set(body, 4)
      return seal('record', plain)
    },
    openRecord(id, sealed) {
      const plain = open('record', id, sealed)
      const length = plain.byteLength < 4 ? -1 : new DataView(plain.buffer, plain.byteOffset).getUint32(0)
      if (length < 0 || length > plain.byteLength - 4) throw notWhatWasSealed()
      return plain.subarray(4, 4 + length)
    },
  }
}

function padded(plain: Uint8Array, length: number): Uint8Array {
  if (plain.byteLength > length)
    throw new SkeinError('limit.exceeded', `a block of ${plain.byteLength} bytes`)
  if (plain.byteLength === length) return plain
  const out = new Uint8Array(length)
  out.set(plain)
  return out
}

const notWhatWasSealed = (cause?: unknown): SkeinError =>
  new SkeinError('blob.corrupt', 'the bytes are not those that were sealed under this id', { cause })
