/** The roster scenario: real signed statements over real keepers, with removals and new keys under partition. */
import { describe, expect, test } from 'vitest'
import { runRoster } from '../../simulations/roster.sim.ts'
import { readPastSeeds } from '../../simulations/past-seeds.ts'

const seedCount = 40
const repeatedCount = 4
const testTimeoutMs = 180_000

async function expectToHold(seeds: readonly number[]): Promise<void> {
  const failures: string[] = []
  for (const seed of seeds) {
    const { failure } = await runRoster(seed)
    if (failure !== undefined)
      failures.push(`npm run sim -- --scenario roster --seed ${seed} --verbose   # ${failure.split('\n')[0]}`)
    // The simulation never gives the event loop a turn by itself
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  expect(failures).toEqual([])
}

describe('roster simulation', () => {
  test(
    'seeds that failed once hold',
    () =>
      expectToHold(
        readPastSeeds()
          .filter(({ scenario }) => scenario === 'roster')
          .map(({ seed }) => seed),
      ),
    testTimeoutMs,
  )

  test(
    `${seedCount} seeds hold`,
    () => expectToHold(Array.from({ length: seedCount }, (_, index) => index + 1)),
    testTimeoutMs,
  )

  test(
    `${repeatedCount} seeds give the same trace twice`,
    async () => {
      for (let seed = 1; seed <= repeatedCount; seed++) {
        const [one, two] = [await runRoster(seed), await runRoster(seed)]
        expect(`${seed} ${two.hash}`).toBe(`${seed} ${one.hash}`)
      }
    },
    testTimeoutMs,
  )
})
