/**
 * Runs the steps of one scenario with one program: a fresh lab and a fresh pair, every step within its time. A step that
 * fails is given up, and the others are done with another pair: what is left of one that failed says nothing.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createLab } from '../../test/support/netns.ts'
import { sendSignal } from '../../test/support/netns-commands.ts'
import { watchCosts, type Costs } from './folder-costs.ts'
import type { FolderPair, FolderPeer } from './folder-pairs.ts'
import type { Measured, Scenario, Scene, Step } from './folder-scene.ts'

export interface Outcome {
  readonly step: Step
  readonly measured: Measured
  readonly costs: Costs
}

export interface RunOptions {
  readonly peer: FolderPeer
  readonly scenario: Scenario
  /** Those of the scenario that are wanted, and what they need; a step that fails is taken out. */
  readonly steps: Set<Step>
  readonly scale: number
  readonly signal: AbortSignal
  readonly onDone: (outcome: Outcome) => void
  readonly onFailed: (step: Step | undefined, reason: string) => void
}

const startMs = 180_000
const joinMs = 660_000
/** What a program does after it said that it is in sync is no part of what is measured. */
const quietMs = 1_500

export async function runScenario(options: RunOptions): Promise<void> {
  const { steps, signal } = options
  const done = new Set<Step>()
  while (steps.size > done.size && !signal.aborted) {
    const todo = [...steps].filter((step) => !done.has(step) || step.isGround === true)
    const failed = await runPair(options, todo, done)
    if (failed === undefined) return
    if (signal.aborted) return
    if (failed.step?.isGround === true || failed.step === undefined) steps.clear()
    else steps.delete(failed.step)
    options.onFailed(failed.step, failed.reason)
  }
}

/** @returns the step that failed, none where the pair itself did. */
async function runPair(
  { peer, scenario, scale, signal, onDone }: RunOptions,
  todo: readonly Step[],
  done: Set<Step>,
): Promise<{ step: Step | undefined; reason: string } | undefined> {
  const root = mkdtempSync(join(tmpdir(), `${rootPrefix}${process.pid}-`))
  const place = { near: join(root, 'near'), far: join(root, 'far'), state: join(root, 'state') }
  for (const directory of Object.values(place)) mkdirSync(directory)
  let step: Step | undefined
  try {
    await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
    await using pair = await within(startMs, signal, () => peer.start({ ...place, lab }))
    scenario.prepare?.(place, scale)
    if (scenario.isJoinMeasured !== true) {
      await within(joinMs, signal, () => pair.join())
      await delay(quietMs, undefined, { signal })
    }
    for (step of todo) {
      const outcome = await runStep(step, { pair, lab, scale, spare: join(root, 'spare') }, signal)
      if (!done.has(step)) onDone(outcome)
      done.add(step)
    }
    return undefined
  } catch (error) {
    return { step, reason: messageOf(error) }
  } finally {
    rmSync(root, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function runStep(step: Step, scene: Omit<Scene, 'signal'>, signal: AbortSignal): Promise<Outcome> {
  const { pair }: { pair: FolderPair } = scene
  const end = watchCosts(() => pair.charged())
  try {
    const measured = await within(step.timeoutMs, signal, (limited) =>
      step.measure({ ...scene, signal: limited }),
    )
    return { step, measured, costs: end() }
  } finally {
    end()
  }
}

/** @throws when the time is over, even where `work` does not notice. */
async function within<T>(
  timeoutMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(timeoutMs)
  const limited = AbortSignal.any([signal, limit])
  const { promise: over, reject } = Promise.withResolvers<never>()
  const onAbort = (): void =>
    reject(limit.aborted ? new Error(`not done after ${timeoutMs / 1000} s`) : signal.reason)
  limited.addEventListener('abort', onAbort, { once: true })
  try {
    limited.throwIfAborted()
    return await Promise.race([work(limited), over])
  } finally {
    limited.removeEventListener('abort', onAbort)
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message} (${messageOf(error.cause)})`
}

const rootPrefix = 'skein-bench-files-'

/** Removes the directories of runs whose process was killed; they can be of some GiB. */
export function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${rootPrefix}(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || sendSignal(Number(pid), 0)) continue
    rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}
