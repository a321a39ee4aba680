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
  // A conflict copy whose row a power cut took becomes a file of its own (P8): its bytes stand twice, none is lost
  openSeeds: [3602],
  replay: (seed) => `npm run sim:spaces -- --shrink ${seed}`,
})
