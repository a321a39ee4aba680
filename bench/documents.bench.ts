/**
 * Documents at scale: loading a space of 1 M and 100 k files, time until a peer can answer, memory, growth under
 * churn, and the cost of meeting an equal peer again. Every figure is measured in a child process of its own, over a
 * real store on disk that a first child has filled.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BenchContext } from './bench-harness.ts'

export const name = 'documents'
export const about = 'loads, memory, churn and reconnects of the shared tree'
export const figures = [
  'docs1M_load_s',
  'docs1M_rss_MB',
  'docs1M_ready_s',
  'docs100k_load_s',
  'docs100k_rss_MB',
  'churn_growth_percent',
  'churn_heap_growth_percent',
  'reconnect_kB',
  'merge10k_ms',
  'docs10k_idle_cpu_percent',
]
export const timeoutMs = 40 * 60_000

const execute = promisify(execFile)
const child = new URL('sides/documents-child.ts', import.meta.url).pathname

async function measure(context: BenchContext, ...args: readonly string[]): Promise<Record<string, number>> {
  const options = { signal: context.signal, maxBuffer: 1024 * 1024 }
  const { stdout } = await execute(process.execPath, ['--expose-gc', child, ...args], options)
  // because: our own child prints one flat object of numbers
  return JSON.parse(stdout) as Record<string, number>
}

/** A source of 10,300 lines, 20 lines of it edited on one side and 20 inserted on the other; cold and warm, in a child. */
async function reportMerge(context: BenchContext): Promise<void> {
  const { first_ms: first, merge10k_ms: warm, reversed_ms: reversed } = await measure(context, 'merge')
  context.report('merge10k_ms', warm ?? Number.NaN, 'ms', {
    note: `median of 21, the first ${first?.toFixed(0)} ms; reversed file given up after ${reversed?.toFixed(0)} ms`,
  })
}

/** Ten random overwrites of each of 3,000 files by 3 devices, against the state after each was overwritten once in order. */
async function reportChurn(context: BenchContext): Promise<void> {
  const churn = await measure(context, 'churn')
  const percent = (figure: string): string => `${(churn[figure] ?? Number.NaN).toFixed(0)} %`
  context.report('churn_growth_percent', churn['encoded_percent'] ?? Number.NaN, '%', {
    note:
      `documents as stored, ${churn['base_B']?.toFixed(0)} -> ${churn['last_B']?.toFixed(0)} B a file; lines alone ` +
      `${percent('records_percent')}, rows ${percent('rows_percent')}; after the first of the ten rounds: ` +
      `encoded ${percent('encoded_late_percent')}, rows ${percent('rows_late_percent')}`,
  })
  context.report('churn_heap_growth_percent', churn['heap_percent'] ?? Number.NaN, '%', {
    note:
      `heap of loaded documents (a struct for each run of living lines, once they no longer stand in order); ` +
      `after the first of the ten rounds ${percent('heap_late_percent')}`,
  })
}

/** Two equal peers that have nothing to do: two rounds of comparing digests. */
async function reportRest(context: BenchContext): Promise<void> {
  const counts = ['1', '100', '10000']
  const results = await Promise.all(counts.map((count) => measure(context, 'rest', '', count)))
  const [one, hundred, many] = results.map((result) => result['cpu_percent'] ?? Number.NaN)
  context.report('docs10k_idle_cpu_percent', many ?? Number.NaN, '%', {
    note: `of a core per side; 1 document ${one?.toFixed(4)} %, 100 documents ${hundred?.toFixed(4)} %`,
  })
}

export async function run(context: BenchContext): Promise<void> {
  await reportMerge(context)
  const folder = mkdtempSync(join(tmpdir(), 'skein-documents-'))
  const rounds = context.isQuick ? 1 : 3
  const several = async (...args: readonly string[]): Promise<(figure: string) => number> => {
    const results: Record<string, number>[] = []
    for (let round = 0; round < rounds; round++) results.push(await measure(context, ...args))
    return (figure) => context.median(results.map((result) => result[figure] ?? Number.NaN))
  }
  try {
    for (const [label, count] of [['100k', 100_000] as const, ['1M', 1_000_000] as const]) {
      const home = join(folder, label)
      context.progress(`filling a space of ${label} files`)
      const filled = await measure(context, 'fill', home, String(count))
      context.progress(
        `filled in ${filled['fill_s']?.toFixed(1)} s, ${filled['disk_MB']?.toFixed(0)} MB on disk`,
      )
      const loaded = await several('load', home)
      context.report(`docs${label}_load_s`, loaded('load_s'), 's', {
        runs: rounds,
        note: 'all shards in memory',
      })
      context.report(`docs${label}_rss_MB`, loaded('rss_MB'), 'MB', {
        runs: rounds,
        note: 'all shards in memory',
      })
      if (label !== '1M') continue
      const ready = await several('ready', home)
      context.report('docs1M_ready_s', ready('ready_s'), 's', {
        runs: rounds,
        note: `store open, digests and the top directory known; ${ready('rss_MB').toFixed(0)} MB`,
      })
    }
    const reconnect = await measure(context, 'reconnect', join(folder, '100k'))
    context.report('reconnect_kB', reconnect['reconnect_kB'] ?? Number.NaN, 'kB', {
      note: 'equal peers, 100 k files, both ways',
    })
    await reportChurn(context)
    await reportRest(context)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
