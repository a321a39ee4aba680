/** The spaces scenario over many seeds: production code on simulated network, disk and clock, every property checked. */
import { expect, test } from 'vitest'
import { readPastSeeds } from '../../simulations/past-seeds.ts'
import { runSpaces } from '../../simulations/spaces.sim.ts'
import { describeSimulation } from '../support/simulation-suite.ts'

describeSimulation({
  scenario: 'spaces',
  run: (seed) => runSpaces(seed),
  /** About 95 CPU seconds, and as many in spaces-further; `npm run sim:spaces` runs more. */
  seedCount: 2_500,
  seedsPerTest: 250,
  repeatedCount: 30,
  timeoutMs: 300_000,
  replay: (seed) => `npm run sim:spaces -- --shrink ${seed}`,
})

test('seeds that failed once with another number of devices hold', { timeout: 300_000 }, async () => {
  const failures: string[] = []
  for (const { scenario, seed } of readPastSeeds()) {
    const [, peers] = /^spaces:(\d)$/.exec(scenario) ?? []
    if (peers === undefined) continue
    const { failure } = await runSpaces(seed, { peers: Number(peers) })
    if (failure !== undefined) failures.push(`--shrink ${seed} --peers ${peers}   # ${failure.slice(0, 300)}`)
  }
  expect(failures).toEqual([])
})

const yearMs = 365 * 86_400_000
const clockSeeds = 60

test(
  `P29: whatever the wall clocks say, ${clockSeeds} seeds end with the same tree`,
  { timeout: 120_000 },
  async () => {
    const wallOffsetsMs = [10, -10, 3, 0, -1, 1, 5, -7].map((years) => years * yearMs)
    for (let seed = 1; seed <= clockSeeds; seed++) {
      const right = await runSpaces(seed)
      const wrong = await runSpaces(seed, { wallOffsetsMs })
      expect({ seed, failure: wrong.failure, shown: wrong.shown }).toEqual({
        seed,
        failure: undefined,
        shown: right.shown,
      })
    }
  },
)
