/**
 * Roster statements: what each kind says, the one byte form, and the proof that its author said it.
 *
 * Wire and disk, canonical CBOR (RFC 8949 section 4.2):
 *   statement = [payload bytes, signature 64, ? second signature 64]
 *   payload   = {v: 1, mesh: 0 | 32 bytes, kind, parents: [32 bytes], author: deviceId, key: 32 bytes, clock, body}
 *   hash      = sha256("skein/statement-hash/1\0" payload): a statement is named by what it says, so that a second
 *               signature by the same key is the same statement
 * `mesh` is the hash of the founding statement (empty in that one). `clock` is 1 + the highest clock of the
 * parents: hash order within equal clocks is then one topological order for everybody. The second signature is
 * the new key's consent in `rotate`. Unknown fields are ignored but signed; an unknown version is refused.
 */
import { createHash } from 'node:crypto'
import type { Validator } from '../../base/codec.ts'
import {
  array,
  bytes,
  decodeCanonical,
  encodeCanonical,
  integer,
  object,
  oneOf,
  optional,
  text,
  textOf,
  variants,
} from '../../base/codec.ts'
import { SkeinError } from '../../base/errors.ts'
import type { DeviceId, MeshId, PeerId } from '../../base/ids.ts'
import { isDeviceId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { DeviceKey } from './device-key.ts'
import { deviceIdOf, peerIdOf, publicKeyBytes, verifySignature } from './device-key.ts'
import { deviceName } from './device-name.ts'
import type { DeviceKind } from './keys.ts'
import { deviceKinds } from './keys.ts'

/** 64 hex characters naming a statement. */
export type StatementHash = string

export const roles = ['full', 'limited', 'storage', 'guest'] as const
export type Role = (typeof roles)[number]

/** `verb` or `verb:object`, such as `space.read:<spaceId>`. What they mean is in access.ts. */
export type Grant = string

interface Admission {
  /** 32 bytes; the deviceId is its hash. */
  readonly key: Uint8Array
  readonly name: string
  readonly kind: DeviceKind
}

/** What statements say, by kind. */
export interface StatementBodies {
  readonly found: Admission & { readonly recovery: Uint8Array | undefined; readonly nonce: Uint8Array }
  readonly add: Admission & { readonly role: Role; readonly grants: readonly Grant[] }
  readonly remove: { readonly device: DeviceId }
  readonly rotate: { readonly next: Uint8Array; readonly overlapMs: number }
  readonly grant: {
    readonly device: DeviceId
    readonly role: Role
    readonly grants: readonly Grant[]
    /** Registers a recovery key for the mesh, replacing the one before. */
    readonly recovery: Uint8Array | undefined
  }
  readonly rename: { readonly device: DeviceId; readonly name: string }
  readonly recover: Admission & { readonly remove: readonly DeviceId[] }
  /** Says nothing but where it stands: its author had seen its ancestors, and nothing else, by then. */
  readonly witness: Readonly<Record<string, never>>
}

export type StatementKind = keyof StatementBodies
type Said = {
  readonly [K in StatementKind]: { readonly kind: K; readonly body: StatementBodies[K] }
}[StatementKind]

export type Statement = Said & {
  readonly hash: StatementHash
  /** The whole byte form, as sent and stored. */
  readonly bytes: Uint8Array
  readonly mesh: MeshId
  readonly parents: readonly StatementHash[]
  readonly author: DeviceId
  readonly key: PeerId
  readonly clock: number
}

const key32 = bytes(publicKeyBytes, publicKeyBytes)
const grants = array(
  text(limits.grantBytes, /^[a-z]+\.[a-z]+(:[A-Za-z0-9*._-]{1,64})?$/),
  limits.grantsPerDevice,
)
const device = textOf(isDeviceId, 'a device id')
const admission = { key: key32, name: deviceName, kind: oneOf(...deviceKinds) }
const said = <K extends StatementKind>(kind: K, body: Validator<StatementBodies[K]>): Validator<Said> =>
  // because: kind and body are checked together here, which is what the union says
  object({ kind: oneOf(kind), body, ...common }) as Validator<Said>
const common = {
  v: integer(Number.MAX_SAFE_INTEGER),
  mesh: bytes(32),
  parents: array(bytes(32, 32), limits.rosterParents),
  author: device,
  key: key32,
  clock: integer(limits.rosterStatements),
}
const envelope: Validator<readonly Uint8Array[]> = array(bytes(limits.rosterStatementBytes), 3)
const header = object(common)
const payload = variants<Said>('kind', {
  found: said('found', object({ ...admission, recovery: optional(key32), nonce: bytes(16, 16) })),
  add: said('add', object({ ...admission, role: oneOf(...roles), grants })),
  remove: said('remove', object({ device })),
  rotate: said('rotate', object({ next: key32, overlapMs: integer(limits.rotationOverlapMaxMs) })),
  grant: said('grant', object({ device, role: oneOf(...roles), grants, recovery: optional(key32) })),
  rename: said('rename', object({ device, name: deviceName })),
  recover: said('recover', object({ ...admission, remove: array(device, limits.recoverRemovals) })),
  witness: said('witness', object({})),
})

/**
 * Decodes one statement and proves it on its own: form, signature, and what its kind demands of its own fields.
 * Whether its author may say so is for the roster rules.
 * @throws `codec.invalid`, `codec.version`, `limit.exceeded`, `auth.invalid`.
 */
export function decodeStatement(wire: Uint8Array): Statement {
  const parts = decodeCanonical(wire, envelope, limits.rosterStatementBytes)
  const [payloadBytes, signature, second] = parts
  if (payloadBytes === undefined || signature === undefined) throw malformed('a payload and a signature')
  const fields = decodeCanonical(payloadBytes, checkedHeader, limits.rosterStatementBytes)
  const act = decodeCanonical(payloadBytes, payload, limits.rosterStatementBytes)
  const hash = hashOf(payloadBytes)
  const isFound = act.kind === 'found'
  if (fields.mesh.byteLength !== (isFound ? 0 : 32)) throw malformed('the mesh it belongs to')
  const parents = fields.parents.map(hex)
  if (parents.some((parent, index) => index > 0 && parent <= (parents[index - 1] ?? ''))) {
    throw malformed('parents in order, each once')
  }
  if ((parents.length === 0) !== isFound || (fields.clock === 0) !== isFound)
    throw malformed('parents and a clock')
  checkSignatures(act, fields, { payloadBytes, signature, second })
  return {
    ...copyOf(act),
    hash,
    bytes: Uint8Array.from(wire),
    // because: the hash of the founding statement is what a MeshId is
    mesh: (isFound ? hash : hex(fields.mesh)) as MeshId,
    parents,
    author: fields.author,
    key: peerIdOf(fields.key),
    clock: fields.clock,
  }
}

const checkedHeader: typeof header = (value, path) => {
  const fields = header(value, path)
  if (fields.v !== 1) {
    throw new SkeinError('codec.version', `a roster statement of version ${fields.v}`, {
      fix: 'update Skein on this device',
    })
  }
  return fields
}

interface Signed {
  readonly payloadBytes: Uint8Array
  readonly signature: Uint8Array
  readonly second: Uint8Array | undefined
}

function checkSignatures(
  act: Said,
  fields: { readonly key: Uint8Array; readonly author: DeviceId },
  signed: Signed,
): void {
  const invalid = (why: string): SkeinError => new SkeinError('auth.invalid', `roster statement: ${why}`)
  if (!verifySignature(fields.key, 'statement', signed.payloadBytes, signed.signature))
    throw invalid('bad signature')
  if ((act.kind === 'rotate') !== (signed.second !== undefined)) throw invalid('wrong number of signatures')
  if (act.kind === 'rotate' && signed.second !== undefined) {
    const isAgreed = verifySignature(act.body.next, 'rotation', signed.payloadBytes, signed.second)
    if (!isAgreed) throw invalid('the new key did not sign')
  }
  if (act.kind === 'found' && Buffer.compare(act.body.key, fields.key) !== 0)
    throw invalid('founded by another key')
  if ((act.kind === 'found' || act.kind === 'recover') && deviceIdOf(act.body.key) !== fields.author) {
    throw invalid('the author is not the device it admits')
  }
}

/** The decoded body shares memory with the message; a statement outlives it. */
function copyOf(act: Said): Said {
  switch (act.kind) {
    case 'found':
      return {
        ...act,
        body: {
          ...act.body,
          key: Uint8Array.from(act.body.key),
          recovery: copied(act.body.recovery),
          nonce: Uint8Array.from(act.body.nonce),
        },
      }
    case 'add':
      return { ...act, body: { ...act.body, key: Uint8Array.from(act.body.key) } }
    case 'recover':
      return { ...act, body: { ...act.body, key: Uint8Array.from(act.body.key) } }
    case 'rotate':
      return { ...act, body: { ...act.body, next: Uint8Array.from(act.body.next) } }
    case 'grant':
      return { ...act, body: { ...act.body, recovery: copied(act.body.recovery) } }
    case 'remove':
    case 'rename':
    case 'witness':
      return act
  }
}

const copied = (value: Uint8Array | undefined): Uint8Array | undefined =>
  value === undefined ? undefined : Uint8Array.from(value)

export interface Draft<K extends StatementKind> {
  readonly kind: K
  readonly body: StatementBodies[K]
  readonly author: DeviceId
  /** Signs: the author's key, or the recovery key for `recover`. */
  readonly key: DeviceKey
  /** Empty only for `found`. */
  readonly parents: readonly Statement[]
  /** Signs as well: the new key of a `rotate`. */
  readonly second?: DeviceKey
}

/** Writes and signs a statement. @returns it as its readers will see it. @throws what `decodeStatement` throws. */
export function composeStatement<K extends StatementKind>(draft: Draft<K>): Statement {
  const parents = draft.parents.map((parent) => parent.hash).sort()
  const first = draft.parents[0]
  const payloadBytes = encodeCanonical({
    v: 1,
    mesh: first === undefined ? new Uint8Array() : unhex(first.mesh),
    kind: draft.kind,
    parents: parents.map(unhex),
    author: draft.author,
    key: draft.key.publicKey,
    clock: first === undefined ? 0 : 1 + Math.max(...draft.parents.map((parent) => parent.clock)),
    body: withoutUndefined(draft.body),
  })
  const signatures = [draft.key.sign('statement', payloadBytes)]
  if (draft.second !== undefined) signatures.push(draft.second.sign('rotation', payloadBytes))
  return decodeStatement(encodeCanonical([payloadBytes, ...signatures]))
}

const withoutUndefined = (body: object): object =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))

function hashOf(payloadBytes: Uint8Array): StatementHash {
  return createHash('sha256').update('skein/statement-hash/1\0').update(payloadBytes).digest('hex')
}

const malformed = (expected: string): SkeinError =>
  new SkeinError('codec.invalid', `roster statement: expected ${expected}`)
const hex = (value: Uint8Array): string =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')
const unhex = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, 'hex'))
