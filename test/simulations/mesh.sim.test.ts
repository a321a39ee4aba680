/** The mesh scenario over many seeds: real keepers on a simulated network, every property checked at every step. */
import { runMesh } from '../../simulations/mesh.sim.ts'
import { describeSimulation } from '../support/simulation-suite.ts'

describeSimulation({
  scenario: 'mesh',
  run: runMesh,
  seedCount: 2_000,
  seedsPerTest: 250,
  repeatedCount: 100,
  timeoutMs: 300_000,
  replay: (seed) => `npm run sim -- --scenario mesh --seed ${seed} --verbose`,
})
