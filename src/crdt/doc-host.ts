/**
 * Holds the Yjs documents of a store: loads them when touched, writes each change to the store before anybody hears
 * of it, refuses foreign updates that would do harm, and forgets the least recently used. One pipeline writes all:
 * changes that come while a batch is on its way share the next one, so every batch is atomic and in order.
 */
import * as Y from 'yjs'
import { assert } from '../base/assert.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import { createEmitter, type Events } from '../base/events.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { DocCache, type CacheBounds, type CacheOwner, type LoadedDoc } from './doc-cache.ts'
import * as log from './document-log.ts'
import type { ChangeOrigin, Projection, RowSource, StoredChange } from './projection.ts'
import { readRepaired, type Store } from './store.ts'
import { checkUpdate, decodeStateVector, isReady, showsFork } from './update-check.ts'
import { WritePipeline, type QueuedChange } from './write-pipeline.ts'

export interface DocHostEvents {
  /** These changes are in the store. In the order of their batches. */
  stored: { readonly changes: readonly StoredChange[] }
  /** Part of a document was damaged in the store; the rest is loaded. */
  damaged: { readonly name: string }
  /** Changes were not stored: what was read of documents until now may not be true. */
  lost: Record<never, never>
}

/** What a change may touch: documents named beforehand, each to be written inside `document.transact`. */
export type DocumentChange<T> = (document: (name: string) => Y.Doc) => T

export interface DocHost extends Events<DocHostEvents>, AsyncDisposable {
  readonly store: Store
  /** Names of all documents that hold something. */
  names(): readonly string[]
  /** Reads documents. They are valid only during the call. */
  read<T>(names: readonly string[], use: DocumentChange<T>): Promise<T>
  /**
   * Changes documents; `rows` go into the same atomic batch (a function is asked when the batch is made). Resolves
   * once stored. A throw of `change` undoes it. @throws what `change` throws, `store.failed`.
   */
  transact<T>(names: readonly string[], change: DocumentChange<T>, rows?: RowSource): Promise<T>
  /**
   * Takes foreign updates in, all in one batch. @returns the names of those that build on something missing here and
   * were left out: ask their sender for a state-vector diff. @throws `codec.invalid`, `limit.exceeded`, `store.failed`.
   */
  apply(updates: readonly ForeignUpdate[], from: string): Promise<readonly string[]>
  /**
   * Looks whether a peer knows operations under our clientID that we do not: then another identity is taken at once.
   * @param stateVector encoded, of foreign origin. @throws `codec.invalid`.
   */
  checkStateVector(name: string, stateVector: Uint8Array): Promise<void>
  /** 8 bytes, see digest.ts. */
  digest(name: string): Promise<Uint8Array>
  /** Derives all rows of a document again. */
  refresh(name: string): Promise<void>
  addProjection<Detail>(projection: Projection<Detail>): Disposable
  /** Resolves when all changes made so far are in the store. */
  flush(): Promise<void>
  /** Resolves once what these documents hold at this moment is stored. @throws `store.failed` when it was lost. */
  settled(names: readonly string[]): Promise<void>
  /** Flush, store heads; the store itself stays open. */
  close(): Promise<void>
}

export interface ForeignUpdate {
  readonly name: string
  readonly update: Uint8Array
}

export type DocHostOptions = CacheBounds

/** @throws `store.failed`. */
export async function createDocHost(env: Env, store: Store, options: DocHostOptions = {}): Promise<DocHost> {
  return new PipelinedDocHost(env, store, options, await readRepaired(store, () => log.readHeads(store)))
}

class PipelinedDocHost implements DocHost {
  readonly store: Store
  private readonly env: Env
  private readonly events
  private readonly cache: DocCache
  private readonly pipeline: WritePipeline
  private readonly subscriptions: Disposable[]
  private capture: QueuedChange[] | undefined
  private origin: ChangeOrigin = { kind: 'local' }

  constructor(env: Env, store: Store, options: DocHostOptions, heads: DocCache['heads']) {
    this.env = env
    this.store = store
    this.events = createEmitter<DocHostEvents>(env.log)
    const pipeline = new WritePipeline(store, {
      fold: (names, isQueued) => this.cache.fold(names, isQueued),
      lost: (name) => {
        this.cache.lose(name)
        this.events.emit('lost', {})
      },
      stored: (changes) => this.events.emit('stored', { changes }),
    })
    this.pipeline = pipeline
    const owner: CacheOwner = {
      updated: (name, update, sequence, details) => {
        assert(this.capture !== undefined, `${name} is changed only through the host`)
        this.capture.push({ name, update, origin: this.origin, sequence, details })
      },
      isUnstored: (name) => pipeline.isUnstored(name),
      settled: (name) => pipeline.flush(name),
      storeHeads: (rows) =>
        void pipeline
          .enqueue([], rows)
          .catch((error: unknown) => env.log.debug('head not stored', errorFields(error))),
      damaged: (name) => this.events.emit('damaged', { name }),
    }
    this.cache = new DocCache(env, store, heads, { owner, bounds: options })
    this.subscriptions = [
      // What the store did not take is not true: every document is read again
      store.on('failed', () => {
        this.cache.forget()
        this.events.emit('lost', {})
      }),
      store.on('reopened', () => this.cache.forget()),
      store.on('identified', ({ identity }) => this.cache.setIdentity(identity.clientId)),
    ]
  }

