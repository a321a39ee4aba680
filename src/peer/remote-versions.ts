/**
 * Kept versions on other devices: what they would list for a path, asked for when a person looks or wants one back.
 * RPC stream: `space.versions` {space, path} -> versions, newest first. Their bytes come by hash like any content. Times are
 * those of the other device's clock, for people only.
 */
import { integer, object, oneOf, optional, text, textOf } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { isSpaceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import { isBlobHash } from '../blobs/hash.ts'
import type { Keeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import { pathProblem } from '../files/names.ts'
import type { Restorable } from '../files/restore.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'

export interface RemoteVersionParts {
  readonly roster: Roster
  readonly keeper: Pick<Keeper, 'rpc' | 'status'>
  readonly methods: RpcMethods<LinkRemote>
}

export interface RemoteVersion extends Restorable {
  readonly remote: DeviceId
}

/** @returns what the devices in reach keep for a path and what is not `known` here, by device, newest first. */
export type AskVersions = (
  space: SpaceId,
  path: string,
  signal: AbortSignal,
) => Promise<readonly RemoteVersion[]>

/** One that takes longer is left out: a person waits. */
const askMs = 4_000
const causes = ['replaced', 'deleted', 'conflict', 'merged', 'restored', 'local', 'edited'] as const
const askShape = object({ space: textOf(isSpaceId, 'a space id'), path: text(4_096) })
const vector = text(limits.versionVectorEntries * 32)
const itemShape = object({
  id: text(64, /^[0-9A-Za-z]+$/),
  path: textOf(isPath, 'a path'),
  keptAtMs: integer(),
  cause: oneOf(...causes),
  sizeBytes: integer(),
  hash: textOf(isBlobHash, 'a hash'),
  version: optional(vector),
  by: optional(vector),
})

function isPath(value: string): value is string {
  return value !== '' && pathProblem(value) === undefined
}

/** @param list what this device keeps for a path; undefined when the space is not open here. */
export function serveVersions(
  scope: Scope,
  { roster, methods }: RemoteVersionParts,
  list: (space: SpaceId, path: string) => Promise<readonly Restorable[] | undefined>,
): void {
  scope.own(
    methods.stream('space.versions', askShape, async function* ({ space, path }, call) {
      const { allowed, reason } = may(roster.state, call.remote.deviceId, 'blob.read', space)
      if (!allowed) throw new SkeinError('auth.denied', reason)
      if (pathProblem(path) !== undefined) throw new SkeinError('codec.invalid', 'no path of a space')
      let left: number = limits.remoteVersions
      for (const one of (await list(space, path)) ?? []) {
        const { id, hash, keptAtMs, cause, sizeBytes, version, by } = one
        if (hash === undefined || one.kind !== 'file' || cause === 'damaged') continue
        if (left-- === 0) return
        yield {
          id,
          path: one.path,
          keptAtMs: Math.max(0, Math.round(keptAtMs)),
          cause,
          sizeBytes,
          hash,
          ...(version !== undefined && { version }),
          ...(by !== undefined && { by }),
        }
      }
    }),
  )
}

export function createAskVersions(env: Env, { roster, keeper }: RemoteVersionParts): AskVersions {
  const askOne = async (
    remote: DeviceId,
    question: { readonly space: SpaceId; readonly path: string },
    signal: AbortSignal,
  ): Promise<readonly RemoteVersion[]> => {
    const found: RemoteVersion[] = []
    try {
      const rpc = keeper.rpc(remote)
      if (rpc === undefined || !may(roster.state, remote, 'blob.read', question.space).allowed) return found
      const options = { signal, timeoutMs: askMs }
      for await (const item of rpc.stream('space.versions', question, itemShape, options)) {
        found.push({ ...item, remote, kept: undefined, kind: 'file', mtimeNs: 0n })
        if (found.length === limits.remoteVersions) break
      }
    } catch (error) {
      signal.throwIfAborted()
      // because: one that is older, gone or says nonsense has told what it has told
      env.log.debug('device not asked for its versions', { deviceId: remote, ...errorFields(error) })
    }
    return found
  }
  return async (space, path, signal) => {
    const others = keeper.status().filter(({ state }) => state === 'up')
    const answers = await Promise.all(others.map(({ deviceId }) => askOne(deviceId, { space, path }, signal)))
    return answers.flat()
  }
}
