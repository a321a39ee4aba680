/** What every scenario of `simulations/` has to show over its seeds: it holds, and a seed tells the same story twice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readPastSeeds } from '../../simulations/past-seeds.ts'

export interface SimulationSuite {
  readonly scenario: string
  readonly run: (seed: number) => Promise<{ readonly failure?: string | undefined; readonly hash: string }>
  readonly seedCount: number
  readonly seedsPerTest: number
  /** So many seeds are run twice. */
  readonly repeatedCount: number
  readonly timeoutMs: number
  /** The command that shows a seed again. */
  readonly replay: (seed: number) => string
  /** Known to fail, with their causes beside them; a test says when one of them holds again. */
  readonly openSeeds?: readonly number[]
}

const distinctCount = 20

export function describeSimulation(suite: SimulationSuite): void {
  const { scenario, run, seedCount, seedsPerTest, repeatedCount, timeoutMs, openSeeds = [] } = suite
  describe(`${scenario} simulation`, () => {
    const stackLimit = Error.stackTraceLimit
    beforeAll(() => {
      // Errors are everyday answers here, and a stack for each is a tenth of the time; a replay has them
      Error.stackTraceLimit = 0
    })
    afterAll(() => {
      Error.stackTraceLimit = stackLimit
    })

    const past = readPastSeeds().filter((one) => one.scenario === scenario)
    const pastSeeds = past.map(({ seed }) => seed)
    test('seeds that failed once hold', () => expectToHold(suite, pastSeeds), timeoutMs)

    for (let first = 1; first <= seedCount; first += seedsPerTest) {
      const seeds = Array.from({ length: seedsPerTest }, (_, index) => first + index)
      const closed = seeds.filter((seed) => !openSeeds.includes(seed))
      test(`seeds ${first} to ${first + seedsPerTest - 1} hold`, () => expectToHold(suite, closed), timeoutMs)
    }

    test.each(openSeeds)('seed %i is known to fail: take it off the list when it holds', async (seed) => {
      expect((await run(seed)).failure).toBeDefined()
    })

    test(
      `${repeatedCount} seeds give the same trace twice`,
      async () => {
        for (let seed = 1; seed <= repeatedCount; seed++) {
          const [one, two] = [await run(seed), await run(seed)]
          expect(`${seed} ${two.hash}`).toBe(`${seed} ${one.hash}`)
        }
      },
      timeoutMs,
    )

    test(
      'different seeds give different traces',
      async () => {
        const hashes = new Set<string>()
        for (let seed = 1; seed <= distinctCount; seed++) hashes.add((await run(seed)).hash)
        expect(hashes.size).toBe(distinctCount)
      },
      timeoutMs,
    )
  })
}

/** @throws naming each failing seed and how to replay it. */
async function expectToHold({ run, replay }: SimulationSuite, seeds: readonly number[]): Promise<void> {
  const failures: string[] = []
  for (const seed of seeds) {
    const { failure } = await run(seed)
    if (failure !== undefined) failures.push(`${replay(seed)}   # ${failure.split('\n')[0]?.slice(0, 300)}`)
    // The simulation never gives the event loop a turn by itself
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  expect(failures).toEqual([])
}
