/**
 * The identity of this device: its key, its stable id, its name and kind, kept as one secret record.
 * Rotation is two durable steps around the roster statement: the next key is stored before anybody hears of it,
 * and takes over only after the statement that both keys signed is stored. A crash between the two is finished
 * at the next start from what the roster says.
 */
import {
  decodeCanonical,
  encodeCanonical,
  bytes,
  integer,
  object,
  oneOf,
  optional,
  text,
} from '../../base/codec.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { DeviceId } from '../../base/ids.ts'
import type { Keep } from '../../base/keep.ts'
import { limits } from '../../base/limits.ts'
import type { DeviceKey } from './device-key.ts'
import { createDeviceKey, deviceIdOf, seedBytes } from './device-key.ts'
import { isDeviceName } from './device-name.ts'

export const deviceKinds = ['desktop', 'laptop', 'server', 'phone', 'tablet', 'browser', 'other'] as const
export type DeviceKind = (typeof deviceKinds)[number]

export interface Identity {
  readonly deviceId: DeviceId
  /** The key in use. Changes on rotation: read it each time. */
  readonly key: DeviceKey
  /** A key stored for a rotation under way. */
  readonly nextKey: DeviceKey | undefined
  readonly name: string
  readonly kind: DeviceKind
  /** Stores a fresh next key (or returns the stored one). Durable once resolved. */
  prepareRotation(): Promise<DeviceKey>
  /** Makes the next key the one in use. Only after the rotate statement is stored. */
  completeRotation(): Promise<void>
  /** Takes a new key and so a new deviceId: for a device that was removed and wants to pair again. */
  startOver(): Promise<void>
  /** Names this device after its present key: for one that rotated while alone and now joins a mesh. */
  rebase(): Promise<void>
  rename(name: string): Promise<void>
}

interface IdentityRecord {
  readonly firstPublicKey: Uint8Array
  readonly seed: Uint8Array
  readonly nextSeed: Uint8Array | undefined
  readonly name: string
  readonly kind: DeviceKind
}

const recordName = 'identity'
const maxRecordBytes = 1024
const record = object({
  v: integer(1, 1),
  first: bytes(32, 32),
  seed: bytes(seedBytes, seedBytes),
  next: optional(bytes(seedBytes, seedBytes)),
  name: text(limits.nameBytes),
  kind: oneOf(...deviceKinds),
})

/** Loads the identity, or creates one with `defaults`. @throws `store.corrupt`, `store.failed`, `config.invalid`. */
export async function createIdentity(
  env: Env,
  keep: Keep,
  defaults: { readonly name: string; readonly kind: DeviceKind },
): Promise<Identity> {
  const stored = await keep.read(recordName)
  let held: IdentityRecord
  if (stored === undefined) {
    held = freshRecord(env, checkedName(defaults.name), defaults.kind)
    await writeRecord(keep, held)
  } else {
    held = parseRecord(stored)
  }
  return holdIdentity(env, keep, held)
}

function holdIdentity(env: Env, keep: Keep, first: IdentityRecord): Identity {
  let held = first
  let key = createDeviceKey(held.seed)
  const replace = async (next: IdentityRecord): Promise<void> => {
    await writeRecord(keep, next)
    held = next
    key = createDeviceKey(next.seed)
  }
  return {
    get deviceId() {
      return deviceIdOf(held.firstPublicKey)
    },
    get key() {
      return key
    },
    get nextKey() {
      return held.nextSeed === undefined ? undefined : createDeviceKey(held.nextSeed)
    },
    get name() {
      return held.name
    },
    get kind() {
      return held.kind
    },
    async prepareRotation() {
      const nextSeed = held.nextSeed ?? env.random.bytes(seedBytes)
      if (held.nextSeed === undefined) await replace({ ...held, nextSeed })
      return createDeviceKey(nextSeed)
    },
    async completeRotation() {
      if (held.nextSeed === undefined) return
      await replace({ ...held, seed: held.nextSeed, nextSeed: undefined })
    },
    startOver: () => replace(freshRecord(env, held.name, held.kind)),
    rebase: () => replace({ ...held, firstPublicKey: key.publicKey, nextSeed: undefined }),
    rename: (name) => replace({ ...held, name: checkedName(name) }),
  }
}

function freshRecord(env: Env, name: string, kind: DeviceKind): IdentityRecord {
  const seed = env.random.bytes(seedBytes)
  return { firstPublicKey: createDeviceKey(seed).publicKey, seed, nextSeed: undefined, name, kind }
}

function checkedName(name: string): string {
  if (isDeviceName(name)) return name
  throw new SkeinError('config.invalid', 'this is not a usable device name', {
    fix: `choose a name of 1 to ${limits.nameBytes} bytes without control characters`,
  })
}

function writeRecord(keep: Keep, held: IdentityRecord): Promise<void> {
  const fields = { v: 1, first: held.firstPublicKey, seed: held.seed, name: held.name, kind: held.kind }
  const value = held.nextSeed === undefined ? fields : { ...fields, next: held.nextSeed }
  return keep.write(recordName, encodeCanonical(value), { secret: true })
}

function parseRecord(stored: Uint8Array): IdentityRecord {
  try {
    const value = decodeCanonical(stored, record, maxRecordBytes)
    return {
      firstPublicKey: Uint8Array.from(value.first),
      seed: Uint8Array.from(value.seed),
      nextSeed: value.next === undefined ? undefined : Uint8Array.from(value.next),
      name: value.name,
      kind: value.kind,
    }
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error
    throw new SkeinError('store.corrupt', 'the device identity cannot be read', {
      cause: error,
      fix: 'restore the file `identity` from a backup; without one, move the home away and pair this device again',
    })
  }
}
