/**
 * Contents on their way here: each hash once, small ones many at a time, large ones few. A small one waits in memory, a
 * large one in `.skein/tmp/<hash>`, verified, until its place is looked at again; a broken large one goes on there later.
 */
import { backoffMs } from '../base/backoff.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, type SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { BlobFile, Wanted } from '../blobs/download.ts'
import { type BlobHash, createBlobHasher, hashOf, isBlobHash } from '../blobs/hash.ts'
import { type Filesystem, joinPath, sameSignature } from './filesystem.ts'
import type { StagedContent } from './apply.ts'
import type { DiskTask } from './disk-task.ts'
import type { Directories } from './directories.ts'
import type { FolderTree } from './folder-tree.ts'
import { stagingFolder } from './names.ts'
import { type Problem, problemText } from './problems.ts'
import type { NamedPlace } from './scan.ts'
import type { Versions } from './versions.ts'

/** Gets a content from any other device into `file`; see blobs/exchange.ts. */
export type FetchContent = (wanted: Wanted, file: BlobFile) => Promise<void>
/** Gets a small content from any other device; see blobs/exchange.ts. */
export type FetchSmall = (wanted: Wanted) => Promise<Uint8Array>

/** A place that waits for a content, and what was planned for it. */
export interface Waiting extends NamedPlace {
  readonly path: string
  readonly task: DiskTask
}

/** A place whose content is staged. */
export interface ReadyPlace extends Waiting {
  readonly hash: BlobHash
}

export interface Transfers extends AsyncDisposable {
  want(place: Waiting, hash: BlobHash, sizeBytes: number): void
  /** A content that is complete, undefined while it is not. */
  staged(hash: BlobHash): StagedContent | undefined
  /** The staged file was moved to its place; a content in memory stays for other places until it is discarded. */
  used(hash: BlobHash): void
  /** Of the places in these directories only the wanted ones (row keys) still wait. */
  retain(parentIds: ReadonlySet<string>, wanted: ReadonlySet<string>): void
  /** The staged content is not needed after all. */
  discard(hash: BlobHash): Promise<void>
  /** Removes from staging what nobody waits for. */
  sweep(): Promise<void>
  /** Tries again what failed. */
  retry(): void
  readonly progress: TransferProgress
  /** Places whose content could not be had so far, and why. */
  problems(): readonly Problem[]
}

export interface TransferProgress {
  readonly waiting: number
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface TransferEvents {
  onReady(places: readonly ReadyPlace[]): void
  onFailed(places: readonly Waiting[]): void
}

interface Job {
  readonly hash: BlobHash
  readonly sizeBytes: number
  readonly places: Map<string, Waiting>
  state: 'queued' | 'running' | 'failed'
  readonly abort: AbortController
  attempts: number
  error: SkeinError | undefined
}

/** A source may be in the middle of a change: asked again soon, then less and less. */
const retryBackoff = { firstMs: 100, maxMs: 30_000 }

type JobSize = 'small' | 'large'
const smallBytes = limits.blobChunkBytes
/** Small ones that wait in memory; above it no more are asked for until some are in place. */
const heldBytesMax = 32 * 1024 * 1024
const atOnce = { small: 192, large: 4 } as const

export interface TransferParts {
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  readonly directories: Directories
  readonly versions: Versions
  readonly fetch: FetchContent
  readonly fetchSmall: FetchSmall
  /** Small contents that stand nowhere in the tree: merged ones, above all. */
  kept(hash: BlobHash): Promise<Uint8Array | undefined>
}

export function createTransfers(env: Env, parts: TransferParts, events: TransferEvents): Transfers {
  return new StagedTransfers(env, parts, events)
}

class StagedTransfers implements Transfers {
  private readonly env: Env
  private readonly parts: TransferParts
  private readonly events: TransferEvents
  private readonly jobs = new Map<BlobHash, Job>()
  private readonly byPlace = new Map<string, Job>()
  private readonly ready = new Map<BlobHash, StagedContent>()
  /** Bytes of contents in memory, those on their way included. */
  private heldBytes = 0
  private readonly running = new Set<Promise<void>>()
  private readonly timers = new Set<Disposable>()
  /** Jobs that may start, in order; apart from all jobs, so that a start costs the same however many wait. */
  private readonly startable: { readonly [K in JobSize]: Job[] } = { small: [], large: [] }
  private readonly active: { [K in JobSize]: number } = { small: 0, large: 0 }
  private isDisposed = false
  private doneBytes = 0
  private totalBytes = 0

