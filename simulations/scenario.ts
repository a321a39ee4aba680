/** What a scenario gives back: the hash that names the run, and what went wrong with the last notes before it. */
import type { WorldOptions } from './world.ts'

export interface SimulationResult {
  readonly seed: number
  readonly hash: string
  readonly failure: string | undefined
  readonly notes: readonly string[]
  /** What was there at the end, for scenarios in which that may not depend on how. */
  readonly shown?: string
}

export type Scenario = (seed: number, options?: WorldOptions) => Promise<SimulationResult>
