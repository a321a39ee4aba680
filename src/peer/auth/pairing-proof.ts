/**
 * The cryptography of pairing, without its order (pairing-machine.ts) or its network (pairing.ts).
 *
 * Transcript: t0 = H("skein/pair/1", host PeerId, joiner PeerId); t = H(t, sender, message) for each message as sent.
 * Everything proved is proved over the transcript, so it holds for these two keys, in this order, once:
 *   secret   input key = the 128-bit secret of the long code
 *   code     input key = CPace(short code, channel = t0, session = both nonces, associated data = t)
 *   compare  six digits of H(both PeerIds, both nonces), where the joiner committed to its nonce first: neither side,
 *            nor anyone between, can steer them. They depend on nothing else, so nothing else can be ground.
 * keys = HKDF-SHA256(input key, salt t, info method) = confirm 32 | seal joiner to host 32 | seal host to joiner 32.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto'
import { SkeinError } from '../../base/errors.ts'
import type { PeerId } from '../../base/ids.ts'

export type PairingMethod = 'secret' | 'code' | 'compare'
export type PairingSide = 'joiner' | 'host'

/** 32 bytes standing for everything said so far. */
export type Transcript = Uint8Array

export interface PairingKeys {
  readonly confirm: Uint8Array
  readonly sealJoiner: Uint8Array
  readonly sealHost: Uint8Array
}

const label = 'skein/pair/1'

export const startTranscript = (host: PeerId, joiner: PeerId): Transcript =>
  hash('transcript', Buffer.from(host), Buffer.from(joiner))

export const extendTranscript = (
  transcript: Transcript,
  sender: PairingSide,
  message: Uint8Array,
): Transcript => hash('message', transcript, Buffer.from(sender), message)

/** Public name of a long-code secret: tells the host which code is meant, and a stranger nothing. 8 bytes. */
export const handleOf = (secret: Uint8Array): Uint8Array => hash('handle', secret).subarray(0, 8)

/** The joiner's promise of its nonce in `compare`. */
export const commitmentTo = (host: PeerId, joiner: PeerId, nonce: Uint8Array): Uint8Array =>
  hash('commitment', Buffer.from(host), Buffer.from(joiner), nonce)

/** Six decimal digits for two screens. */
export function comparisonDigits(
  peers: { readonly host: PeerId; readonly joiner: PeerId },
  joinerNonce: Uint8Array,
  hostNonce: Uint8Array,
): string {
  const value = hash('digits', Buffer.from(peers.host), Buffer.from(peers.joiner), joinerNonce, hostNonce)
  // 64 bits modulo 10^6: the bias is below 10^-13
  return (Buffer.from(value).readBigUInt64BE() % 1_000_000n).toString().padStart(6, '0')
}

export function derivePairingKeys(
  inputKey: Uint8Array,
  transcript: Transcript,
  method: PairingMethod,
): PairingKeys {
  const bytes = new Uint8Array(hkdfSync('sha256', inputKey, transcript, `${label} ${method}`, 96))
  return { confirm: bytes.slice(0, 32), sealJoiner: bytes.slice(32, 64), sealHost: bytes.slice(64, 96) }
}

/** Shows that `side` holds the keys and saw the same transcript. 32 bytes. */
export function proofTag(keys: PairingKeys, side: PairingSide, transcript: Transcript): Uint8Array {
  return Uint8Array.from(
    createHmac('sha256', keys.confirm)
      .update(frame('proof', Buffer.from(side), transcript))
      .digest(),
  )
}

export interface Sealer {
  seal(plain: Uint8Array): Uint8Array
}

export interface Opener {
  /** @throws `auth.invalid` for anything but the next message the other side sealed. */
  open(sealed: Uint8Array): Uint8Array
}

const tagBytes = 16

/** AES-256-GCM with a counter as nonce: each message once, in order. The key is fresh per pairing and direction. */
export function createSealer(key: Uint8Array): Sealer {
  let count = 0
  return {
    seal(plain) {
      const cipher = createCipheriv('aes-256-gcm', key, nonceOf(count++))
      cipher.setAAD(Buffer.from(label))
      return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
  }
}

export function createOpener(key: Uint8Array): Opener {
  let count = 0
  return {
    open(sealed) {
      const end = sealed.byteLength - tagBytes
      if (end < 0) throw new SkeinError('auth.invalid', 'a sealed pairing message is too short')
      const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(count++), { authTagLength: tagBytes })
      decipher.setAAD(Buffer.from(label))
      decipher.setAuthTag(sealed.subarray(end))
      try {
        return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()])
      } catch (error) {
        throw new SkeinError('auth.invalid', 'a sealed pairing message does not open', { cause: error })
      }
    },
  }
}

function nonceOf(count: number): Uint8Array {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(count, 8)
  return nonce
}

function hash(purpose: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(
    createHash('sha256')
      .update(frame(purpose, ...parts))
      .digest(),
  )
}

/** Lengths before contents: no two lists of parts give the same bytes. */
function frame(purpose: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const framed = [Buffer.from(`${label} ${purpose}\0`), ...parts].map((part, index) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(part.byteLength)
    return index === 0 ? part : Buffer.concat([length, part])
  })
  return Buffer.concat(framed)
}
