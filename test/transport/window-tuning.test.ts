/** The window follows the link: small before a slow one, at its cap on a fast one, and stable in between. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { leastWindowBytes, nextWindowBytes } from '../../src/transport/window-tuning.ts'

const mostBytes = limits.bulkWindowBytes

/** A sender that always fills its window, over a link with this rate and round trip. @returns the window after a while. */
function settle(bytesPerMs: number, baseRttMs: number): number {
  let windowBytes = 256 * 1024
  for (let turn = 0; turn < 200; turn++) {
    // A full window takes a round trip, or as long as the link needs for it
    const rate = Math.min(bytesPerMs, windowBytes / baseRttMs)
    const receivedBytes = windowBytes / 2
    windowBytes = nextWindowBytes({
      windowBytes,
      receivedBytes,
      elapsedMs: receivedBytes / rate,
      baseRttMs,
      mostBytes,
    })
  }
  return windowBytes
}

test('a saturated link queues about 20 ms, whatever its rate and round trip', () => {
  for (const [mbit, rttMs] of [
    [50, 1],
    [50, 40],
    [100, 5],
    [20, 60],
    [200, 30],
  ] as const) {
    const bytesPerMs = mbit * 125
    const queueMs = settle(bytesPerMs, rttMs) / bytesPerMs - rttMs
    expect(queueMs).toBeGreaterThan(15)
    expect(queueMs).toBeLessThan(27)
  }
})

test('a LAN gets the whole window, a very slow link the least', () => {
  expect(settle(500_000, 0.3)).toBe(mostBytes)
  expect(settle(100, 1)).toBe(leastWindowBytes)
})

test('whatever is measured, the window stays in bounds and moves by at most a factor of two', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: leastWindowBytes, max: mostBytes }),
      fc.nat(10_000_000),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.double({ min: 0, max: 1e4, noNaN: true }),
      (windowBytes, receivedBytes, elapsedMs, baseRttMs) => {
        const next = nextWindowBytes({ windowBytes, receivedBytes, elapsedMs, baseRttMs, mostBytes })
        expect(next).toBeGreaterThanOrEqual(Math.max(leastWindowBytes, Math.floor(windowBytes / 2)))
        expect(next).toBeLessThanOrEqual(Math.min(mostBytes, windowBytes * 2))
      },
    ),
  )
})
