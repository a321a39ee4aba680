/**
 * Tokens and the audit log as verbs, and the witnesses: members keep the latest signed audit head of each other, so
 * that a log cut off or signed anew on one device is found out. RPC: `audit.witness` [head] -> the head the answerer
 * holds of the caller.
 */
import {
  array,
  bytes,
  decodeCanonical,
  encodeCanonical,
  integer,
  object,
  optional,
  text,
} from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { AuditEntry, AuditVerdict, PeerApi, TokenInfo } from './api.ts'
import { may } from './auth/access.ts'
import type { Audit } from './auth/audit.ts'
import { decodeAuditHead } from './auth/audit.ts'
import type { Identity } from './auth/keys.ts'
import type { Roster } from './auth/roster.ts'
import type { Tokens } from './auth/tokens.ts'
import { readFormerKeys } from './former-keys.ts'
import type { Mesh } from './mesh.ts'

export interface SecurityParts {
  readonly keep: Keep
  readonly identity: Identity
  readonly roster: Roster
  readonly mesh: Mesh
  readonly audit: Audit
  readonly tokens: Tokens
}

const mintedLog = 'tokens.minted'
const mintedShape = object({
  jti: text(64),
  scopes: array(text(512), limits.tokenScopes),
  audience: text(128),
  issuedAtMs: integer(),
  expiresAtMs: integer(),
  revoked: optional(integer(1)),
})
const defaultLifeMs = 60 * 60_000
const defaultAuditLines = 50
/** Everything there is: what a full device may hand on. */
const everyScope = [
  'status:read',
  'metrics:read',
  'events:read',
  'file:read',
  'file:write',
  'clipboard:read',
  'clipboard:write',
  'command:run',
]

type SecurityVerbs = Pick<
  PeerApi,
  'tokenMint' | 'tokenList' | 'tokenRevoke' | 'tokenCheck' | 'audit' | 'auditVerify'
>

export function createSecurityVerbs(env: Env, parts: SecurityParts): SecurityVerbs {
  const { keep, identity, roster, audit, tokens } = parts
  const minted = async (): Promise<readonly TokenInfo[]> => {
    const found = new Map<string, TokenInfo>()
    for (const wire of await keep.readLog(mintedLog)) {
      const { revoked, ...info } = decodeCanonical(wire, mintedShape, limits.tokenBytes * 4)
      const state = revoked === 1 ? 'revoked' : info.expiresAtMs <= env.clock.nowMs() ? 'expired' : 'valid'
      found.set(info.jti, { ...info, state })
    }
    return [...found.values()]
  }
  return {
    async tokenMint({ scopes, lifetimeMs = defaultLifeMs, audience = `mesh:${roster.mesh}` }) {
      const own = roster.self()
      const held = own?.role === 'full' && own.removed === undefined ? everyScope : []
      const lifeMs = Math.min(lifetimeMs, limits.tokenLifeMs)
      const token = await tokens.mint({
        held,
        wanted: scopes,
        audience,
        holder: { device: identity.deviceId },
        lifeMs,
      })
      const claims = readClaims(token)
      const info = {
        jti: claims.jti,
        scopes,
        audience,
        issuedAtMs: claims.iat * 1000,
        expiresAtMs: claims.exp * 1000,
      }
      await keep.append(mintedLog, encodeCanonical(info))
      await audit.record('token', { jti: info.jti, scopes: scopes.join(' ').slice(0, 500), audience })
      return { token, jti: info.jti, expiresAtMs: info.expiresAtMs, scopes }
    },
    tokenList: minted,
    async tokenRevoke({ jti }) {
      const info = (await minted()).find((one) => one.jti === jti)
      if (info === undefined)
        throw new SkeinError('not.found', 'no such token', { fix: 'skein token list shows the ids' })
      await tokens.revoke(jti, info.expiresAtMs)
      const { state: _, audience = '', ...rest } = info
      await keep.append(mintedLog, encodeCanonical({ ...rest, audience, revoked: 1 }))
      await audit.record('token.revoked', { jti })
      return {}
    },
    tokenCheck: (params) => checkToken(parts, params),
    audit: ({ limit = defaultAuditLines }) =>
      Promise.resolve(audit.tail(limit).map((entry) => describe(entry, identity.deviceId))),
    async auditVerify() {
      const former = await readFormerKeys(keep)
      const verdict = await audit.verify({
        witnessed: await askWitnesses(env, parts),
        isOwnKey: (key) =>
          key === identity.key.peerId || former.has(key) || roster.self()?.keys.includes(key) === true,
      })
      const head = audit.head()
      return {
        ok: verdict.isIntact,
        entryCount: verdict.entries,
        ...(head !== undefined && { head: head.hash }),
        ...(verdict.reason !== undefined && { reason: verdict.reason, badSequence: verdict.entries + 1 }),
      } satisfies AuditVerdict
    },
  }
}

