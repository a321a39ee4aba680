/**
 * What was done in the name of this device, as a hash chain that cannot be changed unnoticed.
 *
 * Log `audit`, one canonical CBOR record each:
 *   entry = [0, seq, previous 32, {atMs, kind, fields}]     hash = sha256("skein/audit/1\0" previous, record bytes)
 *   head  = [1, seq, hash 32, key 32, signature 64]          after limits.auditHeadEntries entries or limits.auditHeadMs
 * Entries are numbered from 1. Heads are handed to other peers, who keep the latest of each device as witnesses: a log
 * that was cut off and signed anew does not contain what they hold. Fields never carry secrets or content.
 */
import { createHash } from 'node:crypto'
import type { Validator } from '../../base/codec.ts'
import {
  anything,
  bytes,
  decodeCanonical,
  encodeCanonical,
  integer,
  isObject,
  object,
  oneOf,
} from '../../base/codec.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { PeerId } from '../../base/ids.ts'
import type { Keep } from '../../base/keep.ts'
import { limits } from '../../base/limits.ts'
import { peerIdOf, verifySignature } from './device-key.ts'
import type { Identity } from './keys.ts'

export const auditKinds = [
  'pair',
  'pair.failed',
  'add',
  'remove',
  'rotate',
  'grant',
  'rename',
  'recover',
  'leave',
  'adopt',
  'token',
  'token.revoked',
  'denied',
  'command',
  'input',
  'screen',
  'space.key',
  'store',
  'store.stopped',
  'started',
  'stopped',
] as const
export type AuditKind = (typeof auditKinds)[number]
export type AuditFields = Readonly<Record<string, string | number | boolean>>

export interface AuditEntry {
  readonly seq: number
  /** Wall clock: for people only, the order is that of `seq`. */
  readonly atMs: number
  readonly kind: AuditKind
  readonly fields: AuditFields
  /** Of the chain up to and with this entry, hex. */
  readonly hash: string
}

export interface AuditHead {
  readonly seq: number
  /** Hex. */
  readonly hash: string
  readonly by: PeerId
  /** The signed form, for witnesses. */
  readonly bytes: Uint8Array
}

export interface AuditVerdict {
  readonly isIntact: boolean
  readonly entries: number
  /** Where and how it is broken. */
  readonly reason: string | undefined
}

export interface AuditEvidence {
  /** Signed heads of this device that others hold. */
  readonly witnessed?: readonly Uint8Array[]
  /** True for the keys this device ever had: heads by others were put there by somebody else. */
  readonly isOwnKey?: (key: PeerId) => boolean
}

export interface Audit extends AsyncDisposable {
  /** Durable once resolved. @throws `store.failed`, `limit.exceeded`. */
  record(kind: AuditKind, fields: AuditFields): Promise<AuditEntry>
  /** The last `count` entries, oldest first; at most limits.auditTail. */
  tail(count: number): readonly AuditEntry[]
  /** The latest signed head, for other peers to keep. */
  head(): AuditHead | undefined
  /** Signs a head for what is not yet covered. */
  seal(): Promise<AuditHead | undefined>
  /** Reads the whole log again and holds it against what others know. */
  verify(against?: AuditEvidence): Promise<AuditVerdict>
}

const logName = 'audit'
const zero = new Uint8Array(32)
const fieldsOf: Validator<AuditFields> = (value, path) => {
  const isFlat =
    isObject(value) &&
    Object.values(value).every((field) => ['string', 'number', 'boolean'].includes(typeof field))
  if (!isFlat) throw new SkeinError('codec.invalid', `${path}: expected plain fields`)
  // because: just checked, field by field
  return value as AuditFields
}
const content = object({ atMs: integer(), kind: oneOf(...auditKinds), fields: fieldsOf })

interface Chain {
  readonly seq: number
  readonly hash: Uint8Array
}

/** Opens the log. @throws `store.corrupt` when it does not hold together: it is never continued over a break. */
export async function createAudit(env: Env, keep: Keep, identity: Identity): Promise<Audit> {
  const opened = checkLog(await keep.readLog(logName), {})
  if (!opened.verdict.isIntact) {
    throw new SkeinError('store.corrupt', `the audit log was changed: ${opened.verdict.reason ?? ''}`, {
      fix: 'keep a copy of the file `audit` for examination, then move it away to start a new log',
    })
  }
  let chain: Chain = opened.chain
  let head = opened.head
  let timer: Disposable | undefined
  let turn: Promise<unknown> = Promise.resolve()
  const recent: AuditEntry[] = opened.entries.slice(-limits.auditTail)
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work)
    turn = result.catch(() => undefined) // because: the caller of each gets its failure
    return result
  }
  const sealNow = async (): Promise<AuditHead | undefined> => {
    timer?.[Symbol.dispose]()
    timer = undefined
    if (chain.seq === (head?.seq ?? 0)) return head
    const signed = signHead(identity, chain)
    await keep.append(logName, signed.bytes)
    head = signed
    return head
  }
  const append = async (kind: AuditKind, fields: AuditFields): Promise<AuditEntry> => {
    const seq = chain.seq + 1
    const atMs = Math.max(0, Math.floor(env.clock.nowMs()))
    const wire = encodeCanonical([0, seq, chain.hash, { atMs, kind, fields }])
    if (wire.byteLength > limits.auditRecordBytes)
      throw new SkeinError('limit.exceeded', 'an audit record is too long')
    await keep.append(logName, wire)
    chain = { seq, hash: hashOf(chain.hash, wire) }
    const entry = { seq, atMs, kind, fields, hash: hexOf(chain.hash) }
    recent.push(entry)
    if (recent.length > limits.auditTail) recent.shift()
    if (chain.seq - (head?.seq ?? 0) >= limits.auditHeadEntries) await sealNow()
    else
      timer ??= env.clock.setTimer(
        limits.auditHeadMs,
        () =>
          void inTurn(sealNow).catch((error: unknown) =>
            env.log.error('audit head failed', { error: String(error) }),
          ),
      )
    return entry
  }
  return {
    record: (kind, fields) => inTurn(() => append(kind, fields)),
    tail: (count) => (count <= 0 ? [] : recent.slice(-count)),
    head: () => head,
    seal: () => inTurn(sealNow),
    verify: (against = {}) => inTurn(async () => checkLog(await keep.readLog(logName), against).verdict),
    [Symbol.asyncDispose]: () => inTurn(async () => void (await sealNow())),
  }
}

