/** How long a person waits for `skein status`, over what Node itself takes to start: interleaved runs of both. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BenchContext } from './bench-harness.ts'

export const name = 'cli'
export const about = 'start of `skein status` to its output, over a bare `node -e 0`'
export const figures = ['cli_status_over_node_ms']

const entry = fileURLToPath(new URL('../bin/skein.js', import.meta.url))

// because: a Bench's run is asynchronous by type
export async function run(context: BenchContext): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'skein-bench-'))
  const home = join(directory, 'home')
  try {
    execFileSync(process.execPath, [entry, 'up', '--home', home, '--listen', '127.0.0.1:0', '--no-discovery'])
    const runs = context.isQuick ? 5 : 31
    const overMs: number[] = []
    const nodeMs: number[] = []
    for (let index = -2; index < runs; index++) {
      const bareMs = timeMs(['-e', '0'])
      const statusMs = timeMs([entry, 'status', '--home', home])
      if (index < 0) continue // the first ones fill the compile cache and the page cache
      nodeMs.push(bareMs)
      overMs.push(statusMs - bareMs)
    }
    context.progress(`node -e 0: ${context.median(nodeMs).toFixed(1)} ms`)
    context.report('cli_status_over_node_ms', context.median(overMs), 'ms', { runs })
  } finally {
    spawnSync(process.execPath, [entry, 'down', '--home', home])
    rmSync(directory, { recursive: true, force: true })
  }
  await Promise.resolve()
}

function timeMs(args: readonly string[]): number {
  const startMs = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr.toString()}`)
  return performance.now() - startMs
}
