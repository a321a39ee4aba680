/**
 * The documents in memory: loaded from the store when touched, the least recently used forgotten above a bound of
 * bytes, and the heads (digest, state vector) of all documents, loaded or not.
 */
import * as Y from 'yjs'
import { assert } from '../base/assert.ts'
import type { Env } from '../base/env.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { RowChange } from './database.ts'
import { digestOf, emptyDigest } from './digest.ts'
import * as log from './document-log.ts'
import type { Projection } from './projection.ts'
import type { Store } from './store.ts'
import type { QueuedDetail } from './write-pipeline.ts'

export interface LoadedDoc {
  readonly document: Y.Doc
  nextSequence: number
  firstSequence: number
  snapshotBytes: number
  logBytes: number
  /** What its pieces cost in memory beyond their bytes: overwriting at random breaks runs of records into single ones. */
  structBytes: number
  /** Uses going on: it must not leave memory. */
  pins: number
}

/** What the cache asks of its owner. */
export interface CacheOwner {
  /** A loaded document was changed by this update, which got this sequence number. */
  updated(name: string, update: Uint8Array, sequence: number, details: readonly QueuedDetail[]): void
  isUnstored(name: string): boolean
  /** Resolves when no change of the document waits to be stored. */
  settled(name: string): Promise<void>
  storeHeads(rows: readonly RowChange[]): void
  damaged(name: string): void
}

export interface CacheBounds {
  readonly loadedBytes?: number
  readonly loadedDocuments?: number
}

/** A log longer than this, or heavier than a quarter of the snapshot, is folded into a new snapshot. */
const logUpdatesMax = 64
const logBytesMin = 16 * 1024
/** What stays in memory when none was used for so long. */
const restMs = 3_000
const restBounds: CacheBounds = { loadedBytes: 2 * 1024 * 1024, loadedDocuments: 64 }
/** A Yjs item with its id, content and neighbours on the heap, measured. */
const bytesPerStruct = 340
/** From so many on it pays to look which are neighbours. */
const loadedTogetherMin = 8
/** Documents in one reading: enough to save the way to the disk, few enough to lie in memory twice. */
const runMax = 24

export class DocCache {
  /**
   * The head of each document that holds something; undefined when it has to be computed. Names only ever come in: what
   * is in the store is in here.
   */
  readonly heads: Map<string, log.DocumentHead | undefined>
  readonly projections: Projection<unknown>[] = []
  private readonly env: Env
  private readonly store: Store
  private readonly owner: CacheOwner
  private readonly bounds: CacheBounds
  private readonly docs = new Map<string, LoadedDoc>()
  private readonly loading = new Map<string, Promise<LoadedDoc | undefined>>()
  private loadedBytes = 0
  private usedMs = 0
  private restTimer: Disposable | undefined

  constructor(
    env: Env,
    store: Store,
    heads: DocCache['heads'],
    parts: { owner: CacheOwner; bounds: CacheBounds },
  ) {
    this.env = env
    this.store = store
    this.heads = heads
    this.owner = parts.owner
    this.bounds = parts.bounds
  }

  addProjection(projection: Projection<unknown>): void {
    this.projections.push(projection)
    for (const [name, { document }] of this.docs) {
      if (projection.matches(name)) projection.loaded(name, document)
    }
  }

  async pin(names: readonly string[]): Promise<Map<string, LoadedDoc>> {
    const pinned = new Map<string, LoadedDoc>()
    try {
      await this.loadTogether(names)
      for (const name of names) {
        if (pinned.has(name)) continue
        const loaded = this.docs.get(name) ?? (await this.load(name))
        loaded.pins++
        pinned.set(name, loaded)
        // Most recently used stands last
        if (this.docs.delete(name)) this.docs.set(name, loaded)
      }
      // One that was dropped while another loaded is no longer the truth
      for (const [name, loaded] of pinned) {
        if (this.docs.get(name) === loaded) continue
        this.unpin(pinned)
        return await this.pin(names)
      }
    } catch (error) {
      this.unpin(pinned)
      throw error
    }
    return pinned
  }

  unpin(pinned: Map<string, LoadedDoc>): void {
    for (const loaded of pinned.values()) loaded.pins--
    pinned.clear()
    this.evict(this.bounds)
    this.usedMs = this.env.clock.monotonicMs()
    this.restSoon(restMs)
  }

  /** Loading one again takes milliseconds: at rest they need not take up room. */
  private restSoon(delayMs: number): void {
    if (this.docs.size === 0) return
    this.restTimer ??= this.env.clock.setTimer(delayMs, () => {
      this.restTimer = undefined
      const leftMs = this.usedMs + restMs - this.env.clock.monotonicMs()
      if (leftMs > 0) this.restSoon(leftMs)
      else this.evict(restBounds)
    })
  }

