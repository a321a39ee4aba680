/** Contents that nobody wants are counted in days of this device: no jump of a clock brings their end nearer. */
import { expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { createGoneDays } from '../../src/vault/gone-days.ts'

const dayMs = 86_400_000
const [one, two] = [hashOf(Uint8Array.of(1)), hashOf(Uint8Array.of(2))]

function clockAt(time: { wallMs: number; monotonicMs: number }): Clock {
  return {
    nowMs: () => time.wallMs,
    monotonicMs: () => time.monotonicMs,
    setTimer: () => ({ [Symbol.dispose]: () => undefined }),
  }
}

test('what is gone is due after so many days, and what came back in between is counted anew', () => {
  const time = { wallMs: 1e12, monotonicMs: 0 }
  let days = createGoneDays(clockAt(time), undefined)
  for (let day = 0; day <= limits.versionDays; day++) {
    const due = days.due(day === 10 ? [one] : [one, two])
    expect([...due]).toEqual(day < limits.versionDays ? [] : [one])
    // A restart each day loses nothing
    days = createGoneDays(clockAt(time), days.encode())
    time.wallMs += dayMs
    time.monotonicMs += dayMs
  }
})

test('a wall clock that jumps by months, forth and back, counts as one day at most', () => {
  const time = { wallMs: 1e12, monotonicMs: 0 }
  const days = createGoneDays(clockAt(time), undefined)
  for (let jump = 0; jump < 100; jump++) {
    time.wallMs += (jump % 2 === 0 ? 200 : -190) * dayMs
    time.monotonicMs += 1_000
    expect([...days.due([one])]).toEqual([])
  }
})

test('looking often on one day counts once', () => {
  const time = { wallMs: 1e12, monotonicMs: 0 }
  const days = createGoneDays(clockAt(time), undefined)
  for (let look = 0; look < 100; look++) expect([...days.due([one])]).toEqual([])
  expect(days.isChanged).toBe(true)
  days.encode()
  days.due([one])
  expect(days.isChanged).toBe(false)
})
