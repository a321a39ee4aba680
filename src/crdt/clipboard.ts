/**
 * The clipboard of the mesh: items in causal order, sealed before they enter a document, with pins, bounds and search.
 * What is seen is a pure function of the records (clipboard-order.ts); whoever writes deletes what has fallen out.
 * Knows no desktop, no blobs and no network: the peer joins them.
 */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { createEmitter, type Events } from '../base/events.ts'
import { encodeId, type DeviceId } from '../base/ids.ts'
import { errorFields } from '../base/log.ts'
import { ClipboardIndex, openRecord, type ClipboardEntry, type IndexChange } from './clipboard-index.ts'
import { encodePayload, type ClipboardPayload } from './clipboard-item.ts'
import type { Bounds } from './clipboard-order.ts'
import { authenticatedBy, formatHead, formatRecord, idBytes, padPayload } from './clipboard-record.ts'
import type { ClipboardSealer } from './clipboard-sealer.ts'
import * as shards from './clipboard-shards.ts'
import type { DocHost } from './doc-host.ts'
import { lamportMax } from './version-vector.ts'

export type { ClipboardEntry } from './clipboard-index.ts'

export interface ClipboardEvents {
  /** Items came, went, or became readable. `isFirst`: they were there when the clipboard was opened. */
  changed: IndexChange & { readonly isFirst: boolean }
  /** Elements of a shard are no items: of a later version, or somebody's doing. */
  invalid: { readonly shard: string; readonly count: number }
}

export interface Clipboard extends Events<ClipboardEvents>, Disposable {
  /** Resolves when all that is in the store is known. */
  readonly ready: Promise<void>
  /** Newest first. */
  readonly entries: readonly ClipboardEntry[]
  /** Items that have fallen out of the bounds and are still there. */
  readonly surplusCount: number
  isPinned(id: string): boolean
  /**
   * Adds an item, the newest of all. @param onNamed is told its id before anybody hears of it.
   * @throws `limit.exceeded` for one too long, `store.failed`.
   */
  add(payload: ClipboardPayload, onNamed?: (id: string) => void): Promise<ClipboardEntry>
  /** The contents of an item. @throws `not.found`; `auth.denied` when it cannot be read here. */
  read(id: string): Promise<ClipboardPayload>
  remove(ids: readonly string[]): Promise<void>
  pin(id: string): Promise<void>
  unpin(id: string): Promise<void>
  /** Case does not matter. */
  search(text: string, countMax: number): readonly ClipboardEntry[]
  /** Deletes what has fallen out of the bounds, and pins of what is gone. @returns how many items. */
  prune(): Promise<number>
  /** There are keys that were not there before. */
  tryAgain(): void
}

export interface ClipboardOptions {
  readonly device: DeviceId
  readonly sealer: ClipboardSealer
  readonly bounds?: Bounds
}

export function openClipboard(env: Env, host: DocHost, options: ClipboardOptions): Clipboard {
  return new ShardedClipboard(env, host, options)
}

class ShardedClipboard implements Clipboard {
  readonly ready: Promise<void>
  private readonly env: Env
  private readonly host: DocHost
  private readonly options: ClipboardOptions
  private readonly index: ClipboardIndex
  private readonly events
  private readonly subscriptions: Disposable[]
  private readonly invalid = new Map<string, number>()
  /** Documents that were changed since they were looked at. */
  private readonly dirty = new Set<string>()
  private looking: Promise<void> | undefined
  private isFirst = true
  private isClosed = false

  constructor(env: Env, host: DocHost, options: ClipboardOptions) {
    this.env = env
    this.host = host
    this.options = options
    this.index = new ClipboardIndex(options.sealer, options.bounds)
    this.events = createEmitter<ClipboardEvents>(env.log)
    this.subscriptions = [
      host.on('stored', ({ changes }) => this.look(changes.map(({ name }) => name))),
      // What was thrown out may have been seen here
      host.store.on('reopened', () => this.look(this.documents())),
    ]
    this.look(this.documents())
    this.ready = this.settled().then(() => {
      this.isFirst = false
    })
  }

  on: Clipboard['on'] = (name, listener) => this.events.on(name, listener)

  get entries(): readonly ClipboardEntry[] {
    return this.index.entries
  }

  get surplusCount(): number {
    return this.index.surplus.length
  }

  isPinned(id: string): boolean {
    return this.index.isPinned(id)
  }

  search(text: string, countMax: number): readonly ClipboardEntry[] {
    return this.index.search(text, countMax)
  }

  async add(payload: ClipboardPayload, onNamed?: (id: string) => void): Promise<ClipboardEntry> {
    const { device, sealer } = this.options
    const key = await sealer.current()
    const id = this.env.random.bytes(idBytes)
    const name = encodeId(id)
    onNamed?.(name)
    const head = formatHead(id, this.host.store.tick(), key.id)
    const sealed = key.seal(padPayload(encodePayload(payload)), authenticatedBy(head, device))
    const shard = shards.shardOfItem(id)
    await this.host.transact([shard], (document) =>
      shards.appendRecord(document(shard), device, formatRecord(head, sealed)),
    )
    await this.settled()
    const entry = this.index.entries.find((one) => one.id === name)
    if (entry !== undefined) return entry
    throw new SkeinError('not.found', 'the item was deleted at once')
  }

