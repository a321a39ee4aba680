/**
 * As much of DER (X.690) as a device certificate takes: one-byte tags, definite lengths in their shortest form.
 * Reading is strict and bounded by the bytes given; every value is a view into them.
 */
import { SkeinError } from '../base/errors.ts'

export interface DerValue {
  readonly tag: number
  readonly content: Uint8Array
}

export const derTag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  boolean: 0x01,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  /** [0] and [3], constructed: version and extensions of a certificate. */
  version: 0xa0,
  extensions: 0xa3,
} as const

/** Longest content: a certificate is about 500 bytes, and two length bytes end here. */
const maxBytes = 0xffff

export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, part) => sum + part.byteLength, 0)
  if (length > maxBytes) throw new SkeinError('internal', `DER of ${length} bytes`)
  const lengthBytes =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.of(tag, ...lengthBytes), ...contents])
}

/** All values that lie in `bytes`, one after the other. @throws `codec.invalid` when anything else does. */
export function readDer(bytes: Uint8Array): readonly DerValue[] {
  const values: DerValue[] = []
  for (let offset = 0; offset < bytes.byteLength;) {
    const { value, end } = readOne(bytes, offset)
    values.push(value)
    offset = end
  }
  return values
}

/** The values inside the one value that `bytes` is. @throws `codec.invalid`. */
export function readDerSequence(bytes: Uint8Array): readonly DerValue[] {
  const [only, ...more] = readDer(bytes)
  if (only?.tag !== derTag.sequence || more.length > 0) throw invalid('no sequence')
  return readDer(only.content)
}

function readOne(bytes: Uint8Array, offset: number): { readonly value: DerValue; readonly end: number } {
  const tag = bytes[offset]
  const first = bytes[offset + 1]
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f)
    throw invalid('cut short or of a long tag')
  const { length, start } =
    first < 0x80 ? { length: first, start: offset + 2 } : readLength(bytes, offset + 1)
  const end = start + length
  if (end > bytes.byteLength) throw invalid('longer than what it lies in')
  return { value: { tag, content: bytes.subarray(start, end) }, end }
}

function readLength(bytes: Uint8Array, offset: number): { readonly length: number; readonly start: number } {
  const count = (bytes[offset] ?? 0) & 0x7f
  if (count < 1 || count > 2 || offset + count >= bytes.byteLength) throw invalid('of a length beyond reason')
  const length =
    count === 1 ? (bytes[offset + 1] ?? 0) : ((bytes[offset + 1] ?? 0) << 8) | (bytes[offset + 2] ?? 0)
  if (length < (count === 1 ? 0x80 : 0x100)) throw invalid('of a length in a longer form')
  return { length, start: offset + 1 + count }
}

const invalid = (why: string): SkeinError => new SkeinError('codec.invalid', `DER ${why}`)
