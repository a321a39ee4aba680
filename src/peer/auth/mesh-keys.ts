/**
 * The discovery secret of a mesh, by epochs. It hides the beacon of paired devices from strangers; it lets nobody in
 * and decides nothing about trust (the gate asks the roster). Whoever removes a device makes the next epoch, signs
 * it and hands it to the others; how it travels is not decided here. Its form is that of epoch-key.ts.
 */
import { bytes, decodeCanonical, encodeCanonical, integer, object } from '../../base/codec.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { Keep } from '../../base/keep.ts'
import type { EpochKey } from './epoch-key.ts'
import {
  checkEpochKey,
  composeEpochKey,
  decodeEpochKey,
  epochKeyBytes,
  isBetterEpochKey,
  isByFullMember,
  isSameKey,
  maxEpoch,
  removedDigest,
} from './epoch-key.ts'
import type { Identity } from './keys.ts'
import type { RosterState } from './roster-state.ts'

export type MeshKey = EpochKey

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
const purpose = 'mesh-key'
const stored = object({ v: integer(1, 1), current: bytes(epochKeyBytes), previous: bytes(epochKeyBytes) })

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
    composeEpochKey(purpose, identity, at, { epoch, key: env.random.bytes(32) })
  if (current === undefined || current.mesh !== state.mesh) await use(make(1, state), undefined)
  const now = (): MeshKey => {
    if (current === undefined) throw new SkeinError('internal', 'no mesh key')
    return current
  }
  return {
    current: now,
    previous: () => previous,
    isStale: (at) => now().removed !== removedDigest(at) || !isByFullMember(now(), at),
    async rotate(at) {
      const own = at.devices.get(identity.deviceId)
      if (own?.role !== 'full' || own.removed !== undefined) {
        throw new SkeinError('auth.denied', 'only a full device makes a mesh key')
      }
      const base =
        now().mesh !== at.mesh
          ? 0
          : isByFullMember(now(), at)
            ? now().epoch
            : Math.min(now().epoch, maxEpoch / 2)
      return use(make(base + 1, at), now().mesh === at.mesh ? now() : undefined)
    },
    async offer(wire, at) {
      const offered = decodeMeshKey(wire)
      checkEpochKey(offered, at, 'mesh key')
      if (now().mesh === at.mesh && !isBetterEpochKey(offered, now(), at))
        return offered.epoch === now().epoch && isSameKey(offered, now())
      await use(offered, now().mesh === at.mesh ? now() : undefined)
      return true
    },
    async adopt(wire, at) {
      const offered = decodeMeshKey(wire)
      checkEpochKey(offered, at, 'mesh key')
      await use(offered, undefined)
    },
  }
}

/** Proves form and signature. Whether its author may make keys is for who takes it. */
export const decodeMeshKey = (wire: Uint8Array): MeshKey => decodeEpochKey(purpose, wire)

async function readKeys(
  keep: Keep,
): Promise<{ readonly current: MeshKey; readonly previous: MeshKey | undefined } | undefined> {
  const value = await keep.read(recordName)
  if (value === undefined) return undefined
  try {
    const { current, previous } = decodeCanonical(value, stored, 4 * epochKeyBytes)
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
