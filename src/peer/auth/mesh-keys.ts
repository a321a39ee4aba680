/**
 * The discovery secret of a mesh, by epochs. It hides the beacon of paired devices from strangers; it lets nobody in
 * and decides nothing about trust (the gate asks the roster). Whoever removes a device makes the next epoch, signs
 * it and hands it to the others; how it travels is not decided here.
 *
 * One byte form, secret at rest and sealed in transit: canonical CBOR [payload, signature 64] with
 *   payload = {v: 1, mesh 32, epoch, key 32, author, by 32 (author's key), removed 32}
 * `removed` is a digest of the devices removed by then: two removers that each made the same epoch without knowing of
 * the other's removal may have given it to the other's removed device, so a key whose digest does not fit the
 * roster is stale and is replaced once more.
 */
import { createHash } from 'node:crypto'
import { array, bytes, decodeCanonical, encodeCanonical, integer, object, textOf } from '../../base/codec.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { DeviceId, MeshId, PeerId } from '../../base/ids.ts'
import { isDeviceId } from '../../base/ids.ts'
import type { Keep } from '../../base/keep.ts'
import { peerIdOf, verifySignature } from './device-key.ts'
import type { Identity } from './keys.ts'
import type { RosterState } from './roster-state.ts'
import { membersOf } from './roster-state.ts'

