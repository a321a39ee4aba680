/**
 * Contents on their way here: each hash once, small ones many at a time, large ones few. A small one waits in memory, a
 * large one in `.skein/tmp/<hash>`, verified, until its place is looked at again; a broken large one goes on there later.
 */
import { backoffMs } from '../base/backoff.ts'
import { errorFields } from '../base/log.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, type SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { BlobFile, Wanted } from '../blobs/wanted.ts'
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import type { SpacePush } from '../blobs/push.ts'
import { type Filesystem, joinPath } from './filesystem.ts'
import type { StagedContent } from './stage.ts'
import type { DiskTask } from './disk-task.ts'
import { bringByDelta, type DeltaParts } from './delta.ts'
import { isLarge } from './hash-workers.ts'
import { hasNotes, openPartialFile, removePartial, stagedNameOf } from './partial-file.ts'
import { copyByThread, copyLocal, findLocal, type LocalPlaces } from './local-contents.ts'
import { stagingFolder } from './names.ts'
import { type Problem, problemText } from './problems.ts'
import type { NamedPlace } from './scan.ts'
import { createProgressCount, type TransferProgress } from './transfer-progress.ts'

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
  /** Neither this device nor any that was asked has it, tried again and again. */
  isNowhere(hash: BlobHash): boolean
  /** The same, and every device that could have it was asked. @param isPatient tried a while longer. */
  isLost(hash: BlobHash, isPatient: boolean): boolean
  readonly progress: TransferProgress
  /** Places whose content could not be had so far, and why. */
  problems(): readonly Problem[]
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
  /** Tries in a row in which all devices within reach, one at least, said that they do not have it. */
  misses: number
  /** Those in a row in which every device that could have it was within reach. */
  fullMisses: number
  error: SkeinError | undefined
}

/** A source may be in the middle of a change: so often it is asked before "I do not have it" is believed. */
const missesMax = 4
const patientMisses = 7

/** A source may be in the middle of a change: asked again soon, then less and less. */
const retryBackoff = { firstMs: 100, maxMs: 30_000 }

type JobSize = 'small' | 'large' | 'huge'
const smallBytes = limits.blobChunkBytes
/** Small ones that wait in memory; above it no more are asked for until some are in place. */
const heldBytesMax = 32 * 1024 * 1024
/** Each size has lanes of its own: whoever waits for a picture does not wait for the film in front of it. */
const atOnce = { small: 192, large: 4, huge: 2 } as const

const sizeOf = ({ sizeBytes }: Job): JobSize =>
  sizeBytes <= smallBytes ? 'small' : isLarge(sizeBytes) ? 'huge' : 'large'

export interface TransferParts extends LocalPlaces, DeltaParts {
  readonly filesystem: Filesystem
  readonly fetch: FetchContent
  readonly fetchSmall: FetchSmall
  /** Small contents that others sent unasked. */
  readonly pushed?: Pick<SpacePush, 'get' | 'drop' | 'expect'> | undefined
  /** Whether every device that could have a content is within reach; left out: it is. */
  readonly hasEverybody?: (() => boolean) | undefined
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
  private readonly startable: { readonly [K in JobSize]: Job[] } = {
    small: [],
    large: [],
    huge: [],
  }
  private readonly active: { [K in JobSize]: number } = { small: 0, large: 0, huge: 0 }
  private isDisposed = false
  private readonly count = createProgressCount()

  constructor(env: Env, parts: TransferParts, events: TransferEvents) {
    this.env = env
    this.parts = parts
    this.events = events
  }

