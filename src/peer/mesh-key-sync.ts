/**
 * Hands the discovery secret around: members show each other theirs at each contact and keep the better one. After
 * a removal the remover makes the next one at once; if it is gone, the most senior full device in reach does so.
 * RPC: `mesh.key` [the caller's key, signed] -> the answerer's key after it looked at it.
 */
import { sleep } from '../base/clock.ts'
import { bytes, object } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import type { Keeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import { may } from './auth/access.ts'
import type { Identity } from './auth/keys.ts'
import type { MeshKeys } from './auth/mesh-keys.ts'
import { membersOf } from './auth/roster-state.ts'
import type { Roster } from './auth/roster.ts'

export interface MeshKeyParts {
  readonly identity: Identity
  readonly roster: Roster
  readonly meshKeys: MeshKeys
  readonly keeper: Keeper
  readonly methods: RpcMethods<LinkRemote>
  /** Another key is in use: the beacon must speak under it. */
  readonly onChanged: () => void
}

/** The remover has the first turn; after this somebody else makes the key. */
const otherRotatesMs = 10_000
const keyShape = object({ key: bytes(1024) })

export function startMeshKeySync(env: Env, scope: Scope, parts: MeshKeyParts): void {
  const { roster, meshKeys, keeper, methods, onChanged } = parts
  const exchange = async (deviceId: DeviceId, signal: AbortSignal): Promise<void> => {
    const rpc = keeper.rpc(deviceId)
    if (rpc === undefined) return
    const { key } = await rpc.call('mesh.key', { key: meshKeys.current().bytes }, keyShape, { signal })
    await take(key)
  }
  const take = async (wire: Uint8Array): Promise<void> => {
    const before = meshKeys.current().bytes
    await meshKeys.offer(wire, roster.state)
    if (meshKeys.current().bytes === before) return
    onChanged()
    tellAll()
  }
  const startExchange = (deviceId: DeviceId): void => {
    scope.spawn('exchange mesh key', (signal) =>
      exchange(deviceId, signal).catch((error: unknown) => {
        // because: a peer that sends rubbish or goes away is only that; the next contact tries again
        env.log.info('mesh key not exchanged', { deviceId, ...errorFields(error) })
      }),
    )
  }
  const tellAll = (): void => {
    for (const { deviceId, state } of keeper.status()) if (state === 'up') startExchange(deviceId)
  }
  const rotate = async (): Promise<void> => {
    // Who has left or was put out makes no key any more
    if (!meshKeys.isStale(roster.state) || roster.self()?.role !== 'full') return
    await meshKeys.rotate(roster.state)
    onChanged()
    tellAll()
  }

  scope.own(
    methods.request('mesh.key', keyShape, async ({ key }, call) => {
      const { allowed, reason } = may(roster.state, call.remote.deviceId, 'mesh.key')
      if (!allowed) throw new SkeinError('auth.denied', reason)
      await take(key)
      return { value: { key: meshKeys.current().bytes } }
    }),
  )
  scope.own(keeper.events.on('link.up', ({ deviceId }) => startExchange(deviceId)))
  scope.own(
    roster.events.on('roster.changed', ({ removed }) => {
      if (removed.length === 0 || !meshKeys.isStale(roster.state)) return
      const isOurs = removed.some(
        (deviceId) => roster.state.devices.get(deviceId)?.removed?.by === parts.identity.deviceId,
      )
      scope.spawn('rotate mesh key', async (signal) => {
        if (!isOurs) await sleep(env.clock, otherRotatesMs, signal)
        if (isOurs || isMostSenior(parts)) await rotate()
      })
    }),
  )
}

/**
 * True when no full device of longer standing is in reach. Never of one that is alone: a key made apart hides it
 * from nobody but the others, who could not hear its beacon any more.
 */
function isMostSenior({ roster, keeper, identity }: MeshKeyParts): boolean {
  const reachable = new Set(
    keeper
      .status()
      .filter((status) => status.state === 'up')
      .map((status) => status.deviceId),
  )
  if (reachable.size === 0) return false
  const full = membersOf(roster.state).filter((device) => device.role === 'full')
  const first = full.find((device) => device.deviceId === identity.deviceId || reachable.has(device.deviceId))
  return first?.deviceId === identity.deviceId
}
