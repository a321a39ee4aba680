/**
 * Merges concurrent versions of a file into one, where that needs no person. Every device that has all sides and the base
 * they come from does it, from what people wrote and whatever was merged on the way: the merged version is the same
 * everywhere. While one is being tried its places on the disk are left alone; what cannot be merged (yet) appears as
 * conflict copies, and what lacks a content is tried again, less and less, and with every device that comes within reach.
 * All sides stay in versions.
 */
import { backoffMs } from '../base/backoff.ts'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { createScope, type Scope } from '../base/scope.ts'
import { type BlobHash, hashOf } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/source.ts'
import { mergeAttributes } from '../crdt/file-attributes.ts'
import type { BaseKeep } from './base-keep.ts'
import { joinPath } from './filesystem.ts'
import type { Conflict, FolderTree } from './folder-tree.ts'
import type { MergeResult } from './merge-contents.ts'
import { findMergeBase } from './merge-base.ts'
import { mergeKindOf } from './merge-policy.ts'
import { type MergeWay, mergeWays } from './merge-ways.ts'
import type { MergeWorkers } from './merge-workers.ts'
import { createMemoryFile } from './memory-file.ts'
import type { FetchContent } from './transfers.ts'
import type { Versions } from './versions.ts'

export interface Merging extends AsyncDisposable {
  /** Looks at nodes with conflict copies; those worth a try are held from now on. */
  consider(nodeIds: Iterable<string>): Promise<void>
  /** A merge of this node is being tried: its places stay as they are until that is settled. */
  holds(nodeId: string): boolean
  /** Something of these nodes stands in another directory still, which is to be looked at as well once they are settled. */
  alsoIn(parentId: string, nodeIds: readonly string[]): void
  /** A content of at most limits.mergeBytes, from here or from any other device. @throws `blob.missing` and others. */
  read(hash: BlobHash, sizeBytes: number | undefined, signal: AbortSignal): Promise<Uint8Array>
  /** A device came within reach: what lacked its base is tried again. */
  retry(): void
  readonly pending: number
  /** Files whose versions stood side by side, when last looked at, only because something is not here. */
  waiting(): readonly MergeWait[]
}

export interface MergeWait {
  readonly nodeId: string
  readonly path: string
  /** 'origin': nobody here knows what they were made from. Else the content that no device within reach has. */
  readonly waitsFor: 'origin' | BlobHash
}

export interface MergingParts {
  readonly tree: FolderTree
  readonly keep: BaseKeep
  readonly workers: MergeWorkers
  readonly versions: Versions
  readonly fetch: FetchContent
  /** Content of this folder, read where it lies. */
  open(hash: BlobHash): Promise<OpenBlob | undefined>
  /** Disk path of a directory. */
  pathOf(nodeId: string): string | undefined
  /** The directory of a node that was held is to be looked at again. */
  onSettled(parentIds: readonly string[]): void
}

/** 'merged': written, or somebody was faster. 'never': these versions cannot be merged. Else what is missing now. */
type Outcome = 'merged' | 'never' | { readonly waitsFor: MergeWait['waitsFor'] }

interface Tried {
  readonly conflict: Conflict
  readonly outcome: Outcome
  /** In the background. */
  readonly attempts: number
  /** Monotonic; when it is tried again by itself. */
  readonly dueMs: number
}

/** Nodes whose outcome is remembered; a forgotten one is tried once more. */
const triedMax = 10_000
const attemptMs = 10_000
const atOnce = 4
/** A device may be in the middle of a change: it is asked again a few times before the disk shows conflict copies. */
const quickBackoff = { firstMs: 100, maxMs: 400 }
const quickTries = 3
/** And then in the background, about half an hour long. */
const slowBackoff = { firstMs: 1_000, maxMs: 300_000 }
const slowTries = 14

export function createMerging(env: Env, parts: MergingParts): Merging {
  return new FolderMerging(env, parts)
}

