import { describe, expect, test } from 'vitest'
import { askBrake, judgeRoot } from '../../src/files/safety.ts'

describe('judgeRoot', () => {
  test.each([
    [
      'never synced here',
      { recordedMarker: undefined, foundMarker: undefined, isDirectory: true },
      'first-use',
    ],
    ['as recorded', { recordedMarker: 'm', foundMarker: 'm', isDirectory: true }, 'good'],
    ['gone', { recordedMarker: 'm', foundMarker: undefined, isDirectory: false }, 'missing'],
    ['an empty mount point', { recordedMarker: 'm', foundMarker: undefined, isDirectory: true }, 'missing'],
    ['a marker made by hand', { recordedMarker: 'm', foundMarker: '', isDirectory: true }, 'foreign'],
    ['another folder', { recordedMarker: 'm', foundMarker: 'n', isDirectory: true }, 'foreign'],
  ] as const)('%s', (_name, facts, expected) => {
    expect(judgeRoot(facts)).toBe(expected)
  })
})

describe('askBrake', () => {
  const ask = (
    count: number,
    total: number,
    nowMs: number,
    state = { recent: [] as { atMs: number; count: number }[] },
  ) => askBrake(state, { count, total, nowMs })
  test('a few deletions pass, and a share of a large folder', () => {
    expect(ask(25, 30, 0).allowed).toBe(true)
    expect(ask(200, 1000, 0).allowed).toBe(true)
  })
  test('more than 25 and more than a fifth do not', () => {
    expect(ask(26, 30, 0).allowed).toBe(false)
    expect(ask(201, 1000, 0).allowed).toBe(false)
  })
  test('many small ones within a minute add up; a minute later they are forgotten', () => {
    const first = askBrake({ recent: [] }, { count: 20, total: 50, nowMs: 0 })
    const second = askBrake(first.state, { count: 6, total: 30, nowMs: 30_000 })
    expect(second.allowed).toBe(false)
    expect(askBrake(second.state, { count: 6, total: 30, nowMs: 60_000 }).allowed).toBe(true)
  })
})
