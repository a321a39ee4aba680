/** How fast, and how long still. */
import { expect, test } from 'vitest'
import { createTransferRate } from '../../src/peer/transfer-rate.ts'

test('an even rate is told as it is from the first sample, and the rest foretold after a second', () => {
  const rate = createTransferRate()
  for (let atMs = 0; atMs <= 750; atMs += 250) rate.sample(atMs * 10, atMs)
  expect(rate.perSecond).toBeCloseTo(10_000)
  expect(rate.remainingMs(50_000)).toBeUndefined()
  for (let atMs = 1_000; atMs <= 3_000; atMs += 250) rate.sample(atMs * 10, atMs)
  expect(rate.remainingMs(50_000)).toBeCloseTo(5_000)
})

test('a change of pace is followed within some five seconds, a standstill gives no time', () => {
  const rate = createTransferRate()
  for (let atMs = 0; atMs <= 20_000; atMs += 500) rate.sample(atMs, atMs)
  for (let atMs = 20_500; atMs <= 25_000; atMs += 500) rate.sample(20_000 + (atMs - 20_000) * 9, atMs)
  expect(rate.perSecond).toBeGreaterThan(5_000)
  expect(rate.perSecond).toBeLessThan(9_000)
  for (let atMs = 25_500; atMs <= 120_000; atMs += 500) rate.sample(65_000, atMs)
  expect(rate.remainingMs(1_000)).toBeUndefined()
})

test('a new transfer and a rest begin anew', () => {
  const rate = createTransferRate()
  rate.sample(0, 0)
  rate.sample(1_000_000, 1_000)
  rate.sample(10, 2_000)
  expect(rate.perSecond).toBe(0)
  rate.sample(1_010, 3_000)
  expect(rate.perSecond).toBeCloseTo(1_000)
  rate.rest()
  expect(rate.perSecond).toBe(0)
})
