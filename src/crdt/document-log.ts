/**
 * How a document lies in the store:
 *   `s!<document>`          snapshot: varint next sequence number, then a V1 update of the whole state
 *   `u!<document>!<seq>`    update log: V1 updates that came after the snapshot; seq is 12 hex digits
 *   `v!<document>`          head: varint next seq at the time | 8 bytes digest | state vector; stale when the log is longer
 * Document names hold no `!`. Pure layout: it neither holds a Y.Doc nor decides when to write.
 */
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import type { RowChange } from './database.ts'
import { withPrefix } from './database.ts'
import type { Store } from './store.ts'

/** Lower-case path of a document, such as `t/<space>/0f` or `clipboard`. */
export const documentNamePattern = /^[0-9a-z]+(?:[/.-][0-9a-z]+){0,7}$/
/** Longer names are refused at every edge. */
export const documentNameBytes = 96

export const isDocumentName = (name: string): boolean =>
  name.length <= documentNameBytes && documentNamePattern.test(name)

export interface StoredDocument {
  readonly updates: readonly Uint8Array[]
  /** Sequence number the next update gets. */
  readonly nextSequence: number
  /** Sequence number of the oldest update in the log, or nextSequence. */
  readonly firstSequence: number
  readonly snapshotBytes: number
  readonly logBytes: number
  /** Some part was damaged and is gone from here. */
  readonly isDamaged: boolean
}

export interface DocumentHead {
  readonly nextSequence: number
  /** 8 bytes, see digest.ts. */
  readonly digest: Uint8Array
  readonly stateVector: Uint8Array
}

const sequenceText = (sequence: number): string => sequence.toString(16).padStart(12, '0')

export async function readDocument(store: Store, name: string): Promise<StoredDocument> {
  let isDamaged = false
  using _watch = store.on('corrupt', ({ key }) => {
    if (key === `s!${name}` || key.startsWith(`u!${name}!`)) isDamaged = true
  })
  const updates: Uint8Array[] = []
  let nextSequence = 0
  let snapshotBytes = 0
  const snapshot = await store.get(`s!${name}`)
  if (snapshot !== undefined) {
    const decoder = decoding.createDecoder(snapshot)
    nextSequence = decoding.readVarUint(decoder)
    const update = decoding.readTailAsUint8Array(decoder)
    snapshotBytes = update.byteLength
    updates.push(update)
  }
  let firstSequence: number | undefined
  let logBytes = 0
  for await (const [key, update] of store.scan(withPrefix(`u!${name}!`))) {
    updates.push(update)
    logBytes += update.byteLength
    const sequence = Number.parseInt(key.slice(-12), 16)
    // Sequence numbers have no gaps: one that is missing was lost below us
    if (sequence !== nextSequence) isDamaged = true
    nextSequence = sequence + 1
    firstSequence ??= sequence
  }
  return {
    updates,
    nextSequence,
    firstSequence: firstSequence ?? nextSequence,
    snapshotBytes,
    logBytes,
    isDamaged,
  }
}

export function appendRow(name: string, sequence: number, update: Uint8Array): RowChange {
  return { type: 'put', key: `u!${name}!${sequenceText(sequence)}`, value: update }
}

/** What of a log a snapshot takes in: sequence numbers from..to-1. */
export interface LogSpan {
  readonly from: number
  readonly to: number
}

/** Replaces snapshot and log: all of `span` is in `update`. */
export function snapshotRows(name: string, span: LogSpan, update: Uint8Array): readonly RowChange[] {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, span.to)
  encoding.writeUint8Array(encoder, update)
  const rows: RowChange[] = [{ type: 'put', key: `s!${name}`, value: encoding.toUint8Array(encoder) }]
  for (let sequence = span.from; sequence < span.to; sequence++) {
    rows.push({ type: 'del', key: `u!${name}!${sequenceText(sequence)}` })
  }
  return rows
}

export function headRow(name: string, head: DocumentHead): RowChange {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, head.nextSequence)
  encoding.writeUint8Array(encoder, head.digest)
  encoding.writeUint8Array(encoder, head.stateVector)
  return { type: 'put', key: `v!${name}`, value: encoding.toUint8Array(encoder) }
}

/** All documents of the store; the head is undefined when it is missing or older than the log. */
export async function readHeads(store: Store): Promise<Map<string, DocumentHead | undefined>> {
  const heads = new Map<string, DocumentHead | undefined>()
  for await (const key of store.keys(withPrefix('s!'))) heads.set(key.slice(2), undefined)
  for await (const [key, value] of store.scan(withPrefix('v!'))) {
    const decoder = decoding.createDecoder(value)
    const nextSequence = decoding.readVarUint(decoder)
    const digest = decoding.readUint8Array(decoder, 8).slice()
    heads.set(key.slice(2), {
      nextSequence,
      digest,
      stateVector: decoding.readTailAsUint8Array(decoder).slice(),
    })
  }
  for await (const key of store.keys(withPrefix('u!'))) {
    const name = key.slice(2, -13)
    const sequence = Number.parseInt(key.slice(-12), 16)
    if ((heads.get(name)?.nextSequence ?? -1) <= sequence) heads.set(name, undefined)
  }
  return heads
}
