/**
 * Turns native file watches into two hints: "this directory may have changed" and "anything may have changed".
 * A hint is never the truth: the folder compares the directory with its index. Nothing is lost because
 * - a directory is watched before it is listed (`add` first, list second), and again when another inode stands there;
 * - a burst or a blocked event loop, where the kernel drops events without telling, makes everything suspect;
 * - `sweep` finds what no event told of, and directories without a watch (none left) are polled.
 * Measured against @parcel/watcher and chokidar: those lost files on overflow, in new and in moved directories.
 */
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import { errorFields } from '../base/log.ts'
import { type Filesystem, isWithin, nameOf, parentOf, type WatchEvent } from './filesystem.ts'

export interface WatchHints {
  /** @param name the entry that it is about, where that is known. */
  onDirty(directory: string, name?: string): void
  onSuspectAll(): void
  /** Whether an event of this entry most likely tells of what this device did itself: such ones come in bursts anyway. */
  isLikelyOwn?(directory: string, name: string): boolean
}

export interface Identity {
  readonly dev: bigint
  readonly ino: bigint
}

export interface Watcher extends Disposable {
  /** Watches this directory from now on; nothing happens when this very inode is already watched there. */
  add(directory: string, identity: Identity): void
  /** Forgets this directory and all below it. */
  remove(directory: string): void
  /** Natively; the inode that stood there then. */
  isWatching(directory: string): boolean
  /** Directories without a native watch; they are polled. */
  readonly polled: number
  readonly watched: number
}

export interface WatcherOptions {
  /** Inotify queues 16,384 events for the whole process: half of that in a second is taken for an overflow. */
  readonly burstEvents?: number
  /** With the loop blocked for `blockedMs`, this many events are enough. */
  readonly blockedBurstEvents?: number
  readonly blockedMs?: number
  readonly pollMs?: number
}

interface Watched {
  readonly identity: Identity
  readonly handle: Disposable | undefined
}

const beatMs = 250
const windowMs = 1_000

export function createWatcher(
  env: Env,
  filesystem: Filesystem,
  hints: WatchHints,
  options: WatcherOptions = {},
): Watcher {
  return new DirectoryWatcher({ env, filesystem, hints, options })
}

interface WatcherParts {
  readonly env: Env
  readonly filesystem: Filesystem
  readonly hints: WatchHints
  readonly options: WatcherOptions
}

class DirectoryWatcher implements Watcher {
  private readonly env: Env
  private readonly filesystem: Filesystem
  private readonly hints: WatchHints
  private readonly settings: Required<WatcherOptions>
  private readonly known = new Map<string, Watched>()
  private readonly unwatched = new Set<string>()
  private readonly burst = { startMs: 0, events: 0, ofOthers: 0, isSuspected: false }
  private blockedAtMs = -Infinity
  private lastPollMs: number
  private timer: Disposable | undefined
  private isDisposed = false

  constructor({ env, filesystem, hints, options }: WatcherParts) {
    this.env = env
    this.filesystem = filesystem
    this.hints = hints
    this.settings = {
      burstEvents: 8_192,
      blockedBurstEvents: 1_000,
      blockedMs: 200,
      pollMs: 5_000,
      ...options,
    }
    this.lastPollMs = env.clock.monotonicMs()
    this.beat(this.lastPollMs + beatMs)
  }

  get polled(): number {
    return this.unwatched.size
  }

  get watched(): number {
    return this.known.size - this.unwatched.size
  }

  add(directory: string, identity: Identity): void {
    if (this.isDisposed) return
    const before = this.known.get(directory)
    const isSame = before?.identity.ino === identity.ino && before.identity.dev === identity.dev
    if (before?.handle !== undefined && isSame) return
    this.forget(directory)
    const handle = this.open(directory)
    this.known.set(directory, { identity, handle })
    if (handle === undefined) this.unwatched.add(directory)
  }

  remove(directory: string): void {
    if (directory !== '' && !this.known.has(directory)) return
    for (const path of this.known.keys()) if (isWithin(path, directory)) this.forget(path)
  }

  isWatching(directory: string): boolean {
    return this.known.get(directory)?.handle !== undefined
  }

  [Symbol.dispose](): void {
    this.isDisposed = true
    this.timer?.[Symbol.dispose]()
    for (const path of this.known.keys()) this.forget(path)
  }

  private forget(directory: string): void {
    this.known.get(directory)?.handle?.[Symbol.dispose]()
    this.known.delete(directory)
    this.unwatched.delete(directory)
  }

  private open(directory: string): Disposable | undefined {
    if (this.filesystem.watchesTrees && directory !== '') return { [Symbol.dispose]: () => undefined }
    try {
      return this.filesystem.watch(directory, (event) => this.onEvent(directory, event))
    } catch (error) {
      if (hasCode(error, 'not.found', 'file.unsafe', 'folder.missing')) return undefined
      if (this.unwatched.size === 0) {
        this.env.log.warn('a directory cannot be watched and is polled', errorFields(error))
      }
      return undefined
    }
  }

  private onEvent(directory: string, event: WatchEvent): void {
    if (this.isDisposed) return
    const name = event.kind === 'changed' ? event.name : undefined
    this.countEvent(name !== undefined && this.hints.isLikelyOwn?.(directory, name) === true)
    if (event.kind === 'ended') this.hints.onDirty(parentOf(directory))
    else if (directory !== '' && !this.filesystem.watchesTrees && event.name === nameOf(directory)) {
      // So inotify tells the end of the directory itself, or a change of an entry of its own name: it is watched anew
      this.forget(directory)
      this.hints.onDirty(directory)
      this.hints.onDirty(parentOf(directory))
    } else if (!this.filesystem.watchesTrees) this.hints.onDirty(directory, event.name)
    else if (event.name === undefined) this.hints.onSuspectAll()
    else this.hints.onDirty(parentOf(event.name))
  }

  private countEvent(isOwn: boolean): void {
    const { burst, settings } = this
    const nowMs = this.env.clock.monotonicMs()
    if (nowMs - burst.startMs > windowMs)
      Object.assign(burst, { startMs: nowMs, events: 0, ofOthers: 0, isSuspected: false })
    burst.events++
    if (!isOwn) burst.ofOthers++
    const wasBlocked = nowMs - this.blockedAtMs < windowMs
    const isMuch =
      burst.events >= settings.burstEvents || (wasBlocked && burst.ofOthers >= settings.blockedBurstEvents)
    if (burst.isSuspected || !isMuch) return
    burst.isSuspected = true
    this.env.log.info('file events came in a burst, everything is looked at again', {
      events: burst.events,
      wasBlocked,
    })
    this.hints.onSuspectAll()
  }

  /** Late beats show a blocked loop; they also drive the polling. */
  private beat(dueMs: number): void {
    this.timer = this.env.clock.setTimer(beatMs, () => {
      const nowMs = this.env.clock.monotonicMs()
      if (nowMs - dueMs > this.settings.blockedMs) this.blockedAtMs = nowMs
      if (this.unwatched.size > 0 && nowMs - this.lastPollMs >= this.settings.pollMs) {
        this.lastPollMs = nowMs
        for (const directory of this.unwatched) this.hints.onDirty(directory)
      }
      this.beat(nowMs + beatMs)
    })
  }
}
