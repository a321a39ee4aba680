/** What a scenario of the `files` bench is, and what several of them do: wait until a pair is quiet, edit and look. */
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lab } from '../../test/support/netns.ts'
import type { FolderPair, FolderPeer, PairPlace } from './folder-pairs.ts'
import * as trees from './trees.ts'

/** Values by the names of figures. */
export type Measured = Readonly<Record<string, number>>

export interface Scene {
  readonly pair: FolderPair
  readonly lab: Lab
  /** Share of the full size, 0 to 1. */
  readonly scale: number
  readonly signal: AbortSignal
  /** A path on the same disk outside the folders, for what is moved in at once. */
  readonly spare: string
}

/** One thing that is done to a pair of folders, and what is read off them. */
export interface Step {
  /** Figures and their units. */
  readonly units: Readonly<Record<string, string>>
  /** Who does it besides Skein. */
  readonly others: readonly FolderPeer['name'][]
  readonly timeoutMs: number
  /** The steps after it need what it leaves: it is done for the sake of any of them. */
  readonly isGround?: boolean
  measure(scene: Scene): Promise<Measured>
}

export interface Scenario {
  readonly title: string
  /** About how long one run takes, for an idea of how much is left. */
  readonly roughSeconds: number
  /** Only when a figure of it is asked for by name. */
  readonly isOnRequest?: boolean
  /** Fills the folders before the pair takes them up. */
  prepare?(place: Pick<PairPlace, 'near' | 'far'>, scale: number): void
  /** The pair takes the folders up as part of the first step, not before it. */
  readonly isJoinMeasured?: boolean
  /** In this order, with one pair. */
  readonly steps: readonly Step[]
}

/** Every program that goes over the network. */
export const programs = ['rsync', 'unison', 'syncthing'] as const

/** What is still to be written back would be charged to whoever works next. */
export const flushDisk = (directory: string): void =>
  void execFileSync('sync', ['--file-system', directory], { stdio: 'ignore' })

const quietMs = 1_500

/** Until the far folder is like the near one and what was written is on the disk. */
export async function settled({ pair, signal }: Scene, timeoutMs = 240_000): Promise<void> {
  const passed = pair.pass?.()
  await trees.waitForTree(pair.near, pair.far, { signal, timeoutMs, everyMs: 50 })
  await passed
  flushDisk(pair.near)
  await delay(quietMs, undefined, { signal })
}

/** Whole edits of one small file, one after the other, each until the far side has it. @returns milliseconds. */
export async function editTimes({ pair, signal }: Scene, count: number, path: string): Promise<number[]> {
  const [near, far] = [join(pair.near, path), join(pair.far, path)]
  const timesMs: number[] = []
  for (let index = 0; index < count; index++) {
    const text = `${'x'.repeat(1500 + index)} ${index}\n`
    const startMs = performance.now()
    fs.writeFileSync(near, text)
    const passed = pair.pass?.()
    await trees.waitUntil(
      `edit ${index} of ${path}`,
      () => fs.statSync(far).size === text.length && fs.readFileSync(far, 'utf8') === text,
      { signal, timeoutMs: 30_000, everyMs: 1 },
    )
    timesMs.push(performance.now() - startMs)
    await passed
    // Not in step with any beat of the program
    await delay(150 + ((index * 37) % 100), undefined, { signal })
  }
  // The first one meets cold code
  return timesMs.slice(1)
}
