/**
 * Writes all changes of a document host to the store: changes that come while a batch is on its way share the next
 * one, so every batch is atomic and in order, and nobody hears of a change before it is stored.
 */
import { asSkeinError } from '../base/errors.ts'
import type { RowChange } from './database.ts'
import * as log from './document-log.ts'
import type { Projection, RowSource, StoredChange } from './projection.ts'
import type { Store } from './store.ts'

export interface QueuedDetail {
  readonly name: string
  readonly projection: Projection<unknown>
  readonly detail: unknown
}

export interface QueuedChange extends StoredChange {
  readonly sequence: number
  readonly details: readonly QueuedDetail[]
}

/** What the pipeline asks of its owner. */
export interface PipelineOwner {
  /** Snapshot rows of documents whose log has grown long; `isQueued` tells which have changes not in this batch. */
  fold(names: ReadonlySet<string>, isQueued: (name: string) => boolean): readonly RowChange[]
  /** A change of this document was not stored: what is in memory is not true. */
  lost(name: string): void
  stored(changes: readonly StoredChange[]): void
}

interface QueuedWork {
  readonly changes: readonly QueuedChange[]
  readonly details: readonly QueuedDetail[]
  readonly rows: RowSource
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class WritePipeline {
  private readonly store: Store
  private readonly owner: PipelineOwner
  private queue: QueuedWork[] = []
  /** Queued changes by document. */
  private readonly unstored = new Map<string, number>()
  private pumping: Promise<void> | undefined

  constructor(store: Store, owner: PipelineOwner) {
    this.store = store
    this.owner = owner
  }

  /** Resolves once stored. @throws `store.failed`. */
  enqueue(
    changes: readonly QueuedChange[],
    rows: RowSource,
    more: readonly QueuedDetail[] = [],
  ): Promise<void> {
    const details = [...changes.flatMap((change) => change.details), ...more]
    return new Promise((resolve, reject) => {
      for (const { name } of changes) this.unstored.set(name, (this.unstored.get(name) ?? 0) + 1)
      this.queue.push({ changes, details, rows, resolve, reject })
      this.pumping ??= this.pump()
    })
  }

  isUnstored(name: string): boolean {
    return this.unstored.has(name)
  }

  /** Resolves when no change of this document waits, or none at all. */
  async flush(name?: string): Promise<void> {
    while (this.pumping !== undefined && (name === undefined || this.isUnstored(name))) await this.pumping
  }

  private async pump(): Promise<void> {
    // One turn later, so that changes made in the same turn share the batch
    await Promise.resolve()
    while (this.queue.length > 0) await this.storeQueue()
    // In the same turn as the look at the queue: what is queued a moment later would wait for nobody
    this.pumping = undefined
  }

  private async storeQueue(): Promise<void> {
    const group = this.queue
    this.queue = []
    try {
      await this.storeGroup(group)
      this.settle(group)
      for (const work of group) work.resolve()
    } catch (error) {
      // What waits was built on what is now lost
      const lost = [...group, ...this.queue.splice(0)]
      this.settle(lost)
      for (const { name } of lost.flatMap((work) => work.changes)) this.owner.lost(name)
      for (const work of lost) work.reject(asSkeinError(error, 'store.failed'))
    }
  }

  private settle(group: readonly QueuedWork[]): void {
    for (const { name } of group.flatMap((work) => work.changes)) {
      const left = (this.unstored.get(name) ?? 1) - 1
      if (left === 0) this.unstored.delete(name)
      else this.unstored.set(name, left)
    }
  }

  private async storeGroup(group: readonly QueuedWork[]): Promise<void> {
    const changes = group.flatMap((work) => work.changes)
    const rows: RowChange[] = changes.map(({ name, sequence, update }) =>
      log.appendRow(name, sequence, update),
    )
    const details = group.flatMap((work) => work.details)
    const touched = new Set(details.map(({ projection }) => projection))
    for (const projection of touched) {
      for (const row of await projection.rows(details.filter((one) => one.projection === projection)))
        rows.push(row)
    }
    for (const { rows: source } of group) {
      for (const row of typeof source === 'function' ? await source() : source) rows.push(row)
    }
    const isQueued = (name: string): boolean =>
      this.queue.some((work) => work.changes.some((change) => change.name === name))
    for (const row of this.owner.fold(new Set(changes.map(({ name }) => name)), isQueued)) rows.push(row)
    if (rows.length > 0) await this.store.write(rows)
    for (const projection of touched) projection.stored(changes.map(({ origin }) => origin))
    if (changes.length > 0) {
      this.owner.stored(changes.map(({ name, update, origin }) => ({ name, update, origin })))
    }
  }
}
