/** The mesh scenario over many seeds: real keepers on a simulated network, every property checked at every step. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runMesh } from '../../simulations/mesh.sim.ts'
import { readPastSeeds } from '../../simulations/past-seeds.ts'

const seedCount = 2_000
const seedsPerTest = 250
const repeatedCount = 100
const testTimeoutMs = 300_000

/** @throws naming each failing seed and how to replay it. */
async function expectToHold(seeds: readonly number[]): Promise<void> {
  const failures: string[] = []
  for (const seed of seeds) {
    const { failure } = await runMesh(seed)
    if (failure !== undefined)
      failures.push(`npm run sim -- --scenario mesh --seed ${seed} --verbose   # ${failure.split('\n')[0]}`)
    // The simulation never gives the event loop a turn by itself
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  expect(failures).toEqual([])
}

describe('mesh simulation', () => {
  const stackLimit = Error.stackTraceLimit
  beforeAll(() => {
    // Errors are everyday answers here, and a stack for each is a tenth of the time; a replay has them
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
          .filter(({ scenario }) => scenario === 'mesh')
          .map(({ seed }) => seed),
      ),
    testTimeoutMs,
  )

  for (let first = 1; first <= seedCount; first += seedsPerTest) {
    const seeds = Array.from({ length: seedsPerTest }, (_, index) => first + index)
    test(`seeds ${first} to ${first + seedsPerTest - 1} hold`, () => expectToHold(seeds), testTimeoutMs)
  }

  test(
    `${repeatedCount} seeds give the same trace twice`,
    async () => {
      for (let seed = 1; seed <= repeatedCount; seed++) {
        const [one, two] = [await runMesh(seed), await runMesh(seed)]
        expect(`${seed} ${two.hash}`).toBe(`${seed} ${one.hash}`)
      }
    },
    testTimeoutMs,
  )

  test('different seeds give different traces', async () => {
    const hashes = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) hashes.add((await runMesh(seed)).hash)
    expect(hashes.size).toBe(20)
  })
})
