/**
 * `npm run check`: types, lint, house rules, dead code and format, two at a time, in seconds. Prints one line a
 * step and the whole output of those that fail; exits 1 when one failed.
 */
import { spawn } from 'node:child_process'

interface Step {
  readonly name: string
  readonly command: readonly [string, ...string[]]
}

const steps: readonly Step[] = [
  { name: 'lint', command: ['oxlint', '--deny-warnings', '--format=unix'] },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json', '--pretty', 'false'] },
  {
    name: 'page types',
    command: ['tsc', '-p', 'src/console/web/tsconfig.json', '--pretty', 'false'],
  },
  { name: 'dead', command: ['knip', '--no-progress'] },
  { name: 'tidy', command: ['node', 'scripts/tidy.ts'] },
  { name: 'format', command: ['oxfmt', '--check', '--no-error-on-unmatched-pattern'] },
]
const atOnce = 2
const stepTimeoutMs = 120_000

const root = new URL('..', import.meta.url).pathname

/** @returns whether the step passed. */
async function runStep({ name, command: [file, ...args] }: Step): Promise<boolean> {
  const startedMs = performance.now()
  const { promise, resolve } = Promise.withResolvers<number | string>()
  const path = `${root}node_modules/.bin:${process.env['PATH'] ?? ''}`
  const child = spawn(file, args, { cwd: root, env: { ...process.env, PATH: path }, timeout: stepTimeoutMs })
  let output = ''
  child.stdout.on('data', (part: Buffer) => (output += part.toString()))
  child.stderr.on('data', (part: Buffer) => (output += part.toString()))
  child.on('error', (error) => resolve(error.message))
  child.on('close', (code, signal) => resolve(code ?? signal ?? 'no exit code'))
  const ended = await promise
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(`${ended === 0 ? 'ok  ' : 'FAIL'} ${name} ${seconds} s${ended === 0 ? '' : ` (${ended})`}`)
  if (ended !== 0) console.log(output.trimEnd())
  return ended === 0
}

const queue = [...steps]
const failed: string[] = []
async function work(): Promise<void> {
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    if (!(await runStep(step))) failed.push(step.name)
  }
}
await Promise.all(Array.from({ length: atOnce }, work))
console.log(failed.length === 0 ? 'check passed' : `check failed: ${failed.join(', ')}`)
if (failed.length > 0) process.exitCode = 1
