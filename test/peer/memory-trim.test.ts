import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { trimMemoryWhenQuiet } from '../../src/peer/memory-trim.ts'

const mebibyte = 1024 ** 2

test('memory is given back once it is quiet, and again only when enough has come together', () => {
  const clock = createVirtualClock()
  let load = 0.5
  let cpuMs = 0
  let heapBytes = 60 * mebibyte
  let collections = 0
  const trim = trimMemoryWhenQuiet(
    { ...createSystemEnv(), clock },
    {
      cpuMs: () => (cpuMs += load * 10_000),
      heapBytes: () => heapBytes,
      collect() {
        collections++
        heapBytes = 30 * mebibyte
      },
    },
  )
  clock.advance(60_000)
  expect(collections).toBe(0) // busy
  load = 0.001
  clock.advance(60_000)
  expect(collections).toBe(1) // not again: nothing came together
  heapBytes = 33 * mebibyte
  clock.advance(60_000)
  expect(collections).toBe(1)
  heapBytes = 35 * mebibyte
  clock.advance(60_000)
  expect(collections).toBe(2)
  trim?.[Symbol.dispose]()
  expect(clock.nextDueMs()).toBeUndefined()
})

test('where Node gives no collector to call, nothing is watched', () => {
  const clock = createVirtualClock()
  expect(globalThis.gc).toBeUndefined()
  expect(trimMemoryWhenQuiet({ ...createSystemEnv(), clock })).toBeUndefined()
  expect(clock.nextDueMs()).toBeUndefined()
})
