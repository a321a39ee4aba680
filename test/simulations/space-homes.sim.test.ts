/** Homes put back from backups, and documents with what is no record: the third family of histories. */
import { runSpaceHomes } from '../../simulations/spaces.sim.ts'
import { describeSimulation } from '../support/simulation-suite.ts'

describeSimulation({
  scenario: 'homes',
  run: (seed) => runSpaceHomes(seed),
  /** About 12 CPU seconds. */
  seedCount: 300,
  seedsPerTest: 150,
  repeatedCount: 10,
  timeoutMs: 300_000,
  replay: (seed) => `npm run sim:spaces -- --family homes --shrink ${seed}`,
})
