/**
 * Folders kept the same by two real peers in two network namespaces, judged from outside by looking at the files, with
 * rsync, unison and syncthing doing the same in the same run where they are installed, and `cp` for what the disk itself
 * takes. The scenarios are in sides/folder-scenarios.ts. Needs root.
 */
import { execFileSync } from 'node:child_process'
import type { BenchContext, BenchOption, FigureDetails } from './bench-harness.ts'
import type { Costs } from './sides/folder-costs.ts'
import { plainCopy, rsync, skein, unison, type FolderPeer } from './sides/folder-pairs.ts'
import { removeLeftovers, runScenario, type Outcome } from './sides/folder-run.ts'
import { scenarios } from './sides/folder-scenarios.ts'
import type { Scenario, Step } from './sides/folder-scene.ts'
import { syncthing } from './sides/syncthing-pair.ts'

export const name = 'files'
export const about = 'folders kept the same by two peers in two network namespaces'
export const figures = scenarios.flatMap(({ steps }) => steps.flatMap((step) => Object.keys(step.units)))
export const options: readonly BenchOption[] = [
  { name: '--only', value: 'PART', about: 'only figures whose name has this in it' },
  { name: '--peers', value: 'A,B', about: 'only these of skein, cp, rsync, unison, syncthing' },
  { name: '--runs', value: 'N', about: 'the median of so many: 3, with --quick 1' },
  { name: '--scale', value: 'PERCENT', about: 'of the files and bytes: 100' },
]
export const timeoutMs = 3 * 3_600_000

const others: readonly FolderPeer[] = [plainCopy, rsync, unison, syncthing]

/** One scenario with one program, and what came of its rounds. */
interface Job {
  readonly scenario: Scenario
  readonly peer: FolderPeer
  readonly steps: Set<Step>
  readonly outcomes: Outcome[]
  readonly tookSeconds: number[]
}

export async function run(context: BenchContext): Promise<void> {
  removeLeftovers()
  const rounds = Number(context.options.get('--runs') ?? (context.isQuick ? 1 : 3))
  const scale = Number(context.options.get('--scale') ?? 100) / 100
  const jobs = chooseJobs(context)
  if (jobs.length === 0) throw new Error('no figure and program is left by --only and --peers')
  const failed: string[] = []
  for (const scenario of new Set(jobs.map((job) => job.scenario))) {
    const mine = jobs.filter((job) => job.scenario === scenario)
    // One after the other in each round: what else the machine does meets all of them alike
    const turns = Array.from({ length: rounds }, (_, index) =>
      mine.map((job) => ({ job, round: index + 1 })),
    ).flat()
    try {
      for (const { job, round } of turns) {
        context.signal.throwIfAborted()
        if (job.steps.size === 0) continue
        const left = Math.ceil(secondsLeft(jobs, rounds) / 60)
        context.progress(
          `${scenario.title}, ${job.peer.name}, run ${round} of ${rounds}; about ${left} min to go`,
        )
        failed.push(...(await runJob(context, job, scale)))
      }
    } finally {
      // Also when it is interrupted in the middle
      report(context, mine)
    }
  }
  if (failed.length > 0) throw new Error(`not measured: ${failed.join('; ')}`)
}

function chooseJobs(context: BenchContext): readonly Job[] {
  const only = context.options.get('--only')
  const wanted = context.options.get('--peers')?.split(',')
  const peers = [skein, ...others.filter((peer) => isInstalled(peer.name))].filter(
    (peer) => wanted?.includes(peer.name) ?? true,
  )
  const isAsked = (step: Step): boolean =>
    Object.keys(step.units).some((figure) => figure.includes(only ?? ''))
  const jobs: Job[] = []
  for (const scenario of scenarios) {
    if (scenario.isOnRequest === true && only === undefined) continue
    for (const peer of peers) {
      const can = scenario.steps.filter((step) => peer === skein || step.others.includes(peer.name))
      const asked = can.filter(isAsked)
      const last = asked.at(-1)
      if (last === undefined) continue
      const needed = can.slice(0, can.indexOf(last)).filter((step) => step.isGround === true)
      const steps = new Set([...needed, ...asked])
      jobs.push({ scenario, peer, steps, outcomes: [], tookSeconds: [] })
    }
  }
  return jobs
}

