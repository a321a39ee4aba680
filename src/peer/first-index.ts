/**
 * What devices that open a space for the first time tell each other (files/first-index.ts): who is at recording its files, who
 * waits, and whether all that was recorded has come over.
 * RPC: `space.first` {space} -> {state?, files}. A device that does not answer is not listened to.
 */
import { boolean, object, oneOf, optional, textOf } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { isSpaceId } from '../base/ids.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import type { Sync } from '../crdt/sync.ts'
import type { Keeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import type { AskFirst, FirstIndex, OtherFirst } from '../files/first-index.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'

export interface FirstParts {
  readonly self: DeviceId
  readonly roster: Roster
  readonly keeper: Pick<Keeper, 'rpc' | 'status'>
  readonly methods: RpcMethods<LinkRemote>
  readonly sync: Pick<Sync, 'inSync'>
}

const askMs = 2_000
const askShape = object({ space: textOf(isSpaceId, 'a space id') })
const answerShape = object({ state: optional(oneOf('listening', 'recording', 'done')), files: boolean })

/** @param firstOf the folder of a space, where it is open. */
export function serveFirst(
  scope: Scope,
  { roster, methods }: Pick<FirstParts, 'roster' | 'methods'>,
  firstOf: (spaceId: SpaceId) => Pick<FirstIndex, 'state' | 'hasFiles'> | undefined,
): void {
  scope.own(
    methods.request('space.first', askShape, ({ space }, call) => {
      const { allowed, reason } = may(roster.state, call.remote.deviceId, 'doc.read', space)
      if (!allowed) throw new SkeinError('auth.denied', reason)
      const first = firstOf(space)
      return { value: first === undefined ? { files: false } : { state: first.state, files: first.hasFiles } }
    }),
  )
}

export function createAskFirst(env: Env, parts: FirstParts): (spaceId: SpaceId) => AskFirst {
  const { self, roster, keeper, sync } = parts
  const ask = async (deviceId: DeviceId, space: SpaceId, signal: AbortSignal): Promise<OtherFirst[]> => {
    try {
      const rpc = keeper.rpc(deviceId)
      // Who may not write records nothing
      if (rpc === undefined || !may(roster.state, deviceId, 'doc.write', space).allowed) return []
      const answer = await rpc.call('space.first', { space }, answerShape, { signal, timeoutMs: askMs })
      const { state, files: hasFiles } = answer
      return [{ state, hasFiles, goesFirst: deviceId < self, isInStep: sync.inSync(deviceId) }]
    } catch (error) {
      signal.throwIfAborted()
      // because: one that is older, gone or says nonsense is as one that is not there
      env.log.debug('device not asked whether it records a space', { deviceId, ...errorFields(error) })
      return []
    }
  }
  return (space) => async (signal) => {
    const others = keeper.status().filter(({ state }) => state === 'up')
    return (await Promise.all(others.map(({ deviceId }) => ask(deviceId, space, signal)))).flat()
  }
}
