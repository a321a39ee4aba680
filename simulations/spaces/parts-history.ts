/**
 * The further family of histories, `spaces-parts`: a history of the first family (history.ts) in which devices take a part of
 * the space only, change that, put the folder aside, and disks damage files in silence. Drawn from a stream of its own, so
 * that a seed of the first family goes on meaning what it meant.
 *
 * Either the first device keeps everything all the time, or nobody only receives: who is not to send anything may destroy the
 * last copy of something, and nobody would ever hear of it.
 */
import { createSeededRandom, type Random, randomBelow } from '../../src/base/random.ts'
import type { PartRules } from '../../src/files/folder-part.ts'
import type { DevicePart } from './device-part.ts'
import { drawHistory, type Fault, type History, type HistoryOptions, type Step } from './history.ts'

const partFaultKinds = ['rules', 'shelve', 'damage', 'revert', 'stop-scrub'] as const
type PartFaultKind = (typeof partFaultKinds)[number]

/** Names that acts give (user.ts). */
const patterns = ['a*', 'b*', '*.txt', '*.bin', '*.json', 'c', 'd/', 'same*', '/e*', '/a/'] as const
const plainDisk = { caseInsensitive: false, decomposes: false }
/** Makes another stream of the same seed. */
const streamOf = (seed: number): number => (seed ^ 0x70a2_7f11) >>> 0

export function drawPartsHistory(seed: number, options: HistoryOptions = {}): History {
  const base = drawHistory(seed, options)
  const random = createSeededRandom(streamOf(seed))
  const draw = new PartsDrawing(random, base)
  return draw.history()
}

class PartsDrawing {
  private readonly random: Random
  private readonly base: History
  private readonly hasAnchor: boolean
  private readonly kinds: readonly PartFaultKind[]

  constructor(random: Random, base: History) {
    this.random = random
    this.base = base
    this.hasAnchor = random.float() < 0.65
    this.kinds = partFaultKinds.filter(() => random.float() < 0.5)
  }

  history(): History {
    const { base, random } = this
    const parts = base.disks.map((_, index) => this.part(index))
    const phases = base.phases.map((phase) => ({
      ...phase,
      steps: phase.steps.map((step) => this.step(step, phase.kind === 'alone' ? 0.1 : 0.3)),
    }))
    return {
      ...base,
      disks: base.disks.map((disk) => ({ ...disk, ...plainDisk })),
      hasSpellings: false,
      phases,
      parts,
      hasIgnoreRules: random.float() < 0.25,
    }
  }

  private part(index: number): DevicePart {
    const lot = this.random.float()
    const mayReceive = this.hasAnchor && index > 0
    if (index === 0 && this.hasAnchor) return { rules: rulesOf(false, [], []), isGranted: false }
    if (mayReceive && lot < 0.15) return { rules: rulesOf(true, [], []), isGranted: true }
    return { rules: this.rules(mayReceive), isGranted: false }
  }

  private rules(mayReceive: boolean): PartRules {
    const { random } = this
    const isReadOnly = mayReceive && random.float() < 0.4
    const some = (): readonly string[] =>
      Array.from({ length: 1 + randomBelow(random, 2) }, () => pick(random, patterns))
    const lot = random.float()
    if (lot < 0.35) return rulesOf(isReadOnly, [], [])
    return lot < 0.75 ? rulesOf(isReadOnly, [], some()) : rulesOf(isReadOnly, some(), [])
  }

  private step(step: Step, rate: number): Step {
    const { random } = this
    const drawn = random.float() < rate ? this.fault(step.device) : undefined
    const fault = step.fault ?? drawn
    // A power cut takes rows along: what a disk damaged a moment before then passes for new
    const isCrash = fault?.kind === 'crash' && this.kinds.includes('damage')
    return { ...step, fault: isCrash ? { ...fault, how: 'kill' } : fault }
  }

  private fault(device: number): Fault | undefined {
    const { random } = this
    const forMs = random.float() * pick(random, [200, 1_500, 6_000])
    const kind = this.kinds.length === 0 ? undefined : pick(random, this.kinds)
    const isAnchor = device === 0 && this.hasAnchor
    switch (kind) {
      case 'rules':
        return isAnchor ? undefined : { kind, rules: this.rules(this.hasAnchor) }
      case 'shelve':
        return { kind, forMs }
      case 'damage':
        return { kind, lot: random.float() }
      case 'revert':
      case 'stop-scrub':
        return { kind }
      case undefined:
        return undefined
    }
  }
}

const rulesOf = (isReadOnly: boolean, only: readonly string[], except: readonly string[]): PartRules => ({
  isReadOnly,
  selection: { only, except },
})

function pick<T>(random: Random, from: readonly T[]): T {
  // because: every list here has entries
  return from[randomBelow(random, from.length)] as T
}
