/**
 * What a running peer costs while nothing happens: CPU and memory of one of two paired peers on this machine, by the
 * kernel's own count.
 */
import type { ChildProcess } from 'node:child_process'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { BenchContext } from './bench-harness.ts'

export const name = 'idle'
export const about = 'CPU and memory of a peer that is paired with another and has nothing to do'
export const figures = ['idle_cpu_percent', 'idle_rss_MB']

const entry = fileURLToPath(new URL('../bin/skein.js', import.meta.url))
const pairingMs = 60_000

export async function run(context: BenchContext): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'skein-bench-'))
  const homes = [join(directory, 'a'), join(directory, 'b')] as const
  try {
    // Not the first start of a checkout: that one strips types, whose compiler stays in memory (18 MB) until the next
    for (const home of homes) startPeer(home)
    for (const home of homes) stopPeer(home)
    const pids = homes.map((home) => startPeer(home))
    await pairPeers(homes, context.signal)
    const settleMs = context.isQuick ? 2_000 : 30_000
    const spanMs = context.isQuick ? 5_000 : 30_000
    await sleep(settleMs, undefined, { signal: context.signal })
    const before = pids.map(readCpuMs)
    const startMs = performance.now()
    await sleep(spanMs, undefined, { signal: context.signal })
    const elapsedMs = performance.now() - startMs
    const percents = pids.map((pid, index) => ((readCpuMs(pid) - (before[index] ?? 0)) / elapsedMs) * 100)
    const sizesMB = pids.map(readRssMB)
    context.progress(
      `CPU ${percents.map((value) => value.toFixed(2)).join(', ')} %; RSS ${sizesMB.map(Math.round).join(', ')} MB`,
    )
    // Of the two the one that costs more
    context.report('idle_cpu_percent', Math.max(...percents), '%', {
      runs: 1,
      note: `over ${spanMs / 1000} s, of two peers`,
    })
    context.report('idle_rss_MB', Math.max(...sizesMB), 'MB', { runs: 1, note: 'second start' })
  } finally {
    for (const home of homes) stopPeer(home)
    rmSync(directory, { recursive: true, force: true })
  }
}

function startPeer(home: string): number {
  const args = [entry, 'up', '--json', '--home', home, '--listen', '127.0.0.1:0', '--no-discovery']
  const status: unknown = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  if (typeof status === 'object' && status !== null && 'pid' in status && typeof status.pid === 'number') {
    return status.pid
  }
  throw new TypeError('skein up --json gave no pid')
}

const stopPeer = (home: string): void => void spawnSync(process.execPath, [entry, 'down', '--home', home])

/** By the long code, which carries the addresses: nothing has to be discovered. */
async function pairPeers(homes: readonly [string, string], signal: AbortSignal): Promise<void> {
  const host = spawn(process.execPath, [entry, 'pair', '--yes', '--json', '--home', homes[0]], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const code = await readLongCode(host)
    execFileSync(process.execPath, [entry, 'pair', code, '--json', '--home', homes[1]], {
      timeout: pairingMs,
    })
    if (host.exitCode === null) await once(host, 'exit', { signal })
  } finally {
    host.kill('SIGINT')
  }
}

async function readLongCode(host: ChildProcess): Promise<string> {
  if (host.stdout === null) throw new TypeError('the host has no output')
  for await (const line of createInterface({ input: host.stdout })) {
    const event: unknown = JSON.parse(line)
    if (typeof event === 'object' && event !== null && 'longCode' in event) return String(event.longCode)
  }
  throw new Error('skein pair showed no code')
}

/** User and system time; proc(5): the name may hold anything, so count from its closing parenthesis. */
function readCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticksPerSecond = 100 // USER_HZ on every Linux that Node runs on
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond
}

function readRssMB(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return (Number(found?.[1]) * 1024) / 1e6
}
