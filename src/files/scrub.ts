/**
 * Reads files again that nobody changed and compares them with the hash in the index: a disk that lost bytes says so to
 * nobody. One pass goes through all directories in order of their ids, and goes on after a restart where it was. By itself
 * it runs once a month, with about one per cent of a core, while the folder rests and the device is not on battery; asked by a
 * person it runs at full speed, large files in worker threads. It changes nothing: what it finds goes to damage.ts.
 * What the system still has in memory is not read from the disk again; a pass long after the last one is what finds damage.
 */
import { sleep } from '../base/clock.ts'
import { boolean, decodeCanonical, encodeCanonical, integer, object, optional, text } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import type { Keep } from '../base/keep.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import { type BlobHash, createBlobHasher } from '../blobs/hash.ts'
import { createDamage, type Damage } from './damage.ts'
import type { Directories, Totals } from './directories.ts'
import { type Filesystem, joinPath, sameSignature } from './filesystem.ts'
import type { FolderTree, SyncedRow } from './folder-tree.ts'
import type { Inbox } from './folder-inbox.ts'
import type { HashWorkers } from './hash-workers.ts'
import type { Problem } from './problems.ts'
import { damageProblems } from './repair.ts'

export interface ScrubStatus {
  /** 'resting': a pass goes on once the folder is at rest and the device on power; 'idle': the next one is not due yet. */
  readonly state: 'idle' | 'resting' | 'running'
  /** A person asked for this pass. */
  readonly isFast: boolean
  readonly checkedFiles: number
  readonly totalFiles: number
  readonly checkedBytes: number
  readonly totalBytes: number
  /** How long a pass at full speed still takes. */
  readonly remainingMs: number | undefined
  /** When the last whole pass ended. */
  readonly finishedAtMs: number | undefined
  /** Found by the pass under way, or by the last one. */
  readonly found: number
}

export interface Scrub {
  readonly damage: Damage
  status(): ScrubStatus
  /** Goes on with the pass under way, or begins one, at full speed. */
  start(): void
  /** Back to the slow pace. */
  stop(): void
  problems(): readonly Problem[]
}

export interface ScrubParts {
  readonly spaceId: string
  readonly tree: Pick<FolderTree, 'rows' | 'row' | 'rootId'>
  readonly filesystem: Filesystem
  readonly directories: Pick<Directories, 'below' | 'pathOf'>
  readonly totals: Totals
  readonly workers?: HashWorkers | undefined
  readonly keep?: Pick<Keep, 'read' | 'write'> | undefined
  /** The folder has something to do, or is paused. */
  readonly isBusy: () => boolean
  readonly isOnBattery?: (() => boolean) | undefined
  /** Directories with damaged files go there. */
  readonly inbox: Pick<Inbox, 'add'>
}

interface Progress {
  /** Directories up to this one are done; '' at the start. */
  position: string
  isUnderWay: boolean
  isFast: boolean
  files: number
  bytes: number
  found: number
  finishedAtMs: number | undefined
}

const shape = object({
  position: text(64),
  underWay: boolean,
  fast: boolean,
  files: integer(),
  bytes: integer(),
  found: integer(),
  finished: optional(integer()),
})
const everyMs = 30 * 86_400_000
/** Slow pace: so many parts of rest to one of work. */
const restFactor = 99
const restMinMs = 1_000
const workMs = 5
const stepBytes = 256 * 1024
const lookAgainMs = 10_000
const idleMs = 3_600_000
const saveEveryMs = 30_000
/** What a small file costs, in bytes of a large one: for the time left. */
const fileCostBytes = 256 * 1024
const lanes = 2

/** What is kept about a space; of no use once the space is gone from here. */
export const scrubNames = (spaceId: string): readonly string[] => [`scrub-${spaceId}`, `damage-${spaceId}`]

export function startScrub(env: Env, scope: Scope, parts: ScrubParts): Scrub {
  const scrub = new FolderScrub(env, parts)
  scope.spawn('scrub', (signal) => scrub.run(signal))
  return scrub
}

class FolderScrub implements Scrub {
  readonly damage: Damage
  private readonly env: Env
  private readonly parts: ScrubParts
  private readonly progress: Progress = {
    position: '',
    isUnderWay: false,
    isFast: false,
    files: 0,
    bytes: 0,
    found: 0,
    finishedAtMs: undefined,
  }
  private isReading = false
  private wake = Promise.withResolvers<void>()
  /** Worked since the last rest, and since when it goes on. */
  private workedMs = 0
  private markMs = 0
  private savedMs = 0
  /** Since when and from how much on the fast pass is measured. */
  private pace: { readonly sinceMs: number; readonly done: number } | undefined

  constructor(env: Env, parts: ScrubParts) {
    this.env = env
    this.parts = parts
    this.damage = createDamage(env, parts.spaceId, parts.keep)
  }

