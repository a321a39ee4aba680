/** The spaces scenario over many seeds: production code on simulated network, disk and clock, every property checked. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readPastSeeds } from '../../simulations/past-seeds.ts'
import { runSpaces } from '../../simulations/spaces.sim.ts'

/** About 85 CPU seconds; `npm run sim:spaces` runs more. */
const seedCount = 2_000
const seedsPerTest = 250
/**
 * Known to fail, each with its cause; the test says when one of them holds again.
 * 18: the power fails between placing a new file and its row, and the file stands torn under its name (the content itself
 * is safe with the others). Placing would have to note its intent durably first.
 */
const openSeeds: readonly number[] = [18]
const repeatedCount = 30
const testTimeoutMs = 300_000

/** @throws naming each failing seed and how to cut it short. */
async function expectToHold(seeds: readonly number[]): Promise<void> {
  const failures: string[] = []
  for (const seed of seeds) {
    const { failure } = await runSpaces(seed)
    if (failure !== undefined)
      failures.push(`npm run sim:spaces -- --shrink ${seed}   # ${failure.split('\n')[0]?.slice(0, 300)}`)
    // The simulation never gives the event loop a turn by itself
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  expect(failures).toEqual([])
}

describe('spaces simulation', () => {
  const stackLimit = Error.stackTraceLimit
  beforeAll(() => {
    // Errors are everyday answers here, and a stack for each is a tenth of the time; a trace has them
    Error.stackTraceLimit = 0
  })
  afterAll(() => {
    Error.stackTraceLimit = stackLimit
  })

  test(
    'seeds that failed once hold',
    () =>
      expectToHold(
        readPastSeeds()
          .filter(({ scenario }) => scenario === 'spaces')
          .map(({ seed }) => seed),
      ),
    testTimeoutMs,
  )

  for (let first = 1; first <= seedCount; first += seedsPerTest) {
    const seeds = Array.from({ length: seedsPerTest }, (_, index) => first + index).filter(
      (seed) => !openSeeds.includes(seed),
    )
    test(`seeds ${first} to ${first + seedsPerTest - 1} hold`, () => expectToHold(seeds), testTimeoutMs)
  }

  test('seeds that are known to fail do: take those that hold off the list', async () => {
    for (const seed of openSeeds) expect((await runSpaces(seed)).failure, `seed ${seed}`).toBeDefined()
  })

  test(
    `${repeatedCount} seeds give the same trace twice`,
    async () => {
      for (let seed = 1; seed <= repeatedCount; seed++) {
        const [one, two] = [await runSpaces(seed), await runSpaces(seed)]
        expect(`${seed} ${two.hash}`).toBe(`${seed} ${one.hash}`)
      }
    },
    testTimeoutMs,
  )

  test('different seeds give different traces', async () => {
    const hashes = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) hashes.add((await runSpaces(seed)).hash)
    expect(hashes.size).toBe(20)
  })
})
