/**
 * Hands the keys of the clipboard around among devices that may read it: all of them at each contact, a new one at once,
 * and again when an item came whose key is not here. RPC: `clipboard.keys` {keys} -> {keys}; keys are only taken from full
 * devices.
 */
import { array, bytes, object } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import { may } from './auth/access.ts'
import type { ClipboardKeys } from './auth/clipboard-keys.ts'
import { epochKeyBytes } from './auth/epoch-key.ts'
import type { Roster } from './auth/roster.ts'
import type { Mesh } from './mesh.ts'

export interface ClipboardKeyParts {
  readonly self: DeviceId
  readonly keys: ClipboardKeys
  readonly roster: Roster
  readonly mesh: Pick<Mesh, 'keeper' | 'methods'>
  /** There are keys that were not there before. */
  readonly onNew: () => void
}

export interface ClipboardKeySync {
  /** Asks all devices in reach, once a second at most. */
  ask(): void
}

const keysShape = object({ keys: array(bytes(epochKeyBytes), limits.clipboardKeys) })
const askAgainMs = 1_000

export function startClipboardKeySync(env: Env, scope: Scope, parts: ClipboardKeyParts): ClipboardKeySync {
  const { self, keys, roster, mesh, onNew } = parts
  const { keeper } = mesh
  let askedMs = Number.NEGATIVE_INFINITY
  let later: Disposable | undefined
  const mayRead = (deviceId: DeviceId): boolean => may(roster.state, deviceId, 'clipboard.read').allowed
  const take = async (deviceId: DeviceId, wires: readonly Uint8Array[]): Promise<void> => {
    if (roster.state.devices.get(deviceId)?.role !== 'full' || !mayRead(deviceId)) return
    if (await keys.take(wires)) onNew()
  }
  const exchange = (deviceId: DeviceId): void => {
    scope.spawn('exchange clipboard keys', async (signal) => {
      try {
        const rpc = keeper.rpc(deviceId)
        // Who may not read would be refused: a storage device, at each contact
        if (rpc === undefined || !mayRead(self) || !mayRead(deviceId)) return
        const found = await rpc.call('clipboard.keys', { keys: keys.all() }, keysShape, { signal })
        await take(deviceId, found.keys)
      } catch (error) {
        // because: a device that goes away or answers rubbish is only that; the next contact tries again
        env.log.info('clipboard keys not exchanged', { deviceId, ...errorFields(error) })
      }
    })
  }
  const askAll = (): void => {
    for (const { deviceId, state } of keeper.status()) if (state === 'up') exchange(deviceId)
  }
  scope.own(
    mesh.methods.request('clipboard.keys', keysShape, async (offered, call) => {
      const { deviceId } = call.remote
      const { allowed, reason } = may(roster.state, deviceId, 'clipboard.read')
      if (!allowed) throw new SkeinError('auth.denied', reason)
      await take(deviceId, offered.keys)
      return { value: { keys: keys.all() } }
    }),
  )
  scope.own(keeper.events.on('link.up', ({ deviceId }) => exchange(deviceId)))
  scope.own(keys.onMade(askAll))
  scope.defer(() => later?.[Symbol.dispose]())
  askAll()
  return {
    ask() {
      const waitMs = askedMs + askAgainMs - env.clock.monotonicMs()
      if (waitMs > 0) {
        later ??= env.clock.setTimer(waitMs, () => {
          later = undefined
          askAll()
        })
        return
      }
      askedMs = env.clock.monotonicMs()
      askAll()
    },
  }
}
