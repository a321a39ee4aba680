/**
 * One record of the clipboard as it lies in its document, version 1; integers are big-endian:
 *   record  = u8 1 | id 16 | lamport u48 | key id 8 | nonce 12 | sealed payload | tag 16
 *   payload = u32 length | CBOR of the item (clipboard-item.ts) | zeros up to a multiple of 128
 * What may be seen without the key says when, relative to the others, and about how long. The head and the device whose
 * list holds the record are authenticated with the payload, so that a record moved elsewhere does not open.
 */
import { SkeinError } from '../base/errors.ts'
import { encodeId, type DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { lamportMax } from './version-vector.ts'

export interface RecordHead {
  /** 26 characters. */
  readonly id: string
  readonly lamport: number
  /** 16 hex digits: which key opens it. */
  readonly keyId: string
}

export interface ParsedRecord extends RecordHead {
  /** What the seal covers beside the payload. */
  readonly authenticated: Uint8Array
  /** Nonce, sealed payload and tag, as a SealingKey made it. */
  readonly sealed: Uint8Array
}

export const idBytes = 16
export const keyIdBytes = 8
const headBytes = 1 + idBytes + 6 + keyIdBytes
const nonceAndTagBytes = 28
/** Lengths tell less when they come in steps. */
const paddingStep = 128

/** The head of a record. @param id 16 bytes, @param keyId 8 bytes. */
export function formatHead(id: Uint8Array, lamport: number, keyId: Uint8Array): Uint8Array {
  const head = new Uint8Array(headBytes)
  const view = new DataView(head.buffer)
  head[0] = 1
  head.set(id, 1)
  view.setUint16(1 + idBytes, Math.floor(lamport / 2 ** 32))
  view.setUint32(3 + idBytes, lamport >>> 0)
  head.set(keyId, headBytes - keyIdBytes)
  return head
}

/** What is authenticated: the head, and in whose list the record stands. */
export function authenticatedBy(head: Uint8Array, device: DeviceId): Uint8Array {
  return joinBytes(head, new TextEncoder().encode(device))
}

export const formatRecord = (head: Uint8Array, sealed: Uint8Array): Uint8Array => joinBytes(head, sealed)

/** @param bytes of any origin. @returns undefined when it is no record of this version. */
export function parseRecord(bytes: Uint8Array, device: DeviceId): ParsedRecord | undefined {
  if (bytes[0] !== 1 || bytes.byteLength < headBytes + nonceAndTagBytes) return undefined
  if (bytes.byteLength > limits.clipboardRecordBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const lamport = view.getUint16(1 + idBytes) * 2 ** 32 + view.getUint32(3 + idBytes)
  if (lamport > lamportMax) return undefined
  const head = bytes.subarray(0, headBytes)
  return {
    id: encodeId(bytes.subarray(1, 1 + idBytes)),
    lamport,
    keyId: toHex(bytes.subarray(headBytes - keyIdBytes, headBytes)),
    authenticated: authenticatedBy(head, device),
    sealed: bytes.subarray(headBytes),
  }
}

/** @returns the payload with its length and padding. @throws `limit.exceeded`. */
export function padPayload(payload: Uint8Array): Uint8Array {
  const lengthBytes = Math.ceil((payload.byteLength + 4) / paddingStep) * paddingStep
  if (lengthBytes + headBytes + nonceAndTagBytes > limits.clipboardRecordBytes)
    throw new SkeinError('limit.exceeded', 'a clipboard item too long for its record')
  const padded = new Uint8Array(lengthBytes)
  new DataView(padded.buffer).setUint32(0, payload.byteLength)
  padded.set(payload, 4)
  return padded
}

/** @throws `codec.invalid`. */
export function unpadPayload(padded: Uint8Array): Uint8Array {
  const length =
    padded.byteLength < 4
      ? -1
      : new DataView(padded.buffer, padded.byteOffset, padded.byteLength).getUint32(0)
  if (length < 0 || length > padded.byteLength - 4)
    throw new SkeinError('codec.invalid', 'a payload cut short')
  return padded.subarray(4, 4 + length)
}

export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

function joinBytes(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.byteLength + second.byteLength)
  whole.set(first)
  whole.set(second, first.byteLength)
  return whole
}
