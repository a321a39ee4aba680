/**
 * Worker threads for all that goes through a large file from end to end, with synchronous reads (2-4 GB/s each): hashing,
 * block lists, copies, putting a file together from an old one. One root per pool, threads started when first needed.
 */
import { Worker } from 'node:worker_threads'
import { abortReason, type Clock } from '../base/clock.ts'
import { errorCodes, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import type { Range } from '../blobs/ranges.ts'
import type { RootIdentity } from './contained-path.ts'
import type { DiskOutline } from './disk-outline.ts'
import type { Filesystem } from './filesystem.ts'
import { filesystemError } from './filesystem-error.ts'
import type { ThreadedFiles } from './small-files.ts'
import {
  type PackedContents,
  type PackedPlaced,
  type PackedRead,
  packContents,
  unpackPlacements,
  unpackRead,
} from './small-files-wire.ts'

export interface HashWorkers extends AsyncDisposable {
  hash(path: string, signal: AbortSignal): Promise<BlobHash>
  /** The same for a file that nobody changed: no list is made for a delta to come. */
  check(path: string, signal: AbortSignal): Promise<BlobHash>
  /** The block list (blobs/block-list.ts) of what has this hash, made from the file at `path`. @throws `file.changed`. */
  blockList(path: string, hash: BlobHash, signal: AbortSignal): Promise<Uint8Array>
  /** Makes `to` a copy, sharing blocks with the original where the disk can. @returns the hash of the copy. @throws `file.exists`. */
  copy(path: string, to: string, signal: AbortSignal): Promise<BlobHash>
  /**
   * Makes `to` of what the file at `path` has of a listed content; what else stands in it stays.
   * @returns what is missing. @throws `codec.invalid` for a bad list.
   */
  assemble(path: string, what: Assembling, signal: AbortSignal): Promise<readonly Range[]>
  /** Many small files at a time. */
  readonly small: ThreadedFiles
  /** The whole folder in outline. */
  outline(ignoreText: string, signal: AbortSignal): Promise<DiskOutline>
}

export interface Assembling {
  readonly to: string
  readonly list: Uint8Array
  readonly sizeBytes: number
}

export type FileJob =
  | { readonly kind: 'hash'; readonly path: string; readonly withList: boolean }
  | { readonly kind: 'copy'; readonly path: string; readonly to: string }
  | ({ readonly kind: 'assemble'; readonly path: string } & Assembling)
  | {
      readonly kind: 'read'
      readonly path: string
      readonly paths: readonly string[]
      readonly maxBytes: number
    }
  | { readonly kind: 'place'; readonly path: string; readonly files: PackedContents }
  | { readonly kind: 'outline'; readonly path: string; readonly ignoreText: string }

export interface JobMessage {
  readonly id: number
  readonly job: FileJob
  /** The directory that the folder's own disk works in. */
  readonly root: RootIdentity
}

export interface FileJobResult {
  readonly hash?: BlobHash
  readonly list?: Uint8Array<ArrayBuffer> | undefined
  readonly missing?: readonly Range[]
  readonly read?: PackedRead
  readonly placed?: PackedPlaced
  readonly outline?: DiskOutline
}

interface Pending {
  readonly path: string
  readonly isSmall: boolean
  readonly done: PromiseWithResolvers<FileJobResult>
}

interface Thread {
  readonly worker: Worker
  readonly jobs: Map<number, Pending>
  /** Ends it, should nothing come for long. */
  rest: Disposable | undefined
  /** It has said that it is ready to work. */
  isUp: boolean
}

/** The first one of a thread, without anything else in it, says that it is up. */
interface Answer {
  readonly id: number
  readonly result?: FileJobResult
  readonly code?: string
  readonly text?: string
}

// The emitted worker is a .js file beside the emitted module: tsc does not rewrite this address
const workerUrl = new URL(`./hash-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
/** A second one keeps a copy or a delta from waiting behind the hash of another file. */
const threadsMax = 2
/** A thread without work holds some 15 MB, and starts in 40 ms. */
const restMs = 30_000
/** Lists kept after they were made: several devices ask for the same one, and for the one of the last edit soonest. */
const listsKept = 4
/** Paths whose hash was asked for before: the next time it is an edit, and a list will be wanted. */
const pathsKept = 256

/**
 * @param disk the folder's own: threads work in the directory that it works in, and in no other.
 * @param clock ends threads that have nothing to do for long; without one they stay.
 */
export function createHashWorkers(
  root: string,
  disk: Pick<Filesystem, 'lstat'>,
  clock?: Pick<Clock, 'setTimer'>,
): HashWorkers {
  return new ThreadPool(root, disk, clock)
}

class ThreadPool implements HashWorkers {
  private readonly root: string
  private readonly threads: Thread[] = []
  private readonly lists = new Map<BlobHash, Uint8Array>()
  private readonly hashedBefore = new Set<string>()
  private lastId = 0
  private isDisposed = false
  readonly small: ThreadedFiles

  private readonly disk: Pick<Filesystem, 'lstat'>
  private readonly clock: Pick<Clock, 'setTimer'> | undefined

  constructor(root: string, disk: Pick<Filesystem, 'lstat'>, clock: Pick<Clock, 'setTimer'> | undefined) {
    this.root = root
    this.disk = disk
    this.clock = clock
    const isUp = (): boolean => this.threads.some((thread) => thread.isUp)
    this.small = {
      get isReady() {
        return isUp()
      },
      prepare: async () => {
        if (this.threads.length === 0 && !this.isDisposed) this.start()
        // oxlint-disable-next-line no-restricted-globals -- because: not a time, the end of this turn of the event loop
        await new Promise<void>((resolve) => void setImmediate(resolve))
      },
      read: async (paths, maxBytes, signal) => {
        const { read } = await this.run({ kind: 'read', path: '', paths, maxBytes }, signal)
        return read === undefined ? [] : unpackRead(read)
      },
      place: async (files, signal) => {
        const packed = packContents(files)
        const job: FileJob = { kind: 'place', path: '', files: packed }
        const { placed } = await this.run(job, signal, [packed.contents.buffer])
        return placed === undefined ? [] : unpackPlacements(placed)
      },
    }
  }

  async hash(path: string, signal: AbortSignal): Promise<BlobHash> {
    const { hash, list } = await this.run(
      { kind: 'hash', path, withList: this.hashedBefore.has(path) },
      signal,
    )
    if (hash === undefined) throw new SkeinError('internal', 'the hashing thread gave no hash')
    remember(this.hashedBefore, path)
    if (list !== undefined) this.keep(hash, list)
    return hash
  }

  async check(path: string, signal: AbortSignal): Promise<BlobHash> {
    const { hash } = await this.run({ kind: 'hash', path, withList: false }, signal)
    if (hash === undefined) throw new SkeinError('internal', 'the hashing thread gave no hash')
    return hash
  }

  async blockList(path: string, hash: BlobHash, signal: AbortSignal): Promise<Uint8Array> {
    const known = this.lists.get(hash)
    if (known !== undefined) return known.slice()
    const made = await this.run({ kind: 'hash', path, withList: true }, signal)
    if (made.hash !== hash || made.list === undefined) {
      throw new SkeinError('file.changed', `"${path}" has another content now`)
    }
    this.keep(hash, made.list)
    return made.list.slice()
  }

  async copy(path: string, to: string, signal: AbortSignal): Promise<BlobHash> {
    const { hash } = await this.run({ kind: 'copy', path, to }, signal)
    if (hash === undefined) throw new SkeinError('internal', 'the copying thread gave no hash')
    return hash
  }

  async outline(ignoreText: string, signal: AbortSignal): Promise<DiskOutline> {
    const { outline } = await this.run({ kind: 'outline', path: '', ignoreText }, signal)
    if (outline === undefined) throw new SkeinError('internal', 'the walking thread gave no outline')
    return outline
  }

  async assemble(path: string, what: Assembling, signal: AbortSignal): Promise<readonly Range[]> {
    const { missing } = await this.run({ kind: 'assemble', path, ...what }, signal)
    return missing ?? []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true
    const ended = new SkeinError('cancelled', 'hashing has ended')
    for (const thread of this.threads) {
      thread.rest?.[Symbol.dispose]()
      fail(thread, ended)
    }
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()))
  }

  private keep(hash: BlobHash, list: Uint8Array): void {
    this.lists.set(hash, list)
    const [oldest] = this.lists.keys()
    if (this.lists.size > listsKept && oldest !== undefined) this.lists.delete(oldest)
  }

  private async run(
    job: FileJob,
    signal: AbortSignal,
    moved: readonly ArrayBuffer[] = [],
  ): Promise<FileJobResult> {
    if (signal.aborted) throw abortReason(signal)
    const stat = await this.disk.lstat('')
    if (stat === undefined) throw new SkeinError('folder.missing', `the folder ${this.root} is gone`)
    if (this.isDisposed) throw new SkeinError('cancelled', 'hashing has ended')
    const { dev, ino } = stat
    const isSmall = job.kind === 'read' || job.kind === 'place'
    const thread = this.idlest(isSmall)
    const id = ++this.lastId
    const pending = { path: job.path, isSmall, done: Promise.withResolvers<FileJobResult>() }
    thread.rest?.[Symbol.dispose]()
    thread.jobs.set(id, pending)
    thread.worker.ref()
    const message: JobMessage = { id, job, root: { dev, ino } }
    thread.worker.postMessage(message, moved)
    const onAbort = (): void => pending.done.reject(abortReason(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await pending.done.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Small files wait for each other, which is no long wait, but not for a large one. */
  private idlest(isSmall: boolean): Thread {
    const [best] = this.threads.toSorted((a, b) => largeJobs(a) - largeJobs(b) || a.jobs.size - b.jobs.size)
    if (best === undefined) return this.start()
    const isFree = isSmall ? largeJobs(best) === 0 : best.jobs.size === 0
    return isFree || this.threads.length >= threadsMax ? best : this.start()
  }

  private start(): Thread {
    const worker = new Worker(workerUrl, { workerData: { root: this.root } })
    const thread: Thread = { worker, jobs: new Map(), rest: undefined, isUp: false }
    this.threads.push(thread)
    worker.unref()
    worker.on('message', (answer: Answer) => {
      // Whoever ends it waits for the end: it must keep the process running until then
      if (this.isDisposed) return
      thread.isUp = true
      const pending = thread.jobs.get(answer.id)
      thread.jobs.delete(answer.id)
      if (thread.jobs.size === 0) {
        worker.unref()
        this.restLater(thread)
      }
      const { result } = answer
      if (pending === undefined) return
      if (result !== undefined && (result.hash === undefined || isBlobHash(result.hash)))
        pending.done.resolve(result)
      else pending.done.reject(errorOf(answer, pending.path))
    })
    const gone = (cause: unknown): void => {
      const at = this.threads.indexOf(thread)
      if (at >= 0) this.threads.splice(at, 1)
      fail(thread, new SkeinError('internal', 'the hashing thread ended', { cause }))
    }
    worker.on('error', gone)
    worker.on('exit', gone)
    return thread
  }

  private restLater(thread: Thread): void {
    thread.rest?.[Symbol.dispose]()
    thread.rest = this.clock?.setTimer(restMs, () => {
      const at = this.threads.indexOf(thread)
      if (at < 0 || thread.jobs.size > 0) return
      this.threads.splice(at, 1)
      void thread.worker.terminate()
    })
  }
}

const largeJobs = ({ jobs }: Thread): number => [...jobs.values()].filter(({ isSmall }) => !isSmall).length

function errorOf({ code = '', text = '' }: Answer, path: string): SkeinError {
  const known = errorCodes.find((one) => one === code)
  if (known !== undefined) return new SkeinError(known, text)
  return filesystemError(Object.assign(new Error(text), { code }), 'read', path)
}

function fail(thread: Thread, error: SkeinError): void {
  for (const { done } of thread.jobs.values()) {
    done.promise.catch(() => undefined) // because: whoever asked may have been cancelled before
    done.reject(error)
  }
  thread.jobs.clear()
}

function remember(paths: Set<string>, path: string): void {
  paths.delete(path)
  paths.add(path)
  const [oldest] = paths
  if (paths.size > pathsKept && oldest !== undefined) paths.delete(oldest)
}

/** Files from this size on are worth a thread, a list, a reflink. */
export const isLarge = (sizeBytes: number): boolean => sizeBytes >= limits.deltaFromBytes
