/**
 * The seam below the store: an ordered map from text keys to bytes with atomic batches. LevelDB implements it on
 * Node (`level-database.ts`), memory that can crash in tests and simulations (`memory-database.ts`).
 */
import { assert } from '../base/assert.ts'

/** One change of a batch. */
export type RowChange =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string }

export type Row = readonly [key: string, value: Uint8Array]

/** Keys from `from` (included) to `to` (not included), in order of their UTF-8 bytes. */
export interface KeyRange {
  readonly from: string
  readonly to: string
  /** At most so many. */
  readonly limit?: number
}

export interface Database {
  /** Opening it found damage and dropped what was damaged: rows may be missing without a trace. */
  readonly hasLostRows: boolean
  /** Values in the order of the keys, undefined where there is none. */
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  /**
   * All or nothing. Survives the death of the process when resolved; with `sync` also the loss of power, together
   * with every batch before it.
   */
  batch(changes: readonly RowChange[], options?: { readonly sync?: boolean }): Promise<void>
  /** Many at a time: one by one through each layer above costs more than to read them. */
  scan(range: KeyRange): AsyncIterable<readonly Row[]>
  keys(range: KeyRange): AsyncIterable<string>
  close(): Promise<void>
}

/** The range of all keys that start with `prefix`, whose last character is ASCII. */
export function withPrefix(prefix: string, limit?: number): KeyRange {
  const last = prefix.charCodeAt(prefix.length - 1)
  assert(last < 0x7f, 'a key prefix ends in ASCII')
  const range = { from: prefix, to: prefix.slice(0, -1) + String.fromCharCode(last + 1) }
  return limit === undefined ? range : { ...range, limit }
}
