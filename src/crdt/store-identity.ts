/**
 * Who writes into this store. A Yjs clientID (and the writer name in tree records) must never be used again by a
 * store that may have forgotten what it sent, or two devices' histories fork silently and for ever: so a new one is
 * drawn for a new, restored, copied, damaged or forked store, and when the system went down while it was open. A process
 * that is killed forgets nothing: what was written is with the system, and nothing is sent before it is written. It keeps
 * its identity, or each kill would add a writer to every document and to the version vector of every file edited
 * (limits.versionVectorEntries). Kept in the row `m!identity`.
 */
import type { Random } from '../base/random.ts'
import { boolean, decode, encode, integer, object, optional, text } from '../base/codec.ts'
import { encodeId } from '../base/ids.ts'

export type IdentityReason = 'new' | 'kept' | 'unclean' | 'copied' | 'damaged' | 'forked' | 'failed'

export interface StoreIdentity {
  /** Yjs clientID of all documents of this store, 32 bits. */
  readonly clientId: number
  /** Six characters that make writer names of this incarnation unlike those of any other. */
  readonly incarnation: string
  /** Why this identity is the one: kept from last time, or drawn anew because of what. */
  readonly reason: IdentityReason
}

/** What the identity row holds. */
export interface IdentityRow {
  readonly clientId: number
  readonly incarnation: string
  /** True only between a clean close and the next open. */
  readonly isClean: boolean
  readonly witness: string
  /** The run of the system that it was opened in. */
  readonly boot?: string | undefined
}

/** What a store finds around it when it is opened. */
export interface StorePlace {
  /** Token of the witness beside it; undefined when there is none. */
  readonly witness: string | undefined
  /** Names this run of the system; undefined where that cannot be told. */
  readonly boot: string | undefined
}

const rowShape = object({
  clientId: integer(0xffff_ffff, 1),
  incarnation: text(6, /^[0-9a-z]{6}$/),
  isClean: boolean,
  witness: text(512),
  boot: optional(text(64)),
})

export function drawIdentity(random: Random, reason: IdentityReason): StoreIdentity {
  const clientId = random.uint32() || 1
  return { clientId, incarnation: encodeId(random.bytes(16)).slice(-6), reason }
}

/** Decides whether the identity of last time may be used again. Pure but for chance. */
export function chooseIdentity(
  row: IdentityRow | undefined | 'damaged',
  place: StorePlace,
  random: Random,
): StoreIdentity {
  if (row === 'damaged') return drawIdentity(random, 'damaged')
  if (row === undefined) return drawIdentity(random, 'new')
  const hasForgottenNothing = row.isClean || (row.boot !== undefined && row.boot === place.boot)
  if (!hasForgottenNothing) return drawIdentity(random, 'unclean')
  if (row.witness !== place.witness) return drawIdentity(random, 'copied')
  return { clientId: row.clientId, incarnation: row.incarnation, reason: 'kept' }
}

export const encodeIdentityRow = (row: IdentityRow): Uint8Array => encode(row)
/** @throws `codec.invalid`. */
export const decodeIdentityRow = (bytes: Uint8Array): IdentityRow => decode(bytes, rowShape, 1024)
