/**
 * The documents of the clipboard: 64 shards (`clip/00`..`clip/3f`), an item lies in the one its id names, and one of pins.
 * A device appends records to its own list `l:<device>` of a shard and deletes from any; a pin is the id of an item in
 * `p:<device>` of `clip/pins`. Lists cost nothing for what was deleted from them in runs, and a change rewrites
 * one 64th of the history at most, so neither ten thousand items nor years of copies make a copy slow.
 */
import * as Y from 'yjs'
import { isDeviceId, isId, type DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { compareAge } from './clipboard-order.ts'
import { parseRecord, toHex, type ParsedRecord } from './clipboard-record.ts'

export const clipboardGroup = 'clip/'
export const pinsDocument = 'clip/pins'
const shardCount = 64

/** @param id 16 bytes. */
export const shardOfItem = (id: Uint8Array): string =>
  clipboardGroup + toHex(Uint8Array.of((id[0] ?? 0) % shardCount))

const shardPattern = /^clip\/[0-3][0-9a-f]$/
export const isShard = (name: string): boolean => shardPattern.test(name)

/** A record that stands in a document, and where. */
export interface FoundRecord extends ParsedRecord {
  readonly device: DeviceId
  readonly recordBytes: number
  readonly client: number
  readonly clock: number
}

/** Where a record stands, and in whose list. */
export interface RecordPlace {
  readonly shard: string
  readonly device: DeviceId
  readonly client: number
  readonly clock: number
}

export interface ShardContent {
  /** One per id. */
  readonly records: ReadonlyMap<string, FoundRecord>
  /** Elements that are no records of ours: of a later version, or hostile. */
  readonly invalidCount: number
}

/** All records of a shard that count. Bytes in them are views: valid during the call. */
export function readShard(name: string, document: Y.Doc): ShardContent {
  const found: FoundRecord[] = []
  let invalidCount = 0
  for (const [root, type] of document.share) {
    const device = root.slice(2)
    if (!root.startsWith('l:') || !isDeviceId(device)) continue
    for (let item = type._start; item !== null; item = item.right) {
      if (item.deleted) continue
      const record = recordIn(name, item, device)
      if (record === undefined) invalidCount++
      else found.push(record)
    }
  }
  // An honest shard holds a sixth of this; of a flooded one every device sees the same part
  if (found.length > limits.clipboardShardRecords) {
    found.sort((a, b) => compareAge(b, a))
    invalidCount += found.splice(limits.clipboardShardRecords).length
  }
  const records = new Map<string, FoundRecord>()
  for (const record of found) {
    const other = records.get(record.id)
    // The same id twice is somebody's doing: all devices take the same one
    if (other === undefined || compareAge(record, other) < 0 || isEarlierBytes(record, other))
      records.set(record.id, record)
    if (other !== undefined) invalidCount++
  }
  return { records, invalidCount }
}

function recordIn(name: string, item: Y.Item, device: DeviceId): FoundRecord | undefined {
  if (!(item.content instanceof Y.ContentBinary) || item.parentSub !== null) return undefined
  const { content } = item.content
  const record = parseRecord(content, device)
  if (record === undefined || shardOfItem(content.subarray(1, 17)) !== name) return undefined
  return { ...record, device, recordBytes: content.byteLength, client: item.id.client, clock: item.id.clock }
}

/** One record; undefined when it is gone. Bytes in it are views: valid during the call. */
export function readRecord(document: Y.Doc, place: RecordPlace): FoundRecord | undefined {
  if (place.clock >= Y.getState(document.store, place.client)) return undefined
  const item = Y.getItem(document.store, Y.createID(place.client, place.clock))
  return item instanceof Y.Item && !item.deleted ? recordIn(place.shard, item, place.device) : undefined
}

function isEarlierBytes(a: FoundRecord, b: FoundRecord): boolean {
  return compareAge(a, b) === 0 && toHex(a.sealed) < toHex(b.sealed)
}

/** Appends a record to the list of this device. */
export function appendRecord(document: Y.Doc, device: DeviceId, record: Uint8Array): void {
  document.getArray<Uint8Array>(`l:${device}`).push([record])
}

/** Deletes records; those that are gone already are passed over. */
export function deleteRecords(
  document: Y.Doc,
  places: readonly { readonly client: number; readonly clock: number }[],
): void {
  document.transact((transaction) => {
    for (const { client, clock } of places) {
      if (clock >= Y.getState(document.store, client)) continue
      const item = Y.getItem(document.store, Y.createID(client, clock))
      if (item instanceof Y.Item) item.delete(transaction)
    }
  })
}

/** Ids of pinned items. */
export function readPins(document: Y.Doc): ReadonlySet<string> {
  const pins = new Set<string>()
  for (const item of pinItems(document)) {
    for (const id of item.content.arr) {
      if (typeof id === 'string' && isId(id) && pins.size < pinsSeen) pins.add(id)
    }
  }
  return pins
}

/** Far above what is honoured; bounds what a flood of pins costs. */
const pinsSeen = 16 * limits.clipboardPins

export function addPin(document: Y.Doc, device: DeviceId, id: string): void {
  document.getArray<string>(`p:${device}`).push([id])
}

/** Takes away every pin of these items that is there: one set elsewhere at the same time stays. */
export function removePins(document: Y.Doc, ids: ReadonlySet<string>): void {
  document.transact(() => {
    for (const root of document.share.keys()) {
      if (!root.startsWith('p:')) continue
      const list = document.getArray<unknown>(root)
      const values = list.toArray()
      for (let index = values.length - 1; index >= 0; index--) {
        const value = values[index]
        if (typeof value === 'string' && ids.has(value)) list.delete(index)
      }
    }
  })
}

function* pinItems(document: Y.Doc): Generator<Y.Item & { readonly content: Y.ContentAny }> {
  for (const [root, type] of document.share) {
    if (!root.startsWith('p:')) continue
    for (let item = type._start; item !== null; item = item.right) {
      // because: the content of an item was just looked at
      if (!item.deleted && item.content instanceof Y.ContentAny)
        yield item as Y.Item & { readonly content: Y.ContentAny }
    }
  }
}