class FolderMerging implements Merging {
  private readonly env: Env
  private readonly parts: MergingParts
  private readonly scope: Scope
  private readonly tried = new Map<string, Tried>()
  private readonly held = new Map<string, Conflict>()
  /** Directories to look at besides the node's own. */
  private readonly beside = new Map<string, Set<string>>()
  private readonly queue: Conflict[] = []
  private running = 0
  private timer: Disposable | undefined

  constructor(env: Env, parts: MergingParts) {
    this.env = env
    this.parts = parts
    this.scope = createScope(env, 'merging')
  }

  get pending(): number {
    return this.held.size
  }

  holds(nodeId: string): boolean {
    return this.held.has(nodeId)
  }

  alsoIn(parentId: string, nodeIds: readonly string[]): void {
    for (const id of nodeIds)
      if (this.held.has(id)) this.beside.set(id, (this.beside.get(id) ?? new Set()).add(parentId))
  }

  async consider(nodeIds: Iterable<string>): Promise<void> {
    for (const nodeId of new Set(nodeIds)) {
      if (this.held.has(nodeId)) continue
      const conflict = await this.parts.tree.conflict(nodeId)
      if (conflict === undefined || this.isTried(conflict)) continue
      if (!this.isWorthIt(conflict)) continue
      this.held.set(nodeId, conflict)
      this.queue.push(conflict)
    }
    this.pump()
  }

  retry(): void {
    const waiting = [...this.tried.values()].filter(isWaiting)
    for (const { conflict } of waiting) this.tried.delete(conflict.nodeId)
    if (waiting.length > 0)
      this.parts.onSettled([...new Set(waiting.map(({ conflict }) => conflict.parentId))])
  }