  status(): ScrubStatus {
    const { files, bytes, isFast, isUnderWay, finishedAtMs, found } = this.progress
    const { totals } = this.parts
    return {
      state: !isUnderWay ? 'idle' : this.isReading ? 'running' : 'resting',
      isFast,
      checkedFiles: files,
      totalFiles: Math.max(totals.files, files),
      checkedBytes: bytes,
      totalBytes: Math.max(totals.bytes, bytes),
      remainingMs: this.remainingMs(),
      finishedAtMs,
      found,
    }
  }

  problems(): readonly Problem[] {
    return damageProblems(this.damage, this.parts.directories)
  }

  private isAtRest(): boolean {
    return !this.parts.isBusy() && this.parts.isOnBattery?.() !== true
  }

  start(): void {
    if (!this.progress.isUnderWay) this.begin()
    this.progress.isFast = true
    this.isReading = true
    this.pace = { sinceMs: this.env.clock.monotonicMs(), done: this.done() }
    this.wake.resolve()
  }

  stop(): void {
    this.progress.isFast = false
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.load()
    for (;;) {
      signal.throwIfAborted()
      const { isUnderWay, isFast, finishedAtMs = 0 } = this.progress
      if (!isUnderWay && this.env.clock.nowMs() - finishedAtMs >= everyMs) this.begin()
      if (this.progress.isUnderWay && (isFast || this.isAtRest())) await this.pass(signal)
      else await this.wait(this.progress.isUnderWay ? lookAgainMs : idleMs, signal)
    }
  }

  private begin(): void {
    const { finishedAtMs } = this.progress
    const fresh = { position: '', isUnderWay: true, isFast: false, files: 0, bytes: 0, found: 0 }
    Object.assign(this.progress, { ...fresh, finishedAtMs })
  }

  /** Goes on until the end, or until the folder or the person wants otherwise. */
  private async pass(signal: AbortSignal): Promise<void> {
    this.isReading = true
    try {
      const { directories, tree } = this.parts
      const ids = directories.below(tree.rootId).filter((id) => id > this.progress.position)
      for (const id of ids.toSorted()) {
        if (!(await this.directory(id, signal))) return
        this.progress.position = id
        await this.save(false)
      }
      Object.assign(this.progress, {
        isUnderWay: false,
        isFast: false,
        finishedAtMs: this.nowMs(),
        position: '',
      })
      this.pace = undefined
      await this.save(true)
    } catch (error) {
      signal.throwIfAborted()
      this.env.log.error('a pass over the files broke off', errorFields(error))
      await this.wait(lookAgainMs, signal)
    } finally {
      this.isReading = false
    }
  }

  /** @returns false when it was left half way: it is read once more later. */
  private async directory(id: string, signal: AbortSignal): Promise<boolean> {
    const before = { ...this.progress }
    const path = this.parts.directories.pathOf(id)
    const rows =
      path === undefined ? [] : (await this.parts.tree.rows(id)).filter(({ kind }) => kind === 'file')
    let next = 0
    let isWhole = true
    const lane = async (): Promise<void> => {
      for (let row = rows[next++]; row !== undefined && isWhole; row = rows[next++]) {
        if (this.progress.isFast || this.isAtRest()) {
          await this.file(row, joinPath(path ?? '', row.diskName), signal)
        } else isWhole = false
      }
    }
    const count = this.progress.isFast && this.parts.workers !== undefined ? lanes : 1
    await Promise.all(Array.from({ length: count }, lane))
    if (!isWhole) Object.assign(this.progress, { files: before.files, bytes: before.bytes })
    return isWhole
  }

  private async file(row: SyncedRow, path: string, signal: AbortSignal): Promise<void> {
    this.markMs = this.env.clock.monotonicMs()
    const found = await this.compare(row, path, signal)
    await this.rest(signal)
    this.progress.files++
    this.progress.bytes += row.size
    // Once more: what the second reading has right was an error on the way, not on the disk
    if (found === 'same' || (await this.compare(row, path, signal)) === 'same') return
    const { parentId, name, nodeId, version, ino, size: sizeBytes } = row
    const actual = found === 'unreadable' ? undefined : found
    const foundAtMs = this.nowMs()
    const place = { parentId, name, nodeId, version, sizeBytes, ino, actual, foundAtMs }
    this.env.log.error('a file was damaged by the disk', {
      path,
      sizeBytes,
      isReadable: actual !== undefined,
    })
    if (!(await this.damage.add(place))) return
    this.progress.found++
    this.parts.inbox.add([parentId])
  }

