/**
 * What a device knows of the clipboard's items while it runs: their order, what they are, and the text that search looks
 * into. Fed shard by shard; holds no contents. Bounded by what the records may hold together (clipboard-order.ts).
 */
import type { DeviceId } from '../base/ids.ts'
import { type ClipboardPayload, decodePayload, sizeOf } from './clipboard-item.ts'
import { clipboardBounds, compareAge, keepNewest, type Bounds, type Kept } from './clipboard-order.ts'
import { type ParsedRecord, unpadPayload } from './clipboard-record.ts'
import type { ClipboardSealer } from './clipboard-sealer.ts'
import type { FoundRecord, RecordPlace } from './clipboard-shards.ts'
import { searchTextOf } from './clipboard-text.ts'

/** One item, without its contents. */
export interface ClipboardEntry {
  readonly id: string
  readonly device: DeviceId
  readonly lamport: number
  readonly recordBytes: number
  /** What it is; undefined while it cannot be read here. */
  readonly summary: ItemSummary | undefined
  /** Its key is not here yet; or nobody's: its seal is broken. */
  readonly unreadable: 'no-key' | 'broken' | undefined
}

export interface ItemSummary {
  readonly timeMs: number
  readonly sizeBytes: number
  readonly mimes: readonly string[]
  readonly fileCount: number
  /** Hashes of the blobs that belong to it. */
  readonly blobs: readonly string[]
}

export interface IndexChange {
  readonly added: readonly ClipboardEntry[]
  readonly removed: readonly ClipboardEntry[]
}

interface Held extends ClipboardEntry, RecordPlace {
  /** In lower case. */
  readonly text: string
}

export class ClipboardIndex {
  private readonly sealer: ClipboardSealer
  private readonly bounds: Bounds
  private readonly byId = new Map<string, Held>()
  /** In order; undefined after many have come or gone at once. */
  private ordered: Held[] | undefined
  private readonly shards = new Map<string, Set<string>>()
  private pins: ReadonlySet<string> = new Set()
  private kept: Kept<Held> | undefined

  constructor(sealer: ClipboardSealer, bounds: Bounds = clipboardBounds) {
    this.sealer = sealer
    this.bounds = bounds
  }

  /** Newest first: what is seen of the clipboard. */
  get entries(): readonly ClipboardEntry[] {
    return this.keep().items
  }

  /** What has fallen out of the bounds. */
  get surplus(): readonly ClipboardEntry[] {
    return this.keep().surplus
  }

  isPinned(id: string): boolean {
    return this.pins.has(id)
  }

  /** Pins of items that are gone. */
  get loosePins(): readonly string[] {
    return [...this.pins].filter((id) => !this.byId.has(id))
  }

  /** Where the record of an item stands. */
  place(id: string): RecordPlace | undefined {
    return this.byId.get(id)
  }

  /** Shards with items that could not be opened for want of a key. */
  get lockedShards(): readonly string[] {
    const shards = new Set<string>()
    for (const held of this.byId.values()) if (held.unreadable === 'no-key') shards.add(held.shard)
    return [...shards]
  }

  setPins(pins: ReadonlySet<string>): void {
    this.pins = pins
    this.kept = undefined
  }

  /** Takes the whole content of a shard in. */
  take(shard: string, records: ReadonlyMap<string, FoundRecord>): IndexChange {
    const before = this.shards.get(shard) ?? new Set()
    if (Math.abs(records.size - before.size) > sortedAtOnce) this.ordered = undefined
    const added: ClipboardEntry[] = []
    const removed: ClipboardEntry[] = []
    for (const id of before) {
      const held = this.byId.get(id)
      const record = records.get(id)
      if (held === undefined || (record !== undefined && isSame(held, record))) continue
      this.drop(held)
      removed.push(held)
    }
    for (const [id, record] of records) {
      const known = this.byId.get(id)
      if (known !== undefined && (known.unreadable !== 'no-key' || !this.sealer.has(record.keyId))) continue
      if (known !== undefined) this.drop(known)
      const held = this.open(shard, record)
      this.insert(held)
      added.push(held)
    }
    this.shards.set(shard, new Set(records.keys()))
    if (added.length + removed.length > 0) this.kept = undefined
    return { added, removed }
  }

  /** Items whose text holds this, newest first. @param text in any case. */
  search(text: string, countMax: number): readonly ClipboardEntry[] {
    const wanted = text.toLowerCase()
    const found: ClipboardEntry[] = []
    for (const held of this.keep().items) {
      if (!held.text.includes(wanted)) continue
      found.push(held)
      if (found.length >= countMax) break
    }
    return found
  }

  private keep(): Kept<Held> {
    this.ordered ??= [...this.byId.values()].sort(compareAge)
    this.kept ??= keepNewest(this.ordered, (held) => this.pins.has(held.id), this.bounds)
    return this.kept
  }

  private open(shard: string, record: FoundRecord): Held {
    const { id, device, lamport, recordBytes, client, clock } = record
    const base = { id, device, lamport, recordBytes, client, clock, shard }
    const payload = openRecord(this.sealer, record)
    if (typeof payload === 'string') return { ...base, summary: undefined, unreadable: payload, text: '' }
    const { timeMs, formats, files } = payload
    const summary = {
      timeMs,
      sizeBytes: sizeOf(payload),
      mimes: formats.map((format) => format.mime),
      fileCount: files.length,
      blobs: [...formats, ...files].flatMap(({ blob }) => (blob === undefined ? [] : [blob.hash])),
    }
    return { ...base, summary, unreadable: undefined, text: searchTextOf(payload) }
  }

  private insert(held: Held): void {
    this.byId.set(held.id, held)
    const { ordered } = this
    const last = ordered?.at(-1)
    if (last === undefined || compareAge(last, held) < 0) ordered?.push(held)
    else ordered?.splice(findPlace(ordered, held), 0, held)
  }

  private drop(held: Held): void {
    this.byId.delete(held.id)
    const { ordered } = this
    if (ordered === undefined) return
    const at = findPlace(ordered, held)
    if (ordered[at] === held) ordered.splice(at, 1)
  }
}

/** From so many changes of one shard on, sorting all is cheaper than placing each. */
const sortedAtOnce = 32

/** Where an item stands, or would stand. */
function findPlace(ordered: readonly Held[], held: Held): number {
  let [low, high] = [0, ordered.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const one = ordered[middle]
    if (one !== undefined && compareAge(one, held) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** @returns the payload, or why there is none. */
export function openRecord(
  sealer: ClipboardSealer,
  { keyId, sealed, authenticated }: ParsedRecord,
): ClipboardPayload | 'no-key' | 'broken' {
  if (!sealer.has(keyId)) return 'no-key'
  const plain = sealer.open(keyId, sealed, authenticated)
  if (plain === undefined) return 'broken'
  try {
    return decodePayload(unpadPayload(plain))
  } catch {
    // because: whoever sealed it holds the key, and still wrote what is no item: it is shown as such
    return 'broken'
  }
}

const isSame = (held: Held, record: FoundRecord): boolean =>
  held.client === record.client && held.clock === record.clock
