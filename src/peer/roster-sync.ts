/**
 * Carries the roster between members: whoever learns something tells its heads to all it is connected with, and
 * who lacks statements asks for them. Every statement is verified on its own, so any member may carry any.
 * RPC: `roster.heads` [heads] (a notice), `roster.since` [heads] -> statements the caller lacks, parents first, as
 * canonical CBOR [bytes...] in the raw body, at most one message; the caller asks again until nothing new comes.
 */
import { array, bytes, decodeCanonical, encodeCanonical, integer, object, text } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import type { Keeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import type { Roster } from './auth/roster.ts'

/** Room for the frame around the statements. */
const batchBytes = limits.messageBytes - 1024
/** Concurrent branches told at once; what the rest leads to comes with a later call. */
const maxHeads = 64
const headsShape = object({ heads: array(text(64, /^[0-9a-f]{64}$/), maxHeads) })
const answerShape = object({ count: integer(limits.rosterStatements) })
const batchShape = array(bytes(limits.rosterStatementBytes), limits.rosterStatements)

export interface RosterSyncParts {
  readonly roster: Roster
  readonly keeper: Keeper
  readonly methods: RpcMethods<LinkRemote>
}

/** Serves and follows the roster until the scope ends. */
export function startRosterSync(env: Env, scope: Scope, { roster, keeper, methods }: RosterSyncParts): void {
  const pulling = new Set<DeviceId>()
  const again = new Set<DeviceId>()
  const pull = async (deviceId: DeviceId, signal: AbortSignal): Promise<void> => {
    for (;;) {
      const rpc = keeper.rpc(deviceId)
      if (rpc === undefined) return
      const { body } = await rpc.callWithBody('roster.since', { heads: headsOf(roster) }, answerShape, {
        signal,
      })
      if (body.byteLength === 0) return
      const batch = decodeCanonical(body, batchShape, limits.messageBytes)
      const result = await roster.merge(batch)
      for (const refused of result.refused) env.log.warn('roster statement refused', { deviceId, ...refused })
      if (result.accepted === 0) return
    }
  }
  const startPull = (deviceId: DeviceId): void => {
    if (pulling.has(deviceId)) {
      again.add(deviceId)
      return
    }
    pulling.add(deviceId)
    scope.spawn('pull roster', async (signal) => {
      try {
        await pull(deviceId, signal)
      } catch (error) {
        // because: whatever one peer does or sends, the next contact tries again; our own store failing is not its fault
        if (hasCode(error, 'store.failed', 'disk.full')) throw error
        env.log.info('roster not fetched', { deviceId, ...errorFields(error) })
      } finally {
        pulling.delete(deviceId)
        if (again.delete(deviceId)) startPull(deviceId)
      }
    })
  }
  const tell = (deviceId: DeviceId): void => {
    const rpc = keeper.rpc(deviceId)
    if (rpc === undefined) return
    rpc
      .call('roster.heads', { heads: headsOf(roster) }, answerShape, { signal: scope.signal })
      .catch((error: unknown) => env.log.debug('roster heads not told', { deviceId, ...errorFields(error) }))
  }

  scope.own(
    methods.request('roster.heads', headsShape, ({ heads }, call) => {
      const own = new Set(roster.heads())
      // A head that is no head here may still be known: then the pull brings nothing, which costs one small call
      if (heads.some((head) => !own.has(head))) startPull(call.remote.deviceId)
      return { value: { count: heads.length } }
    }),
  )
  scope.own(
    methods.request('roster.since', headsShape, ({ heads }) => {
      const batch = firstBytes(roster.since(heads), batchBytes)
      return { value: { count: batch.length }, ...(batch.length > 0 && { body: encodeCanonical(batch) }) }
    }),
  )
  scope.own(keeper.events.on('link.up', ({ deviceId }) => tell(deviceId)))
  scope.own(
    roster.events.on('roster.changed', () => {
      for (const status of keeper.status()) tell(status.deviceId)
    }),
  )
}

const headsOf = (roster: Roster): readonly string[] => roster.heads().slice(0, maxHeads)

function firstBytes(statements: readonly Uint8Array[], maxBytes: number): readonly Uint8Array[] {
  let sizeBytes = 0
  const end = statements.findIndex((statement) => {
    sizeBytes += statement.byteLength + 5
    return sizeBytes > maxBytes
  })
  return end < 0 ? statements : statements.slice(0, end)
}
