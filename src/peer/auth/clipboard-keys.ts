/**
 * The keys that seal the clipboard, as one ring: items are sealed under the best key that fits the members of now, and
 * opened under whichever sealed them. A removal makes every key stale that was made before it; the next item gets a new
 * one. A key by a former member, or of the time before this device joined, still opens, and never seals.
 * Kept as one secret value: canonical CBOR [wire form of each key]; the form of a key is that of epoch-key.ts.
 */
import type { KeyObject } from 'node:crypto'
import { createCipheriv, createDecipheriv, createHash, createSecretKey } from 'node:crypto'
import { array, bytes, decodeCanonical, encodeCanonical } from '../../base/codec.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { Keep } from '../../base/keep.ts'
import { limits } from '../../base/limits.ts'
import type { ClipboardSealer, SealingKey } from '../../crdt/clipboard-sealer.ts'
import type { EpochKey } from './epoch-key.ts'
import {
  composeEpochKey,
  decodeEpochKey,
  epochKeyBytes,
  isBetterEpochKey,
  isByFullMember,
  maxEpoch,
  removedDigest,
} from './epoch-key.ts'
import type { Identity } from './keys.ts'
import type { RosterState } from './roster-state.ts'

export interface ClipboardKeys extends ClipboardSealer {
  /** Wire forms of all keys, to hand to a member that may read the clipboard. */
  all(): readonly Uint8Array[]
  /** Takes keys that a full member handed over. @returns whether one was new. @throws `codec.*`, `auth.invalid`. */
  take(wires: readonly Uint8Array[]): Promise<boolean>
  /** Called when this device has made a key. */
  onMade(listener: () => void): Disposable
}

export const clipboardKeysRecord = 'clipboard-keys'
const purpose = 'clipboard-key'
const ringShape = array(bytes(epochKeyBytes), limits.clipboardKeys)
const [nonceBytes, tagBytes] = [12, 16]

