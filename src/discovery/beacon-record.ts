/**
 * The sealed record by which devices of one mesh meet, inside ordinary mDNS packets (RFC 6762). Version 1:
 *   query   question PTR `_<label>._udp.local`, answer TXT        "here I am, and who is there?"
 *   notice  answers PTR `_<label>._udp.local` and TXT             "here I am" (or, with `b`, "I am leaving")
 *   TXT     `me._<label>._udp.local`: strings that together are   nonce (12) | ciphertext (768) | tag (16)
 *   inside  AES-256-GCM under HKDF-SHA256(mesh key, "skein/beacon/1"): u16 length, CBOR {d, p, a, i, s, b}, zeros
 * The label is random and changes with the network, and members recognise each other by trial decryption only. A
 * label made from key and day was rejected: it would let an observer link a person's devices and places for that
 * day, and devices whose clocks are days apart would not meet. All records have one length; strangers see random
 * bytes. Records are hints: a replayed one is ignored or costs a failed dial, since dials pin the identity.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import {
  array,
  bytes,
  decode,
  encode,
  integer,
  object,
  optional,
  boolean,
  text,
  textOf,
} from '../base/codec.ts'
import { isDeviceId, isPeerId, type DeviceId, type PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import { encodePacket, type MdnsPacket } from './mdns-packet.ts'

export interface Announcement {
  readonly deviceId: DeviceId
  readonly peerId: PeerId
  /** Multiaddr texts without /p2p, of the interface it is sent on; unchecked beyond their length. */
  readonly addresses: readonly string[]
  /** 8 random bytes of the sender's run on one interface. */
  readonly incarnation: Uint8Array
  /** Grows by one with each packet of an incarnation. */
  readonly sequence: number
  readonly isLeaving: boolean
}

/** Keys derived from the mesh keys, current first. */
export type BeaconKeys = readonly KeyObject[]

export const incarnationBytes = 8
const nonceBytes = 12
const tagBytes = 16
const plainBytes = 768
const sealedBytes = nonceBytes + plainBytes + tagBytes
const txtStringBytes = 255
const keyBytes = 32
const ttlSeconds = 30
const keyInfo = 'skein/beacon/1'

const validate = object({
  d: textOf(isDeviceId, 'a device id'),
  p: textOf(isPeerId, 'a peer id'),
  a: array(text(limits.addressBytes), limits.addressesPerPeer),
  i: bytes(incarnationBytes, incarnationBytes),
  s: integer(),
  b: optional(boolean),
})

/** @param meshKeys 32 bytes each; those beyond limits.beaconKeys and of another length are left out. */
export function deriveBeaconKeys(meshKeys: readonly Uint8Array[]): BeaconKeys {
  return meshKeys
    .filter(({ byteLength }) => byteLength === keyBytes)
    .slice(0, limits.beaconKeys)
    .map((key) =>
      createSecretKey(new Uint8Array(hkdfSync('sha256', key, new Uint8Array(), keyInfo, keyBytes))),
    )
}

/** Addresses that do not fit are left out, last first. @returns exactly 796 bytes. */
export function sealAnnouncement(announcement: Announcement, key: KeyObject, random: Random): Uint8Array {
  const plain = Buffer.alloc(plainBytes)
  for (let count = announcement.addresses.length; count >= 0; count--) {
    const body = encode({
      d: announcement.deviceId,
      p: announcement.peerId,
      a: announcement.addresses.slice(0, count),
      i: announcement.incarnation,
      s: announcement.sequence,
      b: announcement.isLeaving,
    })
    if (body.byteLength > plainBytes - 2) continue
    plain.writeUInt16BE(body.byteLength)
    plain.set(body, 2)
    break
  }
  const nonce = random.bytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  return new Uint8Array(Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]))
}

/** @returns undefined unless one of the keys opens it and what is inside is right. Never throws. */
export function openAnnouncement(sealed: Uint8Array, keys: BeaconKeys): Announcement | undefined {
  if (sealed.byteLength !== sealedBytes) return undefined
  for (const key of keys) {
    const plain = open(sealed, key)
    if (plain === undefined) continue
    const length = plain.readUInt16BE()
    if (length > plainBytes - 2) return undefined
    try {
      const { d, p, a, i, s, b } = decode(plain.subarray(2, 2 + length), validate, plainBytes)
      return {
        deviceId: d,
        peerId: p,
        addresses: a,
        incarnation: new Uint8Array(i),
        sequence: s,
        isLeaving: b ?? false,
      }
    } catch {
      return undefined // because: a member of a version we do not understand; a hint lost is no fault
    }
  }
  return undefined
}

function open(sealed: Uint8Array, key: KeyObject): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
  decipher.setAuthTag(sealed.subarray(sealedBytes - tagBytes))
  const plain = decipher.update(sealed.subarray(nonceBytes, sealedBytes - tagBytes))
  try {
    decipher.final()
    return plain
  } catch {
    return undefined // because: not under this key is the ordinary case for strangers' packets
  }
}

/** @param label see `newLabel`. @param sealed from `sealAnnouncement`. @returns one mDNS packet of fixed length. */
export function encodeSealedPacket(kind: 'query' | 'notice', label: string, sealed: Uint8Array): Uint8Array {
  const service = `_${label}._udp.local`
  const instance = `me.${service}`
  const data: Buffer[] = []
  for (let offset = 0; offset < sealed.byteLength; offset += txtStringBytes) {
    data.push(Buffer.from(sealed.subarray(offset, offset + txtStringBytes)))
  }
  const record = { type: 'TXT', name: instance, ttl: ttlSeconds, data } as const
  if (kind === 'query') {
    return encodePacket({ type: 'query', questions: [{ type: 'PTR', name: service }], answers: [record] })
  }
  const pointer = { type: 'PTR', name: service, ttl: ttlSeconds, data: instance } as const
  return encodePacket({ type: 'response', flags: authoritative, answers: [pointer, record] })
}

const authoritative = 1 << 10

/** 16 hex characters for the service name: new on each network, so that networks cannot be linked by it. */
export function newLabel(random: Random): string {
  return Buffer.from(random.bytes(8)).toString('hex')
}

/** The sealed bytes of a packet that has the form of ours. */
export function findSealed(packet: MdnsPacket): Uint8Array | undefined {
  const record = packet.texts.find(({ name }) => name.startsWith('me._'))
  if (record === undefined || record.strings.length > Math.ceil(sealedBytes / txtStringBytes))
    return undefined
  const sealed = Buffer.concat(record.strings)
  return sealed.byteLength === sealedBytes ? sealed : undefined
}