  constructor(env: Env, parts: TransferParts, events: TransferEvents) {
    this.env = env
    this.parts = parts
    this.events = events
  }

  get progress(): TransferProgress {
    return { waiting: this.jobs.size, doneBytes: this.doneBytes, totalBytes: this.totalBytes }
  }

  problems(): readonly Problem[] {
    const found: Problem[] = []
    for (const { error, places } of this.jobs.values()) {
      if (error !== undefined)
        for (const { path } of places.values()) found.push({ path, ...problemText(error) })
    }
    return found
  }

  want(place: Waiting, hash: BlobHash, sizeBytes: number): void {
    if (this.isDisposed) return
    const key = joinPath(place.parentId, place.name)
    this.leave(key, hash)
    let job = this.jobs.get(hash)
    if (job === undefined) {
      const abort = new AbortController()
      job = { hash, sizeBytes, places: new Map(), state: 'queued', abort, attempts: 0, error: undefined }
      this.jobs.set(hash, job)
      this.enqueue(job)
      this.totalBytes += sizeBytes
    }
    job.places.set(key, place)
    this.byPlace.set(key, job)
    this.pump()
  }

  staged(hash: BlobHash): StagedContent | undefined {
    return this.ready.get(hash)
  }

  used(hash: BlobHash): void {
    if (typeof this.ready.get(hash) === 'string') this.ready.delete(hash)
  }

  async sweep(): Promise<void> {
    for (const { name } of await this.parts.filesystem.readDirectory(stagingFolder)) {
      const isWanted = isBlobHash(name) && (this.jobs.has(name) || this.ready.has(name))
      if (!isWanted) await this.parts.filesystem.unlink(joinPath(stagingFolder, name))
    }
  }

  async discard(hash: BlobHash): Promise<void> {
    const content = this.ready.get(hash)
    this.ready.delete(hash)
    if (content instanceof Uint8Array) {
      this.heldBytes -= content.byteLength
      this.pump()
    } else if (content !== undefined && !this.jobs.has(hash)) await this.parts.filesystem.unlink(content)
  }

  retain(parentIds: ReadonlySet<string>, wanted: ReadonlySet<string>): void {
    for (const [key, job] of this.byPlace) {
      const place = job.places.get(key)
      if (place === undefined || wanted.has(key)) continue
      // Of directories that are gone nobody will speak again
      const isGone = this.parts.directories.pathOf(place.parentId) === undefined
      if (!isGone && !parentIds.has(place.parentId)) continue
      this.byPlace.delete(key)
      this.leaveJob(key, job)
    }
  }

  retry(): void {
    for (const job of this.jobs.values()) if (job.state === 'failed') this.enqueue(job)
    this.pump()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true
    for (const timer of this.timers) timer[Symbol.dispose]()
    for (const job of this.jobs.values()) job.abort.abort()
    await Promise.allSettled(this.running)
  }

  /** A place that waits for something else from now on. */
  private leave(key: string, hash: BlobHash): void {
    const before = this.byPlace.get(key)
    if (before !== undefined && before.hash !== hash) this.leaveJob(key, before)
  }

  private leaveJob(key: string, job: Job): void {
    job.places.delete(key)
    if (job.places.size > 0) return
    job.abort.abort()
    this.drop(job)
  }

  private drop(job: Job): void {
    if (this.jobs.get(job.hash) === job) this.jobs.delete(job.hash)
    for (const key of job.places.keys()) if (this.byPlace.get(key) === job) this.byPlace.delete(key)
  }

  private enqueue(job: Job): void {
    job.state = 'queued'
    this.startable[job.sizeBytes <= smallBytes ? 'small' : 'large'].push(job)
  }

  private pump(): void {
    for (const kind of ['small', 'large'] as const) {
      while (!this.isDisposed && this.active[kind] < atOnce[kind]) {
        if (kind === 'small' && this.heldBytes >= heldBytesMax) break
        const job = this.startable[kind].shift()
        if (job === undefined) break
        if (job.state === 'queued' && this.jobs.get(job.hash) === job) this.start(job, kind)
      }
    }
  }

  private start(job: Job, kind: JobSize): void {
    job.state = 'running'
    this.active[kind]++
    const task = this.run(job).finally(() => {
      this.active[kind]--
      this.running.delete(task)
      if (this.jobs.size === 0) this.doneBytes = this.totalBytes = 0
      this.pump()
    })
    this.running.add(task)
  }

