/** The log on disk: lines, rotation, hostile fields, a full disk. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { openLogFile } from '../../src/peer/log-file.ts'
import { formatLogLine, parseLogLine, readLogTail } from '../../src/program/log-line.ts'
import { logPath } from '../../src/program/home-path.ts'
import { temporaryDirectory } from '../support/temporary-home.ts'

test('records become lines that read back the same', async () => {
  const home = await temporaryDirectory()
  using file = openLogFile(createVirtualClock(1000), logPath(home))
  const log = createLog((record) => file.write(record)).child('transport')
  log.info('link up', { rttMs: 1.5, name: 'evil\n{"level":"error"}\u001b[2J' })
  log.debug('not written')
  expect(readFileSync(logPath(home), 'utf8').trimEnd().split('\n').length).toBe(1)
  expect(readLogTail(home, 10)).toEqual([
    {
      atMs: 1000,
      level: 'info',
      scope: 'transport',
      message: 'link up',
      fields: { rttMs: 1.5, name: 'evil\n{"level":"error"}\u001b[2J' },
    },
  ])
  expect(readLogTail(home, 0)).toEqual([])
  expect(statSync(logPath(home)).mode & 0o777).toBe(0o600)
})

test('the log is moved aside at its size, and only so many are kept', async () => {
  const home = await temporaryDirectory()
  const path = logPath(home)
  using file = openLogFile(createVirtualClock(), path, { maxBytes: 1000, keepFiles: 2 })
  const log = createLog((record) => file.write(record))
  for (let count = 0; count < 100; count++) log.info('line', { count })
  expect([`${path}.1`, `${path}.2`, `${path}.3`].map((older) => existsSync(older))).toEqual([
    true,
    true,
    false,
  ])
  for (const older of [path, `${path}.1`, `${path}.2`]) expect(statSync(older).size).toBeLessThanOrEqual(1000)
  expect(readLogTail(home, 1)[0]?.fields).toEqual({ count: 99 })
})

test('fields that are too long, that refer to themselves, or big integers do not lose the line', () => {
  const line = { atMs: 0, level: 'warn' as const, scope: '', message: 'm' }
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  expect(
    parseLogLine(formatLogLine({ ...line, fields: { long: 'x'.repeat(100_000) } }))?.fields['omittedBytes'],
  ).toBeGreaterThan(100_000)
  expect(parseLogLine(formatLogLine({ ...line, fields: circular }))?.level).toBe('error')
  expect(parseLogLine(formatLogLine({ ...line, fields: { big: 2n ** 70n } }))?.fields).toEqual({
    big: String(2n ** 70n),
  })
})

test('what is no log line is passed over', async () => {
  const home = await temporaryDirectory()
  using file = openLogFile(createVirtualClock(), logPath(home))
  await writeFile(
    logPath(home),
    '{"at":"2026-01-01T00:00:00.000Z","level":"info","scope":"a","message":"ok","fields":{}}\n{"torn\n[]\n7\n',
  )
  expect(readLogTail(home, 10).map((line) => line.message)).toEqual(['ok'])
  expect(file.lostCount).toBe(0)
})

test('a log that cannot be written loses lines and counts them, but never throws', async () => {
  const file = openLogFile(createVirtualClock(), '/dev/full')
  const seen: string[] = []
  using _listening = file.onLine((line) => seen.push(line.message))
  file.write({ level: 'error', scope: '', message: 'lost on disk', fields: {} })
  expect([file.lostCount, seen]).toEqual([1, ['lost on disk']])
  file[Symbol.dispose]()
  file.write({ level: 'error', scope: '', message: 'after the end', fields: {} })
  expect(file.lostCount).toBe(2)
})