  private async load(name: string): Promise<LoadedDoc> {
    assert(log.isDocumentName(name), `${name} is a document name`)
    if (!this.loading.has(name)) void this.startLoading([name])
    const loaded = await this.loading.get(name)
    assert(loaded !== undefined, 'what is being loaded arrives or throws')
    return loaded
  }

  /** Many that are not in memory: neighbours in one reading, the next reading under way while one is decoded. */
  private async loadTogether(names: readonly string[]): Promise<void> {
    const wanted = new Set(names.filter((name) => !this.docs.has(name) && !this.loading.has(name)))
    if (wanted.size < loadedTogetherMin) return
    let reading: Promise<unknown> = Promise.resolve()
    for (const run of neighbourRuns([...this.heads.keys()].sort(), wanted)) {
      const next = this.startLoading(run)
      await reading
      reading = next
    }
    await reading
  }

  private startLoading(names: readonly string[]): Promise<unknown> {
    const reading = this.readIn(names)
    for (const name of names) {
      const one = reading.then((documents) => documents.get(name)).finally(() => this.loading.delete(name))
      this.loading.set(name, one)
      // because: whoever waits for it is told; with nobody waiting the next reader tries again
      one.catch(() => undefined)
    }
    return reading
  }

  /** @param names neighbours in the store. */
  private async readIn(names: readonly string[]): Promise<Map<string, LoadedDoc>> {
    // Queued changes of a document that was thrown out must be in the store before it is read again
    for (const name of names) await this.owner.settled(name)
    const documents = new Map<string, LoadedDoc>()
    // One that nobody has written yet is not in the store: most documents of a new space come into being this way
    const held = names.filter((name) => this.heads.has(name))
    const found = held.length === 0 ? undefined : await log.readDocuments(this.store, held)
    for (const name of names) {
      const stored = found?.get(name) ?? log.emptyDocument
      // The head tells how many updates there were: rows that are gone without a trace show here
      const isShort = (this.heads.get(name)?.nextSequence ?? 0) > stored.nextSequence
      documents.set(name, await this.take(name, isShort ? { ...stored, isDamaged: true } : stored))
    }
    return documents
  }

  private async take(name: string, stored: log.StoredDocument): Promise<LoadedDoc> {
    // because: a guid of its own would cost 31 draws of chance, and nothing reads it
    const document = new Y.Doc({ gc: true, guid: name })
    let isDamaged = stored.isDamaged
    for (const { update, format } of stored.updates) {
      try {
        if (format === 'v2') Y.applyUpdateV2(document, update, 'store')
        else Y.applyUpdate(document, update, 'store')
      } catch (error) {
        isDamaged = true
        this.env.log.error('stored update cannot be applied', { document: name, ...errorFields(error) })
      }
    }
    // Operations of ours may be among what is gone: their clocks must not be given out again
    if (isDamaged) await this.store.renewIdentity('damaged', name)
    document.clientID = this.store.identity.clientId
    const { nextSequence, firstSequence, snapshotBytes, logBytes } = stored
    const sizes = { snapshotBytes, logBytes, structBytes: structBytesOf(document) }
    const loaded: LoadedDoc = { document, nextSequence, firstSequence, ...sizes, pins: 0 }
    this.listen(name, loaded)
    for (const projection of this.projections) if (projection.matches(name)) projection.loaded(name, document)
    this.docs.set(name, loaded)
    this.loadedBytes += sizeOf(loaded)
    if (isDamaged) {
      this.heads.set(name, undefined)
      this.owner.damaged(name)
    }
    return loaded
  }

  private listen(name: string, loaded: LoadedDoc): void {
    const { document } = loaded
    let details: readonly QueuedDetail[] = []
    document.on('afterTransaction', (transaction: Y.Transaction) => {
      details = this.projections
        .filter((projection) => projection.matches(name))
        .map((projection) => ({ name, projection, detail: projection.changed(name, transaction) }))
    })
    document.on('update', (update: Uint8Array) => {
      this.owner.updated(name, update, loaded.nextSequence++, details)
      this.loadedBytes += update.byteLength
      loaded.logBytes += update.byteLength
      this.heads.set(name, undefined)
    })
  }

