/**
 * Pairing messages before the keys are proved. Exactly one byte form each: canonical CBOR of these fields and no
 * others, so that there is nothing in a message to vary. Protocol /skein/pair/1; an unknown version is refused.
 */
import type { Validator } from '../../base/codec.ts'
import {
  bytes,
  decodeCanonical,
  encodeCanonical,
  integer,
  object,
  oneOf,
  optional,
  text,
  variants,
} from '../../base/codec.ts'
import { SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'

export type PairingMessage =
  | {
      readonly t: 'hello'
      readonly v: number
      readonly method: 'secret' | 'code' | 'compare'
      /** Which code is meant: the handle of a secret (8 bytes) or the name plate (2); absent in compare. */
      readonly code: Uint8Array | undefined
      /** The joiner's nonce; in compare the commitment to it. */
      readonly nonce: Uint8Array
    }
  | { readonly t: 'reply'; readonly nonce: Uint8Array }
  | { readonly t: 'share'; readonly share: Uint8Array }
  | { readonly t: 'reveal'; readonly nonce: Uint8Array }
  | { readonly t: 'proof'; readonly tag: Uint8Array }
  | { readonly t: 'agree' }

const b32 = bytes(32, 32)
const t = text(8)
const message: Validator<PairingMessage> = variants<PairingMessage>('t', {
  hello: object({
    t: oneOf('hello'),
    v: integer(Number.MAX_SAFE_INTEGER),
    method: oneOf('secret', 'code', 'compare'),
    code: optional(bytes(8, 2)),
    nonce: b32,
  }),
  reply: object({ t: oneOf('reply'), nonce: b32 }),
  share: object({ t: oneOf('share'), share: b32 }),
  reveal: object({ t: oneOf('reveal'), nonce: b32 }),
  proof: object({ t: oneOf('proof'), tag: b32 }),
  agree: object({ t: oneOf('agree') }),
})
const versioned = object({ t, v: optional(integer(Number.MAX_SAFE_INTEGER)) })

export function encodePairingMessage(value: PairingMessage): Uint8Array {
  return encodeCanonical(Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)))
}

/** @throws `codec.invalid`, `codec.version`, `limit.exceeded`. */
export function decodePairingMessage(wire: Uint8Array): PairingMessage {
  const { t: kind, v } = decodeCanonical(wire, versioned, limits.pairMessageBytes)
  if (kind === 'hello' && v !== 1) {
    throw new SkeinError('codec.version', `a pairing of version ${v ?? 'unknown'}`, {
      fix: 'update Skein on both devices',
    })
  }
  const value = decodeCanonical(wire, message, limits.pairMessageBytes)
  if (Buffer.compare(encodePairingMessage(value), wire) !== 0) {
    throw new SkeinError('codec.invalid', 'a pairing message in another than its one form')
  }
  return value
}