/** Form and signature of a head from anywhere. @throws `codec.invalid`, `auth.invalid`. */
export function decodeAuditHead(wire: Uint8Array): AuditHead {
  const parts = decodeCanonical(wire, anything, limits.auditRecordBytes)
  const list: readonly unknown[] = Array.isArray(parts) ? parts : []
  if (list.length !== 5 || list[0] !== 1) throw new SkeinError('codec.invalid', 'not an audit head')
  const seq = integer(Number.MAX_SAFE_INTEGER, 1)(list[1], 'seq')
  const hash = bytes(32, 32)(list[2], 'hash')
  const key = bytes(32, 32)(list[3], 'key')
  const signature = bytes(64, 64)(list[4], 'signature')
  if (!verifySignature(key, 'audit-head', encodeCanonical([seq, hash]), signature)) {
    throw new SkeinError('auth.invalid', 'audit head: bad signature')
  }
  return { seq, hash: Buffer.from(hash).toString('hex'), by: peerIdOf(key), bytes: Uint8Array.from(wire) }
}

function signHead(identity: Identity, chain: Chain): AuditHead {
  const signature = identity.key.sign('audit-head', encodeCanonical([chain.seq, chain.hash]))
  return decodeAuditHead(encodeCanonical([1, chain.seq, chain.hash, identity.key.publicKey, signature]))
}

interface CheckedLog {
  readonly verdict: AuditVerdict
  readonly entries: readonly AuditEntry[]
  readonly chain: Chain
  readonly head: AuditHead | undefined
}

function checkLog(
  records: readonly Uint8Array[],
  { witnessed = [], isOwnKey = () => true }: AuditEvidence,
): CheckedLog {
  const entries: AuditEntry[] = []
  const hashes = new Map<number, string>()
  let chain: Chain = { seq: 0, hash: zero }
  let head: AuditHead | undefined
  const result = (reason: string | undefined): CheckedLog => ({
    verdict: { isIntact: reason === undefined, entries: entries.length, reason },
    entries,
    chain,
    head,
  })
  try {
    for (const [index, wire] of records.entries()) {
      const parts = decodeCanonical(wire, anything, limits.auditRecordBytes)
      const list: readonly unknown[] = Array.isArray(parts) ? parts : []
      if (list[0] === 1) {
        head = decodeAuditHead(wire)
        if (head.seq !== chain.seq || head.hash !== hexOf(chain.hash))
          return result(`record ${index}: a head of another log`)
        if (!isOwnKey(head.by)) return result(`record ${index}: a head by a key that was never this device's`)
        continue
      }
      if (list.length !== 4 || list[0] !== 0) return result(`record ${index}: not an audit record`)
      const seq = integer()(list[1], 'seq')
      const previous = bytes(32, 32)(list[2], 'previous')
      if (seq !== chain.seq + 1 || Buffer.compare(previous, chain.hash) !== 0)
        return result(`record ${index}: does not follow the one before`)
      chain = { seq, hash: hashOf(chain.hash, wire) }
      entries.push({ seq, ...content(list[3], 'entry'), hash: hexOf(chain.hash) })
      hashes.set(seq, hexOf(chain.hash))
    }
    for (const wire of witnessed) {
      const seen = decodeAuditHead(wire)
      if (!isOwnKey(seen.by)) return result('a witnessed head by a key that was never this device`s')
      if (hashes.get(seen.seq) !== seen.hash)
        return result(`a peer holds a head at ${seen.seq} that this log does not contain`)
    }
  } catch (error) {
    if (error instanceof SkeinError) return result(error.message)
    throw error
  }
  return result(undefined)
}

const hexOf = (value: Uint8Array): string => Buffer.from(value).toString('hex')

function hashOf(previous: Uint8Array, wire: Uint8Array): Uint8Array {
  return Uint8Array.from(
    createHash('sha256').update('skein/audit/1\0').update(previous).update(wire).digest(),
  )
}