export interface MeshKey {
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

export interface MeshKeys {
  /** The key in use. */
  current(): MeshKey
  /** The one before, while some members may not have the new one: to recognise their beacons only. */
  previous(): MeshKey | undefined
  /** True when the removals it knew of are not those of the roster: the remover, or the most senior full device around, rotates. */
  isStale(state: RosterState): boolean
  /** Makes and stores the next epoch. @throws `auth.denied` when this device is not full. */
  rotate(state: RosterState): Promise<MeshKey>
  /** Takes a key from another member if it is better. @returns whether it is in use now. @throws `auth.invalid`, `codec.*`. */
  offer(wire: Uint8Array, state: RosterState): Promise<boolean>
  /** Replaces everything on joining a mesh. @throws `auth.invalid`. */
  adopt(wire: Uint8Array, state: RosterState): Promise<void>
}

const recordName = 'mesh-key'
const maxBytes = 1024
/** Far beyond any use; the bound keeps a hostile author from running the count out of the integers. */
const maxEpoch = 2 ** 48
const envelope = array(bytes(maxBytes), 2)
const payload = object({
  v: integer(1, 1),
  mesh: bytes(32, 32),
  epoch: integer(maxEpoch, 1),
  key: bytes(32, 32),
  author: textOf(isDeviceId, 'a device id'),
  by: bytes(32, 32),
  removed: bytes(32, 32),
})
const stored = object({ v: integer(1, 1), current: bytes(maxBytes), previous: bytes(maxBytes) })

/** Loads the key of this mesh or makes its first. @throws `store.corrupt`, `store.failed`. */
export async function createMeshKeys(
  env: Env,
  keep: Keep,
  identity: Identity,
  state: RosterState,
): Promise<MeshKeys> {
  const held = await readKeys(keep)
  let current: MeshKey | undefined = held?.current
  let previous: MeshKey | undefined = held?.previous
  const use = async (next: MeshKey, before: MeshKey | undefined): Promise<MeshKey> => {
    const value = { v: 1, current: next.bytes, previous: before?.bytes ?? new Uint8Array() }
    await keep.write(recordName, encodeCanonical(value), { secret: true })
    current = next
    previous = before
    return next
  }
  const make = (epoch: number, at: RosterState): MeshKey =>
    composeMeshKey(identity, at, { epoch, key: env.random.bytes(32) })
  if (current === undefined || current.mesh !== state.mesh) await use(make(1, state), undefined)
  const now = (): MeshKey => {
    if (current === undefined) throw new SkeinError('internal', 'no mesh key')
    return current
  }
  return {
    current: now,
    previous: () => previous,
    isStale: (at) => now().removed !== removedDigest(at) || !isByMember(now(), at),
    async rotate(at) {
      const own = at.devices.get(identity.deviceId)
      if (own?.role !== 'full' || own.removed !== undefined) {
        throw new SkeinError('auth.denied', 'only a full device makes a mesh key')
      }
      const base =
        now().mesh !== at.mesh ? 0 : isByMember(now(), at) ? now().epoch : Math.min(now().epoch, maxEpoch / 2)
      return use(make(base + 1, at), now().mesh === at.mesh ? now() : undefined)
    },
    async offer(wire, at) {
      const offered = decodeMeshKey(wire)
      checkMeshKey(offered, at)
      if (now().mesh === at.mesh && !isBetterMeshKey(offered, now(), at))
        return offered.epoch === now().epoch && isSame(offered, now())
      await use(offered, now().mesh === at.mesh ? now() : undefined)
      return true
    },
    async adopt(wire, at) {
      const offered = decodeMeshKey(wire)
      checkMeshKey(offered, at)
      await use(offered, undefined)
    },
  }
}

/** Everybody picks the same of two: one by a member first, then the higher epoch, then the lower hash. */
export function isBetterMeshKey(one: MeshKey, other: MeshKey, state: RosterState): boolean {
  const byMember = Number(isByMember(one, state)) - Number(isByMember(other, state))
  if (byMember !== 0) return byMember > 0
  return one.epoch !== other.epoch ? one.epoch > other.epoch : hashOf(one) < hashOf(other)
}

/** Proves form and signature. Whether its author may make keys is for `checkMeshKey`. */
export function decodeMeshKey(wire: Uint8Array): MeshKey {
  const [payloadBytes, signature] = decodeCanonical(wire, envelope, maxBytes)
  if (payloadBytes === undefined || signature === undefined)
    throw new SkeinError('codec.invalid', 'not a mesh key')
  const fields = decodeCanonical(payloadBytes, payload, maxBytes)
  if (!verifySignature(fields.by, 'mesh-key', payloadBytes, signature)) {
    throw new SkeinError('auth.invalid', 'mesh key: bad signature')
  }
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

function checkMeshKey(key: MeshKey, state: RosterState): void {
  if (key.mesh !== state.mesh) throw new SkeinError('auth.invalid', 'mesh key of another mesh')
  if (!isByMember(key, state))
    throw new SkeinError('auth.invalid', 'mesh key by a device that may not make one')
}

function isByMember(key: MeshKey, state: RosterState): boolean {
  const author = membersOf(state).find((device) => device.deviceId === key.author)
  return author?.role === 'full' && author.keys.includes(key.by)
}

function composeMeshKey(
  identity: Identity,
  state: RosterState,
  next: { readonly epoch: number; readonly key: Uint8Array },
): MeshKey {
  const payloadBytes = encodeCanonical({
    v: 1,
    mesh: Buffer.from(state.mesh, 'hex'),
    ...next,
    author: identity.deviceId,
    by: identity.key.publicKey,
    removed: Buffer.from(removedDigest(state), 'hex'),
  })
  return decodeMeshKey(encodeCanonical([payloadBytes, identity.key.sign('mesh-key', payloadBytes)]))
}

function removedDigest(state: RosterState): string {
  const removed = [...state.devices.values()]
    .filter((device) => device.removed !== undefined)
    .map((device) => device.deviceId)
  return createHash('sha256')
    .update(`skein/removed/1\0${removed.sort().join(' ')}`)
    .digest('hex')
}

const hashOf = (key: MeshKey): string => createHash('sha256').update(key.bytes).digest('hex')
const isSame = (one: MeshKey, other: MeshKey): boolean => Buffer.compare(one.key, other.key) === 0

async function readKeys(
  keep: Keep,
): Promise<{ readonly current: MeshKey; readonly previous: MeshKey | undefined } | undefined> {
  const value = await keep.read(recordName)
  if (value === undefined) return undefined
  try {
    const { current, previous } = decodeCanonical(value, stored, 4 * maxBytes)
    return {
      current: decodeMeshKey(current),
      previous: previous.byteLength === 0 ? undefined : decodeMeshKey(previous),
    }
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error
    throw new SkeinError('store.corrupt', 'the mesh key cannot be read', {
      cause: error,
      fix: 'remove the file `mesh-key`: the other devices hand out the key again',
    })
  }
}
