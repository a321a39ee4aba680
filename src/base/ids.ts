/** Branded identifiers, and their one text form. */
import type { Random } from './random.ts'

declare const brand: unique symbol
type Branded<T, B extends string> = T & { readonly [brand]: B }

/** Stable name of a device, 128 random bits as 26 characters; survives key rotation. */
export type DeviceId = Branded<string, 'DeviceId'>
/** libp2p PeerId of an Ed25519 key in base58 (`12D3KooW...`). Changes when the key is rotated. */
export type PeerId = Branded<string, 'PeerId'>
/** Hash of the founding roster statement: 64 hex characters. */
export type MeshId = Branded<string, 'MeshId'>
/** A shared folder, 128 random bits as 26 characters. */
export type SpaceId = Branded<string, 'SpaceId'>

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz' // Crockford base32, lower case: no i, l, o, u
const idPattern = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/
const peerIdPattern = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/

/** 128 bits as 26 Crockford base32 characters, most significant first. */
export function encodeId(bytes: Uint8Array): string {
  let value = 0n
  for (const byte of bytes.subarray(0, 16)) value = (value << 8n) | BigInt(byte)
  let text = ''
  for (let index = 0; index < 26; index++) {
    text = (alphabet[Number(value & 31n)] ?? '') + text
    value >>= 5n
  }
  return text
}

export const isId = (text: string): boolean => idPattern.test(text)
export const isPeerId = (text: string): text is PeerId => peerIdPattern.test(text)
export const isDeviceId = (text: string): text is DeviceId => isId(text)
export const isSpaceId = (text: string): text is SpaceId => isId(text)
export const isMeshId = (text: string): text is MeshId => /^[0-9a-f]{64}$/.test(text)

// because: a fresh id in the right form is what the brand means
export const newDeviceId = (random: Random): DeviceId => encodeId(random.bytes(16)) as DeviceId
// because: as above
export const newSpaceId = (random: Random): SpaceId => encodeId(random.bytes(16)) as SpaceId
