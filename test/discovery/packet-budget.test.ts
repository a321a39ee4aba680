import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { createPacketBudget } from '../../src/discovery/packet-budget.ts'

const perSource = limits.beaconSourcePacketsPerSecond

const takeMany = (
  budget: ReturnType<typeof createPacketBudget>,
  source: string,
  count: number,
  nowMs: number,
): number => {
  let taken = 0
  for (let index = 0; index < count; index++) if (budget.take(source, nowMs)) taken++
  return taken
}

describe('packet budget', () => {
  test('one source has a burst of two seconds and then its rate', () => {
    const budget = createPacketBudget()
    expect(takeMany(budget, 'a', 10_000, 0)).toBe(2 * perSource)
    expect(takeMany(budget, 'a', 10_000, 1_000)).toBe(perSource)
    expect(takeMany(budget, 'a', 10_000, 100_000)).toBe(2 * perSource)
  })

  test('what one source sends too much does not use up the budget of all', () => {
    const budget = createPacketBudget()
    takeMany(budget, 'loud', 1_000_000, 0)
    expect(takeMany(budget, 'quiet', 10, 0)).toBe(10)
  })

  test('all sources together have one budget, however many are forged, and few are remembered', () => {
    const budget = createPacketBudget()
    let taken = 0
    for (let index = 0; index < 100_000; index++) if (budget.take(`forged ${index}`, 0)) taken++
    expect(taken).toBe(2 * limits.beaconPacketsPerSecond)
    expect(budget.sourceCount).toBe(limits.beaconSources)
  })

  test('a clock that stands still or goes back gives nothing away', () => {
    const budget = createPacketBudget()
    takeMany(budget, 'a', 1_000, 5_000)
    expect(takeMany(budget, 'a', 1_000, 4_000)).toBe(0)
  })
})
