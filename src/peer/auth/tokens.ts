/**
 * Capability tokens: JWT by EdDSA (RFC 8037) signed with a device key, through jose. One algorithm, one type, one
 * audience, at most limits.tokenLifeMs, bound to the device or console session that presents it. A token is worth
 * no more than its issuer is now: it dies with the issuer's membership, role or key.
 *
 * The wall clock decides expiry, as it must for something that leaves the mesh's own clocks; an issue time in the
 * future beyond skewMs is refused, so a clock set back does not lengthen a life past that.
 */
import { decodeProtectedHeader, errors as joseErrors, jwtVerify, SignJWT } from 'jose'
import {
  array,
  decodeCanonical,
  encodeCanonical,
  integer,
  object,
  oneOf,
  optional,
  text,
  textOf,
} from '../../base/codec.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { DeviceId, PeerId } from '../../base/ids.ts'
import { encodeId, isDeviceId, isPeerId } from '../../base/ids.ts'
import type { Keep } from '../../base/keep.ts'
import { limits } from '../../base/limits.ts'
import { importPublicKey, publicKeyOf } from './device-key.ts'
import type { Identity } from './keys.ts'
import type { Roster } from './roster.ts'
import { isCovered, parseScope } from './token-scope.ts'

/** Who may present a token. */
export type TokenHolder = { readonly device: DeviceId } | { readonly session: string }

export interface TokenRequest {
  /** What the minter itself holds: the result is never more. */
  readonly held: readonly string[]
  readonly wanted: readonly string[]
  /** Who is to accept it: a device id, or `mesh:<id>`. */
  readonly audience: string
  readonly holder: TokenHolder
  readonly lifeMs: number
}

export interface TokenClaims {
  readonly jti: string
  readonly issuer: DeviceId
  readonly holder: TokenHolder
  readonly scopes: readonly string[]
  readonly expiresMs: number
}

export interface TokenCheck {
  readonly audience: string
  /** Who presented it, from the connection or the session, never from the token. */
  readonly holder: TokenHolder
  readonly need: string
}

export interface Tokens {
  /** @throws `auth.denied` when something wanted is not held, or this device may not mint. */
  mint(request: TokenRequest): Promise<string>
  /** @throws `auth.invalid`, `auth.expired`, `auth.denied`. */
  verify(token: string, check: TokenCheck): Promise<TokenClaims>
  /** Ends one token on this device, for good. @param expiresMs until when it must be remembered. */
  revoke(jti: string, expiresMs: number): Promise<void>
}

const tokenType = 'skein+jwt'
const logName = 'tokens.revoked'
const skewMs = 60_000
const idPattern = /^[0-9a-hjkmnp-tv-z]{26}$/
const claims = object({
  iss: textOf(isDeviceId, 'a device id'),
  jti: text(26, idPattern),
  iat: integer(),
  exp: integer(),
  cnf: object({ device: optional(textOf(isDeviceId, 'a device id')), session: optional(text(128)) }),
  scopes: array(text(512), limits.tokenScopes),
})
const header = object({ alg: oneOf('EdDSA'), typ: oneOf(tokenType), kid: textOf(isPeerId, 'a peer id') })
const revocation = object({ jti: text(26, idPattern), expiresMs: integer() })

export async function createTokens(
  env: Env,
  keep: Keep,
  identity: Identity,
  roster: Roster,
): Promise<Tokens> {
  const revoked = await readRevocations(env, keep)
  return {
    async mint(request) {
      checkRequest(request, identity, roster)
      const nowS = Math.floor(env.clock.nowMs() / 1000)
      return new SignJWT({ scopes: [...request.wanted], cnf: request.holder })
        .setProtectedHeader({ alg: 'EdDSA', typ: tokenType, kid: identity.key.peerId })
        .setIssuer(identity.deviceId)
        .setAudience(request.audience)
        .setIssuedAt(nowS)
        .setExpirationTime(nowS + Math.floor(request.lifeMs / 1000))
        .setJti(encodeId(env.random.bytes(16)))
        .sign(identity.key.privateKey)
    },
    async verify(token, check) {
      if (token.length > limits.tokenBytes) throw new SkeinError('auth.invalid', 'the token is too long')
      const found = await verifySigned(env, token, check.audience)
      checkIssuer(roster, found.kid, found.claims.issuer)
      const { holder, scopes, jti } = found.claims
      if (!isSameHolder(holder, check.holder))
        throw new SkeinError('auth.denied', 'the token belongs to somebody else')
      if ('device' in holder && !isMember(roster, holder.device))
        throw new SkeinError('auth.denied', 'its holder is not a member any more')
      if (revoked.has(jti)) throw new SkeinError('auth.denied', 'the token was revoked')
      if (!isCovered(check.need, scopes))
        throw new SkeinError('auth.denied', `the token does not allow ${check.need}`)
      return found.claims
    },
    async revoke(jti, expiresMs) {
      if (!idPattern.test(jti)) throw new SkeinError('usage', 'not the id of a token')
      forgetExpired(env, revoked)
      if (revoked.size >= limits.tokenRevocations) {
        throw new SkeinError('limit.exceeded', 'too many revoked tokens', {
          fix: 'rotate this device`s key: that ends all of them',
        })
      }
      // However late it claims to expire, no token lives longer than this
      const untilMs = Math.min(expiresMs, Math.floor(env.clock.nowMs()) + limits.tokenLifeMs + skewMs)
      await keep.append(logName, encodeCanonical({ jti, expiresMs: Math.max(0, untilMs) }))
      revoked.set(jti, untilMs)
    },
  }
}

