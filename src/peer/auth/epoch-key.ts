/**
 * A secret that members share, by epochs: who makes one signs it, and it is good while its author is a member.
 *
 * One byte form, secret at rest and sealed in transit: canonical CBOR [payload, signature 64] with
 *   payload = {v: 1, mesh 32, epoch, key 32, author, by 32 (author's key), removed 32}
 * `removed` is a digest of the devices removed by then: two removers that each made the same epoch without knowing of
 * the other's removal may have given it to the other's removed device, so a key whose digest does not fit the
 * roster is stale and is replaced once more. The purpose of the signature keeps kinds of keys apart.
 */
import { createHash } from 'node:crypto'
import { array, bytes, decodeCanonical, encodeCanonical, integer, object, textOf } from '../../base/codec.ts'
import { SkeinError } from '../../base/errors.ts'
import type { DeviceId, MeshId, PeerId } from '../../base/ids.ts'
import { isDeviceId } from '../../base/ids.ts'
import { peerIdOf, verifySignature } from './device-key.ts'
import type { Identity } from './keys.ts'
import type { RosterState } from './roster-state.ts'
import { membersOf } from './roster-state.ts'

export interface EpochKey {
  readonly mesh: MeshId
  readonly epoch: number
  /** 32 bytes. Never logged. */
  readonly key: Uint8Array
  readonly author: DeviceId
  readonly by: PeerId
  /** Digest of the devices that were removed when it was made, hex. */
  readonly removed: string
  /** The signed form, to hand on. */
  readonly bytes: Uint8Array
}

export type EpochKeyPurpose = 'mesh-key' | 'clipboard-key'

/** The signed form is never longer. */
export const epochKeyBytes = 1024
/** Far beyond any use; the bound keeps a hostile author from running the count out of the integers. */
export const maxEpoch = 2 ** 48
const envelope = array(bytes(epochKeyBytes), 2)
const payload = object({
  v: integer(1, 1),
  mesh: bytes(32, 32),
  epoch: integer(maxEpoch, 1),
  key: bytes(32, 32),
  author: textOf(isDeviceId, 'a device id'),
  by: bytes(32, 32),
  removed: bytes(32, 32),
})

export function composeEpochKey(
  purpose: EpochKeyPurpose,
  identity: Identity,
  state: RosterState,
  next: { readonly epoch: number; readonly key: Uint8Array },
): EpochKey {
  const payloadBytes = encodeCanonical({
    v: 1,
    mesh: Buffer.from(state.mesh, 'hex'),
    ...next,
    author: identity.deviceId,
    by: identity.key.publicKey,
    removed: Buffer.from(removedDigest(state), 'hex'),
  })
  const signature = identity.key.sign(purpose, payloadBytes)
  return decodeEpochKey(purpose, encodeCanonical([payloadBytes, signature]))
}

/** Proves form and signature. Whether its author may make keys is for `checkEpochKey`. @throws `auth.invalid`, `codec.*`. */
export function decodeEpochKey(purpose: EpochKeyPurpose, wire: Uint8Array): EpochKey {
  const [payloadBytes, signature] = decodeCanonical(wire, envelope, epochKeyBytes)
  if (payloadBytes === undefined || signature === undefined)
    throw new SkeinError('codec.invalid', `not a ${purpose}`)
  const fields = decodeCanonical(payloadBytes, payload, epochKeyBytes)
  if (!verifySignature(fields.by, purpose, payloadBytes, signature))
    throw new SkeinError('auth.invalid', `${purpose}: bad signature`)
  return {
    // because: 32 bytes in hex are a mesh id; that it is this mesh is checked against the roster
    mesh: Buffer.from(fields.mesh).toString('hex') as MeshId,
    epoch: fields.epoch,
    key: Uint8Array.from(fields.key),
    author: fields.author,
    by: peerIdOf(fields.by),
    removed: Buffer.from(fields.removed).toString('hex'),
    bytes: Uint8Array.from(wire),
  }
}

/** @throws `auth.invalid`. */
export function checkEpochKey(key: EpochKey, state: RosterState, what: string): void {
  if (key.mesh !== state.mesh) throw new SkeinError('auth.invalid', `${what} of another mesh`)
  if (!isByFullMember(key, state))
    throw new SkeinError('auth.invalid', `${what} by a device that may not make one`)
}

/** Everybody picks the same of two: one by a member first, then the higher epoch, then the lower hash. */
export function isBetterEpochKey(one: EpochKey, other: EpochKey, state: RosterState): boolean {
  const byMember = Number(isByFullMember(one, state)) - Number(isByFullMember(other, state))
  if (byMember !== 0) return byMember > 0
  return one.epoch !== other.epoch ? one.epoch > other.epoch : hashOf(one) < hashOf(other)
}

export function isByFullMember(key: EpochKey, state: RosterState): boolean {
  const author = membersOf(state).find((device) => device.deviceId === key.author)
  return author?.role === 'full' && author.keys.includes(key.by)
}

export function removedDigest(state: RosterState): string {
  const removed = [...state.devices.values()]
    .filter((device) => device.removed !== undefined)
    .map((device) => device.deviceId)
  return createHash('sha256')
    .update(`skein/removed/1\0${removed.sort().join(' ')}`)
    .digest('hex')
}

const hashOf = (key: EpochKey): string => createHash('sha256').update(key.bytes).digest('hex')
export const isSameKey = (one: EpochKey, other: EpochKey): boolean => Buffer.compare(one.key, other.key) === 0
