/** The line that ends a test run, against real vitest runs of small planted suites. */
import { spawnSync } from 'node:child_process'
import { mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { closingLine } from '../../scripts/closing-line.ts'

const root = new URL('../..', import.meta.url).pathname

/** Runs vitest on one planted test file. @returns the last line of its stdout, the one before, and its exit code. */
function runPlanted(body: string) {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'skein-closing-'))
  symlinkSync(join(root, 'node_modules'), join(folder.path, 'node_modules'))
  writeFileSync(join(folder.path, 'a.test.ts'), `import { test, expect, beforeAll } from 'vitest'\n${body}\n`)
  writeFileSync(
    join(folder.path, 'vitest.config.ts'),
    `import { createClosingLine } from '${root}scripts/closing-line.ts'
     export default { test: { retry: ${body.includes('tries') ? 1 : 0}, reporters: ['default', createClosingLine()] } }`,
  )
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const { stdout, status } = spawnSync(process.execPath, [vitest, 'run'], {
    cwd: folder.path,
    encoding: 'utf8',
    timeout: 15_000,
  })
  const [before, last] = stdout.trimEnd().split('\n').slice(-2)
  return { before, last, status }
}

test('names skipped tests only when there are some', () => {
  expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed')
  expect(closingLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped')
})

test('is the last line and counts each outcome', () => {
  const planted = "test('a', () => {}); test('b', () => { expect(1).toBe(2) }); test.skip('c', () => {})"
  expect(runPlanted(planted)).toMatchObject({ last: '1 passed, 1 failed, 1 skipped', status: 1 })
})

test('counts a file that does not load as failed', () => {
  expect(runPlanted("throw new Error('at load')")).toMatchObject({ last: '0 passed, 1 failed', status: 1 })
})

test('counts an unhandled rejection as failed', () => {
  const planted =
    "test('a', async () => { Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 50)) })"
  expect(runPlanted(planted)).toMatchObject({ last: '1 passed, 1 failed', status: 1 })
})

test('counts a failed hook as failed', () => {
  const planted = "beforeAll(() => { throw new Error('hook') }); test('a', () => {})"
  const { last, status } = runPlanted(planted)
  expect(status).toBe(1)
  expect(last).toMatch(/^0 passed, 1 failed(, 1 skipped)?$/)
})

test('names what passed only when it was tried again', () => {
  const planted = "let tries = 0; test('a', () => {}); test('b', () => { expect(++tries).toBe(2) })"
  expect(runPlanted(planted)).toEqual({
    before: 'passed at the second try: a.test.ts > b',
    last: '2 passed, 0 failed',
    status: 0,
  })
})
