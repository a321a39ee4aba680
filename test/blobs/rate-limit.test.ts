import { describe, expect, test } from 'vitest'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { createRateLimit } from '../../src/blobs/rate-limit.ts'

describe('a rate limit', () => {
  test('lets no more pass than its rate, in the order asked, whoever asks', async () => {
    const clock = createVirtualClock()
    const limit = createRateLimit(clock, 1_000_000)
    const startMs = clock.monotonicMs()
    const passed: number[] = []
    const asked = Array.from({ length: 20 }, async (_, index) => {
      await limit.take(250_000)
      passed.push(index)
    })
    for (let ms = 0; ms < 10_000 && passed.length < 20; ms += 10) {
      clock.advance(10)
      await Promise.resolve()
    }
    await Promise.all(asked)
    expect(passed).toEqual([...passed].sort((a, b) => a - b))
    const seconds = (clock.monotonicMs() - startMs) / 1000
    // 5 MB at 1 MB/s, less the last one's own time and the burst
    expect(seconds).toBeGreaterThan(4.5)
    expect(seconds).toBeLessThan(5.2)
  })

  test('time that was not used is not saved up', () => {
    const clock = createVirtualClock()
    const limit = createRateLimit(clock, 1_000_000)
    clock.advance(60_000)
    expect(limit.take(1_000_000)).toBeUndefined()
    expect(limit.take(1_000_000)).toBeInstanceOf(Promise)
  })

  test('without a rate nothing waits, and a wait ends with its signal', async () => {
    const clock = createVirtualClock()
    expect(createRateLimit(clock, undefined).take(1e12)).toBeUndefined()
    const limit = createRateLimit(clock, 10)
    expect(limit.take(1000)).toBeUndefined()
    const controller = new AbortController()
    const waiting = limit.take(1, controller.signal)
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
  })
})
