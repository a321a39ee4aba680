/** The bench harness with planted benches: what it prints, where, and how it ends. */
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runBenches } from '../../bench/bench-harness.ts'
import { median, percentile } from '../../bench/bench-report.ts'

const goodBench = `
  export const name = 'good', about = 'a planted bench', figures = ['speed', 'share']
  export async function run({ report, args, isQuick, median }) {
    report('speed', median([3, 1, 2]), 'MB/s', { peer: 'cp', ratio: 0.5, runs: 3 })
    report('share', isQuick ? args.length : -1, '%')
  }`
const slowBench = `
  export const name = 'slow', about = 'never ends', figures = [], timeoutMs = 20
  export async function run({ signal }) { await new Promise(() => {}) }`
const brokenBench = `
  export const name = 'broken', about = 'reports what it did not announce', figures = []
  export async function run({ report }) { report('other', 1, 's') }`

/** Runs the harness over the planted benches. */
async function bench(
  ...argv: readonly string[]
): Promise<{ code: number; stdout: string[]; stderr: string[] }> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'skein-bench-'))
  for (const [name, body] of Object.entries({ good: goodBench, slow: slowBench, broken: brokenBench })) {
    writeFileSync(join(folder.path, `${name}.bench.ts`), body)
  }
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}')
  const stdout: string[] = []
  const stderr: string[] = []
  const output = { print: (line: string) => stdout.push(line), progress: (line: string) => stderr.push(line) }
  return { code: await runBenches(argv, folder.path, output), stdout, stderr }
}

test('lists the benches by name when none is asked for', async () => {
  const { code, stdout } = await bench()
  expect(code).toBe(0)
  expect(stdout.map((line) => line.split(' ')[0])).toEqual(['broken', 'good', 'slow'])
})

test('prints one object a line and nothing else with --json', async () => {
  const { code, stdout } = await bench('good', '--json', '--quick', '--size=5')
  expect(code).toBe(0)
  expect(stdout.map((line) => JSON.parse(line) as unknown)).toEqual([
    { bench: 'good', figure: 'speed', value: 2, unit: 'MB/s', peer: 'cp', ratio: 0.5, runs: 3 },
    { bench: 'good', figure: 'share', value: 1, unit: '%', peer: null, ratio: null, runs: 1 },
  ])
})

test('prints a table', async () => {
  const { stdout } = await bench('good')
  expect(stdout.join('\n').split('\n')).toHaveLength(3)
  expect(stdout.join('\n')).toContain('MB/s')
})

test('refuses an unknown name with exit code 2 and names the known ones', async () => {
  const { code, stdout, stderr } = await bench('nope')
  expect(code).toBe(2)
  expect(stdout).toEqual([])
  expect(stderr.join()).toContain('broken, good, slow')
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
