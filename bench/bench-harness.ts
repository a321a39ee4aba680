/**
 * Runs benches. A bench is a file `NAME.bench.ts` that exports what `Bench` says; the harness finds it, gives it a
 * time limit and a way to report, and prints its figures: as a table, or with `--json` as one object a line and
 * nothing else on stdout. When it is interrupted or its time is over, what was measured until then is still printed.
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
  /** What can be said besides `--json` and `--quick`. */
  readonly options?: readonly BenchOption[]
}

/** An option with a value: `--only big` or `--only=big`. */
export interface BenchOption {
  /** With its dashes. */
  readonly name: string
  /** The kind of value, in capitals. */
  readonly value: string
  readonly about: string
}

export interface BenchContext {
  /** Gives one figure to the report; `figure` is one of the bench's `figures`. */
  report(figure: string, value: number, unit: string, details?: FigureDetails): void
  /** Says on stderr what is going on. */
  progress(message: string): void
  /** The statistics of `bench-report.ts`. */
  readonly median: typeof median
  readonly percentile: typeof percentile
  /** What was said, by the names of the bench's options. */
  readonly options: ReadonlyMap<string, string>
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
/** For a bench that was stopped: processes to end, network namespaces and directories to remove. */
const defaultUnwindMs = 30_000

/** How a run may end early. */
export interface Ending {
  /** Aborts when a person wants it to end. */
  readonly interrupted?: AbortSignal
  /** How long a bench that was stopped has to clear up. */
  readonly unwindMs?: number
}

/** @returns the exit code: 0 all ran, 1 one failed or ran out of time, 2 a wrong command line. */
export async function runBenches(
  argv: readonly string[],
  folder: string,
  output: BenchOutput,
  ending: Ending = {},
): Promise<number> {
  const known = readdirSync(folder)
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .toSorted()
  const isJson = argv.includes('--json')
  const isQuick = argv.includes('--quick')
  const isHelp = argv.includes('--help') || argv.includes('-h')
  const rest = argv.filter((argument) => !['--json', '--quick', '--help', '-h'].includes(argument))
  const firstOption = rest.findIndex((argument) => argument.startsWith('-'))
  const names = firstOption === -1 ? rest : rest.slice(0, firstOption)

  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    output.progress(`no bench is named ${unknown.join(', ')}; there are: ${known.join(', ') || 'none'}`)
    return 2
  }
  const benches: Bench[] = []
  for (const name of names.length === 0 ? known : names) benches.push(await loadBench(folder, name))
  if (names.length === 0 || isHelp) {
    if (isJson) for (const { name } of benches) output.print(name)
    else output.print(benchesHelp(benches))
    return 0
  }
  const said = readOptions(firstOption === -1 ? [] : rest.slice(firstOption), benches)
  if (typeof said === 'string') {
    output.progress(said)
    return 2
  }
  let exitCode = 0
  for (const bench of benches) {
    const figures: Figure[] = []
    const given = { options: said, isQuick, ending }
    const isDone = await runOne(bench, given, output, (figure) => {
      figures.push(figure)
      if (isJson) output.print(formatJson(figure))
    })
    if (!isJson) output.print(formatTable(figures))
    if (!isDone) exitCode = 1
    if (ending.interrupted?.aborted === true) break
  }
  return exitCode
}

/** @returns values by name, or what is wrong with the command line. */
function readOptions(args: readonly string[], benches: readonly Bench[]): Map<string, string> | string {
  const known = benches.flatMap(({ options = [] }) => options)
  const said = new Map<string, string>()
  for (let at = 0; at < args.length; at++) {
    const [name = '', ...rest] = (args[at] ?? '').split('=')
    const value = rest.length > 0 ? rest.join('=') : args[++at]
    if (!known.some((option) => option.name === name))
      return `no option is named ${name}; there are: ${known.map((option) => option.name).join(', ') || 'none'}`
    if (value === undefined) return `${name} wants a value`
    said.set(name, value)
  }
  return said
}

type Given = Pick<BenchContext, 'options' | 'isQuick'> & { readonly ending: Ending }

/** @returns whether the bench ended in time and without an error. */
async function runOne(
  bench: Bench,
  { ending: { interrupted, unwindMs = defaultUnwindMs }, ...given }: Given,
  output: BenchOutput,
  take: (figure: Figure) => void,
): Promise<boolean> {
  const timeoutMs = bench.timeoutMs ?? defaultTimeoutMs
  const ending = new AbortController()
  let isOver = false
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
      // One that is stopped may report what it has, while it clears up
      if (!isOver) take({ bench: bench.name, figure, value, unit, ...details })
    },
  }
  const { promise: overdue, reject } = Promise.withResolvers<never>()
  const stop = (why: string): void => {
    const error = new Error(why)
    reject(error)
    ending.abort(error)
  }
  const onInterrupted = (): void => stop('interrupted')
  interrupted?.addEventListener('abort', onInterrupted, { once: true })
  const timer = setTimeout(() => stop(`not done after ${timeoutMs / 1000} s`), timeoutMs)
  progress(`started (${bench.about})`)
  const running = bench.run(context)
  try {
    await Promise.race([running, overdue])
    progress('done')
    return true
  } catch (error) {
    progress(`failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    if (ending.signal.aborted) await atMost(unwindMs, running)
    return false
  } finally {
    clearTimeout(timer)
    interrupted?.removeEventListener('abort', onInterrupted)
    isOver = true
    ending.abort()
  }
}

/** Until it has ended, one way or the other, or the time is over. */
async function atMost(timeoutMs: number, running: Promise<unknown>): Promise<void> {
  const over = Promise.withResolvers<void>()
  const timer = setTimeout(over.resolve, timeoutMs)
  await Promise.race([running.catch(() => undefined), over.promise])
  clearTimeout(timer)
}

async function loadBench(folder: string, name: string): Promise<Bench> {
  const url = pathToFileURL(join(folder, name + suffix)).href
  const loaded = (await import(url)) as Partial<Bench> // because: looked at in the next line
  if (loaded.name !== name || typeof loaded.run !== 'function' || !Array.isArray(loaded.figures)) {
    throw new TypeError(`${name}${suffix} must export name '${name}', about, figures and run`)
  }
  return loaded as Bench // because: just looked at
}

function benchesHelp(benches: readonly Bench[]): string {
  const own = [
    { name: '--quick', value: '', about: 'a short look: fewer rounds, figures that need not be exact' },
    { name: '--json', value: '', about: 'one object a line on standard output, nothing else' },
  ]
  return [
    'npm run -s bench -- NAME... [options]   runs benches and prints their figures; progress goes to standard error',
    '',
    ...benches.flatMap(describe),
    'Options of all',
    ...own.map(describeOption),
  ].join('\n')
}

const lineLength = 110

function describe({ name, about, figures, options = [] }: Bench): readonly string[] {
  const lines = [`${name.padEnd(12)} ${about}`]
  let line = ' '.repeat(12)
  for (const figure of figures) {
    if (line.length + figure.length >= lineLength) {
      lines.push(line)
      line = ' '.repeat(12)
    }
    line += ` ${figure}`
  }
  return [...lines, line, ...options.map(describeOption), '']
}

const describeOption = ({ name, value, about }: BenchOption): string =>
  `             ${`${name} ${value}`.padEnd(18)} ${about}`