function checkRequest(request: TokenRequest, identity: Identity, roster: Roster): void {
  const { wanted, held, lifeMs, audience } = request
  const own = roster.self()
  if (own?.role !== 'full' || own.key !== identity.key.peerId)
    throw new SkeinError('auth.denied', 'this device may not mint tokens')
  if (wanted.length === 0 || wanted.length > limits.tokenScopes)
    throw new SkeinError('usage', 'a token has 1 to 64 scopes')
  if (lifeMs < 1000 || lifeMs > limits.tokenLifeMs)
    throw new SkeinError('usage', 'a token lives 1 second to 24 hours')
  if (audience === '' || audience.length > 128) throw new SkeinError('usage', 'a token names one audience')
  for (const scope of wanted) {
    if (parseScope(scope) === undefined) throw new SkeinError('usage', 'not a scope in its normal form')
    if (!isCovered(scope, held)) throw new SkeinError('auth.denied', `${scope} is more than the minter holds`)
  }
}

async function verifySigned(
  env: Env,
  token: string,
  audience: string,
): Promise<{ readonly kid: PeerId; readonly claims: TokenClaims }> {
  try {
    const { kid } = header(decodeProtectedHeader(token), 'token header')
    const key = importPublicKey(publicKeyOf(kid))
    if (key === undefined) throw new SkeinError('auth.invalid', 'the token names no sound key')
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['EdDSA'],
      typ: tokenType,
      audience,
      currentDate: new Date(env.clock.nowMs()),
      requiredClaims: ['iss', 'aud', 'exp', 'iat', 'jti'],
    })
    if (typeof payload.aud !== 'string')
      throw new SkeinError('auth.invalid', 'the token has several audiences')
    const value = claims(payload, 'token')
    if (value.iat * 1000 > env.clock.nowMs() + skewMs)
      throw new SkeinError('auth.invalid', 'the token is from the future')
    if ((value.exp - value.iat) * 1000 > limits.tokenLifeMs)
      throw new SkeinError('auth.invalid', 'the token lives too long')
    return {
      kid,
      claims: {
        jti: value.jti,
        issuer: value.iss,
        holder: holderOf(value.cnf),
        scopes: value.scopes,
        expiresMs: value.exp * 1000,
      },
    }
  } catch (error) {
    if (error instanceof joseErrors.JWTExpired)
      throw new SkeinError('auth.expired', 'the token has expired', { cause: error })
    if (error instanceof SkeinError && error.code.startsWith('auth.')) throw error
    throw new SkeinError('auth.invalid', 'the token does not verify', { cause: error })
  }
}

function checkIssuer(roster: Roster, kid: PeerId, issuer: DeviceId): void {
  // The roster as it is now: a removed issuer, a lost role or a key past its overlap ends all its tokens at once
  if (roster.deviceOf(kid) !== issuer || roster.state.devices.get(issuer)?.role !== 'full') {
    throw new SkeinError('auth.denied', 'the device that minted the token may not any more')
  }
}

function isMember(roster: Roster, device: DeviceId): boolean {
  const known = roster.state.devices.get(device)
  return known !== undefined && known.removed === undefined
}

function holderOf(cnf: {
  readonly device: DeviceId | undefined
  readonly session: string | undefined
}): TokenHolder {
  if (cnf.device !== undefined && cnf.session === undefined) return { device: cnf.device }
  if (cnf.session !== undefined && cnf.device === undefined) return { session: cnf.session }
  throw new SkeinError('auth.invalid', 'the token is not bound to one holder')
}

function isSameHolder(one: TokenHolder, other: TokenHolder): boolean {
  if ('device' in one) return 'device' in other && one.device === other.device
  return 'session' in other && one.session === other.session
}

async function readRevocations(env: Env, keep: Keep): Promise<Map<string, number>> {
  const revoked = new Map<string, number>()
  try {
    for (const record of await keep.readLog(logName)) {
      const { jti, expiresMs } = decodeCanonical(record, revocation, 256)
      revoked.set(jti, expiresMs)
    }
  } catch (error) {
    if (!(error instanceof SkeinError) || error.code === 'store.failed') throw error
    throw new SkeinError('store.corrupt', 'the list of revoked tokens cannot be read', {
      cause: error,
      fix: 'rotate this device`s key with `skein rotate`, then remove the file `tokens.revoked`',
    })
  }
  forgetExpired(env, revoked)
  return revoked
}

function forgetExpired(env: Env, revoked: Map<string, number>): void {
  // A day late, so that a clock set forward and back does not revive one
  for (const [jti, expiresMs] of revoked)
    if (expiresMs + limits.tokenLifeMs < env.clock.nowMs()) revoked.delete(jti)
}
