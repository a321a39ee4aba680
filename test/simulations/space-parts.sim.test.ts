/** Devices that take a part of a space, folders put aside, silent damage and ignore rules: the further family of histories. */
import { runSpaceParts } from '../../simulations/spaces.sim.ts'
import { describeSimulation } from '../support/simulation-suite.ts'

describeSimulation({
  scenario: 'parts',
  run: (seed) => runSpaceParts(seed),
  /** About 30 CPU seconds. */
  seedCount: 300,
  seedsPerTest: 100,
  repeatedCount: 10,
  timeoutMs: 300_000,
  replay: (seed) => `npm run sim:spaces -- --family parts --shrink ${seed}`,
})
