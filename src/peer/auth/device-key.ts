/**
 * The Ed25519 key of a device: PeerId text, signatures under a purpose, raw public keys to node:crypto and back.
 * node:crypto does the arithmetic (15k signatures/s, 8k verifications/s on one core; noble is ten times slower).
 * Signed bytes are `skein/<purpose>/1`, a zero byte, then the message: a signature made for one purpose never
 * verifies for another, and no purpose is a prefix of another one.
 */
import type { KeyObject } from 'node:crypto'
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  sign as signRaw,
  verify as verifyRaw,
} from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { SkeinError } from '../../base/errors.ts'
import type { DeviceId, PeerId } from '../../base/ids.ts'
import { encodeId, isPeerId } from '../../base/ids.ts'

/** What a device key may sign. A new use gets a new purpose, never a shared one. */
export type SignPurpose =
  | 'statement'
  | 'rotation'
  | 'audit-head'
  | 'mesh-key'
  | 'clipboard-key'
  | 'update'
  | 'envelope'

export interface DeviceKey {
  readonly peerId: PeerId
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The private half for node:crypto and jose. */
  readonly privateKey: KeyObject
  /** The raw 32-byte seed, for the transport's own key objects. Fresh copy; never logged or sent. */
  seed(): Uint8Array
  /** 64 bytes. */
  sign(purpose: SignPurpose, message: Uint8Array): Uint8Array
}

export const seedBytes = 32
export const publicKeyBytes = 32
export const signatureBytes = 64

// RFC 8410: the fixed DER head of a raw Ed25519 private seed and of a raw public key
const privateHead = Buffer.from('302e020100300506032b657004220420', 'hex')
const publicHead = Buffer.from('302a300506032b6570032100', 'hex')
// libp2p: identity multihash (0x00, length 36) of the protobuf {type: Ed25519, data: 32 bytes}
const peerIdHead = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

/** @param seed exactly 32 bytes from a system Random. */
export function createDeviceKey(seed: Uint8Array): DeviceKey {
  if (seed.byteLength !== seedBytes) throw new SkeinError('codec.invalid', 'a device key seed is 32 bytes')
  const held = Uint8Array.from(seed)
  const privateKey = createPrivateKey({
    key: Buffer.concat([privateHead, held]),
    format: 'der',
    type: 'pkcs8',
  })
  const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const publicKey = Uint8Array.from(der.subarray(publicHead.byteLength))
  return {
    peerId: peerIdOf(publicKey),
    publicKey,
    privateKey,
    seed: () => Uint8Array.from(held),
    sign: (purpose, message) => Uint8Array.from(signRaw(null, signedBytes(purpose, message), privateKey)),
  }
}

/** True when `signature` is by the raw public key over this purpose and message. Bad keys and lengths are false. */
export function verifySignature(
  publicKey: Uint8Array,
  purpose: SignPurpose,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.byteLength !== signatureBytes) return false
  const key = importPublicKey(publicKey)
  return key !== undefined && verifyRaw(null, signedBytes(purpose, message), key, signature)
}

const imported = new Map<string, KeyObject | undefined>()
const importedKept = 1024

/**
 * A raw public key for node:crypto; undefined for bytes that are no point of the curve or one of small order,
 * under which a signature could verify for many messages. Remembers the last 1,024 keys.
 */
export function importPublicKey(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.byteLength !== publicKeyBytes) return undefined
  const name = Buffer.from(publicKey).toString('latin1')
  if (imported.has(name)) return imported.get(name)
  const key = isSoundPoint(publicKey)
    ? createPublicKey({ key: Buffer.concat([publicHead, publicKey]), format: 'der', type: 'spki' })
    : undefined
  if (imported.size >= importedKept) {
    const oldest = imported.keys().next().value
    if (oldest !== undefined) imported.delete(oldest)
  }
  imported.set(name, key)
  return key
}

function isSoundPoint(publicKey: Uint8Array): boolean {
  try {
    return !ed25519.Point.fromBytes(publicKey).isSmallOrder()
  } catch (error) {
    // because: noble reports "not a point" only by throwing, and that is the expected outcome here
    if (error instanceof Error) return false
    throw error
  }
}

/** @param publicKey 32 bytes. */
export function peerIdOf(publicKey: Uint8Array): PeerId {
  const bytes = new Uint8Array(peerIdHead.byteLength + publicKeyBytes)
  bytes.set(peerIdHead)
  bytes.set(publicKey, peerIdHead.byteLength)
  // because: base58 of this head and 32 bytes is the one text form of an Ed25519 PeerId
  return toString(bytes, 'base58btc') as PeerId
}

/** The 32 bytes of public key that an Ed25519 PeerId carries. @throws `codec.invalid`. */
export function publicKeyOf(peerId: PeerId): Uint8Array {
  const bytes = isPeerId(peerId) ? fromString(peerId, 'base58btc') : new Uint8Array()
  const isOurs = bytes.byteLength === peerIdHead.byteLength + publicKeyBytes
  if (!isOurs || peerIdHead.some((byte, index) => bytes[index] !== byte)) {
    throw new SkeinError('codec.invalid', 'not the PeerId of an Ed25519 key')
  }
  return Uint8Array.from(bytes.subarray(peerIdHead.byteLength))
}

/**
 * The stable name of a device: 128 bits of a hash of its first public key. It survives rotation, and because it
 * is bound to a key nobody can admit a second key under the name of another device.
 */
export function deviceIdOf(firstPublicKey: Uint8Array): DeviceId {
  const hash = createHash('sha256').update('skein/device/1\0').update(firstPublicKey).digest()
  // because: 128 bits in the form of an id are what the brand means
  return encodeId(hash) as DeviceId
}

function signedBytes(purpose: SignPurpose, message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`skein/${purpose}/1\0`, 'latin1'), message])
}
