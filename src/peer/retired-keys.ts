/**
 * Keys of this device that were rotated out while some members did not know of it yet. A member that was off during
 * the rotation knows only the former key, for however long it is away: until each has been met under a newer key, the
 * former one is kept and listened on. Kept: the secret value `retired-keys` = canonical CBOR
 * [{seed 32, unaware [device id...]}...], oldest first.
 */
import { array, bytes, decodeCanonical, encodeCanonical, object, textOf } from '../base/codec.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { isDeviceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'

export interface RetiredKey {
  /** Of the Ed25519 key. Never logged. */
  readonly seed: Uint8Array
  /** Members that have not been met under a newer key. */
  readonly unaware: readonly DeviceId[]
}

export interface RetiredKeys {
  list(): readonly RetiredKey[]
  /** Durable once resolved: to be called before the rotation is announced. */
  add(key: RetiredKey): Promise<void>
  /** Forgets members that know a newer key or are none any more, and keys that nobody needs. @returns the keys let go. */
  keepOnly(isUnaware: (deviceId: DeviceId) => boolean): Promise<readonly RetiredKey[]>
}

/** The name it is kept under: it ends with the mesh. */
export const retiredKeysRecord = 'retired-keys'
const maxBytes = 256 * 1024
/** More rotations than this while somebody is away: who knows only older keys must be paired again. */
const maxKeys = 8
const shape = array(
  object({ seed: bytes(32, 32), unaware: array(textOf(isDeviceId, 'a device id'), limits.devices) }),
  maxKeys,
)

/** @throws `store.corrupt`, `store.failed`. */
export async function openRetiredKeys(keep: Keep): Promise<RetiredKeys> {
  let keys = await read(keep)
  const write = async (next: readonly RetiredKey[]): Promise<void> => {
    if (next.length === 0) await keep.remove(retiredKeysRecord)
    else await keep.write(retiredKeysRecord, encodeCanonical(next), { secret: true })
    keys = next
  }
  return {
    list: () => keys,
    async add(key) {
      if (key.unaware.length > 0) await write([...keys, key].slice(-maxKeys))
    },
    async keepOnly(isUnaware) {
      const next = keys.map(({ seed, unaware }) => ({ seed, unaware: unaware.filter(isUnaware) }))
      const isSame = next.every(({ unaware }, index) => unaware.length === keys[index]?.unaware.length)
      if (isSame) return []
      const gone = next.filter(({ unaware }) => unaware.length === 0)
      await write(next.filter(({ unaware }) => unaware.length > 0))
      return gone
    },
  }
}

async function read(keep: Keep): Promise<readonly RetiredKey[]> {
  const stored = await keep.read(retiredKeysRecord)
  if (stored === undefined) return []
  try {
    return decodeCanonical(stored, shape, maxBytes)
  } catch (error) {
    throw new SkeinError('store.corrupt', 'the keys this device rotated out cannot be read', {
      cause: error,
      fix: 'remove the file `retired-keys`: members that were off during the rotation must then be paired again',
    })
  }
}