  private evict({ loadedBytes, loadedDocuments }: CacheBounds): void {
    const bytesMax = loadedBytes ?? limits.loadedDocumentBytes
    const countMax = loadedDocuments ?? limits.loadedDocuments
    if (this.loadedBytes <= bytesMax && this.docs.size <= countMax) return
    const heads: RowChange[] = []
    for (const [name, loaded] of this.docs) {
      if (this.loadedBytes <= bytesMax && this.docs.size <= countMax) break
      if (loaded.pins > 0 || this.owner.isUnstored(name)) continue
      if (this.heads.has(name) && this.heads.get(name) === undefined) {
        heads.push(log.headRow(name, this.computeHead(name, loaded)))
      }
      this.drop(name)
    }
    // A head is a cache: losing this write only costs reading the document once more
    if (heads.length > 0) this.owner.storeHeads(heads)
  }

  drop(name: string): void {
    const loaded = this.docs.get(name)
    if (loaded === undefined) return
    this.docs.delete(name)
    this.loadedBytes -= sizeOf(loaded)
    loaded.document.destroy()
    for (const projection of this.projections) if (projection.matches(name)) projection.evicted(name)
  }

  dropAll(): void {
    this.restTimer?.[Symbol.dispose]()
    this.restTimer = undefined
    // Leaving while one walks is what a Map allows
    for (const name of this.docs.keys()) this.drop(name)
  }

  /** Changes of this document were not stored: what is in memory, and known of it, is not true. */
  lose(name: string): void {
    this.drop(name)
    if (this.heads.has(name)) this.heads.set(name, undefined)
  }

  /** The store is not what it was: everything is read and computed again. */
  forget(): void {
    this.dropAll()
    for (const name of this.heads.keys()) this.heads.set(name, undefined)
  }

  setIdentity(clientId: number): void {
    for (const { document } of this.docs.values()) document.clientID = clientId
  }

  async digest(name: string): Promise<Uint8Array> {
    const head = this.heads.get(name)
    if (head !== undefined) return head.digest
    if (!this.heads.has(name)) return emptyDigest
    const pinned = await this.pin([name])
    try {
      const loaded = pinned.get(name)
      assert(loaded !== undefined, 'a pinned document is loaded')
      return this.computeHead(name, loaded).digest
    } finally {
      this.unpin(pinned)
    }
  }

  /** Head rows of the loaded documents that have none in the store. */
  headRows(): readonly RowChange[] {
    const rows: RowChange[] = []
    for (const [name, loaded] of this.docs) {
      if (this.heads.has(name) && this.heads.get(name) === undefined) {
        rows.push(log.headRow(name, this.computeHead(name, loaded)))
      }
    }
    return rows
  }

  /** Snapshots of documents whose log has grown long. One with later changes queued waits for a later batch. */
  fold(names: ReadonlySet<string>, isQueued: (name: string) => boolean): readonly RowChange[] {
    const rows: RowChange[] = []
    for (const name of names) {
      const loaded = this.docs.get(name)
      if (loaded === undefined) continue
      const logUpdates = loaded.nextSequence - loaded.firstSequence
      const isLong =
        logUpdates > logUpdatesMax || loaded.logBytes > Math.max(logBytesMin, loaded.snapshotBytes / 4)
      if (!isLong || isQueued(name)) continue
      const update = Y.encodeStateAsUpdateV2(loaded.document)
      rows.push(...log.snapshotRows(name, { from: loaded.firstSequence, to: loaded.nextSequence }, update))
      rows.push(log.headRow(name, this.computeHead(name, loaded)))
      this.loadedBytes -= sizeOf(loaded)
      loaded.firstSequence = loaded.nextSequence
      loaded.snapshotBytes = update.byteLength
      loaded.logBytes = 0
      loaded.structBytes = structBytesOf(loaded.document)
      this.loadedBytes += sizeOf(loaded)
    }
    return rows
  }

  private computeHead(name: string, loaded: LoadedDoc): log.DocumentHead {
    const head = {
      nextSequence: loaded.nextSequence,
      digest: digestOf(loaded.document),
      stateVector: Y.encodeStateVector(loaded.document),
    }
    this.heads.set(name, head)
    return head
  }
}

const sizeOf = (loaded: LoadedDoc): number => loaded.snapshotBytes + loaded.logBytes + loaded.structBytes

function structBytesOf(document: Y.Doc): number {
  let count = 0
  for (const structs of document.store.clients.values()) count += structs.length
  return count * bytesPerStruct
}

/** Runs of wanted names with no other known one between them. */
function* neighbourRuns(known: readonly string[], wanted: ReadonlySet<string>): Generator<readonly string[]> {
  let run: string[] = []
  for (const name of known) {
    const isWanted = wanted.has(name)
    if (isWanted) run.push(name)
    if (run.length > 0 && (!isWanted || run.length === runMax)) {
      yield run
      run = []
    }
  }
  if (run.length > 0) yield run
}