/** @returns what failed. */
async function runJob(context: BenchContext, job: Job, scale: number): Promise<readonly string[]> {
  const { scenario, peer, steps } = job
  const failed: string[] = []
  const startMs = performance.now()
  await runScenario({
    peer,
    scenario,
    steps,
    scale,
    signal: context.signal,
    onDone(outcome) {
      job.outcomes.push(outcome)
      const values = Object.entries(outcome.measured).map(
        ([figure, value]) => `${figure} ${Number(value.toPrecision(4))}`,
      )
      context.progress(`${peer.name}: ${values.join(', ')}, ${describeCosts([outcome.costs])}`)
    },
    onFailed(step, reason) {
      const what = step === undefined ? scenario.title : Object.keys(step.units).join(', ')
      failed.push(`${what} with ${peer.name}`)
      context.progress(`FAILED ${what} with ${peer.name}: ${reason}`)
    },
  })
  job.tookSeconds.push((performance.now() - startMs) / 1000)
  return failed
}

/** From what the rounds so far took; where there are none, from a rough idea and how far off that was elsewhere. */
function secondsLeft(jobs: readonly Job[], rounds: number): number {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  const rough = sum(jobs.map((job) => job.scenario.roughSeconds * job.tookSeconds.length))
  const pace = rough === 0 ? 1 : sum(jobs.flatMap((job) => job.tookSeconds)) / rough
  return sum(
    jobs.map(({ scenario, steps, tookSeconds }) => {
      if (steps.size === 0) return 0
      const share = steps.size / scenario.steps.length
      const each =
        tookSeconds.length === 0
          ? scenario.roughSeconds * pace * share
          : sum(tookSeconds) / tookSeconds.length
      return each * (rounds - tookSeconds.length)
    }),
  )
}

function report(context: BenchContext, jobs: readonly Job[]): void {
  for (const step of jobs[0]?.scenario.steps ?? []) {
    for (const [figure, unit] of Object.entries(step.units)) {
      const results = jobs.flatMap(({ peer, outcomes }) => {
        // Nothing of a plain copy goes over the wire
        if (peer === plainCopy && unit !== 's') return []
        const own = outcomes.filter((outcome) => outcome.measured[figure] !== undefined)
        if (own.length === 0) return []
        const value = context.median(own.map((outcome) => outcome.measured[figure] ?? 0))
        return [
          { peer: peer.name, value, runs: own.length, cost: describeCosts(own.map(({ costs }) => costs)) },
        ]
      })
      const mine = results.find((result) => result.peer === skein.name)
      const isYardstick = (result: { readonly peer: string }): number =>
        result.peer === plainCopy.name ? 1 : 0
      const beside = results
        .filter((result) => result !== mine)
        .toSorted((a, b) => isYardstick(a) - isYardstick(b) || a.value - b.value)
      if (mine === undefined) {
        // A figure that Skein failed has no row; without Skein each program stands for itself
        if (!jobs.some(({ peer }) => peer === skein))
          for (const { peer, value, runs, cost } of beside)
            context.report(figure, value, unit, { runs, peer, note: `${peer} itself, ${cost}` })
        continue
      }
      const details = (peer: (typeof beside)[number]): FigureDetails => ({
        runs: mine.runs,
        peer: peer.peer,
        ...(peer.value > 0 && { ratio: mine.value / peer.value }),
        note:
          `${peer.peer}${isYardstick(peer) ? ' on this disk, no network,' : ''} ${Number(peer.value.toPrecision(3))} ${unit}, ` +
          `${peer.cost}; skein ${mine.cost}`,
      })
      if (beside.length === 0) context.report(figure, mine.value, unit, { runs: mine.runs, note: mine.cost })
      for (const peer of beside) context.report(figure, mine.value, unit, details(peer))
    }
  }
}

/** Medians of both sides, near + far. */
function describeCosts(costs: readonly Costs[]): string {
  const middle = (values: readonly number[]): number =>
    values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
  const both = (of: (cost: Costs) => readonly [number, number], digits: number): string =>
    [0, 1].map((side) => middle(costs.map((cost) => of(cost)[side] ?? 0)).toFixed(digits)).join('+')
  return `CPU ${both((cost) => cost.cpuSeconds, 2)} s, peak ${both((cost) => cost.peakMiB, 0)} MiB`
}

function isInstalled(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' })
    return true
  } catch {
    return false // because: the shell says so by its exit code
  }
}
