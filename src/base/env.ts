/** The ambient world as one value: time, chance, logs, numbers. First parameter of everything that needs them. */
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import { silentLog } from './log.ts'
import type { Metrics } from './metrics.ts'
import { noMetrics } from './metrics.ts'
import type { Random } from './random.ts'
import { createSystemClock } from './system-clock.ts'
import { createSystemRandom } from './system-random.ts'

export interface Env {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** The real world, with what `parts` replaces. */
export function createSystemEnv(parts: Partial<Env> = {}): Env {
  return {
    clock: parts.clock ?? createSystemClock(),
    random: parts.random ?? createSystemRandom(),
    log: parts.log ?? silentLog,
    metrics: parts.metrics ?? noMetrics,
  }
}

/** The same world under a log scope. */
export function withLogScope(env: Env, scope: string): Env {
  return { ...env, log: env.log.child(scope) }
}