/** Tokens for the mesh that this device holds itself, as those that `skein token mint` makes. */
async function checkToken(
  { tokens, roster, identity }: SecurityParts,
  { token, scope }: { readonly token: string; readonly scope: string },
): Promise<{ readonly jti: string }> {
  const holder = { device: identity.deviceId }
  const { jti } = await tokens.verify(token, { audience: `mesh:${roster.mesh}`, holder, need: scope })
  return { jti }
}

function describe(entry: ReturnType<Audit['tail']>[number], self: DeviceId): AuditEntry {
  const { seq, atMs, kind, fields, hash } = entry
  const { device, ...details } = fields
  return {
    sequence: seq,
    atMs,
    action: kind,
    actor: self,
    ...(typeof device === 'string' && { subject: device }),
    ...(Object.keys(details).length > 0 && { details }),
    hash,
  }
}

/** The claims of a token this device has just made: no need to verify. */
function readClaims(token: string): { readonly jti: string; readonly iat: number; readonly exp: number } {
  const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  return object({ jti: text(64), iat: integer(), exp: integer() })(payload, 'token')
}

const headShape = object({ head: optional(bytes(limits.auditRecordBytes)) })
const witnessName = (deviceId: DeviceId): string => `audit-head-${deviceId}`

/** Keeps heads of others and shows ours, at each contact. */
export function startWitnesses(env: Env, scope: Scope, parts: SecurityParts): void {
  const { keep, roster, mesh } = parts
  scope.own(
    mesh.methods.request('audit.witness', headShape, async ({ head }, call) => {
      const { deviceId } = call.remote
      const { allowed, reason } = may(roster.state, deviceId, 'audit.witness')
      if (!allowed) throw new SkeinError('auth.denied', reason)
      const held = await keep.read(witnessName(deviceId))
      if (head !== undefined && isNewer(roster, deviceId, head, held))
        await keep.write(witnessName(deviceId), head)
      return { value: held === undefined ? {} : { head: held } }
    }),
  )
  scope.own(
    mesh.keeper.events.on('link.up', ({ deviceId }) => {
      scope.spawn('show audit head', async (signal) => {
        await showHead(parts, deviceId, signal).catch((error: unknown) =>
          env.log.debug('audit head not shown', { deviceId, ...errorFields(error) }),
        )
      })
    }),
  )
}

/** Only heads by a key of that device count, and only later ones replace what is held. */
function isNewer(
  roster: Roster,
  deviceId: DeviceId,
  head: Uint8Array,
  held: Uint8Array | undefined,
): boolean {
  const offered = decodeAuditHead(head)
  if (!(roster.state.devices.get(deviceId)?.keys.includes(offered.by) ?? false)) return false
  return held === undefined || decodeAuditHead(held).seq < offered.seq
}

async function showHead(
  { mesh, audit }: SecurityParts,
  deviceId: DeviceId,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const rpc = mesh.keeper.rpc(deviceId)
  if (rpc === undefined) return undefined
  const own = await audit.seal()
  const { head } = await rpc.call('audit.witness', own === undefined ? {} : { head: own.bytes }, headShape, {
    signal,
  })
  return head
}

async function askWitnesses(env: Env, parts: SecurityParts): Promise<readonly Uint8Array[]> {
  const heads: Uint8Array[] = []
  for (const { deviceId, state } of parts.mesh.keeper.status()) {
    if (state !== 'up') continue
    try {
      const head = await showHead(parts, deviceId, new AbortController().signal)
      if (head !== undefined) heads.push(head)
    } catch (error) {
      // because: a witness that is gone or sends rubbish proves nothing either way
      env.log.info('witness not asked', { deviceId, code: asSkeinError(error).code })
    }
  }
  return heads
}