  /** @returns 'same' also for what changes: that is for the folder to find. */
  private async compare(
    row: SyncedRow,
    path: string,
    signal: AbortSignal,
  ): Promise<'same' | 'unreadable' | BlobHash> {
    const { tree, filesystem } = this.parts
    const isAsRecorded = async (): Promise<boolean> => {
      const stat = await filesystem.lstat(path)
      if (stat?.kind !== 'file' || !sameSignature(stat, row)) return false
      const now = await tree.row(row.parentId, row.name)
      return now?.version === row.version && sameSignature(now, row)
    }
    const isKnown = this.damage.at(row.parentId, row.name)?.version === row.version
    if (row.isRacy || row.hash === undefined || isKnown || !(await isAsRecorded())) return 'same'
    let hash: BlobHash | 'unreadable'
    try {
      const { workers } = this.parts
      const isFast = this.progress.isFast && workers !== undefined
      hash = isFast ? await workers.check(path, signal) : await this.hashSlowly(path, row.size, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!hasCode(error, 'disk.failed')) return 'same'
      hash = 'unreadable'
    }
    return hash === row.hash || !(await isAsRecorded()) ? 'same' : hash
  }

  private async hashSlowly(path: string, sizeBytes: number, signal: AbortSignal): Promise<BlobHash> {
    await using file = await this.parts.filesystem.open(path, 'read')
    const hasher = createBlobHasher()
    const buffer = new Uint8Array(Math.max(1, Math.min(stepBytes, sizeBytes + 1)))
    for (let position = 0; ;) {
      const got = await file.read(buffer, position)
      if (got > 0) hasher.update(buffer.subarray(0, got))
      position += got
      if (got < buffer.byteLength) return hasher.digest()
      await this.rest(signal)
    }
  }

  /** Rests in proportion to the work done; not at all when a person waits. */
  private async rest(signal: AbortSignal): Promise<void> {
    const nowMs = this.env.clock.monotonicMs()
    this.workedMs += nowMs - this.markMs
    this.markMs = nowMs
    if (this.workedMs < workMs) return
    const restMs = Math.max(restMinMs, this.workedMs * restFactor)
    this.workedMs = 0
    if (this.progress.isFast) await sleep(this.env.clock, 0, signal)
    else await this.wait(restMs, signal)
    this.markMs = this.env.clock.monotonicMs()
  }

  private async wait(ms: number, signal: AbortSignal): Promise<void> {
    this.wake = Promise.withResolvers()
    const { wake } = this
    const ended = new AbortController()
    const onAbort = (): void => ended.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    const slept = sleep(this.env.clock, ms, ended.signal)
    try {
      await Promise.race([slept, wake.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
      ended.abort()
      slept.catch(() => undefined) // because: ended by us, or told by the line above
    }
  }

  private done(): number {
    return this.progress.bytes + this.progress.files * fileCostBytes
  }

  /** As it is kept: a clock may have parts of a millisecond, or have been set to before 1970. */
  private nowMs(): number {
    return Math.max(0, Math.round(this.env.clock.nowMs()))
  }

  private remainingMs(): number | undefined {
    const { pace, parts, progress } = this
    if (!progress.isFast || pace === undefined) return undefined
    const done = this.done() - pace.done
    const elapsedMs = this.env.clock.monotonicMs() - pace.sinceMs
    if (done <= 0 || elapsedMs < 500) return undefined
    const total = parts.totals.bytes + parts.totals.files * fileCostBytes
    return Math.round((Math.max(0, total - this.done()) / done) * elapsedMs)
  }

  private async load(): Promise<void> {
    const { keep, spaceId } = this.parts
    const stored = await keep?.read(`scrub-${spaceId}`)
    if (stored === undefined) {
      // All of it was read when it was put into the index, or written by us
      this.progress.finishedAtMs ??= this.nowMs()
      await this.save(true)
      return
    }
    const {
      underWay: isUnderWay,
      fast,
      finished: finishedAtMs,
      ...counts
    } = decodeCanonical(stored, shape, 1024)
    // Asked for in the moment of the start: nothing is to be undone
    if (!this.progress.isUnderWay)
      Object.assign(this.progress, { ...counts, isUnderWay, finishedAtMs, isFast: fast })
  }

  private async save(isDue: boolean): Promise<void> {
    const { keep, spaceId } = this.parts
    const nowMs = this.env.clock.monotonicMs()
    if (keep === undefined || (!isDue && nowMs - this.savedMs < saveEveryMs)) return
    this.savedMs = nowMs
    const { position, isUnderWay, isFast, files, bytes, found, finishedAtMs } = this.progress
    const row = { position, underWay: isUnderWay, fast: isFast, files, bytes, found }
    const finished = finishedAtMs === undefined ? {} : { finished: finishedAtMs }
    await keep.write(`scrub-${spaceId}`, encodeCanonical({ ...row, ...finished }))
  }
}
