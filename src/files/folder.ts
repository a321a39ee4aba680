/**
 * One shared folder on this device: hints from the disk and news from the document wake it, one round after another brings
 * the three trees together (folder-pass.ts). Owns the loop, the pauses and the status; holds no algorithm.
 */
import { sleep, untilAborted } from '../base/clock.ts'
import { type Env, withLogScope } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import { createEmitter, type Emitter, type Events } from '../base/events.ts'
import type { SpaceId } from '../base/ids.ts'
import { errorFields } from '../base/log.ts'
import { createScope, type Scope } from '../base/scope.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/source.ts'
import { createApplier } from './apply.ts'
import { type BaseFeeder, createBaseFeeder } from './base-feeder.ts'
import { type BaseKeep, createBaseKeep } from './base-keep.ts'
import { createDirectories } from './directories.ts'
import { arrivalsFor, createInbox, hintsFor } from './folder-inbox.ts'
import { createPasses } from './folder-pass.ts'
import { defaultFolderOptions, type FolderOptions } from './folder-options.ts'
import { createFolderPart, type FolderPart, withoutMerging } from './folder-part.ts'
import type { FolderParts } from './folder-parts.ts'
import { asIs, type FolderState, type FolderStatus } from './folder-status.ts'
import { createFirstIndex, type FirstIndex } from './first-index.ts'
import { createGlance } from './glance.ts'
import { createHasher } from './hasher.ts'
import { createIgnoreReader } from './ignore-reader.ts'
import { openLocalBlob } from './local-blobs.ts'
import { createLater } from './later.ts'
import { openMerging } from './folder-merging.ts'
import type { MergeWait } from './merging.ts'
import { createProblems, problemText, type ProblemText } from './problems.ts'
import { createRootGuard } from './root-guard.ts'
import { createRoundAgain } from './round-again.ts'
import { type Scrub, startScrub } from './scrub.ts'
import { createSettling } from './settling.ts'
import { createTransfers } from './transfers.ts'
import { createVersions, type Versions } from './versions.ts'
import { createWatcher } from './watch.ts'

export interface FolderEvents {
  statusChanged: FolderStatus
}

export interface Folder extends AsyncDisposable, Events<FolderEvents> {
  readonly spaceId: SpaceId
  readonly versions: Versions
  readonly part: FolderPart
  readonly scrub: Scrub
  readonly first: FirstIndex
  status(): FolderStatus
  pause(): void
  resume(): void
  /** Looks at everything again. */
  rescan(): void
  /** A device came within reach: contents that nobody had are asked for again. */
  retry(): void
  allowDeletions(): void
  undoDeletions(): Promise<void>
  /** A content of at most limits.mergeBytes, from here or from any other device. @throws `blob.missing` and others. */
  readContent(hash: BlobHash, sizeBytes: number | undefined, signal: AbortSignal): Promise<Uint8Array>
  /** Contents of earlier versions that are kept as bases of merges. */
  readonly bases: Pick<BaseKeep, 'add' | 'sync' | 'contentOf' | 'earlier' | 'read'>
  /** Files whose versions stood side by side, when last looked at, only because something is not here. */
  mergeWaits(): readonly MergeWait[]
  /** Content of this folder for other devices, read where it lies. */
  openBlob(hash: BlobHash): Promise<OpenBlob | undefined>
}

const retryMs = 5_000
const quietMs = 50
const leadMs = 2
const noteRestMs = 1_000

export function createFolder(env: Env, parts: FolderParts, options: FolderOptions = {}): Folder {
  return new SharedFolder(withLogScope(env, 'folder'), parts, options)
}

