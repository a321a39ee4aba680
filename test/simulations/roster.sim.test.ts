/** The roster scenario: real signed statements over real keepers, with removals and new keys under partition. */
import { runRoster } from '../../simulations/roster.sim.ts'
import { describeSimulation } from '../support/simulation-suite.ts'

describeSimulation({
  scenario: 'roster',
  run: runRoster,
  seedCount: 40,
  seedsPerTest: 40,
  repeatedCount: 4,
  timeoutMs: 180_000,
  replay: (seed) => `npm run sim -- --scenario roster --seed ${seed} --verbose`,
})
