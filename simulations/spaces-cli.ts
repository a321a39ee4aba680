/**
 * `npm run sim:spaces -- [--seeds N] [--from S] [--peers K]` runs many histories and names those that fail;
 * `--trace SEED` runs one twice and tells all that happens; `--shrink SEED` cuts a failing one short and tells that.
 */
import { parseArgs } from 'node:util'
import { createSystemClock } from '../src/base/system-clock.ts'
import type { SimulationResult } from './scenario.ts'
import { drawHistory, type History } from './spaces/history.ts'
import { shrinkHistory } from './spaces/shrink.ts'
import { runHistory } from './spaces.sim.ts'

const clock = createSystemClock()
const progressEveryMs = 10_000
const shrinkRunsMax = 400

process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      peers: { type: 'string' },
      trace: { type: 'string' },
      shrink: { type: 'string' },
    },
  })
  const peers = values.peers === undefined ? undefined : Number(values.peers)
  const numbers = [values.seeds, values.from, values.peers ?? 2, values.trace ?? 0, values.shrink ?? 0]
  if (!numbers.every((number) => Number.isSafeInteger(Number(number)))) {
    console.error(
      'usage: npm run sim:spaces -- [--seeds N] [--from S] [--peers K] [--trace SEED | --shrink SEED]',
    )
    return 2
  }
  if (values.trace !== undefined) return trace(drawHistory(Number(values.trace), { peers }))
  // Errors are everyday answers here, and a stack for each is a tenth of the time; a trace has them
  Error.stackTraceLimit = 0
  if (values.shrink !== undefined) return shrink(drawHistory(Number(values.shrink), { peers }))
  return runMany(Number(values.from), Number(values.seeds), peers)
}

async function trace(history: History): Promise<number> {
  const result = await runHistory(history, { isVerbose: true })
  const again = await runHistory(history, { isVerbose: true })
  for (const line of result.notes) console.log(line)
  tell(result)
  if (again.hash !== result.hash) console.log(`NOT DETERMINISTIC: the second run has trace ${again.hash}`)
  return result.failure === undefined && again.hash === result.hash ? 0 : 1
}

async function shrink(history: History): Promise<number> {
  const first = await runHistory(history)
  const kind = kindOf(first)
  if (kind === undefined) {
    tell(first)
    return 0
  }
  const fails = async (candidate: History): Promise<boolean> => {
    await turn()
    return kindOf(await runHistory(candidate)) === kind
  }
  const shrunk = await shrinkHistory(history, fails, shrinkRunsMax)
  const result = await runHistory(shrunk.history, { isVerbose: true })
  for (const line of result.notes) console.log(line)
  console.log(`${shrunk.runs} runs to cut it`)
  tell(result)
  return 1
}

async function runMany(from: number, count: number, peers: number | undefined): Promise<number> {
  const failed: SimulationResult[] = []
  const startMs = clock.monotonicMs()
  const startCpu = process.cpuUsage()
  let reportedMs = startMs
  for (let done = 0; done < count; done++) {
    const result = await runHistory(drawHistory(from + done, { peers }))
    if (result.failure !== undefined) {
      failed.push(result)
      tell(result)
    }
    await turn()
    if (clock.monotonicMs() - reportedMs < progressEveryMs) continue
    reportedMs = clock.monotonicMs()
    console.log(`${done + 1} of ${count} seeds, ${failed.length} failed`)
  }
  const { user, system } = process.cpuUsage(startCpu)
  const cpuSeconds = (user + system) / 1e6
  const seconds = (clock.monotonicMs() - startMs) / 1000
  console.log(
    `${count} seeds in ${seconds.toFixed(1)} s, ${(count / cpuSeconds).toFixed(1)} a CPU second, ${failed.length} failed`,
  )
  for (const { seed } of failed)
    console.log(`  npm run sim:spaces -- --shrink ${seed}${peers === undefined ? '' : ` --peers ${peers}`}`)
  return failed.length === 0 ? 0 : 1
}

/** The first words of a failure, without names and numbers. */
function kindOf({ failure }: SimulationResult): string | undefined {
  const words = failure?.split('\n')[0]?.replace(/d\d|"[^"]*"|\d+/g, '')
  return words?.slice(0, 40)
}

function tell({ seed, failure, hash }: SimulationResult): void {
  console.log(
    `seed ${seed}: ${failure === undefined ? `holds, trace ${hash}` : `FAILS: ${failure.split('\n')[0]?.slice(0, 400)}`}`,
  )
}

/** Timers of the event loop get their turn: the simulation itself never gives it away. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