class SharedFolder implements Folder {
  readonly spaceId: SpaceId
  readonly versions: Versions
  readonly part: FolderPart
  readonly scrub: Scrub
  readonly first: FirstIndex
  private readonly env: Env
  private readonly parts: FolderParts
  private readonly settings: Required<FolderOptions>
  private readonly scope: Scope
  private readonly events: Emitter<FolderEvents>
  private readonly directories
  private readonly totals = { files: 0, bytes: 0, entries: 0 }
  private readonly problems = createProblems()
  private readonly inbox
  private readonly guard
  private readonly ignore
  private readonly watcher
  private readonly transfers
  private readonly keep
  private readonly merging
  private readonly settling
  private readonly passes
  private readonly glance
  /** Looks that wait for their time: not in sync until they are done. */
  private readonly later
  private readonly roundAgain
  private state: FolderState = 'starting'
  private isPaused = false
  private rounds = 0
  private roundEndMs = 0
  private isInRound = false
  private stoppedBy: ProblemText | undefined
  /** The person wants held deletions back; done between rounds. */
  private undo: PromiseWithResolvers<void> | undefined
  private isSwept = false

  constructor(env: Env, parts: FolderParts, options: FolderOptions) {
    const { filesystem, spaceId } = parts
    this.env = env
    this.settling = createSettling(env.clock, parts.tree, filesystem, (hasFailed) => this.settled(hasFailed))
    const { tree } = this.settling
    this.parts = { ...parts, tree }
    this.spaceId = spaceId
    this.settings = { ...defaultFolderOptions, ...options }
    this.scope = createScope(env, `folder ${spaceId}`)
    this.scope.own(this.settling)
    this.later = createLater(env, this.scope)
    this.events = createEmitter<FolderEvents>(env.log)
    this.directories = createDirectories(tree.rootId)
    this.versions = createVersions(filesystem, env.clock, env.random)
    this.guard = createRootGuard({ tree, filesystem, random: env.random, spaceId })
    this.ignore = createIgnoreReader(filesystem, () => this.inbox.addAll())
    this.inbox = createInbox(this.directories)
    const { directories, problems, totals, inbox, versions, later, settings } = this
    this.roundAgain = this.scope.own(createRoundAgain(env.clock, { inbox, later, problems }, settings))
    const isDamaged = (id: string, name: string): boolean => this.scrub.damage.at(id, name) !== undefined
    const whole = { ...parts, directories, versions, inbox, isDamaged }
    this.part = this.scope.own(createFolderPart(env, whole))
    const ask = this.part.isWhole ? parts.askFirst : undefined
    this.first = createFirstIndex(env, { tree, inbox, ask })
    const applier = createApplier(filesystem, this.versions, parts.workers?.small)
    this.watcher = this.scope.own(createWatcher(env, filesystem, hintsFor(inbox, applier)))
    const isCurrent = async (hash: BlobHash): Promise<boolean> => (await tree.rowsWithHash(hash)).length > 0
    this.keep = this.scope.own(createBaseKeep(this.env, filesystem, { isCurrent }))
    const { keep } = this
    const kept = (hash: BlobHash): Promise<Uint8Array | undefined> => keep.read(hash)
    const sources = { ...parts, tree, directories, versions, kept, pushed: parts.push }
    this.transfers = this.scope.own(createTransfers(env, sources, arrivalsFor(inbox)))
    for (const owned of [parts.workers, parts.push]) if (owned !== undefined) this.scope.own(owned)
    const mergeParts = { ...parts, tree, keep, versions, directories, inbox }
    this.merging = openMerging(env, this.scope, { ...mergeParts, open: (hash) => this.openBlob(hash) })
    const isBusy = (): boolean => this.state !== 'in-sync' && this.state !== 'waiting'
    const bases = createBaseFeeder(this.env, { tree, filesystem, directories, keep, isBusy })
    this.scrub = startScrub(env, this.scope, { ...parts, tree, directories, totals, isBusy, inbox })
    const { watcher, transfers, merging, part } = this
    const ignoreText = this.ignore.text
    this.glance = createGlance({ ...parts, ...env, tree, directories, watcher, part, ignoreText })
    const shared = {
      glance: this.glance,
      ignore: this.ignore.rules,
      nowMs: () => env.clock.nowMs(),
      tree,
      filesystem,
      directories,
      watcher,
      problems,
      hasher: createHasher(env.clock, filesystem, parts.workers),
      applier,
      transfers,
      totals,
      part: this.part,
      merging: this.part.isReadOnly || this.part.isSendOnly ? withoutMerging : merging,
      bases,
      push: parts.push,
      settling: this.settling,
      placing: this.settling.placing,
      damage: this.scrub.damage,
      first: this.first,
    }
    this.passes = createPasses(env, shared, this.settings)
    this.start(bases)
  }