/** @throws `store.corrupt`, `store.failed`. */
export async function openClipboardKeys(
  env: Env,
  keep: Keep,
  identity: Identity,
  state: () => RosterState,
): Promise<ClipboardKeys> {
  const ring = await openRing(keep, state)
  const listeners = new Set<() => void>()
  let making: Promise<EpochKey> | undefined
  const best = (keys: Iterable<EpochKey>): EpochKey | undefined =>
    [...keys].sort((a, b) => (isBetterEpochKey(a, b, state()) ? -1 : 1))[0]
  const make = async (): Promise<EpochKey> => {
    const own = state().devices.get(identity.deviceId)
    if (own?.role !== 'full' || own.removed !== undefined) {
      const last = best(ring.keys())
      if (last !== undefined) return last
      throw new SkeinError('auth.denied', 'only a full device of the mesh can begin a clipboard', {
        fix: 'copy something on a full device first',
      })
    }
    const highest = best(ring.keys().filter((key) => key.mesh === state().mesh))
    const epoch = Math.min(highest?.epoch ?? 0, maxEpoch / 2) + 1
    const key = composeEpochKey(purpose, identity, state(), { epoch, key: env.random.bytes(32) })
    await ring.add([key])
    for (const listener of listeners) listener()
    return key
  }
  return {
    async current() {
      const fitting = best(ring.keys().filter((key) => fits(key, state())))
      if (fitting !== undefined) return sealingKey(env, fitting)
      // Asked for twice at once it is made once
      making ??= make().finally(() => {
        making = undefined
      })
      return sealingKey(env, await making)
    },
    has: (keyId) => ring.secretOf(keyId) !== undefined,
    open(keyId, sealed, authenticated) {
      const secret = ring.secretOf(keyId)
      return secret === undefined ? undefined : openSealed(secret, sealed, authenticated)
    },
    all: () => ring.keys().map((key) => key.bytes),
    async take(wires) {
      const fresh = wires.map((wire) => decodeEpochKey(purpose, wire)).filter((key) => !ring.has(key))
      if (fresh.length === 0) return false
      await ring.add(fresh)
      return fresh.some((key) => ring.has(key))
    },
    onMade(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
  }
}

interface KeyRing {
  keys(): readonly EpochKey[]
  has(key: EpochKey): boolean
  /** For node:crypto: raw bytes would be made into one with each item, at five times the cost of opening it. */
  secretOf(keyId: string): KeyObject | undefined
  /** Stores, then holds. */
  add(fresh: readonly EpochKey[]): Promise<void>
}

interface Held {
  readonly key: EpochKey
  readonly secret: KeyObject
}

async function openRing(keep: Keep, state: () => RosterState): Promise<KeyRing> {
  const hold = (keys: readonly EpochKey[]): Map<string, Held> =>
    new Map(keys.map((key) => [idOf(key), { key, secret: createSecretKey(key.key) }]))
  let held = hold(await readRing(keep))
  const keys = (): readonly EpochKey[] => [...held.values()].map(({ key }) => key)
  let storing: Promise<void> = Promise.resolve()
  const addNow = async (fresh: readonly EpochKey[]): Promise<void> => {
    const next = hold([...keys(), ...fresh])
    const kept = boundedRing(
      [...next.values()].map(({ key }) => key),
      state(),
    )
    await keep.write(clipboardKeysRecord, encodeCanonical(kept.map((key) => key.bytes)), { secret: true })
    held = hold(kept)
  }
  return {
    keys,
    has: (key) => held.has(idOf(key)),
    secretOf: (keyId) => held.get(keyId)?.secret,
    /** One after the other, so that none is lost to another that came at the same time. */
    add(fresh) {
      const added = storing.then(() => addNow(fresh))
      storing = added.catch(() => undefined) // because: the one who brought them is told
      return added
    },
  }
}

/** By a member of this mesh, made since the last removal. */
const fits = (key: EpochKey, state: RosterState): boolean =>
  key.mesh === state.mesh && isByFullMember(key, state) && key.removed === removedDigest(state)

/** Those that may seal go last. */
function boundedRing(keys: readonly EpochKey[], state: RosterState): readonly EpochKey[] {
  if (keys.length <= limits.clipboardKeys) return keys
  const rank = (key: EpochKey): number => (fits(key, state) ? maxEpoch : 0) + key.epoch
  return [...keys].sort((a, b) => rank(b) - rank(a)).slice(0, limits.clipboardKeys)
}

function idBytesOf(key: EpochKey): Uint8Array {
  return createHash('sha256').update('skein/clipboard-key-id/1\0').update(key.key).digest().subarray(0, 8)
}

const idOf = (key: EpochKey): string => Buffer.from(idBytesOf(key)).toString('hex')

function sealingKey(env: Env, key: EpochKey): SealingKey {
  return {
    id: idBytesOf(key),
    seal(plain, authenticated) {
      const nonce = env.random.bytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key.key, nonce)
      cipher.setAAD(authenticated)
      const sealed = new Uint8Array(nonceBytes + plain.byteLength + tagBytes)
      sealed.set(nonce)
      sealed.set(cipher.update(plain), nonceBytes)
      cipher.final()
      sealed.set(cipher.getAuthTag(), nonceBytes + plain.byteLength)
      return sealed
    },
  }
}

function openSealed(key: KeyObject, sealed: Uint8Array, authenticated: Uint8Array): Uint8Array | undefined {
  const end = sealed.byteLength - tagBytes
  if (end < nonceBytes) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes))
  decipher.setAAD(authenticated)
  decipher.setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(nonceBytes, end))
  try {
    decipher.final()
  } catch {
    return undefined // because: a seal that does not hold is an answer here, not a fault
  }
  return plain
}

async function readRing(keep: Keep): Promise<readonly EpochKey[]> {
  const value = await keep.read(clipboardKeysRecord)
  if (value === undefined) return []
  try {
    const wires = decodeCanonical(value, ringShape, limits.clipboardKeys * (epochKeyBytes + 16))
    return wires.map((wire) => decodeEpochKey(purpose, wire))
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error
    throw new SkeinError('store.corrupt', 'the keys of the clipboard cannot be read', {
      cause: error,
      fix: `remove the file \`${clipboardKeysRecord}\`: the other devices hand them out again`,
    })
  }
}
