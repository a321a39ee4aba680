/**
 * The key of a space as text that a person keeps: `skein-space-1` and base32 (Crockford, upper case) in groups of four of
 *   key 32 || first 3 bytes of SHA-256("skein/space-key/1" || key)
 * Whoever has it can read the space from any device that holds it sealed: it is printed on demand alone, never logged.
 */
import { createHash } from 'node:crypto'
import { SkeinError } from '../base/errors.ts'
import { spaceKeyBytes } from './seal.ts'

const prefix = 'SKEIN-SPACE-1'
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const checkBytes = 3
const groupLength = 4

/** @param key 32 bytes. */
export function formatRecoveryCode(key: Uint8Array): string {
  const digits = encode32(Uint8Array.from([...key, ...checkOf(key)]))
  const groups = digits.match(new RegExp(`.{1,${groupLength}}`, 'g')) ?? []
  return [prefix, ...groups].join('-')
}

/** Reads it as people type it: any case, spaces, no dashes, O for 0, I and L for 1. @throws `usage`. */
export function parseRecoveryCode(text: string): Uint8Array {
  const plain = text.toUpperCase().replace(/[\s-]/g, '')
  const start = prefix.replaceAll('-', '')
  if (!plain.startsWith(start)) throw wrong('it does not begin with SKEIN-SPACE-1')
  const digits = plain.slice(start.length).replaceAll('O', '0').replace(/[IL]/g, '1')
  const bytes = decode32(digits, spaceKeyBytes + checkBytes)
  if (bytes === undefined) throw wrong('a character is missing, or one too many')
  const key = bytes.subarray(0, spaceKeyBytes)
  if (Buffer.compare(checkOf(key), bytes.subarray(spaceKeyBytes)) !== 0) throw wrong('a character is wrong')
  return key.slice()
}

/** Never with the code itself: it is a secret. */
const wrong = (why: string): SkeinError =>
  new SkeinError('usage', `not a recovery code: ${why}`, {
    fix: 'type it again; case and dashes do not matter',
  })

const checkOf = (key: Uint8Array): Uint8Array =>
  createHash('sha256').update('skein/space-key/1').update(key).digest().subarray(0, checkBytes)

function encode32(bytes: Uint8Array): string {
  let bits = 0
  let value = 0
  let out = ''
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      out += alphabet[(value >>> bits) & 31] ?? ''
    }
    value &= 31
  }
  return bits === 0 ? out : out + (alphabet[(value << (5 - bits)) & 31] ?? '')
}

function decode32(text: string, length: number): Uint8Array | undefined {
  const out: number[] = []
  let bits = 0
  let value = 0
  for (const digit of text) {
    const index = alphabet.indexOf(digit)
    if (index < 0) return undefined
    value = ((value << 5) | index) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      out.push((value >>> bits) & 0xff)
    }
  }
  return out.length === length && (value & ((1 << bits) - 1)) === 0 ? Uint8Array.from(out) : undefined
}