  get progress(): TransferProgress {
    return this.count.progress
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
      job = {
        hash,
        sizeBytes,
        places: new Map(),
        state: 'queued',
        abort,
        attempts: 0,
        misses: 0,
        fullMisses: 0,
        error: undefined,
      }
      this.jobs.set(hash, job)
      this.enqueue(job)
      this.count.add(hash, sizeBytes)
    }
    job.places.set(key, place)
    this.byPlace.set(key, job)
    this.pump()
  }

  isNowhere(hash: BlobHash): boolean {
    return (this.jobs.get(hash)?.misses ?? 0) >= missesMax
  }

  isLost(hash: BlobHash, isPatient: boolean): boolean {
    return (this.jobs.get(hash)?.fullMisses ?? 0) >= (isPatient ? patientMisses : missesMax)
  }

  staged(hash: BlobHash): StagedContent | undefined {
    return this.ready.get(hash) ?? this.parts.pushed?.get(hash)
  }

  used(hash: BlobHash): void {
    this.parts.pushed?.drop(hash)
    if (typeof this.ready.get(hash) === 'string') this.ready.delete(hash)
  }

  async sweep(): Promise<void> {
    for (const { name } of await this.parts.filesystem.readDirectory(stagingFolder)) {
      const hash = stagedNameOf(name)
      const isWanted = isBlobHash(hash) && (this.jobs.has(hash) || this.ready.has(hash))
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
    if (this.jobs.get(job.hash) === job) this.count.left(job.hash)
    this.drop(job)
  }

  private drop(job: Job): void {
    if (this.jobs.get(job.hash) === job) this.jobs.delete(job.hash)
    for (const key of job.places.keys()) if (this.byPlace.get(key) === job) this.byPlace.delete(key)
  }

  private enqueue(job: Job): void {
    job.state = 'queued'
    this.startable[sizeOf(job)].push(job)
  }

  private pump(): void {
    for (const kind of ['small', 'large', 'huge'] as const) {
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
      this.pump()
    })
    this.running.add(task)
  }

  private async run(job: Job): Promise<void> {
    try {
      const content = job.sizeBytes <= smallBytes ? await this.bringSmall(job) : await this.bring(job)
      this.ready.set(job.hash, content)
      if (this.jobs.get(job.hash) === job) this.count.done(job.hash)
      this.drop(job)
      if (job.places.size === 0) await this.discard(job.hash)
      else this.events.onReady([...job.places.values()].map((place) => ({ ...place, hash: job.hash })))
    } catch (error) {
      job.state = 'failed'
      if (job.places.size === 0 || this.isDisposed) {
        this.drop(job)
        // Nobody wants it any more; what a stop cut off goes on at the next start
        if (!this.isDisposed) await this.forgetPart(job.hash)
        return
      }
      this.retryLater(job)
      const known = asSkeinError(error)
      job.error = known
      const isMiss = known.details['isNowhere'] === true
      job.misses = isMiss ? job.misses + 1 : 0
      job.fullMisses = isMiss && this.parts.hasEverybody?.() !== false ? job.fullMisses + 1 : 0
      if (!hasCode(known, 'cancelled')) this.events.onFailed([...job.places.values()])
    }
  }

  private async bringSmall(job: Job): Promise<Uint8Array> {
    const { hash, sizeBytes, abort } = job
    // Held before it arrives, or all that are on their way could be too many
    this.heldBytes += sizeBytes
    try {
      const local = await findLocal(this.parts, job)
      const found = local ?? (await this.parts.pushed?.expect(hash))
      if (found !== undefined) return found
      const onProgress = (bytes: number): void => this.count.got(job.hash, bytes)
      return await this.parts.fetchSmall({ hash, sizeBytes, signal: abort.signal, onProgress })
    } catch (error) {
      this.heldBytes -= sizeBytes
      throw error
    }
  }

  private async bring(job: Job): Promise<string> {
    const { filesystem, fetch } = this.parts
    const { hash, sizeBytes } = job
    const path = joinPath(stagingFolder, hash)
    const onProgress = (bytes: number): void => this.count.got(hash, bytes)
    const wanted = { hash, sizeBytes, signal: job.abort.signal, onProgress }
    const there = await filesystem.lstat(path)
    // Empty, or longer than wanted: no beginning of it
    const isStarted = there !== undefined && there.size > 0 && there.size <= sizeBytes
    if (!isStarted) await removePartial(filesystem, path)
    if (!isStarted && (await copyByThread(this.env, this.parts, { ...wanted, to: path }))) return path
    // What has notes may have been begun from an older version
    if (!isStarted || (await hasNotes(filesystem, path))) {
      const [place] = job.places.values()
      const paths = { oldPath: place?.path ?? '', to: path }
      if (place !== undefined && (await bringByDelta(this.env, this.parts, wanted, paths))) return path
    }
    await using file = await openPartialFile(filesystem, path, sizeBytes)
    if (!(await copyLocal(this.parts, job, file))) await fetch(wanted, file)
    await file.complete()
    return path
  }

  private async forgetPart(hash: BlobHash): Promise<void> {
    if (this.jobs.has(hash) || this.ready.has(hash)) return
    try {
      await removePartial(this.parts.filesystem, joinPath(stagingFolder, hash))
    } catch (error) {
      // because: the next sweep finds it
      this.env.log.debug('a part of what nobody wants is left', errorFields(error))
    }
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