  private async run(job: Job): Promise<void> {
    try {
      const content = job.sizeBytes <= smallBytes ? await this.bringSmall(job) : await this.bring(job)
      this.ready.set(job.hash, content)
      this.drop(job)
      if (job.places.size === 0) await this.discard(job.hash)
      else this.events.onReady([...job.places.values()].map((place) => ({ ...place, hash: job.hash })))
    } catch (error) {
      job.state = 'failed'
      if (job.places.size === 0 || this.isDisposed) {
        this.drop(job)
        return
      }
      this.retryLater(job)
      const known = asSkeinError(error)
      job.error = known
      if (!hasCode(known, 'cancelled')) this.events.onFailed([...job.places.values()])
    }
  }

  private async bringSmall(job: Job): Promise<Uint8Array> {
    const { hash, sizeBytes, abort } = job
    // Held before it arrives, or all that are on their way could be too many
    this.heldBytes += sizeBytes
    try {
      const local = await findLocal(this.parts, job)
      if (local !== undefined) return local
      const onProgress = (bytes: number): void => {
        this.doneBytes += bytes
      }
      return await this.parts.fetchSmall({ hash, sizeBytes, signal: abort.signal, onProgress })
    } catch (error) {
      this.heldBytes -= sizeBytes
      throw error
    }
  }

  private async bring(job: Job): Promise<string> {
    const { filesystem, fetch } = this.parts
    const path = joinPath(stagingFolder, job.hash)
    const there = await filesystem.lstat(path)
    await using file = await filesystem.open(path, there === undefined ? 'create' : 'write')
    if (!(await copyLocal(this.parts, job, file))) {
      const onProgress = (bytes: number): void => {
        this.doneBytes += bytes
      }
      await fetch({ hash: job.hash, sizeBytes: job.sizeBytes, signal: job.abort.signal, onProgress }, file)
    }
    return path
  }

  private retryLater(job: Job): void {
    const delayMs = backoffMs(job.attempts++, retryBackoff, this.env.random)
    const timer = this.env.clock.setTimer(delayMs, () => {
      this.timers.delete(timer)
      if (job.state === 'failed') this.enqueue(job)
      this.pump()
    })
    this.timers.add(timer)
  }
}

/** A small content that stands elsewhere in this folder, or in versions. */
async function findLocal(parts: TransferParts, job: Job): Promise<Uint8Array | undefined> {
  const kept = await parts.kept(job.hash)
  if (kept?.byteLength === job.sizeBytes) return kept.slice()
  for (const path of await localPaths(parts, job.hash)) {
    try {
      const small = await parts.filesystem.readSmall(path, job.sizeBytes)
      if (small?.bytes.byteLength === job.sizeBytes && hashOf(small.bytes) === job.hash) return small.bytes
    } catch (error) {
      if (!hasCode(error, 'not.found', 'file.changed', 'file.denied', 'file.unsafe')) throw error
    }
  }
  return undefined
}

/** The same content may stand elsewhere in this folder, or in versions: it costs no network. */
async function copyLocal(parts: TransferParts, job: Job, file: BlobFile): Promise<boolean> {
  const kept = job.sizeBytes <= limits.mergeBytes ? await parts.kept(job.hash) : undefined
  if (kept !== undefined) {
    await file.truncate(0)
    await file.write(kept, 0)
    return true
  }
  for (const path of await localPaths(parts, job.hash)) {
    try {
      await using from = await parts.filesystem.open(path, 'read')
      await file.truncate(0)
      if ((await copyContent(from, file)) === job.hash) return true
      await file.truncate(0)
    } catch (error) {
      if (!hasCode(error, 'not.found', 'file.changed', 'file.denied', 'file.unsafe')) throw error
    }
  }
  return false
}

async function localPaths(parts: TransferParts, hash: BlobHash): Promise<readonly string[]> {
  const paths: string[] = []
  for (const row of await parts.tree.rowsWithHash(hash)) {
    const parent = parts.directories.pathOf(row.parentId)
    if (parent === undefined) continue
    const path = joinPath(parent, row.diskName)
    const stat = await parts.filesystem.lstat(path)
    if (stat !== undefined && sameSignature(stat, row)) paths.push(path)
  }
  return [...paths, ...(await parts.versions.find(hash))]
}

async function copyContent(from: BlobFile, to: BlobFile): Promise<BlobHash> {
  const hasher = createBlobHasher()
  const buffer = new Uint8Array(1024 * 1024)
  for (let position = 0; ;) {
    const got = await from.read(buffer, position)
    const part = buffer.subarray(0, got)
    hasher.update(part)
    if (got > 0) await to.write(part, position)
    position += got
    if (got < buffer.byteLength) return hasher.digest()
  }
}
