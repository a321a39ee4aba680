/**
 * What this device does not select leaves its disk only when another device is known to hold it: asks the others about the
 * contents in question, many at once, and again when one comes within reach or some time has passed. A device answers yes
 * only for what it selected itself and has at its place (holding.ts). As everybody first changes its selection and asks
 * then, two that let go of the same content at the same time cannot both hear yes from each other.
 */
import { backoffMs } from '../base/backoff.ts'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { createScope, type Scope } from '../base/scope.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { FolderTree } from './folder-tree.ts'

/** Which of these contents at least one other device holds for itself. */
export type AskHolders = (hashes: readonly BlobHash[], signal: AbortSignal) => Promise<ReadonlySet<BlobHash>>

export interface Releases extends AsyncDisposable {
  /** As far as is known; asks when it is not, and then tells that the directory is to be looked at again. */
  isHeldElsewhere(hash: BlobHash, parentId: string): boolean
  /** What was heard of it holds no more. */
  forget(hash: BlobHash): void
  /** A device came within reach. */
  retry(): void
  /** Contents that stay here because no other device within reach has them. */
  readonly waiting: number
}

export interface ReleaseParts {
  readonly tree: Pick<FolderTree, 'rowsWithHash'>
  readonly ask: AskHolders
  readonly onHeld: (parentIds: readonly string[]) => void
}

/** An answer is believed for so long. */
const believedMs = 60_000
const gatherMs = 20
/** Another device may be fetching it at this moment. */
const againBackoff = { firstMs: 500, maxMs: 60_000 }

export function createReleases(env: Env, parts: ReleaseParts): Releases {
  return new AskedReleases(env, parts)
}

class AskedReleases implements Releases {
  private readonly env: Env
  private readonly parts: ReleaseParts
  private readonly scope: Scope
  /** Directories that wait, by content. */
  private readonly asked = new Map<BlobHash, Set<string>>()
  private readonly unheld = new Set<BlobHash>()
  private readonly heldAtMs = new Map<BlobHash, number>()
  private isRunning = false
  private attempts = 0
  private timer: Disposable | undefined

  constructor(env: Env, parts: ReleaseParts) {
    this.env = env
    this.parts = parts
    this.scope = createScope(env, 'releases')
  }

  get waiting(): number {
    return this.unheld.size
  }

  isHeldElsewhere(hash: BlobHash, parentId: string): boolean {
    const atMs = this.heldAtMs.get(hash)
    if (atMs !== undefined && this.env.clock.monotonicMs() - atMs <= believedMs) return true
    this.asked.set(hash, (this.asked.get(hash) ?? new Set()).add(parentId))
    // One that nobody held is asked about again in its time
    if (!this.unheld.has(hash)) this.retry()
    return false
  }

  forget(hash: BlobHash): void {
    this.heldAtMs.delete(hash)
  }

  retry(): void {
    this.attempts = 0
    this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.timer?.[Symbol.dispose]()
    await this.scope.close()
  }

  private start(): void {
    if (this.isRunning || this.asked.size === 0) return
    this.isRunning = true
    this.timer?.[Symbol.dispose]()
    const { clock, log, random } = this.env
    this.scope.spawn('ask', async (signal) => {
      try {
        await this.askAll(signal)
      } catch (error) {
        signal.throwIfAborted()
        if (!hasCode(error, 'cancelled'))
          log.warn('other devices were not asked what they hold', errorFields(error))
      } finally {
        this.isRunning = false
        const delayMs = backoffMs(this.attempts++, againBackoff, random)
        if (!this.scope.signal.aborted) this.timer = clock.setTimer(delayMs, () => this.start())
      }
    })
  }

  private async askAll(signal: AbortSignal): Promise<void> {
    await sleep(this.env.clock, gatherMs, signal)
    const done = new Set<BlobHash>()
    for (;;) {
      const some = [...this.asked.keys()].filter((hash) => !done.has(hash)).slice(0, limits.heldQuestions)
      if (some.length === 0) return
      const still: BlobHash[] = []
      for (const hash of some) {
        done.add(hash)
        if ((await this.parts.tree.rowsWithHash(hash)).length > 0) still.push(hash)
        else this.settle(hash)
      }
      if (still.length > 0) await this.askSome(still, signal)
    }
  }

  private async askSome(hashes: readonly BlobHash[], signal: AbortSignal): Promise<void> {
    const held = await this.parts.ask(hashes, signal)
    const nowMs = this.env.clock.monotonicMs()
    for (const [hash, atMs] of this.heldAtMs) if (nowMs - atMs > believedMs) this.heldAtMs.delete(hash)
    const parents = new Set<string>()
    for (const hash of hashes) {
      if (!held.has(hash)) {
        this.unheld.add(hash)
        continue
      }
      this.heldAtMs.set(hash, nowMs)
      for (const parentId of this.asked.get(hash) ?? []) parents.add(parentId)
      this.settle(hash)
    }
    if (parents.size > 0) this.parts.onHeld([...parents])
  }

  private settle(hash: BlobHash): void {
    this.asked.delete(hash)
    this.unheld.delete(hash)
  }
}
