/**
 * What stands inside a sealed record: CBOR of
 *   {v: 1, generation, number, previous 32, blocks: ids one after another, inline: bytes, entries: [entry]}
 *   entry = {k: 'space', ...}                                   which space this is
 *         | {k: 'doc', name, digest 8, vector, size, pieces}    an update that brings a document to this state vector
 *         | {k: 'content', hash 32, size, at, done, pieces}     part of a content, from `at` on; `done`: all of it is there
 *   pieces = [n, offset, length, ...]: bytes of blocks[n], or of `inline` where n is the number of blocks
 * Records are a chain: each names the one before, so that one left out, put in or changed is noticed. One cut off at the
 * end is not, by a device that knows nothing else; it only lacks news then, and a full device adds it again.
 */
import {
  array,
  boolean,
  bytes,
  decode,
  encode,
  integer,
  object,
  text,
  textOf,
  variants,
} from '../base/codec.ts'
import { SkeinError } from '../base/errors.ts'
import { type DeviceId, isDeviceId, isSpaceId, type SpaceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Sealed, Sealer } from './seal.ts'
import { recordBodyBytes, sealedIdBytes } from './seal.ts'

export interface SpaceInfo {
  readonly id: SpaceId
  readonly name: string
  readonly createdBy: DeviceId
  readonly createdAtMs: number
}

export type Entry =
  | ({ readonly k: 'space' } & SpaceInfo)
  | {
      readonly k: 'doc'
      readonly name: string
      readonly digest: Uint8Array
      readonly vector: Uint8Array
      readonly size: number
      readonly pieces: readonly number[]
    }
  | {
      readonly k: 'content'
      readonly hash: Uint8Array
      readonly size: number
      readonly at: number
      readonly done: boolean
      readonly pieces: readonly number[]
    }

export interface SealedRecord {
  readonly generation: number
  readonly number: number
  /** Id of the record before; zeros for the first. */
  readonly previous: Uint8Array
  readonly blocks: Uint8Array
  readonly inline: Uint8Array
  readonly entries: readonly Entry[]
}

export const firstPrevious: Uint8Array = new Uint8Array(sealedIdBytes)

const pieces = array(integer(), recordBodyBytes / 4)
const entry = variants<Entry>('k', {
  space: object({
    k: asKind('space'),
    id: textOf(isSpaceId, 'a space id'),
    name: text(limits.nameBytes, /\S/),
    createdBy: textOf(isDeviceId, 'a device id'),
    createdAtMs: integer(),
  }),
  doc: object({
    k: asKind('doc'),
    name: text(256),
    digest: bytes(8, 8),
    vector: bytes(64 * 1024),
    size: integer(limits.documentBytes),
    pieces,
  }),
  content: object({
    k: asKind('content'),
    hash: bytes(32, 32),
    size: integer(limits.blobBytes),
    at: integer(limits.blobBytes),
    done: boolean,
    pieces,
  }),
})
const recordShape = object({
  v: integer(1, 1),
  generation: integer(999_999_999, 1),
  number: integer(),
  previous: bytes(sealedIdBytes, sealedIdBytes),
  blocks: bytes(recordBodyBytes),
  inline: bytes(recordBodyBytes),
  entries: array(entry, recordBodyBytes / 16),
})

export const sealRecord = (sealer: Sealer, record: SealedRecord): Sealed =>
  sealer.sealRecord(encode({ v: 1, ...record }))

/** @throws `blob.corrupt` for what no key holder has made. */
export function openRecord(sealer: Sealer, id: Uint8Array, sealed: Uint8Array): SealedRecord {
  const body = sealer.openRecord(id, sealed)
  try {
    return decode(body, recordShape, recordBodyBytes)
  } catch (error) {
    throw new SkeinError('blob.corrupt', 'a sealed record of another form', { cause: error })
  }
}

function asKind<K extends string>(kind: K): (value: unknown) => K {
  return (value) => {
    if (value !== kind) throw new SkeinError('codec.invalid', `expected ${kind}`)
    return kind
  }
}
