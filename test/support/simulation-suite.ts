/** What every scenario of `simulations/` has to show over its seeds: it holds, and a seed tells the same story twice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readPastSeeds } from '../../simulations/past-seeds.ts'

/** A range of seeds of a scenario. */
export interface SeedRange {
  readonly scenario: string
  readonly run: (seed: number) => Promise<{ readonly failure?: string | undefined; readonly hash: string }>
  /** Default: 1. */
  readonly firstSeed?: number
  readonly seedCount: number
  readonly seedsPerTest: number
  readonly timeoutMs: number
  /** The command that shows a seed again. */
  readonly replay: (seed: number) => string
  /** Known to fail, with their causes beside them; a test says when one of them holds again. */
  readonly openSeeds?: readonly number[]
}

export interface SimulationSuite extends SeedRange {
  /** So many seeds are run twice. */
  readonly repeatedCount: number
}

const distinctCount = 20

export function describeSimulation(suite: SimulationSuite): void {
  const { scenario, run, repeatedCount, timeoutMs } = suite
  describeSeeds(suite)
  describe(`${scenario} simulation`, () => {
    withoutStacks()
    const past = readPastSeeds().filter((one) => one.scenario === scenario)
    const pastSeeds = past.map(({ seed }) => seed)
    test('seeds that failed once hold', () => expectToHold(suite, pastSeeds), timeoutMs)

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

/** The seeds alone, each once; a long range is spread over several files, which run side by side. */
export function describeSeeds(range: SeedRange): void {
  const { scenario, run, firstSeed = 1, seedCount, seedsPerTest, timeoutMs, openSeeds = [] } = range
  describe(`${scenario} simulation`, () => {
    withoutStacks()
    for (let first = firstSeed; first < firstSeed + seedCount; first += seedsPerTest) {
      const seeds = Array.from({ length: seedsPerTest }, (_, index) => first + index)
      const closed = seeds.filter((seed) => !openSeeds.includes(seed))
      test(`seeds ${first} to ${first + seedsPerTest - 1} hold`, () => expectToHold(range, closed), timeoutMs)
    }

    test.each(openSeeds)('seed %i is known to fail: take it off the list when it holds', async (seed) => {
      expect((await run(seed)).failure).toBeDefined()
    })
  })
}

/** Errors are everyday answers here, and a stack for each is a tenth of the time; a replay has them. */
function withoutStacks(): void {
  const stackLimit = Error.stackTraceLimit
  beforeAll(() => {
    Error.stackTraceLimit = 0
  })
  afterAll(() => {
    Error.stackTraceLimit = stackLimit
  })
}

/** @throws naming each failing seed and how to replay it. */
async function expectToHold({ run, replay }: SeedRange, seeds: readonly number[]): Promise<void> {
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
