/**
 * Runs benches. A bench is a file `NAME.bench.ts` that exports what `Bench` says; the harness finds it, gives it a
 * time limit and a way to report, and prints its figures: as a table, or with `--json` as one object a line and
 * nothing else on stdout. Arguments that are not the harness's own go on to the benches.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { formatJson, formatTable, median, percentile, type Figure } from './bench-report.ts'

/** What a bench file exports, each by its name. */
export interface Bench {
  /** The same as the file's name. */
  readonly name: string
  /** One line: what is measured. */
  readonly about: string
  /** The figures it can report, by name. */
  readonly figures: readonly string[]
  readonly run: (context: BenchContext) => Promise<void>
  /** The longest it may take; ten minutes when it does not say. */
  readonly timeoutMs?: number
}

export interface BenchContext {
  /** Gives one figure to the report; `figure` is one of the bench's `figures`. */
  report(figure: string, value: number, unit: string, details?: FigureDetails): void
  /** Says on stderr what is going on. */
  progress(message: string): void
  /** The statistics of `bench-report.ts`. */
  readonly median: typeof median
  readonly percentile: typeof percentile
  /** Arguments the harness did not take. */
  readonly args: readonly string[]
  /** True for a short look that need not be exact. */
  readonly isQuick: boolean
  /** Aborts when the time is over. */
  readonly signal: AbortSignal
}

export type FigureDetails = Pick<Figure, 'peer' | 'ratio' | 'runs' | 'note'>

/** Where the harness writes: whole lines. */
export interface BenchOutput {
  print(line: string): void
  progress(line: string): void
}

const suffix = '.bench.ts'
const defaultTimeoutMs = 10 * 60_000

/** @returns the exit code: 0 all ran, 1 one failed or ran out of time, 2 an unknown name. */
export async function runBenches(
  argv: readonly string[],
  folder: string,
  output: BenchOutput,
): Promise<number> {
  const known = readdirSync(folder)
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .toSorted()
  const isJson = argv.includes('--json')
  const isQuick = argv.includes('--quick')
  const rest = argv.filter((argument) => argument !== '--json' && argument !== '--quick')
  const firstOption = rest.findIndex((argument) => argument.startsWith('-'))
  const names = firstOption === -1 ? rest : rest.slice(0, firstOption)
  const args = firstOption === -1 ? [] : rest.slice(firstOption)

  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    output.progress(`no bench is named ${unknown.join(', ')}; there are: ${known.join(', ') || 'none'}`)
    return 2
  }
  if (names.length === 0) {
    for (const name of known) output.print(isJson ? name : describe(await loadBench(folder, name)))
    return 0
  }
  let exitCode = 0
  for (const name of names) {
    const bench = await loadBench(folder, name)
    const figures: Figure[] = []
    const isDone = await runOne(bench, { args, isQuick }, output, (figure) => {
      figures.push(figure)
      if (isJson) output.print(formatJson(figure))
    })
    if (!isJson) output.print(formatTable(figures))
    if (!isDone) exitCode = 1
  }
  return exitCode
}

/** @returns whether the bench ended in time and without an error. */
async function runOne(
  bench: Bench,
  given: Pick<BenchContext, 'args' | 'isQuick'>,
  output: BenchOutput,
  take: (figure: Figure) => void,
): Promise<boolean> {
  const timeoutMs = bench.timeoutMs ?? defaultTimeoutMs
  const ending = new AbortController()
  const progress = (message: string): void => output.progress(`${bench.name}: ${message}`)
  const context: BenchContext = {
    ...given,
    signal: ending.signal,
    progress,
    median,
    percentile,
    report(figure, value, unit, details = {}) {
      if (!bench.figures.includes(figure)) throw new Error(`${bench.name} announces no figure ${figure}`)
      if (!Number.isFinite(value)) throw new RangeError(`${bench.name} ${figure} is ${value}`)
      // What comes after the time limit no longer counts.
      if (!ending.signal.aborted) take({ bench: bench.name, figure, value, unit, ...details })
    },
  }
  const { promise: overdue, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const error = new Error(`not done after ${timeoutMs / 1000} s`)
    reject(error)
    ending.abort(error)
  }, timeoutMs)
  progress(`started (${bench.about})`)
  try {
    await Promise.race([bench.run(context), overdue])
    progress('done')
    return true
  } catch (error) {
    progress(`failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    return false
  } finally {
    clearTimeout(timer)
    ending.abort()
  }
}

async function loadBench(folder: string, name: string): Promise<Bench> {
  const url = pathToFileURL(join(folder, name + suffix)).href
  const loaded = (await import(url)) as Partial<Bench> // because: looked at in the next line
  if (loaded.name !== name || typeof loaded.run !== 'function' || !Array.isArray(loaded.figures)) {
    throw new TypeError(`${name}${suffix} must export name '${name}', about, figures and run`)
  }
  return loaded as Bench // because: just looked at
}

function describe(bench: Bench): string {
  return `${bench.name.padEnd(16)} ${bench.about} [${bench.figures.join(', ')}]`
}