  private start(bases: BaseFeeder): void {
    const { inbox } = this
    const { settings, glance } = this
    const sweepMs = (): number => Math.max(settings.sweepMs, glance.tookMs * settings.sweepRestFactor)
    this.scope.own(
      this.parts.tree.onChanged((parentIds, by) => {
        this.passes.changed(parentIds)
        if (by === 'self') inbox.add(parentIds)
        else if (by === 'others') inbox.addUrgent(parentIds)
      }),
    )
    this.scope.spawn('bases', (signal) => bases.run(signal))
    this.scope.spawn('rounds', (signal) => this.loop(signal))
    this.scope.spawn('first index', (signal) => this.first.run(signal))
    this.later.every(sweepMs, () => {
      this.isSwept = false
      inbox.addDisk()
    })
    // A full disk has room again some day: where it refused something is looked at once more, until it goes
    const { problems, directories } = this
    const retry = (): void => inbox.add(problems.passing().map((path) => directories.nearestOf(path)))
    this.later.every(() => retryMs, retry)
  }

  on: Folder['on'] = (name, listener) => this.events.on(name, listener)

  status(): FolderStatus {
    return asIs({
      state: this.state,
      files: this.totals.files,
      bytes: this.totals.bytes,
      directories: this.directories.count,
      transfers: this.transfers.progress,
      problems: [...this.problems.list(), ...this.transfers.problems(), ...this.scrub.problems()],
      heldDeletions: this.passes.heldDeletions,
      localChanges: this.part.changes.count,
      unreleased: this.part.releases.waiting,
      stoppedBy: this.stoppedBy,
      watching: { native: this.watcher.watched, polled: this.watcher.polled },
      rounds: this.rounds,
    })
  }

  pause(): void {
    this.isPaused = true
    this.inbox.poke()
    this.show('paused')
  }

  resume(): void {
    this.isPaused = false
    this.inbox.poke()
  }

  rescan(): void {
    this.inbox.addAll()
  }

  retry(): void {
    this.transfers.retry()
    this.merging.retry()
    this.part.releases.retry()
  }

  allowDeletions(): void {
    this.passes.allowDeletions()
    this.inbox.addAll()
  }

  undoDeletions(): Promise<void> {
    this.undo ??= Promise.withResolvers()
    this.inbox.addAll()
    return untilAborted(this.undo.promise, this.scope.signal)
  }

  readContent(hash: BlobHash, sizeBytes: number | undefined, signal: AbortSignal): Promise<Uint8Array> {
    return this.merging.read(hash, sizeBytes, signal)
  }

  mergeWaits(): readonly MergeWait[] {
    return this.merging.waiting()
  }

  get bases(): Folder['bases'] {
    return this.keep
  }

  openBlob(hash: BlobHash): Promise<OpenBlob | undefined> {
    const pathOf = (id: string): string | undefined => this.directories.pathOf(id)
    const kept = (one: BlobHash): Promise<Uint8Array | undefined> => this.keep.read(one)
    const { parts, versions } = this
    return openLocalBlob({ ...parts, pathOf, versions, kept, unsent: this.part.changes }, hash)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.noteRest()
    await this.scope.close()
  }

  private async loop(signal: AbortSignal): Promise<void> {
    await this.load(signal)
    for (;;) {
      await this.inbox.wait(signal, this.isPaused)
      await this.gather(signal)
      if (!this.isPaused && this.inbox.hasWork) await this.round(signal)
      this.isInRound = false
      this.roundEndMs = this.env.clock.monotonicMs()
      this.settle()
    }
  }