  on: DocHost['on'] = (name, listener) => this.events.on(name, listener)

  names(): readonly string[] {
    return [...this.cache.heads.keys()]
  }

  addProjection<Detail>(projection: Projection<Detail>): Disposable {
    // because: each projection is only ever handed the details that it returned itself
    const entry = projection as unknown as Projection<unknown>
    this.cache.addProjection(entry)
    const { projections } = this.cache
    return { [Symbol.dispose]: () => void projections.splice(projections.indexOf(entry), 1) }
  }

  async read<T>(names: readonly string[], use: DocumentChange<T>): Promise<T> {
    const pinned = await this.cache.pin(names)
    try {
      return use((name) => docOf(pinned, name))
    } finally {
      this.cache.unpin(pinned)
    }
  }

  async transact<T>(names: readonly string[], change: DocumentChange<T>, rows: RowSource = []): Promise<T> {
    const pinned = await this.cache.pin(names)
    try {
      const [result, changes] = this.captured({ kind: 'local' }, names, () =>
        change((name) => docOf(pinned, name)),
      )
      await this.pipeline.enqueue(changes, rows)
      return result
    } finally {
      this.cache.unpin(pinned)
    }
  }

  async apply(updates: readonly ForeignUpdate[], from: string): Promise<readonly string[]> {
    const checked = updates.map(({ name, update }) => {
      if (!log.isDocumentName(name)) throw new SkeinError('codec.invalid', 'not a document name')
      if (update.byteLength > limits.documentBytes) {
        throw new SkeinError('limit.exceeded', `update of ${update.byteLength} bytes`)
      }
      return { name, update: checkUpdate(update) }
    })
    const names = [...new Set(updates.map((update) => update.name))]
    const pinned = await this.cache.pin(names)
    try {
      for (const { name, update } of checked) {
        const document = docOf(pinned, name)
        if (showsFork(update, document, this.store.identity.clientId))
          await this.store.renewIdentity('forked', name)
      }
      const missing: string[] = []
      const [, changes] = this.captured({ kind: 'remote', from }, names, () => {
        for (const { name, update } of checked) {
          const document = docOf(pinned, name)
          if (isReady(update, document)) Y.applyUpdate(document, update.update, from)
          else missing.push(name)
        }
      })
      if (changes.length > 0) await this.pipeline.enqueue(changes, [])
      return missing
    } finally {
      this.cache.unpin(pinned)
    }
  }

  async checkStateVector(name: string, stateVector: Uint8Array): Promise<void> {
    const theirs = decodeStateVector(stateVector)
    const { clientId } = this.store.identity
    const isForked = await this.read([name], (document) => {
      return (theirs.get(clientId) ?? 0) > Y.getState(document(name).store, clientId)
    })
    if (isForked) await this.store.renewIdentity('forked', name)
  }

  digest(name: string): Promise<Uint8Array> {
    return this.cache.digest(name)
  }

  async refresh(name: string): Promise<void> {
    const pinned = await this.cache.pin([name])
    try {
      const matching = this.cache.projections.filter((projection) => projection.matches(name))
      await this.pipeline.enqueue(
        [],
        [],
        matching.map((projection) => ({ name, projection, detail: projection.whole(name) })),
      )
    } finally {
      this.cache.unpin(pinned)
    }
  }

  flush(): Promise<void> {
    return this.pipeline.flush()
  }

  settled(names: readonly string[]): Promise<void> {
    const isStored = names.every((name) => !this.pipeline.isUnstored(name))
    return isStored ? Promise.resolve() : this.pipeline.enqueue([], [])
  }

  async close(): Promise<void> {
    await this.flush()
    for (const subscription of this.subscriptions.splice(0)) subscription[Symbol.dispose]()
    if (this.store.status === 'open') await this.store.write(this.cache.headRows())
    this.cache.dropAll()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Runs a synchronous change and collects the updates it makes. If it throws, the documents are thrown out. */
  private captured<T>(
    origin: ChangeOrigin,
    names: readonly string[],
    change: () => T,
  ): readonly [T, QueuedChange[]] {
    assert(this.capture === undefined, 'changes do not nest')
    const changes: QueuedChange[] = []
    this.capture = changes
    this.origin = origin
    try {
      return [change(), changes]
    } catch (error) {
      for (const name of names) this.cache.lose(name)
      throw asSkeinError(error, origin.kind === 'local' ? 'internal' : 'codec.invalid')
    } finally {
      this.capture = undefined
    }
  }
}

function docOf(pinned: ReadonlyMap<string, LoadedDoc>, name: string): Y.Doc {
  const loaded = pinned.get(name)
  assert(loaded !== undefined, `${name} was named beforehand`)
  return loaded.document
}