  async read(id: string): Promise<ClipboardPayload> {
    const place = this.index.place(id)
    const payload =
      place === undefined
        ? undefined
        : await this.host.read([place.shard], (document) => {
            const record = shards.readRecord(document(place.shard), place)
            return record === undefined ? undefined : openRecord(this.options.sealer, record)
          })
    if (payload === undefined) throw new SkeinError('not.found', 'this item is gone from the clipboard')
    if (typeof payload !== 'string') return payload
    const isLocked = payload === 'no-key'
    throw new SkeinError(
      'auth.denied',
      isLocked
        ? 'the key of this item is not on this device yet'
        : 'this item is damaged: its seal is broken',
      { fix: isLocked ? 'it comes with the next contact to another device' : `skein clip delete ${id}` },
    )
  }

  async remove(ids: readonly string[]): Promise<void> {
    const places = ids.flatMap((id) => this.index.place(id) ?? [])
    const names = [...new Set(places.map((place) => place.shard))]
    const pinned = new Set(ids.filter((id) => this.index.isPinned(id)))
    if (pinned.size > 0) names.push(shards.pinsDocument)
    if (names.length === 0) return
    await this.host.transact(names, (document) => {
      for (const name of names) {
        if (name === shards.pinsDocument) shards.removePins(document(name), pinned)
        else
          shards.deleteRecords(
            document(name),
            places.filter((place) => place.shard === name),
          )
      }
    })
    await this.settled()
  }

  async pin(id: string): Promise<void> {
    if (this.index.isPinned(id)) return
    await this.changePins((document) => shards.addPin(document, this.options.device, id))
  }

  async unpin(id: string): Promise<void> {
    await this.changePins((document) => shards.removePins(document, new Set([id])))
  }

  async prune(): Promise<number> {
    const ids = this.index.surplus.map((entry) => entry.id)
    const loose = new Set(this.index.loosePins)
    // A pin may have come ahead of its item: only when there are many of them they are taken for lost
    if (loose.size > loosePinsMax) await this.changePins((document) => shards.removePins(document, loose))
    await this.remove(ids)
    return ids.length
  }

  tryAgain(): void {
    this.look(this.index.lockedShards)
  }

  [Symbol.dispose](): void {
    this.isClosed = true
    for (const subscription of this.subscriptions.splice(0)) subscription[Symbol.dispose]()
  }

  private async changePins(change: (document: Parameters<typeof shards.readPins>[0]) => void): Promise<void> {
    await this.host.transact([shards.pinsDocument], (document) => change(document(shards.pinsDocument)))
    await this.settled()
  }

  private documents(): readonly string[] {
    return this.host.names().filter((name) => name.startsWith(shards.clipboardGroup))
  }

  private look(names: readonly string[]): void {
    for (const name of names) if (shards.isShard(name) || name === shards.pinsDocument) this.dirty.add(name)
    if (this.dirty.size === 0 || this.looking !== undefined || this.isClosed) return
    this.looking = this.lookAtAll()
      .catch((error: unknown) => {
        // because: the store says so itself, and everything is looked at again when it is back
        this.env.log.warn('clipboard not read', errorFields(error))
      })
      .finally(() => {
        this.looking = undefined
        // Changed in the moment between the last look and now
        this.look([])
      })
  }

  /** Resolves when all that was changed by now is known. */
  private async settled(): Promise<void> {
    while (this.looking !== undefined) await this.looking
  }

  private async lookAtAll(): Promise<void> {
    const first: IndexChange[] = []
    while (this.dirty.size > 0 && !this.isClosed) {
      const names = [...this.dirty].slice(0, lookedAtOnce)
      for (const name of names) this.dirty.delete(name)
      const changes = await this.host.read(names, (document) =>
        names.map((name) => this.take(name, document(name))),
      )
      // What was there at the start is told of at once, and put in order once
      if (this.isFirst) first.push(...changes)
      else this.tell(changes, names.includes(shards.pinsDocument))
    }
    this.tell(first, false)
  }

  private tell(changes: readonly IndexChange[], hasPins: boolean): void {
    const added = changes.flatMap((change) => change.added)
    const removed = changes.flatMap((change) => change.removed)
    if (hasPins || added.length + removed.length > 0)
      this.events.emit('changed', { added, removed, isFirst: this.isFirst })
  }

  private take(name: string, document: Parameters<typeof shards.readPins>[0]): IndexChange {
    if (name === shards.pinsDocument) {
      this.index.setPins(shards.readPins(document))
      return { added: [], removed: [] }
    }
    const { records, invalidCount } = shards.readShard(name, document)
    const change = this.index.take(name, records)
    for (const { lamport } of change.added) {
      // One near the end of all numbers would leave none for us: it stands first until somebody deletes it
      if (lamport <= lamportMax / 2) this.host.store.observe(lamport)
    }
    if (invalidCount !== (this.invalid.get(name) ?? 0)) {
      this.invalid.set(name, invalidCount)
      if (invalidCount > 0) this.events.emit('invalid', { shard: name, count: invalidCount })
    }
    return change
  }
}

/** Documents looked at in one turn: opening ten thousand items must not hold up everything else. */
const lookedAtOnce = 4
/** Pins that may wait for their items. */
const loosePinsMax = 64
