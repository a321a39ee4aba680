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
  /**
   * 4472: two versions of one file that differ in their exec bit as well are swapped on one disk, and one of them goes from
   * view (its bytes stay in versions): swapped-versions.ts did not take them for a swap.
   */
  openSeeds: [4472],
})
