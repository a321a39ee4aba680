/**
 * Puts the texts of a folder into the keep of merge bases before anybody edits them: what was just written or fetched at
 * once, the rest of the tree at leisure, so slowly that a device at rest stays at rest. Yields to rounds under way.
 */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import { errorFields } from '../base/log.ts'
import { limits } from '../base/limits.ts'
import { type BlobHash, hashOf } from '../blobs/hash.ts'
import type { BaseContent, BaseKeep, BaseNote } from './base-keep.ts'
import type { Directories } from './directories.ts'
import { type Filesystem, joinPath, sameSignature } from './filesystem.ts'
import type { FolderTree, SyncedRow } from './folder-tree.ts'
import { mergeKindOf } from './merge-policy.ts'

export interface BaseFeeder {
  /** Rows that were committed, and versions that were replaced. */
  committed(rows: readonly SyncedRow[], notes: readonly BaseNote[]): void
  /** Works until the signal. */
  run(signal: AbortSignal): Promise<void>
}

export interface BaseFeederParts {
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  readonly directories: Directories
  readonly keep: BaseKeep
  /** Rounds or transfers are under way. */
  isBusy(): boolean
}

type Named = Pick<SyncedRow, 'parentId' | 'name'>

const queueMax = 2_000
const batch = 32
const busyMs = 50
const troubleMs = 5_000
const walkBatch = 16
/** Between two batches of the walk: at least this long, and so many times what the last one took, a quarter of a percent of a core. */
const walkMs = 2_000
/** A disk that took so long for one file may for the next: others first. */
const slowReadMs = 2
const walkRestFactor = 400
const walkUntilBytes = limits.mergeBasesBytes * 0.75
const walkEveryMs = 24 * 3_600_000

export function createBaseFeeder(env: Env, parts: BaseFeederParts): BaseFeeder {
  return new Feeder(env, parts)
}

class Feeder implements BaseFeeder {
  private readonly env: Env
  private readonly parts: BaseFeederParts
  private readonly queue = new Map<string, Named>()
  private notes: BaseNote[] = []
  private woken = Promise.withResolvers<void>()
  private walkFromMs = 0

  constructor(env: Env, parts: BaseFeederParts) {
    this.env = env
    this.parts = parts
  }

  committed(rows: readonly SyncedRow[], notes: readonly BaseNote[]): void {
    for (const { kind, size, parentId, name } of rows) {
      if (kind !== 'file' || size > limits.mergeBytes) continue
      const key = joinPath(parentId, name)
      this.queue.delete(key)
      this.queue.set(key, { parentId, name })
    }
    // The oldest are left to the walk
    for (const key of this.queue.keys()) {
      if (this.queue.size <= queueMax) break
      this.queue.delete(key)
      this.walkFromMs = 0
    }
    // At once: a merge may ask before there is time to write them down
    this.parts.keep.note(notes)
    this.notes.push(...notes.slice(0, queueMax - this.notes.length))
    this.woken.resolve()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.env
    // because: listeners on a long-lived signal pile up; one for all waits
    signal.addEventListener('abort', () => this.woken.resolve(), { once: true })
    for (;;) {
      while (this.parts.isBusy()) await sleep(clock, busyMs, signal)
      signal.throwIfAborted()
      try {
        if (this.queue.size + this.notes.length > 0) await this.feed()
        else if (this.isWalkDue()) await this.walk(signal)
        else {
          await this.woken.promise
          this.woken = Promise.withResolvers()
        }
      } catch (error) {
        // A disk or store in trouble is for the rounds to tell; bases are only a help
        if (signal.aborted || !(error instanceof SkeinError)) throw error
        this.env.log.warn('reading bases for merges failed', errorFields(error))
        await sleep(clock, troubleMs, signal)
      }
    }
  }

  private isWalkDue(): boolean {
    return this.env.clock.monotonicMs() >= this.walkFromMs
  }

