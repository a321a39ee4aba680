/**
 * Carries the roster between members: whoever learns something tells its heads to all it is connected with, and
 * who lacks statements asks for them. Every statement is verified on its own, so any member may carry any.
 * RPC: `roster.heads` [heads] (a notice), `roster.since` [heads] -> statements the caller lacks, parents first, as
 * canonical CBOR [bytes...] in the raw body, at most one message; the caller asks again until nothing new comes.
 * `roster.removed` with the removal as the raw body tells a device, just before it is cut off, that it was put out.
 */
import { array, bytes, decodeCanonical, encodeCanonical, integer, object, text } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import type { Keeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import type { MergeResult } from './auth/roster-arrivals.ts'
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
export function startRosterSync(env: Env, scope: Scope, parts: RosterSyncParts): void {
  const { roster, keeper } = parts
  const startPull = createPuller(env, scope, parts)
  const ask = (deviceId: DeviceId, method: string, params: unknown, body?: Uint8Array): void => {
    keeper
      .rpc(deviceId)
      ?.callWithBody(method, params, answerShape, { signal: scope.signal, ...(body && { body }) })
      .catch((error: unknown) =>
        env.log.debug('roster news not told', { deviceId, method, ...errorFields(error) }),
      )
  }
  const tell = (deviceId: DeviceId): void => ask(deviceId, 'roster.heads', { heads: headsOf(roster) })
  /** All that leads to the removal and is not known there yet; what does not fit, it need not understand. */
  const tellRemoved = (deviceId: DeviceId): void => {
    const batch = lastBytes(roster.since([]), batchBytes)
    ask(deviceId, 'roster.removed', { count: batch.length }, encodeCanonical(batch))
  }
  serve(env, scope, parts, startPull)
  scope.own(keeper.events.on('link.up', ({ deviceId }) => tell(deviceId)))
  scope.own(
    roster.events.on('roster.changed', ({ removed }) => {
      for (const deviceId of removed) tellRemoved(deviceId)
    }),
  )
  // Also what takes no effect here is told on: all must hold the same statements to come to the same state
  scope.own(
    roster.events.on('roster.stored', () => {
      for (const { deviceId } of keeper.status()) tell(deviceId)
    }),
  )
}

type StartPull = (deviceId: DeviceId) => void

function serve(env: Env, scope: Scope, { roster, methods }: RosterSyncParts, startPull: StartPull): void {
  scope.own(
    methods.request('roster.removed', answerShape, async (_, call) => {
      const result = await roster.merge(decodeCanonical(call.body, batchShape, limits.messageBytes))
      logRefused(env, call.remote.deviceId, result)
      return { value: { count: result.accepted } }
    }),
  )
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
}

/** Fetches what a device has and this one lacks; one run per device, and one more when news came meanwhile. */
function createPuller(env: Env, scope: Scope, { roster, keeper }: RosterSyncParts): StartPull {
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
      const result = await roster.merge(decodeCanonical(body, batchShape, limits.messageBytes))
      logRefused(env, deviceId, result)
      if (result.accepted === 0) return
    }
  }
  const start: StartPull = (deviceId) => {
    if (pulling.has(deviceId)) {
      again.add(deviceId)
      return
    }
    pulling.add(deviceId)
    scope.spawn('pull roster', async (signal) => {
      try {
        await pull(deviceId, signal)
      } catch (error) {
        // because: whatever one peer sends, and also when our own disk is full, the next contact tries again
        env.log.info('roster not fetched', { deviceId, ...errorFields(error) })
      } finally {
        pulling.delete(deviceId)
        if (again.delete(deviceId)) start(deviceId)
      }
    })
  }
  return start
}

function logRefused(env: Env, deviceId: DeviceId, { refused }: MergeResult): void {
  for (const one of refused) env.log.warn('roster statement refused', { deviceId, ...one })
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

/** The newest ones: a removed device knows the rest, or waits for it. */
function lastBytes(statements: readonly Uint8Array[], maxBytes: number): readonly Uint8Array[] {
  return firstBytes(statements.toReversed(), maxBytes).toReversed()
}
