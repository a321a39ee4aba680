/** Jittered exponential back-off as a pure function: state is the attempt number. */
import type { Random } from './random.ts'

export interface BackoffOptions {
  readonly firstMs: number
  readonly maxMs: number
}

/**
 * Delay before attempt `attempt` (0 = the first retry): doubling from `firstMs` up to `maxMs`, then scaled by
 * 0.5..1 at random so that peers cut off together do not come back together.
 */
export function backoffMs(attempt: number, options: BackoffOptions, random: Random): number {
  const ceiling = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt, 30))
  return ceiling * (0.5 + random.float() / 2)
}