  /** A store that fails at the start opens again: rounds wait for it. */
  private async load(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        Object.assign(this.totals, await this.glance.load())
        if (this.totals.entries > 0) this.first.skip()
        await this.settling.placing.load()
        await this.scrub.damage.load()
        return this.inbox.addDisk()
      } catch (error) {
        signal.throwIfAborted()
        await this.stop(error, signal)
      }
    }
  }

  /**
   * News of others and contents that came are whole: a round begins at once. Hints of the disk come one by one: the first
   * after a silence waits a moment for the rest of the same write, those in a stream of them longer.
   */
  private async gather(signal: AbortSignal): Promise<void> {
    if (this.inbox.isUrgent) return
    const { coalesceMs } = this.settings
    const isQuiet = this.env.clock.monotonicMs() - this.roundEndMs > quietMs
    await sleep(this.env.clock, isQuiet ? Math.min(leadMs, coalesceMs) : coalesceMs, signal)
  }

  /** What was done is on the disk and in the index, or neither is certain. */
  private settled(hasFailed: boolean): void {
    if (hasFailed) {
      this.passes.lost()
      this.inbox.addAll()
    } else this.inbox.poke()
  }

  private async round(signal: AbortSignal): Promise<void> {
    this.isInRound = true
    const taken = this.inbox.take()
    try {
      await this.guard.check()
      await this.ignore.refresh()
      this.stoppedBy = undefined
      if (this.state !== 'starting') this.show('working')
      if (this.undo !== undefined) await this.passes.undoDeletions()
      this.undo?.resolve()
      this.undo = undefined
      const work = await this.glance.narrowed(taken, signal)
      this.part.reverting.begin(work.all)
      const result = await this.guard.during(() => this.passes.run(work, signal))
      this.part.reverting.end()
      this.problems.prune((directory) => this.directories.idOf(directory) !== undefined)
      if (result.didWork) this.rounds++
      // It may have come from another device in this very round: the disk does not tell us of what we placed ourselves
      if (result.didWork) await this.ignore.refresh()
      this.roundAgain.take(result)
      await this.tidyOnce()
    } catch (error) {
      signal.throwIfAborted()
      await this.stop(error, signal)
    }
  }

  /** Whatever the broken round took may be undone: everything is looked at again, a little later. */
  private async stop(error: unknown, signal: AbortSignal): Promise<void> {
    this.stoppedBy = problemText(error)
    if (!hasCode(error, 'folder.missing')) this.env.log.error('a round failed', errorFields(error))
    this.show('stopped')
    await sleep(this.env.clock, retryMs, signal)
    this.inbox.addAll()
  }

  /** Once all is in place: what earlier runs left in staging and nobody waits for, and versions past their time. */
  private async tidyOnce(): Promise<void> {
    if (this.isSwept || this.inbox.hasWork) return
    this.isSwept = true
    if (this.problems.list().length === 0) this.settling.placing.forgetLeft()
    await this.transfers.sweep()
    await this.versions.expire()
    await this.part.released.expire()
  }

  private settle(): void {
    if (this.isPaused) this.show('paused')
    if (this.isPaused || this.inbox.hasWork) return
    const { waiting } = this.transfers.progress
    const isComing =
      this.first.isListening ||
      waiting + this.later.pending + this.roundAgain.waiting + this.merging.pending + this.settling.pending >
        0
    if (!isComing) this.first.settled()
    const isHeld = this.status().problems.length > 0 || this.passes.heldDeletions > 0
    this.show(isHeld ? 'waiting' : isComing ? 'working' : 'in-sync')
    if (this.state === 'in-sync') this.later.soon(noteRestMs, () => this.noteRest())
  }

  /** So that it need not compare everything when it opens again. */
  private async noteRest(): Promise<void> {
    if (this.state !== 'in-sync' || this.isInRound || this.inbox.hasWork || this.scope.signal.aborted) return
    // because: without the note it only looks at more
    await this.glance.settle().catch(() => undefined)
  }

  private show(next: FolderState): void {
    this.state = next
    this.events.emit('statusChanged', this.status())
  }
}
