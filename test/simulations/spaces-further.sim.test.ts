/** The second half of the spaces scenario's seeds: a file of its own, so that both halves run side by side. */
import { runSpaces } from '../../simulations/spaces.sim.ts'
import { describeSeeds } from '../support/simulation-suite.ts'

describeSeeds({
  scenario: 'spaces',
  run: (seed) => runSpaces(seed),
  firstSeed: 2_501,
  seedCount: 2_500,
  seedsPerTest: 250,
  timeoutMs: 300_000,
  replay: (seed) => `npm run sim:spaces -- --shrink ${seed}`,
})
