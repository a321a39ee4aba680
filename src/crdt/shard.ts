/**
 * A shard: one Y.Doc that holds the records of some nodes of a space, in one root array per device (`l:<device>`), so
 * that writers do not cut each other's runs. Records are found, and deleted, by their Yjs id; this keeps the list of
 * the living ones per node while the document is in memory. In the document lines are short (short-line.ts), outside of
 * this file they are in full.
 */
import * as Y from 'yjs'
import type { SpaceId } from '../base/ids.ts'
import { shardOf, type NodeId } from './node-id.ts'
import { idOfRecord } from './record.ts'
import { fullLine, isDefinition, shortLine, WriterLetters, writersOf } from './short-line.ts'

/** A living record and where Yjs keeps it. */
export interface LiveRecord {
  /** In full. */
  readonly text: string
  readonly client: number
  readonly clock: number
}

/** Living records after a transaction of the nodes that it touched. */
export type ShardChange = ReadonlyMap<NodeId, readonly LiveRecord[]>

export const shardCount = 256

/** Name of the shard document that holds a node. */
export const shardName = (space: SpaceId, id: NodeId): string => shardNameOf(space, shardOf(id))
export const shardNameOf = (space: SpaceId, shard: number): string =>
  `t/${space}/${shard.toString(16).padStart(2, '0')}`

export class Shard {
  private readonly document: Y.Doc
  /** Made when first asked for: documents that are only compared or sent on do without. */
  private records: Map<NodeId, readonly LiveRecord[]> | undefined
  private readonly letters = new Map<number, WriterLetters>()

  constructor(document: Y.Doc) {
    this.document = document
  }

  /** Living records of a node. */
  of(id: NodeId): readonly LiveRecord[] {
    const held = this.all().get(id) ?? []
    return held.map(({ text, client, clock }) => ({
      text: fullLine(text, this.lettersOf(client).writerOf),
      client,
      clock,
    }))
  }

  ids(): Iterable<NodeId> {
    return this.all().keys()
  }

  private all(): Map<NodeId, readonly LiveRecord[]> {
    if (this.records !== undefined) return this.records
    this.records = new Map()
    for (const [root, type] of this.document.share) {
      if (!root.startsWith('l:')) continue
      for (let item = type._start; item !== null; item = item.right) {
        if (!item.deleted && item.content instanceof Y.ContentAny) this.add(item, item.content.arr)
      }
    }
    return this.records
  }

  /** Takes a transaction in, at its end, before deleted content is thrown away. */
  changed(transaction: Y.Transaction): ShardChange {
    const { beforeState, afterState, doc } = transaction
    const touched = new Set<NodeId>()
    Y.iterateDeletedStructs(transaction, transaction.deleteSet, (struct) => {
      if (!(struct instanceof Y.Item) || !(struct.content instanceof Y.ContentAny)) return
      if (struct.id.clock >= (beforeState.get(struct.id.client) ?? 0)) return
      this.remove(struct, struct.content.arr, touched)
    })
    for (const [client, to] of afterState) {
      const from = beforeState.get(client) ?? 0
      const structs = doc.store.clients.get(client)
      if (from >= to || structs === undefined) continue
      for (let index = Y.findIndexSS(structs, from); index < structs.length; index++) {
        const struct = structs[index]
        if (!(struct instanceof Y.Item) || struct.deleted || !(struct.content instanceof Y.ContentAny))
          continue
        if (isRecordList(doc, struct)) this.add(struct, struct.content.arr, touched)
      }
    }
    const change = new Map<NodeId, readonly LiveRecord[]>()
    for (const id of touched) change.set(id, this.of(id))
    return change
  }

  /** Deletes records and adds others, in one transaction. */
  write(device: string, removed: readonly LiveRecord[], added: readonly string[]): void {
    const { document } = this
    document.transact((transaction) => {
      for (const { client, clock } of removed) {
        const id = Y.createID(client, clock)
        Y.getItemCleanStart(transaction, id)
        const item = Y.getItemCleanEnd(transaction, document.store, id)
        if (item instanceof Y.Item) item.delete(transaction)
      }
      if (added.length > 0) document.getArray<string>(`l:${device}`).push(this.shortened(added))
    })
  }

  /** Lines to push, with the definitions that they need in front. */
  private shortened(added: readonly string[]): string[] {
    this.all()
    const client = this.document.clientID
    const letters = this.lettersOf(client)
    const definitions: string[] = []
    for (const writer of new Set(added.flatMap(writersOf))) {
      const definition = letters.letterOf(writer) === undefined ? letters.define(writer) : undefined
      if (definition === undefined) continue
      letters.learn(definition, Y.getState(this.document.store, client) + definitions.length)
      definitions.push(definition)
    }
    return [...definitions, ...added.map((text) => shortLine(text, letters.letterOf))]
  }

  private lettersOf(client: number): WriterLetters {
    const found = this.letters.get(client) ?? new WriterLetters()
    this.letters.set(client, found)
    return found
  }

  private add(item: Y.Item, values: readonly unknown[], touched?: Set<NodeId>): void {
    const { client, clock } = item.id
    for (const [offset, text] of values.entries()) {
      if (typeof text !== 'string') continue
      if (isDefinition(text)) this.lettersOf(client).learn(text, clock + offset)
      const id = idOfRecord(text)
      // What is no record stays where it is and is not seen
      if (id === undefined) continue
      touched?.add(id)
      const live = { text, client, clock: clock + offset }
      const held = this.records?.get(id) ?? []
      this.records?.set(id, [...held.filter((one) => !isAt(one, live)), live])
    }
  }

  private remove(item: Y.Item, values: readonly unknown[], touched: Set<NodeId>): void {
    for (const [offset, text] of values.entries()) {
      const id = typeof text === 'string' ? idOfRecord(text) : undefined
      if (id === undefined) continue
      touched.add(id)
      const gone = { client: item.id.client, clock: item.id.clock + offset }
      const left = (this.records?.get(id) ?? []).filter((one) => !isAt(one, gone))
      if (left.length === 0) this.records?.delete(id)
      else this.records?.set(id, left)
    }
  }
}

const isAt = (one: { client: number; clock: number }, other: { client: number; clock: number }): boolean =>
  one.client === other.client && one.clock === other.clock

function isRecordList(document: Y.Doc, item: Y.Item): boolean {
  const { parent } = item
  if (!(parent instanceof Y.AbstractType) || parent._item !== null || item.parentSub !== null) return false
  for (const [root, type] of document.share) if (type === parent) return root.startsWith('l:')
  return false
}
