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
  'reconnect_kB',
  'merge10k_ms',
]
export const timeoutMs = 15 * 60_000

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
    const churn = await measure(context, 'churn', join(folder, 'churn'))
    context.report('churn_growth_percent', churn['growth_percent'] ?? Number.NaN, '%', {
      note: 'encoded documents after 10 random overwrites of each of 3,000 files by 3 devices',
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
