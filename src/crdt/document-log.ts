/**
 * How a document lies in the store:
 *   `s!<document>`          snapshot: varint next sequence number, then an update of the whole state in V2 (after random
 *                           changes half the bytes for what was deleted; starts with 0), or in V1 (never starts with 0)
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

export interface StoredUpdate {
  readonly update: Uint8Array
  readonly format: 'v1' | 'v2'
}

export interface StoredDocument {
  readonly updates: readonly StoredUpdate[]
  /** Sequence number the next update gets. */
  readonly nextSequence: number
  /** Sequence number of the oldest update in the log, or nextSequence. */
  readonly firstSequence: number
  readonly snapshotBytes: number
  readonly logBytes: number
  /** Some part was damaged and is gone from here. */
  readonly isDamaged: boolean
}

export const emptyDocument: StoredDocument = {
  updates: [],
  nextSequence: 0,
  firstSequence: 0,
  snapshotBytes: 0,
  logBytes: 0,
  isDamaged: false,
}

export interface DocumentHead {
  readonly nextSequence: number
  /** 8 bytes, see digest.ts. */
  readonly digest: Uint8Array
  readonly stateVector: Uint8Array
}

const logKey = (name: string, sequence: number): string =>
  `u!${name}!${sequence.toString(16).padStart(12, '0')}`

/** Reads documents whose names are neighbours in the store: no other document lies between the first and the last. */
export async function readDocuments(
  store: Store,
  names: readonly string[],
): Promise<ReadonlyMap<string, StoredDocument>> {
  const damaged = new Set<string>()
  using _watch = store.on('corrupt', ({ key }) => {
    if (key.startsWith('s!')) damaged.add(key.slice(2))
    else if (key.startsWith('u!')) damaged.add(key.slice(2, -13))
  })
  const [snapshots, logs] = await Promise.all([
    store.getMany(names.map((name) => `s!${name}`)),
    readLogs(store, names),
  ])
  const documents = new Map<string, StoredDocument>()
  for (const [index, name] of names.entries()) {
    const document = assemble(snapshots[index], logs.get(name) ?? [])
    documents.set(name, damaged.has(name) ? { ...document, isDamaged: true } : document)
  }
  return documents
}

type LogEntry = readonly [sequence: number, update: Uint8Array]

async function readLogs(
  store: Store,
  names: readonly string[],
): Promise<ReadonlyMap<string, readonly LogEntry[]>> {
  const logs = new Map<string, LogEntry[]>(names.map((name) => [name, []]))
  const [first = '', last = first] = [names[0], names.at(-1)]
  const range = { from: `u!${first}!`, to: withPrefix(`u!${last}!`).to }
  for await (const [key, update] of store.scan(range)) {
    logs.get(key.slice(2, -13))?.push([Number.parseInt(key.slice(-12), 16), update])
  }
  return logs
}

function assemble(snapshot: Uint8Array | undefined, entries: readonly LogEntry[]): StoredDocument {
  const updates: StoredUpdate[] = []
  let isDamaged = false
  let nextSequence = 0
  let snapshotBytes = 0
  if (snapshot !== undefined) {
    const decoder = decoding.createDecoder(snapshot)
    nextSequence = decoding.readVarUint(decoder)
    const update = decoding.readTailAsUint8Array(decoder)
    snapshotBytes = update.byteLength
    // A V1 update starts with how many clients wrote: a document nobody wrote has no snapshot
    updates.push({ update, format: update[0] === 0 ? 'v2' : 'v1' })
  }
  let logBytes = 0
  for (const [sequence, update] of entries) {
    updates.push({ update, format: 'v1' })
    logBytes += update.byteLength
    // Sequence numbers have no gaps: one that is missing was lost below us
    if (sequence !== nextSequence) isDamaged = true
    nextSequence = sequence + 1
  }
  const firstSequence = entries[0]?.[0] ?? nextSequence
  return { updates, nextSequence, firstSequence, snapshotBytes, logBytes, isDamaged }
}

export function appendRow(name: string, sequence: number, update: Uint8Array): RowChange {
  return { type: 'put', key: logKey(name, sequence), value: update }
}

/** What of a log a snapshot takes in: sequence numbers from..to-1. */
export interface LogSpan {
  readonly from: number
  readonly to: number
}

/** Replaces snapshot and log: all of `span` is in `update`, which is in V2. */
export function snapshotRows(name: string, span: LogSpan, update: Uint8Array): readonly RowChange[] {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, span.to)
  encoding.writeUint8Array(encoder, update)
  const rows: RowChange[] = [{ type: 'put', key: `s!${name}`, value: encoding.toUint8Array(encoder) }]
  for (let sequence = span.from; sequence < span.to; sequence++) {
    rows.push({ type: 'del', key: logKey(name, sequence) })
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
  // A key that nobody writes is a damaged one: reading the row puts it aside
  const damaged: string[] = []
  for await (const key of store.keys(withPrefix('s!'))) {
    if (isDocumentName(key.slice(2))) heads.set(key.slice(2), undefined)
    else damaged.push(key)
  }
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
    if (!isDocumentName(name) || key !== logKey(name, sequence)) {
      damaged.push(key)
      continue
    }
    if ((heads.get(name)?.nextSequence ?? -1) <= sequence) heads.set(name, undefined)
  }
  await store.getMany(damaged)
  return heads
}
