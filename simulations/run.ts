/**
 * Runs seeds of a scenario: `npm run sim -- [--scenario mesh] [--seed N] [--seeds COUNT] [--verbose]`.
 * One seed alone is run twice, and both runs must have the same trace. Exit code 1 when any seed failed.
 */
import { parseArgs } from 'node:util'
import { createSystemClock } from '../src/base/system-clock.ts'
import { runMesh } from './mesh.sim.ts'
import { runRoster } from './roster.sim.ts'
import type { Scenario, SimulationResult } from './scenario.ts'

const scenarios: ReadonlyMap<string, Scenario> = new Map([
  ['mesh', runMesh],
  ['roster', runRoster],
])
const clock = createSystemClock()
const progressEveryMs = 5_000

process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      scenario: { type: 'string', default: 'mesh' },
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string' },
      verbose: { type: 'boolean', default: false },
    },
  })
  const scenario = scenarios.get(values.scenario)
  const first = Number(values.seed)
  const count = Number(values.seeds ?? 1)
  if (scenario === undefined || !Number.isSafeInteger(first) || !Number.isSafeInteger(count)) {
    console.error(
      `usage: npm run sim -- [--scenario ${[...scenarios.keys()].join('|')}] [--seed N] [--seeds COUNT] [--verbose]`,
    )
    return 2
  }
  return values.seeds === undefined
    ? runTwice(scenario, first, values.verbose)
    : runMany(scenario, { name: values.scenario, first, count })
}

async function runTwice(scenario: Scenario, seed: number, isVerbose: boolean): Promise<number> {
  const result = await scenario(seed, { isVerbose })
  const again = await scenario(seed, { isVerbose })
  if (isVerbose || result.failure !== undefined) for (const line of result.notes) console.log(line)
  if (result.failure !== undefined) console.log(result.failure)
  console.log(`seed ${seed}: ${result.failure === undefined ? 'holds' : 'FAILS'}, trace ${result.hash}`)
  if (again.hash !== result.hash) console.log(`NOT DETERMINISTIC: the second run has trace ${again.hash}`)
  return result.failure === undefined && again.hash === result.hash ? 0 : 1
}

interface Range {
  readonly name: string
  readonly first: number
  readonly count: number
}

async function runMany(scenario: Scenario, { name, first, count }: Range): Promise<number> {
  const failed: SimulationResult[] = []
  // Errors are everyday answers here, and a stack for each is a tenth of the time; a replay has them
  Error.stackTraceLimit = 0
  const startMs = clock.monotonicMs()
  let reportedMs = startMs
  for (let done = 0; done < count; done++) {
    const result = await scenario(first + done)
    if (result.failure !== undefined) {
      failed.push(result)
      console.log(`seed ${result.seed} FAILS: ${result.failure.split('\n')[0]}`)
    }
    const nowMs = clock.monotonicMs()
    if (nowMs - reportedMs < progressEveryMs) continue
    reportedMs = nowMs
    const rate = ((done + 1) * 1000) / (nowMs - startMs)
    console.log(
      `${done + 1}/${count} seeds, ${rate.toFixed(1)} a second, ${failed.length} failed, ${((count - done - 1) / rate).toFixed(0)} s left`,
    )
    // Timers of the event loop get their turn: the simulation itself never gives it away
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  const seconds = (clock.monotonicMs() - startMs) / 1000
  console.log(
    `${count} seeds in ${seconds.toFixed(1)} s (${(count / seconds).toFixed(1)} a second), ${failed.length} failed`,
  )
  for (const { seed } of failed) console.log(`  npm run sim -- --scenario ${name} --seed ${seed} --verbose`)
  return failed.length === 0 ? 0 : 1
}