  waiting(): readonly MergeWait[] {
    return [...this.tried.values()].flatMap(({ conflict, outcome }) =>
      typeof outcome === 'string'
        ? []
        : [{ nodeId: conflict.nodeId, path: this.pathOf(conflict), waitsFor: outcome.waitsFor }],
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.timer?.[Symbol.dispose]()
    await this.scope.close()
  }

  private pathOf({ parentId, name }: Conflict): string {
    return joinPath(this.parts.pathOf(parentId) ?? '', name)
  }

  private isTried(conflict: Conflict): boolean {
    const tried = this.tried.get(conflict.nodeId)
    return tried !== undefined && versionsText(tried.conflict) === versionsText(conflict)
  }

  private isWorthIt(conflict: Conflict): boolean {
    const { versions } = conflict
    const isSmall = versions.every((version) => version.size <= limits.mergeBytes)
    return isSmall && versions.length <= limits.mergeSides && mergeKindOf(this.pathOf(conflict)) !== 'never'
  }

  private pump(): void {
    while (this.running < atOnce && !this.scope.signal.aborted) {
      const conflict = this.queue.shift()
      if (conflict === undefined) return
      this.running++
      this.scope.spawn('merge', async (signal) => {
        const outcome = await this.attemptQuickly(conflict, signal)
        this.running--
        signal.throwIfAborted()
        this.settle(conflict, outcome)
        this.pump()
      })
    }
  }

  private settle(conflict: Conflict, outcome: Outcome): void {
    const { nodeId, parentId } = conflict
    this.remember(conflict, outcome, 0)
    this.held.delete(nodeId)
    const beside = this.beside.get(nodeId) ?? []
    this.beside.delete(nodeId)
    this.parts.onSettled([...new Set([parentId, ...beside])])
  }

  private remember(conflict: Conflict, outcome: Outcome, attempts: number): void {
    const { nodeId } = conflict
    const { clock, random, log } = this.env
    const isLater = typeof outcome !== 'string' && attempts < slowTries
    const dueMs = isLater ? clock.monotonicMs() + backoffMs(attempts, slowBackoff, random) : Infinity
    this.tried.delete(nodeId)
    this.tried.set(nodeId, { conflict, outcome, attempts, dueMs })
    const [oldest] = this.tried.size > triedMax ? this.tried.keys() : []
    if (oldest !== undefined) this.tried.delete(oldest)
    if (typeof outcome !== 'string' && attempts === 0)
      log.info('a merge waits for what is not here; its versions are shown', {
        nodeId,
        waitsFor: outcome.waitsFor,
      })
    if (isLater) this.arm()
  }

  /** One timer for all that wait. */
  private arm(): void {
    const dueMs = [...this.tried.values()].reduce((first, tried) => Math.min(first, tried.dueMs), Infinity)
    this.timer?.[Symbol.dispose]()
    this.timer = undefined
    if (dueMs === Infinity || this.scope.signal.aborted) return
    const { clock } = this.env
    this.timer = clock.setTimer(Math.max(slowBackoff.firstMs / 2, dueMs - clock.monotonicMs()), () => {
      this.scope.spawn('late merges', async (signal) => {
        const nowMs = clock.monotonicMs()
        const due = [...this.tried.values()].filter((tried) => tried.dueMs <= nowMs)
        for (const tried of due) await this.tryLate(tried, signal)
        this.arm()
      })
    })
  }

  /** Without holding the disk: the conflict copies stand there by now. */
  private async tryLate(tried: Tried, signal: AbortSignal): Promise<void> {
    const { conflict, attempts } = tried
    // Another look at it came between
    if (this.held.has(conflict.nodeId) || this.tried.get(conflict.nodeId) !== tried) return
    const outcome = await this.attempt(conflict, { isPatient: false, signal })
    if (!signal.aborted && this.tried.get(conflict.nodeId) === tried)
      this.remember(conflict, outcome, attempts + 1)
  }

  private async attemptQuickly(conflict: Conflict, signal: AbortSignal): Promise<Outcome> {
    const { clock, random } = this.env
    const endMs = clock.monotonicMs() + attemptMs
    for (let tries = 0; ; tries++) {
      const isLast = tries === quickTries || clock.monotonicMs() >= endMs
      const outcome = await this.attempt(conflict, { isPatient: !isLast, signal })
      const isMissing = typeof outcome !== 'string' && outcome.waitsFor !== 'origin'
      if (!isMissing || isLast || signal.aborted) return outcome
      await sleep(clock, backoffMs(tries, quickBackoff, random), signal)
    }
  }

  private async attempt(conflict: Conflict, { isPatient, signal }: Patience): Promise<Outcome> {
    const deadline = new AbortController()
    const end = (): void => deadline.abort(new SkeinError('cancelled', 'the merge took too long'))
    const timer = this.env.clock.setTimer(attemptMs, end)
    signal.addEventListener('abort', end, { once: true })
    try {
      return await this.merge(conflict, { isPatient, signal: deadline.signal })
    } catch (error) {
      if (!hasCode(error, 'cancelled'))
        this.env.log.warn('a merge failed; both versions are kept', errorFields(error))
      return { waitsFor: 'origin' }
    } finally {
      timer[Symbol.dispose]()
      signal.removeEventListener('abort', end)
    }
  }

  /** First from what people wrote, so that all come to the same; where that cannot be had, from what stands here. */
  private async merge(conflict: Conflict, { isPatient, signal }: Patience): Promise<Outcome> {
    const now = await this.parts.tree.conflict(conflict.nodeId)
    if (now === undefined || versionsText(now) !== versionsText(conflict)) return 'merged'
    let missing: Outcome | undefined
    for (const way of mergeWays(conflict)) {
      const outcome = await this.mergeBy(conflict, way, signal)
      if (typeof outcome === 'string') return outcome
      if (isPatient && outcome.waitsFor !== 'origin') return outcome
      missing ??= outcome
    }
    // Two contents claim to be one version: only a person can tell
    return missing ?? 'never'
  }

  private async mergeBy(conflict: Conflict, way: MergeWay, signal: AbortSignal): Promise<Outcome> {
    const kind = mergeKindOf(this.pathOf(conflict))
    const baseHash = await findMergeBase(this.parts, way.origin)
    if (kind === 'never') return 'never'
    if (baseHash === undefined) return { waitsFor: 'origin' }
    const contents = new Map<BlobHash, Uint8Array>()
    const wanted = [{ hash: baseHash, size: undefined }, ...way.sides]
    for (const { hash, size } of wanted) {
      try {
        if (!contents.has(hash)) contents.set(hash, await this.read(hash, size, signal))
      } catch (error) {
        if (!hasCode(error, 'blob.missing', 'blob.corrupt', 'limit.exceeded', 'cancelled')) throw error
        return { waitsFor: hash }
      }
    }
    const base = contents.get(baseHash) ?? new Uint8Array(0)
    const sides = new Map(way.sides.map(({ hash }) => [hash, contents.get(hash) ?? base]))
    const result: MergeResult = await this.parts.workers.merge({ base, sides: [...sides.values()], kind })
    if (result.kind !== 'merged') return 'never'
    return await this.write(conflict, { way, baseHash, sides, bytes: result.bytes })
  }

  private async write(conflict: Conflict, { way, baseHash, sides, bytes }: Merged): Promise<Outcome> {
    const { keep, versions, tree } = this.parts
    const hash = hashOf(bytes)
    // Sides that stand on this disk come to versions when they are replaced; the others only here
    const about = { cause: 'merged', nodeId: conflict.nodeId } as const
    for (const [side, content] of sides) {
      const isHere = (await tree.rowsWithHash(side)).length > 0 || (await versions.find(side)).length > 0
      if (!isHere && side !== hash)
        await versions.keepBytes(this.pathOf(conflict), content, { hash: side, about })
    }
    // Safe on the disk before any device hears of it
    if (!(await keep.add([{ hash, bytes }], [])) || !(await keep.sync())) return { waitsFor: hash }
    const data = {
      kind: 'file',
      hash,
      size: bytes.byteLength,
      mtimeNs: conflict.versions.reduce((latest, { mtimeNs }) => (mtimeNs > latest ? mtimeNs : latest), 0n),
      executable: way.sides.some(({ executable }) => executable),
      target: '',
      attributes: mergeAttributes(conflict.versions.map(({ attributes }) => attributes)),
    } as const
    const merged = conflict.versions.map(({ version }) => version)
    const { leaves } = way
    await tree.commit([{ kind: 'merge', nodeId: conflict.nodeId, sides: merged, leaves, baseHash, data }], [])
    return 'merged'
  }

  async read(hash: BlobHash, size: number | undefined, signal: AbortSignal): Promise<Uint8Array> {
    const kept = await this.parts.keep.read(hash)
    if (kept !== undefined) return kept
    const blob = await this.parts.open(hash)
    if (blob !== undefined && blob.sizeBytes <= limits.mergeBytes) {
      await using open = blob
      const bytes = new Uint8Array(open.sizeBytes)
      const got = await open.read(bytes, 0)
      if (got === bytes.byteLength && hashOf(bytes) === hash) return bytes
    } else await blob?.[Symbol.asyncDispose]()
    const file = createMemoryFile()
    const length = size === undefined ? { sizeBytes: limits.mergeBytes, isAtMost: true } : { sizeBytes: size }
    await this.parts.fetch({ hash, ...length, signal }, file)
    const bytes = file.bytes()
    await this.parts.keep.add([{ hash, bytes }], [])
    return bytes
  }
}

interface Patience {
  /** What is missing will be asked for again in a moment: no second best yet. */
  readonly isPatient: boolean
  readonly signal: AbortSignal
}

interface Merged {
  readonly way: MergeWay
  readonly baseHash: BlobHash
  readonly sides: ReadonlyMap<BlobHash, Uint8Array>
  readonly bytes: Uint8Array
}

const isWaiting = ({ outcome }: Tried): boolean => typeof outcome !== 'string'

const versionsText = ({ versions }: Conflict): string =>
  versions
    .map(({ version, hash }) => `${version} ${hash}`)
    .sort()
    .join()
