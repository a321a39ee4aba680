/** The bench harness with planted benches: what it prints, where, and how it ends. */
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runBenches } from '../../bench/bench-harness.ts'
import { median, percentile } from '../../bench/bench-report.ts'

const goodBench = `
  export const name = 'good', about = 'a planted bench', figures = ['speed', 'share']
  export const options = [{ name: '--size', value: 'N', about: 'how much' }]
  export async function run({ report, options, isQuick, median }) {
    report('speed', median([3, 1, 2]), 'MB/s', { peer: 'cp', ratio: 0.5, runs: 3, note: null })
    report('share', isQuick ? Number(options.get('--size')) : -1, '%')
  }`
const slowBench = `
  export const name = 'slow', about = 'never ends', figures = [], timeoutMs = 20
  export async function run({ signal }) { await new Promise(() => {}) }`
const longBench = `
  export const name = 'long', about = 'goes on until it is told to end', figures = ['early', 'late']
  export async function run({ report, progress, signal }) {
    report('early', 1, 's')
    try {
      await new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        progress('waiting')
      })
    } finally {
      await new Promise((resolve) => setImmediate(resolve))
      report('late', 2, 's')
      progress('cleared up')
    }
  }`
const brokenBench = `
  export const name = 'broken', about = 'reports what it did not announce', figures = []
  export async function run({ report }) { report('other', 1, 's') }`

/** Runs the harness over the planted benches. */
async function bench(...argv: readonly string[]): Promise<Printed> {
  return benchUntil(undefined, ...argv)
}

interface Printed {
  readonly code: number
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
}

/** @param interrupted given what is printed as progress: aborts at some line. */
async function benchUntil(line: string | undefined, ...argv: readonly string[]): Promise<Printed> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'skein-bench-'))
  for (const [name, body] of Object.entries({
    good: goodBench,
    slow: slowBench,
    broken: brokenBench,
    long: longBench,
  })) {
    writeFileSync(join(folder.path, `${name}.bench.ts`), body)
  }
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}')
  const stdout: string[] = []
  const stderr: string[] = []
  const interrupting = new AbortController()
  const output = {
    print: (text: string) => stdout.push(text),
    progress(text: string) {
      stderr.push(text)
      if (text === line) interrupting.abort()
    },
  }
  const code = await runBenches(argv, folder.path, output, {
    interrupted: interrupting.signal,
    unwindMs: 100,
  })
  return { code, stdout: stdout.flatMap((text) => text.split('\n')), stderr }
}

test('lists the benches by name when none is asked for', async () => {
  const { code, stdout } = await bench()
  expect(code).toBe(0)
  expect(stdout.flatMap((line) => /^[a-z]+(?= {2})/.exec(line)?.[0] ?? [])).toEqual([
    'broken',
    'good',
    'long',
    'slow',
  ])
})

test('lists the figures and options of one bench with --help, and runs nothing', async () => {
  const { code, stdout, stderr } = await bench('good', '--help')
  expect(code).toBe(0)
  const text = stdout.join('\n')
  for (const part of ['a planted bench', 'speed share', '--size N', 'how much', '--quick'])
    expect(text).toContain(part)
  expect(text).not.toContain('slow')
  expect(stderr).toEqual([])
})

test('refuses an option that no bench takes, and one without its value', async () => {
  const unknown = await bench('good', '--sise', '5')
  expect(unknown).toMatchObject({ code: 2, stdout: [] })
  expect(unknown.stderr.join()).toContain('no option is named --sise; there are: --size')
  const bare = await bench('good', '--size')
  expect(bare).toMatchObject({ code: 2, stderr: ['--size wants a value'] })
})

test('prints what was measured when it is interrupted, and waits until the bench has cleared up', async () => {
  const { code, stdout, stderr } = await benchUntil('long: waiting', 'long', 'good')
  expect(code).toBe(1)
  expect(stdout.join('\n')).toContain('early')
  // What it had when it was interrupted, but not the next bench
  expect(stdout.join('\n')).toContain('late')
  expect(stdout.join('\n')).not.toContain('good')
  expect(stderr.at(-1)).toBe('long: cleared up')
})

test('prints one object a line and nothing else with --json', async () => {
  const { code, stdout } = await bench('good', '--json', '--quick', '--size', '5')
  expect(code).toBe(0)
  expect(stdout.map((line) => JSON.parse(line) as unknown)).toEqual([
    { bench: 'good', figure: 'speed', value: 2, unit: 'MB/s', peer: 'cp', ratio: 0.5, runs: 3, note: null },
    { bench: 'good', figure: 'share', value: 5, unit: '%', peer: null, ratio: null, runs: 1, note: null },
  ])
})

test('prints a table', async () => {
  const { stdout } = await bench('good')
  expect(stdout).toHaveLength(3)
  expect(stdout.join('\n')).toContain('MB/s')
})

test('refuses an unknown name with exit code 2 and names the known ones', async () => {
  const { code, stdout, stderr } = await bench('nope')
  expect(code).toBe(2)
  expect(stdout).toEqual([])
  expect(stderr.join()).toContain('broken, good, long, slow')
})

test('stops a bench at its time limit', async () => {
  const { code, stderr } = await bench('slow', '--json')
  expect(code).toBe(1)
  expect(stderr.join()).toContain('not done after 0.02 s')
})

test('refuses a figure that was not announced', async () => {
  const { code, stderr } = await bench('broken', '--json')
  expect(code).toBe(1)
  expect(stderr.join()).toContain('announces no figure other')
})

test('interpolates percentiles', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(percentile([10, 20, 30], 0)).toBe(10)
  expect(percentile([10, 20, 30], 75)).toBe(25)
  expect(percentile([10, 20, 30], 100)).toBe(30)
  expect(() => median([])).toThrow(RangeError)
})
