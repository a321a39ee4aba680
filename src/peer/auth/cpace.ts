/**
 * CPace, the balanced PAKE of the CFRG, over ristretto255 with SHA-512, initiator-responder setting.
 * Follows draft-irtf-cfrg-cpace-21 sections 6, 7, 8.3 and appendix A; its test vectors (B.3) are in the tests.
 * Two sides that hold the same short code get the same key; anybody else learns nothing but whether one guess,
 * the one made in this run, was right. Confirming the key is the caller's part (section 10.4; see pairing-proof.ts). The group arithmetic is that of @noble/curves (audited).
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { ristretto255, ristretto255_hasher } from '@noble/curves/ed25519.js'
import { SkeinError } from '../../base/errors.ts'

const suiteName = ascii('CPaceRistretto255')
const keyName = ascii('CPaceRistretto255_ISK')
/** Input block of SHA-512: the password fills the first one alone, so that hashing it takes the same time. */
const blockBytes = 128
export const shareBytes = 32

export interface CpaceInput {
  /** The password-related string. */
  readonly password: Uint8Array
  /** Who talks to whom: equal on both sides, or the keys differ. */
  readonly channel: Uint8Array
  /** Session id with randomness of both sides. */
  readonly session: Uint8Array
}

export interface CpaceSide {
  /** The public share, 32 bytes. */
  readonly share: Uint8Array
  readonly associated: Uint8Array
}

export interface CpaceRun {
  readonly share: Uint8Array
  /**
   * The intermediate session key, 64 bytes. Initiator's side first, whoever calls.
   * @throws `auth.invalid` when the other share is no valid element, or gives the neutral one.
   */
  finish(initiator: CpaceSide, responder: CpaceSide, theirs: Uint8Array): Uint8Array
}

/** Starts one run. @param randomBytes 32 fresh bytes, used for this run only. */
export function startCpace(input: CpaceInput, randomBytes: Uint8Array): CpaceRun {
  const generator = ristretto255_hasher.deriveToCurve?.(sha512(generatorString(input)))
  if (generator === undefined)
    throw new SkeinError('internal', 'no element derivation in this version of the curves')
  const scalar = scalarOf(randomBytes)
  return {
    share: generator.multiply(scalar).toBytes(),
    finish(initiator, responder, theirs) {
      const secret = multiplyVerified(scalar, theirs)
      const transcript = Buffer.concat([
        lengthValues(initiator.share, initiator.associated),
        lengthValues(responder.share, responder.associated),
      ])
      return sha512(Buffer.concat([lengthValues(keyName, input.session, secret), transcript]))
    },
  }
}

/** Constant time in the content. */
export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && timingSafeEqual(one, other)
}

/** The string whose hash is the generator (appendix A.2). */
export function generatorString({ password, channel, session }: CpaceInput): Uint8Array {
  const head = lengthValue(suiteName).byteLength + lengthValue(password).byteLength
  const padding = new Uint8Array(Math.max(0, blockBytes - 1 - head))
  return lengthValues(suiteName, password, padding, channel, session)
}

/** scalar_mult_vfy: refuses what does not decode and the neutral element. */
export function multiplyVerified(scalar: bigint, encoded: Uint8Array): Uint8Array {
  const invalid = new SkeinError('auth.invalid', 'the other side sent no valid share')
  if (encoded.byteLength !== shareBytes) throw invalid
  let point
  try {
    point = ristretto255.Point.fromBytes(encoded)
  } catch (error) {
    throw new SkeinError('auth.invalid', invalid.message, { cause: error })
  }
  if (point.equals(ristretto255.Point.ZERO)) throw invalid
  const product = point.multiply(scalar)
  if (product.equals(ristretto255.Point.ZERO)) throw invalid
  return product.toBytes()
}

/** Section 8.3: 32 bytes little-endian with the bits above 252 cleared, always below the group order. */
export function scalarOf(randomBytes: Uint8Array): bigint {
  let scalar = 0n
  for (const byte of randomBytes.subarray(0, 32).toReversed()) scalar = (scalar << 8n) | BigInt(byte)
  scalar &= (1n << 252n) - 1n
  if (scalar === 0n) throw new SkeinError('internal', 'the random source returned zeroes')
  return scalar
}

function lengthValues(...values: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(values.map(lengthValue))
}

/** prepend_len: LEB128 length, then the bytes (appendix A.1). */
function lengthValue(value: Uint8Array): Uint8Array {
  const length: number[] = []
  let rest = value.byteLength
  do {
    length.push(rest < 128 ? rest : (rest & 0x7f) | 0x80)
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return Buffer.concat([Uint8Array.from(length), value])
}

function sha512(data: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha512').update(data).digest())
}

function ascii(value: string): Uint8Array {
  return Uint8Array.from(Buffer.from(value, 'latin1'))
}
