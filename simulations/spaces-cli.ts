/**
 * `npm run sim:spaces -- [--seeds N] [--from S] [--peers K]` runs many histories and names those that fail;
 * `--trace SEED` runs one twice and tells all that happens; `--shrink SEED` cuts a failing one short and tells that. `--help`
 * tells the rest.
 */
import { createSystemClock } from '../src/base/system-clock.ts'
import { integer, readOptions } from './options.ts'
import type { SimulationResult } from './scenario.ts'
import { drawHistory, type History, type HistoryOptions } from './spaces/history.ts'
import { drawHomesHistory } from './spaces/homes-history.ts'
import { drawPartsHistory } from './spaces/parts-history.ts'
import { shrinkHistory } from './spaces/shrink.ts'
import { runHistory } from './spaces.sim.ts'

const clock = createSystemClock()
const progressEveryMs = 10_000
const shrinkRunsMax = 400

const usage = `npm run sim:spaces -- [options]

Whole devices that share a space, on simulated network, disks and clocks, from seeds. Exit code 1 when a seed fails.

  --seeds N      how many seeds (1000)
  --from S       the first of them (1)
  --peers K      so many devices, 2 to 8; drawn from the seed when left out
  --family F     'spaces' (the default), or 'parts': devices that only receive, that keep a part or may only read,
                 folders put aside, silent damage of disks, rules of what is left out;
                 or 'homes': homes put back from backups, documents with what is no record
  --trace SEED   runs one seed twice and tells all that happens
  --shrink SEED  cuts a failing seed short and tells what is left of it
  --help         this text`

/** Draws histories of the family asked for. */
type Draw = (seed: number, options: HistoryOptions) => History

process.exitCode = await main()

async function main(): Promise<number> {
  const values = readOptions(usage, {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    peers: { type: 'string' },
    family: { type: 'string', default: 'spaces' },
    trace: { type: 'string' },
    shrink: { type: 'string' },
  })
  if (typeof values === 'number') return values
  const [seeds, from, peers] = [integer(values.seeds), integer(values.from), integer(values.peers)]
  const [traced, shrunk] = [integer(values.trace), integer(values.shrink)]
  const draw: Draw | undefined = { spaces: drawHistory, parts: drawPartsHistory, homes: drawHomesHistory }[
    values.family
  ]
  const isGood = [seeds, from, peers, traced, shrunk].every((number) => !Number.isNaN(number))
  if (!isGood || draw === undefined || seeds === undefined || from === undefined) {
    console.error(usage)
    return 2
  }
  if (traced !== undefined) return trace(draw(traced, { peers }))
  // Errors are everyday answers here, and a stack for each is a tenth of the time; a trace has them
  Error.stackTraceLimit = 0
  if (shrunk !== undefined) return shrink(draw(shrunk, { peers }))
  const more = `${values.family === 'spaces' ? '' : ` --family ${values.family}`}${peers === undefined ? '' : ` --peers ${peers}`}`
  return runMany({ from, count: seeds, draw: (seed) => draw(seed, { peers }), more })
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

interface Range {
  readonly from: number
  readonly count: number
  readonly draw: (seed: number) => History
  /** Options that belong to each seed. */
  readonly more: string
}

async function runMany({ from, count, draw, more }: Range): Promise<number> {
  const failed: SimulationResult[] = []
  const startMs = clock.monotonicMs()
  const startCpu = process.cpuUsage()
  let reportedMs = startMs
  for (let done = 0; done < count; done++) {
    const result = await runHistory(draw(from + done))
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
  for (const { seed } of failed) console.log(`  npm run sim:spaces -- --shrink ${seed}${more}`)
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
