/**
 * `npm test`: looks after the system parts, then runs all tests (arguments go on to vitest), and ends for certain:
 * after 40 minutes it says what was running, stops the process group it started, and fails.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closingLine, progressFileVariable, type Progress } from './closing-line.ts'

/** A whole run takes 12 to 18 minutes; this only ends one that hangs. */
const defaultTimeoutMs = 40 * 60_000
const graceMs = 5_000
const root = new URL('..', import.meta.url).pathname

/** @returns the exit code of the run. */
async function runVitest(args: readonly string[], timeoutMs: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-tests-'))
  const progressFile = join(folder, 'progress.json')
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const child = spawn(process.execPath, [vitest, 'run', ...args], {
    cwd: root,
    stdio: 'inherit',
    // Its own process group, so that the tests' own children can be stopped with it.
    detached: true,
    env: { ...process.env, [progressFileVariable]: progressFile },
  })
  const stop = (signal: NodeJS.Signals): void => signalGroup(child.pid, signal)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(signal))
  let isOverdue = false
  const overdue = setTimeout(() => {
    isOverdue = true
    reportOverdue(progressFile, timeoutMs)
    stop('SIGTERM')
    setTimeout(() => stop('SIGKILL'), graceMs).unref()
  }, timeoutMs)
  const { promise, resolve } = Promise.withResolvers<number>()
  child.on('error', (error) => {
    console.error(`run-tests: ${error.message}`)
    resolve(1)
  })
  child.on('exit', (code) => resolve(code ?? 1))
  const code = await promise
  clearTimeout(overdue)
  if (isOverdue) {
    stop('SIGKILL')
    console.log(closingLine(readOverdueCounts(progressFile)))
  }
  rmSync(folder, { recursive: true, force: true })
  return isOverdue ? 1 : code
}

function reportOverdue(progressFile: string, timeoutMs: number): void {
  const { running } = readProgress(progressFile)
  console.error(`run-tests: not done after ${timeoutMs / 1000} s, stopping. Still running:`)
  console.error(running.map((name) => `  ${name}`).join('\n') || '  nothing had started')
}

/** What was stopped did not pass: the tests, or the files that had not come to one. */
function readOverdueCounts(progressFile: string): Progress {
  const progress = readProgress(progressFile)
  const tests = progress.running.filter((name) => name.includes(' > ')).length
  return { ...progress, failed: progress.failed + Math.max(1, tests || progress.running.length) }
}

function readProgress(file: string): Progress {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Progress // because: our own reporter wrote it
  } catch {
    // Stopped before the first test, or in the middle of a write: nothing is known.
    return { passed: 0, failed: 0, skipped: 0, running: [] }
  }
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return
    throw error
  }
}

const prepared = spawnSync(process.execPath, [join(root, 'scripts/system-parts.ts')], { stdio: 'inherit' })
if (prepared.status !== 0) {
  console.error('run-tests: system parts are missing; the tests that need them fail by name')
}
const timeoutMs = Number(process.env['SKEIN_TEST_TIMEOUT_MS'] ?? defaultTimeoutMs)
const code = await runVitest(process.argv.slice(2), timeoutMs)
process.exitCode = code === 0 && prepared.status !== 0 ? 1 : code
