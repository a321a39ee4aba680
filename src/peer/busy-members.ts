/**
 * Which of the other devices are still at work on the folders of this one: looking at their files, or fetching.
 * RPC: `space.busy` {spaces} -> {busy}, those of them that are busy there. What waits there for a person or for a third
 * device is not busy: nobody here could wait for that.
 */
import { array, object, textOf } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { isSpaceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import type { Keeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'

export interface BusyMembersParts {
  readonly roster: Roster
  readonly keeper: Pick<Keeper, 'rpc' | 'status'>
  readonly methods: RpcMethods<LinkRemote>
  /** Whether this device is at work on a space. */
  readonly isBusy: (spaceId: SpaceId) => boolean
}

/** @returns the names of devices in reach that are busy with any of the spaces. */
export type AskBusyMembers = (spaces: readonly SpaceId[], signal: AbortSignal) => Promise<readonly string[]>

/** A device that does not answer in time is not waited for; its link will soon be down. */
const askMs = 1_500
const spacesShape = array(textOf(isSpaceId, 'a space id'), limits.spaces)
const askShape = object({ spaces: spacesShape })
const answerShape = object({ busy: spacesShape })

export function startBusyMembers(env: Env, scope: Scope, parts: BusyMembersParts): AskBusyMembers {
  const { roster, keeper, methods, isBusy } = parts
  scope.own(
    methods.request('space.busy', askShape, ({ spaces }, call) => {
      const { allowed, reason } = may(roster.state, call.remote.deviceId, 'doc.read')
      if (!allowed) throw new SkeinError('auth.denied', reason)
      return { value: { busy: spaces.filter(isBusy) } }
    }),
  )
  const isBusyThere = async (deviceId: DeviceId, spaces: readonly SpaceId[], signal: AbortSignal) => {
    try {
      const rpc = keeper.rpc(deviceId)
      if (rpc === undefined) return false
      const { busy } = await rpc.call('space.busy', { spaces }, answerShape, { signal, timeoutMs: askMs })
      return busy.length > 0
    } catch (error) {
      // because: one that is older, gone or says nonsense is not waited for
      env.log.debug('device not asked whether it is busy', { deviceId, ...errorFields(error) })
      return false
    }
  }
  return async (spaces, signal) => {
    const others = keeper.status().filter(({ state }) => state === 'up')
    const names = others.map(async ({ deviceId }) => {
      if (!(await isBusyThere(deviceId, spaces, signal))) return []
      return [roster.state.devices.get(deviceId)?.name ?? 'another device']
    })
    return (await Promise.all(names)).flat()
  }
}
