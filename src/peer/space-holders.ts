/**
 * Which contents of a space other devices hold for themselves: asked before this one lets go of what it did not select.
 * RPC: `space.holds` {space, hashes} -> {held}, those of them that stand there for good (files/holding.ts). A device that
 * does not answer holds nothing, as far as this one is concerned.
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
import type { BlobHash } from '../blobs/hash.ts'
import { isBlobHash } from '../blobs/hash.ts'
import type { Keeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import type { AskHolders } from '../files/releases.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'

export interface HolderParts {
  readonly roster: Roster
  readonly keeper: Pick<Keeper, 'rpc' | 'status'>
  readonly methods: RpcMethods<LinkRemote>
}

/** Looking at so many files takes a moment. */
const askMs = 10_000
const hashesShape = array(textOf(isBlobHash, 'a hash'), limits.heldQuestions)
const askShape = object({ space: textOf(isSpaceId, 'a space id'), hashes: hashesShape })
const answerShape = object({ held: hashesShape })

/** @param holds whether this device holds a content of a space for good. */
export function serveHolders(
  scope: Scope,
  { roster, methods }: HolderParts,
  holds: (spaceId: SpaceId, hash: BlobHash) => Promise<boolean>,
): void {
  scope.own(
    methods.request('space.holds', askShape, async ({ space, hashes }, call) => {
      const { allowed, reason } = may(roster.state, call.remote.deviceId, 'blob.read', space)
      if (!allowed) throw new SkeinError('auth.denied', reason)
      const held: BlobHash[] = []
      for (const hash of hashes) {
        call.signal.throwIfAborted()
        if (await holds(space, hash)) held.push(hash)
      }
      return { value: { held } }
    }),
  )
}

export function createHolders(env: Env, { roster, keeper }: HolderParts): (space: SpaceId) => AskHolders {
  const ask = async (
    deviceId: DeviceId,
    question: { readonly space: SpaceId; readonly hashes: readonly BlobHash[] },
    signal: AbortSignal,
  ): Promise<readonly BlobHash[]> => {
    try {
      const rpc = keeper.rpc(deviceId)
      // Who may not read the space cannot hold it for others
      const mayHold = may(roster.state, deviceId, 'blob.read', question.space).allowed
      if (rpc === undefined || !mayHold) return []
      return (await rpc.call('space.holds', question, answerShape, { signal, timeoutMs: askMs })).held
    } catch (error) {
      signal.throwIfAborted()
      // because: one that is older, gone or says nonsense holds nothing for us
      env.log.debug('device not asked what it holds', { deviceId, ...errorFields(error) })
      return []
    }
  }
  return (space) => async (hashes, signal) => {
    const wanted = new Set(hashes)
    const held = new Set<BlobHash>()
    const others = keeper.status().filter(({ state }) => state === 'up')
    for (const { deviceId } of others) {
      // One is enough: the next device is asked about the rest alone
      const left = hashes.filter((hash) => !held.has(hash))
      if (left.length === 0) break
      for (const hash of await ask(deviceId, { space, hashes: left }, signal))
        if (wanted.has(hash)) held.add(hash)
    }
    return held
  }
}