  private async feed(): Promise<void> {
    const notes = this.notes
    this.notes = []
    const rows: SyncedRow[] = []
    for (const [key, { parentId, name }] of [...this.queue].slice(-batch)) {
      this.queue.delete(key)
      const row = await this.parts.tree.row(parentId, name)
      if (row !== undefined) rows.push(row)
    }
    await this.keep(rows, notes)
  }

  private async walk(signal: AbortSignal): Promise<void> {
    const { tree, directories, keep } = this.parts
    // Set first: what overflows meanwhile asks for another walk
    this.walkFromMs = this.env.clock.monotonicMs() + walkEveryMs
    for (const id of directories.below(tree.rootId)) {
      const rows = (await tree.rows(id)).filter(
        ({ kind, size }) => kind === 'file' && size <= limits.mergeBytes,
      )
      for (let at = 0; at < rows.length; at += walkBatch) {
        if (keep.sizeBytes > walkUntilBytes) return
        const startMs = this.env.clock.monotonicMs()
        const looked = await this.keep(rows.slice(at, at + walkBatch), [])
        const tookMs = this.env.clock.monotonicMs() - startMs
        if (looked > 0) await this.rest(Math.max(walkMs, tookMs * walkRestFactor), signal)
        while (this.parts.isBusy()) await sleep(this.env.clock, busyMs, signal)
        while (this.queue.size > 0) await this.feed()
        signal.throwIfAborted()
      }
    }
  }

  /** Between two batches of the walk: what people work on does not wait for its end. */
  private async rest(restMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.env
    const untilMs = clock.monotonicMs() + restMs
    for (let leftMs = restMs; leftMs > 0; leftMs = untilMs - clock.monotonicMs()) {
      const timer = clock.setTimer(leftMs, () => this.woken.resolve())
      await this.woken.promise
      timer[Symbol.dispose]()
      this.woken = Promise.withResolvers()
      signal.throwIfAborted()
      while (this.queue.size > 0) {
        // The round that wakes it is under way still, and nothing wakes it when that is over
        while (this.parts.isBusy()) await sleep(clock, busyMs, signal)
        await this.feed()
      }
    }
  }

  /** @returns how many were looked at on the disk. */
  private async keep(rows: readonly SyncedRow[], notes: readonly BaseNote[]): Promise<number> {
    const contents: BaseContent[] = []
    let looked = 0
    for (const row of rows) {
      const { hash } = row
      if (hash === undefined || (await this.parts.keep.has(hash))) continue
      looked++
      const bytes = await this.read(row, hash)
      if (bytes !== undefined) contents.push({ hash, bytes })
    }
    if (contents.length + notes.length > 0) await this.parts.keep.add(contents, notes)
    return looked
  }

  private async read(row: SyncedRow, hash: BlobHash): Promise<Uint8Array | undefined> {
    const { directories, filesystem } = this.parts
    const parent = directories.pathOf(row.parentId)
    if (parent === undefined || row.size > limits.mergeBytes) return undefined
    if (mergeKindOf(joinPath(parent, row.name)) === 'never') return undefined
    try {
      const startMs = this.env.clock.monotonicMs()
      // In one step: a way to the thread pool and back for each part of it costs eight times as much
      const found = await filesystem.readSmall(joinPath(parent, row.diskName), limits.mergeBytes)
      if (this.env.clock.monotonicMs() - startMs > slowReadMs) await sleep(this.env.clock, 0)
      if (found === undefined || !sameSignature(found.stat, row)) return undefined
      const { bytes } = found
      return !bytes.includes(0) && hashOf(bytes) === hash ? bytes : undefined
    } catch (error) {
      // What is gone or changed meanwhile comes with its next row
      if (hasCode(error, 'not.found', 'file.changed', 'file.denied', 'file.unsafe', 'file.busy'))
        return undefined
      throw error
    }
  }
}
