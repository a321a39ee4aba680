/**
 * Checks the parameters of every verb before its handler sees them. The table is complete by type: a verb that
 * is added to the api does not compile until its parameters have a validator here.
 */
import type { Validator } from '../base/codec.ts'
import { array, boolean, integer, object, oneOf, optional, text } from '../base/codec.ts'
import { limits } from '../base/limits.ts'
import type { ParamsOf, StreamVerb, VerbName } from './api.ts'
import { roles } from './api-device.ts'

/** Validators of the fields of T. */
type Fields<T> = { readonly [K in keyof T]-?: Validator<T[K]> }

/** An object whose absent fields stay absent. */
function params<T extends object>(fields: Fields<T>): Validator<T> {
  // because: a mapped type over a generic T is not seen as a record of validators
  const whole = object(fields as Readonly<Record<string, Validator<unknown>>>)
  return (value, path) => {
    const present = Object.entries(whole(value, path)).filter(([, field]) => field !== undefined)
    // because: each field of T was validated, and optional ones are absent rather than undefined
    return Object.fromEntries(present) as T
  }
}

const none = params<Readonly<Record<string, never>>>({})
const name = text(limits.nameBytes, /\S/)
/** An id, a PeerId, a name, or the start of one. */
const reference = text(256, /\S/)
const path = text(4096, /^(\/|[A-Za-z]:[\\/]|\\\\)/)
const role = oneOf(...roles)
const dayMs = 86_400_000

export const controlParams: { readonly [V in VerbName]: Validator<ParamsOf<V>> } = {
  status: none,
  devices: none,
  machines: none,
  pair: params<ParamsOf<'pair'>>({ role: optional(role), spaces: optional(array(reference, 256)) }),
  pairConfirm: params<ParamsOf<'pairConfirm'>>({
    requestId: text(128),
    accept: boolean,
    role: optional(role),
  }),
  pairJoin: params<ParamsOf<'pairJoin'>>({ code: optional(text(4096)), address: optional(text(512)) }),
  revoke: params<ParamsOf<'revoke'>>({ device: reference }),
  rename: params<ParamsOf<'rename'>>({ name, device: optional(reference) }),
  leave: none,
  rotate: none,
  events: none,
  metrics: none,
  tokenMint: params<ParamsOf<'tokenMint'>>({
    scopes: array(text(512, /\S/), 64),
    lifetimeMs: optional(integer(365 * dayMs, 1_000)),
    audience: optional(text(256)),
  }),
  tokenList: none,
  tokenRevoke: params<ParamsOf<'tokenRevoke'>>({ jti: text(128) }),
  tokenCheck: params<ParamsOf<'tokenCheck'>>({ token: text(limits.tokenBytes), scope: text(512, /\S/) }),
  audit: params<ParamsOf<'audit'>>({ limit: optional(integer(limits.auditTail, 1)) }),
  auditVerify: none,
  logs: params<ParamsOf<'logs'>>({ lines: optional(integer(100_000)), follow: optional(boolean) }),
  doctor: none,
  down: none,
  consoleOpen: none,
  consoleSessions: none,
  consoleEnd: params<ParamsOf<'consoleEnd'>>({ id: text(64, /\S/) }),
  share: params<ParamsOf<'share'>>({ directory: path, name: optional(name) }),
  join: params<ParamsOf<'join'>>({ space: reference, directory: path }),
  unshare: params<ParamsOf<'unshare'>>({ space: reference }),
  spaces: none,
  sync: params<ParamsOf<'sync'>>({ space: optional(reference), timeoutMs: optional(integer(dayMs)) }),
  syncProgress: params<ParamsOf<'syncProgress'>>({
    space: optional(reference),
    timeoutMs: optional(integer(dayMs)),
  }),
  pause: params<ParamsOf<'pause'>>({ space: optional(reference) }),
  resume: params<ParamsOf<'resume'>>({ space: optional(reference) }),
  deletions: params<ParamsOf<'deletions'>>({ space: reference, verdict: oneOf('allow', 'undo') }),
  conflicts: params<ParamsOf<'conflicts'>>({ space: optional(reference) }),
  conflictShow: params<ParamsOf<'conflictShow'>>({ path }),
  conflictPick: params<ParamsOf<'conflictPick'>>({
    path,
    choice: oneOf('mine', 'theirs', 'both', 'device'),
    device: optional(reference),
  }),
  conflictMerge: params<ParamsOf<'conflictMerge'>>({ path, result: optional(path) }),
  versions: params<ParamsOf<'versions'>>({ path }),
  restore: params<ParamsOf<'restore'>>({
    path,
    version: optional(text(64, /^[0-9A-Za-z]+$/)),
    to: optional(path),
    atMs: optional(integer()),
  }),
  history: params<ParamsOf<'history'>>({ path }),
  ignore: params<ParamsOf<'ignore'>>({
    space: reference,
    add: optional(array(text(1_024), limits.ignorePatterns)),
    remove: optional(array(text(1_024), limits.ignorePatterns)),
  }),
  ignoreCheck: params<ParamsOf<'ignoreCheck'>>({ path }),
  clipGet: none,
  clipSet: params<ParamsOf<'clipSet'>>({ text: text(limits.messageBytes) }),
  clipHistory: params<ParamsOf<'clipHistory'>>({
    limit: optional(integer(1_000, 1)),
    query: optional(text(1_024)),
  }),
}

const streams: { readonly [V in StreamVerb]: true } = {
  pair: true,
  pairJoin: true,
  events: true,
  logs: true,
  syncProgress: true,
}

export const isVerb = (verb: string): verb is VerbName => Object.hasOwn(controlParams, verb)
export const isStreamVerb = (verb: VerbName): verb is StreamVerb => Object.hasOwn(streams, verb)
