/**
 * The two forms of a pairing code.
 *
 * Long, for QR and paste: "SKEIN:" and Crockford base32 (upper case: QR alphanumeric mode) of
 *   u8 version 1 | public key 32 | secret 16 | u32 expiry, s since 1970 | u8 count | count x (u8 length, address)
 *   | first 4 bytes of sha256 of all before
 * Short, for typing: NN-XXXX-XX, a public name plate of 2 characters and 30 secret bits. Case, blanks and hyphens do
 * not matter, O reads as 0, I and L as 1. The letter U does not occur.
 */
import { createHash } from 'node:crypto'
import { SkeinError } from '../../base/errors.ts'
import type { PeerId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Random } from '../../base/random.ts'
import { peerIdOf, publicKeyOf } from './device-key.ts'

export interface LongCode {
  readonly peerId: PeerId
  /** 16 bytes, good once. */
  readonly secret: Uint8Array
  /** Wall clock, whole seconds. The host enforces its own window; this only spares a pointless try. */
  readonly expiresMs: number
  readonly addresses: readonly string[]
}

export interface ShortCode {
  /** 2 characters, public: tells which window is meant. */
  readonly plate: string
  /** 6 characters, 30 bits, good for one guess. */
  readonly secret: string
}

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const prefix = 'SKEIN:'
const headBytes = 1 + 32 + 16 + 4 + 1
const checkBytes = 4
const maxAddressBytes = 128
const maxLongCharacters = 2_400

export function newShortCode(random: Random): ShortCode {
  const characters = Array.from(random.bytes(8), (byte) => alphabet[byte & 31] ?? '').join('')
  return { plate: characters.slice(0, 2), secret: characters.slice(2) }
}

export const showShortCode = ({ plate, secret }: ShortCode): string =>
  `${plate}-${secret.slice(0, 4)}-${secret.slice(4)}`

/** @throws `pair.failed` with what to do about it. */
export function parseShortCode(typed: string): ShortCode {
  const characters = normal(typed.slice(0, 64)).replaceAll(/[\s-]/g, '')
  if (!/^[0-9A-HJKMNP-TV-Z]{8}$/.test(characters)) {
    throw new SkeinError('pair.failed', 'this is not a pairing code', {
      fix: 'type the 8 characters shown on the other device, such as K7-4MQX-9D',
    })
  }
  return { plate: characters.slice(0, 2), secret: characters.slice(2) }
}

export function showLongCode(code: LongCode): string {
  const addresses = code.addresses.slice(0, limits.addressesPerPeer).map((address) => Buffer.from(address))
  const fitting = addresses.filter((address) => address.byteLength <= maxAddressBytes)
  const expiry = Buffer.alloc(4)
  expiry.writeUInt32BE(Math.floor(code.expiresMs / 1000))
  const head = [
    Uint8Array.of(1),
    publicKeyOf(code.peerId),
    code.secret,
    expiry,
    Uint8Array.of(fitting.length),
  ]
  const body = Buffer.concat([
    ...head,
    ...fitting.flatMap((address) => [Uint8Array.of(address.byteLength), address]),
  ])
  return prefix + encodeBase32(Buffer.concat([body, checksum(body)]))
}

/** @throws `pair.failed`, `codec.version`. */
export function parseLongCode(pasted: string): LongCode {
  const bad = (why: string): SkeinError =>
    new SkeinError('pair.failed', `the pairing code ${why}`, { fix: 'scan or copy the whole code again' })
  const trimmed = pasted.trim()
  if (trimmed.length > maxLongCharacters || trimmed.slice(0, prefix.length).toUpperCase() !== prefix)
    throw bad('is of another kind')
  const data = decodeBase32(normal(trimmed.slice(prefix.length)).replaceAll(/[\s-]/g, ''))
  if (data === undefined || data.byteLength < headBytes + checkBytes)
    throw bad('is cut short or has a wrong letter')
  const body = data.subarray(0, data.byteLength - checkBytes)
  if (Buffer.compare(checksum(body), data.subarray(body.byteLength)) !== 0) throw bad('has a wrong letter')
  if (body[0] !== 1)
    throw new SkeinError('codec.version', `a pairing code of version ${body[0]}`, {
      fix: 'update Skein on this device',
    })
  const addresses: string[] = []
  let offset = headBytes
  for (let count = body[headBytes - 1] ?? 0; count > 0; count--) {
    const length = body[offset] ?? 0
    const end = offset + 1 + length
    if (addresses.length >= limits.addressesPerPeer || length > maxAddressBytes || end > body.byteLength)
      throw bad('is malformed')
    addresses.push(Buffer.from(body.subarray(offset + 1, end)).toString())
    offset = end
  }
  if (offset !== body.byteLength || addresses.some((address) => !/^\/[\x21-\x7e]+$/.test(address)))
    throw bad('is malformed')
  return {
    peerId: peerIdOf(body.slice(1, 33)),
    secret: body.slice(33, 49),
    expiresMs: Buffer.from(body.slice(49, 53)).readUInt32BE() * 1000,
    addresses,
  }
}

const normal = (typed: string): string => typed.toUpperCase().replaceAll('O', '0').replaceAll(/[IL]/g, '1')

function checksum(body: Uint8Array): Uint8Array {
  return createHash('sha256').update('skein/pairing-code/1\0').update(body).digest().subarray(0, checkBytes)
}

function encodeBase32(data: Uint8Array): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of data) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(held >>> bits) & 31] ?? ''
    }
    held &= (1 << bits) - 1
  }
  return bits === 0 ? text : text + (alphabet[(held << (5 - bits)) & 31] ?? '')
}

/** @returns undefined for a letter outside the alphabet, a length that cannot be, or bits left over. */
function decodeBase32(text: string): Uint8Array | undefined {
  const out = new Uint8Array(Math.floor((text.length * 5) / 8))
  let held = 0
  let bits = 0
  let at = 0
  for (const character of text) {
    const value = alphabet.indexOf(character)
    if (value < 0) return undefined
    held = (held << 5) | value
    bits += 5
    if (bits >= 8) {
      bits -= 8
      out[at++] = held >>> bits
      held &= (1 << bits) - 1
    }
  }
  return bits < 5 && held === 0 ? out : undefined
}
