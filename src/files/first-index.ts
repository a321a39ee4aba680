/**
 * A folder that is opened for the first time may hold files that other devices know already, or are about to record as well.
 * Recorded twice each would cost both sides several times as much as recorded once. So at first it listens: what only the
 * disk has is left alone, and what the document shows is adopted as it comes. Once all documents are equal and nobody in reach
 * is at it, the rest is recorded. Of several that begin at once the one with the lowest id does not wait for the others.
 * Waiting is never for long without progress: another device may go in the middle of it, and then all is as without it.
 */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import type { FolderTree } from './folder-tree.ts'
import type { Seen } from './scan.ts'

/** listening: what only the disk has waits. recording: it goes into the document. done: the folder is as any other. */
export type FirstState = 'listening' | 'recording' | 'done'

/** Another device in reach that holds the space. */
export interface OtherFirst {
  /** Undefined: the space is not open there, or it does not say. */
  readonly state: FirstState | undefined
  /** Of two that listen it is the one to record. */
  readonly goesFirst: boolean
  /** It had files of its own to look at: what is recorded here most likely stands there as well. */
  readonly hasFiles: boolean
  /** All documents are the same there and here. */
  readonly isInStep: boolean
}

export type AskFirst = (signal: AbortSignal) => Promise<readonly OtherFirst[]>

export interface FirstIndex {
  readonly state: FirstState
  /** Something on the disk waits, or waited. */
  readonly hasFiles: boolean
  readonly isListening: boolean
  /** What is recorded now most likely stands on other devices as well: they are not sent what they did not ask for. */
  readonly isKnownToOthers: boolean
  /** Whether this is left alone for now: only the disk has it, and it was there before this folder was opened. */
  leaves(seen: Pick<Seen, 'parentId' | 'row' | 'here' | 'stat'>): boolean
  /** These directories were looked into, all of their places told to `leaves` or at rest. */
  looked(directories: ReadonlySet<string>): void
  /** There are rows: it is not the first time. */
  skip(): void
  /** The disk holds nothing that waits to be looked at. */
  settled(): void
  run(signal: AbortSignal): Promise<void>
}

interface FirstParts {
  readonly tree: Pick<FolderTree, 'onChanged'>
  readonly inbox: { add(ids: readonly string[]): void; poke(): void }
  /** Left out: nobody is listened to. */
  readonly ask: AskFirst | undefined
}

const askEveryMs = 100
const askMoreSlowlyMs = 500
/** Without any news of others for so long, what is left is recorded here. */
const patienceMs = 30_000
/** Who is done with its own files, and is not in step all the while, is not waited for longer. */
const inStepMs = 60_000

const isAtIt = ({ state }: OtherFirst): boolean => state === 'recording' || state === 'listening'

/** Whether what others are doing may soon tell of the files that stand here. */
export const isWorthListening = (others: readonly OtherFirst[]): boolean =>
  others.some(
    ({ state, goesFirst, isInStep }) =>
      !isInStep || state === 'recording' || (state === 'listening' && goesFirst),
  )

export function createFirstIndex(env: Env, parts: FirstParts): FirstIndex {
  return new FolderFirstIndex(env, parts)
}

class FolderFirstIndex implements FirstIndex {
  state: FirstState
  hasFiles = false
  private othersHaveFiles = false
  /** Directories in which something is left, and those of the look under way. */
  private readonly left = new Set<string>()
  private readonly leftNow = new Set<string>()
  private readonly sinceNs: bigint
  private readonly env: Env
  private readonly parts: FirstParts
  private newsMs: number

  constructor(env: Env, parts: FirstParts) {
    this.env = env
    this.parts = parts
    this.newsMs = env.clock.monotonicMs()
    this.sinceNs = BigInt(Math.floor(env.clock.nowMs())) * 1_000_000n
    this.state = parts.ask === undefined ? 'done' : 'listening'
  }

  get isListening(): boolean {
    return this.state === 'listening'
  }

  private get isDone(): boolean {
    return this.state === 'done'
  }

  get isKnownToOthers(): boolean {
    return this.state === 'recording' && this.othersHaveFiles
  }

  leaves({ parentId, row, here, stat }: Pick<Seen, 'parentId' | 'row' | 'here' | 'stat'>): boolean {
    const isAlone = row === undefined && here === undefined && stat !== undefined
    if (!this.isListening || !isAlone || stat.ctimeNs > this.sinceNs) return false
    this.hasFiles = true
    this.leftNow.add(parentId)
    return true
  }

  looked(directories: ReadonlySet<string>): void {
    for (const id of directories) this.left.delete(id)
    for (const id of this.leftNow) this.left.add(id)
    this.leftNow.clear()
    // It began before the listening ended
    if (!this.isListening) this.takeUp()
  }

  skip(): void {
    this.state = 'done'
  }

  /** What was left is looked at again, and nothing else: most of it has come from others meanwhile. */
  private takeUp(): void {
    this.parts.inbox.add([...this.left])
    this.left.clear()
  }

  settled(): void {
    if (this.state === 'recording') this.state = 'done'
  }

  async run(signal: AbortSignal): Promise<void> {
    const { ask, tree, inbox } = this.parts
    if (ask === undefined) return
    const { clock } = this.env
    this.newsMs = clock.monotonicMs()
    using _news = tree.onChanged((_ids, by) => {
      if (by === 'others') this.newsMs = clock.monotonicMs()
    })
    const look = async (): Promise<readonly OtherFirst[]> => {
      const others = await ask(signal)
      this.othersHaveFiles = others.some(({ hasFiles }) => hasFiles)
      return others
    }
    const sinceMs = clock.monotonicMs()
    for (let count = 0; this.isListening; count++) {
      const others = await look()
      const nowMs = clock.monotonicMs()
      if (!isWorthListening(others) || nowMs - this.newsMs > patienceMs) break
      // Somebody may be changing something all the time
      if (nowMs - sinceMs > inStepMs && !others.some(isAtIt)) break
      await sleep(clock, count < 10 ? askEveryMs : askMoreSlowlyMs, signal)
    }
    if (!this.isListening) return
    this.state = 'recording'
    this.takeUp()
    // Also where nothing is left: the folder says so then
    inbox.poke()
    // Others may open the space only now
    while (!this.isDone) {
      await sleep(clock, askMoreSlowlyMs, signal)
      await look()
    }
  }
}
