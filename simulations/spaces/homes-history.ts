/**
 * The third family of histories, `spaces-homes`: a history of the first family (history.ts) in which a device's home is put back
 * from a backup made earlier, while its folder and the other devices went on; and in which a device whose program is wrong
 * writes into the documents what is no record. Drawn from a stream of its own, so that other families keep their meaning.
 */
import { createSeededRandom, type Random, randomBelow } from '../../src/base/random.ts'
import { drawHistory, type Fault, type History, type HistoryOptions, type Step } from './history.ts'

/** Makes another stream of the same seed. */
const streamOf = (seed: number): number => (seed ^ 0x1b87_3593) >>> 0

export function drawHomesHistory(seed: number, options: HistoryOptions = {}): History {
  const base = drawHistory(seed, options)
  const random = createSeededRandom(streamOf(seed))
  const habits = { backups: random.float() < 0.7, garbage: random.float() < 0.6 }
  const draw = (step: Step): Step =>
    step.fault === undefined && random.float() < 0.3 ? { ...step, fault: faultOf(random, habits) } : step
  return { ...base, phases: base.phases.map((phase) => ({ ...phase, steps: phase.steps.map(draw) })) }
}

function faultOf(random: Random, habits: { backups: boolean; garbage: boolean }): Fault | undefined {
  const lot = random.float()
  if (habits.garbage && (lot < 0.4 || !habits.backups))
    return { kind: 'scribble', lots: [random.float(), random.float(), random.float()] }
  if (!habits.backups) return undefined
  return lot < 0.65 ? { kind: 'back-up' } : { kind: 'restore', downMs: 50 + randomBelow(random, 2_000) }
}
