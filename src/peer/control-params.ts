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
const spaceRole = oneOf('full', 'read-only')
const patterns = array(text(limits.patternBytes, /\S/), limits.selectionPatterns)
const dayMs = 86_400_000
/** An id or the start of one. */
const clipId = text(26, /^[0-9A-Za-z]+$/)
const mediaType = text(127, /^[\w.+-]+\/[\w.+;= -]+$/)
const clipPiece = text(Math.ceil((limits.clipboardPieceBytes * 4) / 3) + 4, /^[A-Za-z0-9+/]*={0,2}$/)

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
  grant: params<ParamsOf<'grant'>>({
    device: reference,
    role,
    spaces: optional(array(reference, limits.grantsPerDevice)),
  }),
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
  consoleOpen: params<ParamsOf<'consoleOpen'>>({ isForOwnUser: optional(boolean) }),
  consoleSessions: none,
  consoleEnd: params<ParamsOf<'consoleEnd'>>({ id: text(64, /\S/) }),
  share: params<ParamsOf<'share'>>({ directory: path, name: optional(name) }),
  join: params<ParamsOf<'join'>>({
    space: reference,
    directory: path,
    role: optional(spaceRole),
    only: optional(patterns),
    except: optional(patterns),
  }),
  syncOnce: params<ParamsOf<'syncOnce'>>({
    space: reference,
    directory: optional(path),
    direction: optional(oneOf('pull', 'push')),
    timeoutMs: optional(integer(dayMs)),
  }),
  spaceRole: params<ParamsOf<'spaceRole'>>({ space: reference, role: spaceRole }),
  select: params<ParamsOf<'select'>>({
    space: reference,
    only: optional(patterns),
    except: optional(patterns),
  }),
  localChanges: params<ParamsOf<'localChanges'>>({ space: reference }),
  revert: params<ParamsOf<'revert'>>({
    space: reference,
    paths: optional(array(text(4_096), limits.listedEntries)),
  }),
  entries: params<ParamsOf<'entries'>>({ space: reference, path: optional(text(4_096)) }),
  unshare: params<ParamsOf<'unshare'>>({ space: reference }),
  spaces: none,
  sync: params<ParamsOf<'sync'>>({ space: optional(reference), timeoutMs: optional(integer(dayMs)) }),
  syncProgress: params<ParamsOf<'syncProgress'>>({
    space: optional(reference),
    timeoutMs: optional(integer(dayMs)),
  }),
  store: params<ParamsOf<'store'>>({ space: reference, device: reference, isStopped: optional(boolean) }),
  spaceKey: params<ParamsOf<'spaceKey'>>({ space: reference }),
  recover: params<ParamsOf<'recover'>>({ code: text(256), directory: path, device: optional(reference) }),
  hold: params<ParamsOf<'hold'>>({ quotaBytes: optional(integer()), isStopped: optional(boolean) }),
  held: none,
  pause: params<ParamsOf<'pause'>>({ space: optional(reference) }),
  resume: params<ParamsOf<'resume'>>({ space: optional(reference) }),
  deletions: params<ParamsOf<'deletions'>>({ space: reference, verdict: oneOf('allow', 'undo') }),
  scrub: params<ParamsOf<'scrub'>>({
    space: optional(reference),
    action: optional(oneOf('start', 'stop')),
  }),
  scrubStatus: params<ParamsOf<'scrubStatus'>>({ space: optional(reference) }),
  conflicts: params<ParamsOf<'conflicts'>>({ space: optional(reference) }),
  conflictShow: params<ParamsOf<'conflictShow'>>({ path }),
  conflictPick: params<ParamsOf<'conflictPick'>>({
    path,
    choice: oneOf('mine', 'theirs', 'both', 'device'),
    device: optional(reference),
  }),
  conflictMerge: params<ParamsOf<'conflictMerge'>>({ path, result: optional(path) }),
  versions: params<ParamsOf<'versions'>>({ path, isHereOnly: optional(boolean) }),
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
  clipGet: params<ParamsOf<'clipGet'>>({ id: optional(clipId) }),
  clipRead: params<ParamsOf<'clipRead'>>({ id: optional(clipId), type: optional(mediaType) }),
  clipSet: params<ParamsOf<'clipSet'>>({
    text: optional(text(limits.messageBytes)),
    base64: optional(clipPiece),
    upload: optional(text(64, /\S/)),
    type: optional(mediaType),
  }),
  clipUpload: params<ParamsOf<'clipUpload'>>({ upload: optional(text(64, /\S/)), base64: clipPiece }),
  clipHistory: params<ParamsOf<'clipHistory'>>({
    limit: optional(integer(1_000, 1)),
    query: optional(text(1_024)),
    pinned: optional(boolean),
  }),
  clipPaste: params<ParamsOf<'clipPaste'>>({ id: clipId }),
  clipPin: params<ParamsOf<'clipPin'>>({ id: clipId }),
  clipUnpin: params<ParamsOf<'clipUnpin'>>({ id: clipId }),
  clipDelete: params<ParamsOf<'clipDelete'>>({ id: clipId }),
  clipClear: params<ParamsOf<'clipClear'>>({ pinned: optional(boolean) }),
  clipPause: params<ParamsOf<'clipPause'>>({ forMs: optional(integer(365 * dayMs, 1_000)) }),
  clipResume: none,
  clipState: none,
}

const streams: { readonly [V in StreamVerb]: true } = {
  pair: true,
  pairJoin: true,
  events: true,
  logs: true,
  syncProgress: true,
  syncOnce: true,
  clipRead: true,
}

export const isVerb = (verb: string): verb is VerbName => Object.hasOwn(controlParams, verb)
export const isStreamVerb = (verb: VerbName): verb is StreamVerb => Object.hasOwn(streams, verb)
