/**
 * The keys of spaces: 32 bytes of chance each, made when a space is shared, kept readable by the owner only, and given to
 * full devices alone, which hold the space in plain anyway. They open what storage devices hold (vault/seal.ts).
 * A device that holds a space asks the full devices that it meets. Two keys made apart (spaces older than their keys): all
 * take the one with the lower vault name, and what was sealed under the other is sealed anew.
 * RPC: `space.key` {space} -> {key} or {}.
 */
import { array, bytes, decodeCanonical, encodeCanonical, object, optional, textOf } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { isSpaceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import { createSealer, spaceKeyBytes } from '../vault/seal.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'
import type { Mesh } from './mesh.ts'
import { roleOf } from './storage-devices.ts'

export interface SpaceKeys {
  get(space: SpaceId): Uint8Array | undefined
  /** This device knows the key of some space. */
  readonly isAny: boolean
  /** The key of a space, made when there is none. Durable once resolved. */
  ensure(space: SpaceId): Promise<Uint8Array>
  /** Takes one from elsewhere when there is none or it is the better one. */
  offer(space: SpaceId, key: Uint8Array): Promise<void>
  /** Asks all full devices in reach. */
  ask(space: SpaceId): void
  onChanged(listener: (space: SpaceId) => void): Disposable
}

export interface SpaceKeyParts {
  readonly keep: Keep
  readonly roster: Roster
  readonly mesh: Pick<Mesh, 'keeper' | 'methods'>
  /** Spaces that lie here. */
  readonly joined: () => Iterable<SpaceId>
}

export const spaceKeysRecord = 'space-keys'
const key = bytes(spaceKeyBytes, spaceKeyBytes)
const stored = array(object({ space: textOf(isSpaceId, 'a space id'), key }), limits.spaces)
const askShape = object({ space: textOf(isSpaceId, 'a space id') })
const answerShape = object({ key: optional(key) })

/** @throws `store.corrupt`, `store.failed`. */
export async function openSpaceKeys(env: Env, scope: Scope, parts: SpaceKeyParts): Promise<SpaceKeys> {
  const { keep, roster, mesh } = parts
  const keys = await readKeys(keep)
  const listeners = new Set<(space: SpaceId) => void>()
  const put = async (space: SpaceId, value: Uint8Array): Promise<void> => {
    if (!keys.has(space) && keys.size >= limits.spaces)
      throw new SkeinError('limit.exceeded', `at most ${limits.spaces} spaces`)
    const next = new Map(keys).set(space, value)
    const list = [...next].map(([id, bytesOfKey]) => ({ space: id, key: bytesOfKey }))
    await keep.write(spaceKeysRecord, encodeCanonical(list), { secret: true })
    keys.set(space, value)
    for (const listener of listeners) listener(space)
  }
  const offer = async (space: SpaceId, value: Uint8Array): Promise<void> => {
    const held = keys.get(space)
    if (held !== undefined && createSealer(held).vault <= createSealer(value).vault) return
    if (held !== undefined)
      env.log.warn('this space has another key now; recovery codes printed before are void', {
        spaceId: space,
      })
    await put(space, value)
  }
  const askOne = async (device: DeviceId, space: SpaceId, signal: AbortSignal): Promise<void> => {
    if (roleOf(roster, device) !== 'full') return
    try {
      const answer = await mesh.keeper.rpc(device)?.call('space.key', { space }, answerShape, { signal })
      if (answer?.key !== undefined) await offer(space, answer.key)
    } catch (error) {
      // because: an older device knows no keys, and one that goes away is asked again at the next contact
      env.log.debug('no space key', { deviceId: device, spaceId: space, ...errorFields(error) })
    }
  }
  scope.own(
    mesh.methods.request('space.key', askShape, ({ space }, call) => {
      const { allowed, reason } = may(roster.state, call.remote.deviceId, 'space.key', space)
      if (!allowed) throw new SkeinError('auth.denied', reason)
      const held = keys.get(space)
      return { value: held === undefined ? {} : { key: held } }
    }),
  )
  scope.own(
    mesh.keeper.events.on('link.up', ({ deviceId }) =>
      scope.spawn('ask for space keys', async (signal) => {
        for (const space of parts.joined()) await askOne(deviceId, space, signal)
      }),
    ),
  )
  return {
    get: (space) => keys.get(space),
    get isAny() {
      return keys.size > 0
    },
    async ensure(space) {
      const held = keys.get(space)
      if (held !== undefined) return held
      const made = env.random.bytes(spaceKeyBytes)
      await put(space, made)
      return made
    },
    offer,
    ask(space) {
      for (const { deviceId, state } of mesh.keeper.status())
        if (state === 'up') scope.spawn('ask for a space key', (signal) => askOne(deviceId, space, signal))
    },
    onChanged(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
  }
}

async function readKeys(keep: Keep): Promise<Map<SpaceId, Uint8Array>> {
  const kept = await keep.read(spaceKeysRecord)
  const found = kept === undefined ? [] : decodeCanonical(kept, stored, limits.spaces * 128)
  return new Map(found.map((one) => [one.space, one.key]))
}
