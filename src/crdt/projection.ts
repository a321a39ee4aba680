/** What the parts of the document host tell each other: changes, their origin, and rows derived from them. */
import type * as Y from 'yjs'
import type { RowChange } from './database.ts'

/** Who made a change: this device, or the sync peer named. */
export type ChangeOrigin = { readonly kind: 'local' } | { readonly kind: 'remote'; readonly from: string }

export interface StoredChange {
  readonly name: string
  /** V1 update of what the document really took. */
  readonly update: Uint8Array
  readonly origin: ChangeOrigin
}

/** Derives rows from documents, in the same batch as the change. One per family of documents. */
export interface Projection<Detail> {
  matches(name: string): boolean
  /** A document came into memory. Runs before anything else sees it. */
  loaded(name: string, document: Y.Doc): void
  /** Runs inside the transaction, while deleted content can still be read. @returns what `rows` needs, a copy. */
  changed(name: string, transaction: Y.Transaction): Detail
  /** The detail of a whole document in memory, as if all of it were new: to derive its rows again. */
  whole(name: string): Detail
  /** The rows for one batch; rows of all earlier batches can be read from the store. */
  rows(details: readonly { readonly name: string; readonly detail: Detail }[]): Promise<readonly RowChange[]>
  /** The batch is in the store. */
  stored(origins: readonly ChangeOrigin[]): void
  evicted(name: string): void
}

/** Rows for a batch; a function is asked when the batch is made, and can read what earlier ones stored. */
export type RowSource = readonly RowChange[] | (() => Promise<readonly RowChange[]>)
