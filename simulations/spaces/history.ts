/**
 * What happens in one simulated space, as plain data drawn from a seed: who is there, on which disks, what each person does
 * and what breaks, in phases that each end with everything healed. Which kinds of acts and faults occur is drawn as well
 * (swarm testing, Groce et al. 2012). Being data, a failing history can be cut shorter (shrink.ts).
 */
import { createSeededRandom, type Random, randomBelow } from '../../src/base/random.ts'
import type { PartRules } from '../../src/files/folder-part.ts'
import type { NetworkWeather } from '../world.ts'
import type { CrashKind, DiskHabits } from './device.ts'
import { type DevicePart, describePart } from './device-part.ts'
import { actKinds, type ActKind, drawAct, type UserAct } from './user.ts'

export type Fault =
  | { readonly kind: 'cut'; readonly other: number; readonly forMs: number }
  | { readonly kind: 'isolate'; readonly forMs: number }
  | { readonly kind: 'reset'; readonly other: number }
  | {
      readonly kind: 'crash'
      readonly how: CrashKind
      /** Changes of disk and store that are still made. */
      readonly afterChanges: number
      readonly downMs: number
    }
  | { readonly kind: 'restart'; readonly downMs: number }
  | { readonly kind: 'freeze'; readonly forMs: number }
  | {
      readonly kind: 'errors'
      readonly code: 'disk.failed' | 'disk.full'
      readonly rate: number
      readonly forMs: number
    }
  | { readonly kind: 'store-fails' }
  | { readonly kind: 'deaf'; readonly forMs: number }
  | { readonly kind: 'unmount'; readonly forMs: number }
  | { readonly kind: 'clock'; readonly byMs: number }
  | { readonly kind: 'pause'; readonly forMs: number }
  | PartFault
  | HomeFault

/** Of the further family alone (parts-history.ts). */
export type PartFault =
  /** The device takes another part of the space from now on. */
  | { readonly kind: 'rules'; readonly rules: PartRules }
  /** The folder is closed, while the document goes on being synced. */
  | { readonly kind: 'shelve'; readonly forMs: number }
  /** The disk changes a byte of some file by itself; the device begins to look for such things. */
  | { readonly kind: 'damage'; readonly lot: number }
  /** What was changed here and is not sent is taken back. */
  | { readonly kind: 'revert' }
  | { readonly kind: 'stop-scrub' }

/** Of the third family alone (homes-history.ts). */
export type HomeFault =
  | { readonly kind: 'back-up' }
  /** The home is that of the last backup again, the folder stays as it is. */
  | { readonly kind: 'restore'; readonly downMs: number }
  /** Writes what is no record. */
  | { readonly kind: 'scribble'; readonly lots: readonly [number, number, number] }

type FirstFaultKind = Exclude<Fault['kind'], (PartFault | HomeFault)['kind']>

export interface Step {
  readonly afterMs: number
  readonly device: number
  readonly act: UserAct | undefined
  readonly fault: Fault | undefined
}

export interface Phase {
  /** 'alone': after each act everything comes to rest, and every device must show what the acting one showed. */
  readonly kind: 'alone' | 'together'
  /** Devices cut off from all others for the whole phase. */
  readonly apart: readonly number[]
  readonly steps: readonly Step[]
}

export interface History {
  readonly seed: number
  readonly disks: readonly DiskHabits[]
  readonly weather: NetworkWeather
  readonly hasTightBrake: boolean
  readonly sweepMs: number
  /** From so many new files at once on one note stands for the sync of each. */
  readonly noteFrom: number
  /** Spellings of names that some disks take for one. */
  readonly hasSpellings: boolean
  /** Done before the devices first meet. */
  readonly before: readonly Step[]
  readonly phases: readonly Phase[]
  /** Virtual time at the end in which nothing may happen any more. */
  readonly quietMs: number
  /** By device: of the further family. */
  readonly parts?: readonly DevicePart[] | undefined
  /** The first device has a `.skeinignore` before the devices meet; what it says is left out by all. */
  readonly hasIgnoreRules?: boolean
}

export interface HistoryOptions {
  readonly peers?: number | undefined
}

/** Mostly small: what goes wrong between devices goes wrong between two or three. */
const peerCounts = [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 5, 8]
const faultKinds: readonly FirstFaultKind[] = [
  'cut',
  'isolate',
  'reset',
  'crash',
  'crash',
  'restart',
  'freeze',
  'errors',
  'store-fails',
  'deaf',
  'unmount',
  'clock',
  'pause',
]
/** Always possible: a history needs files. */
const basicActs: readonly ActKind[] = ['create', 'edit', 'make-directory']

export function drawHistory(seed: number, options: HistoryOptions = {}): History {
  const random = createSeededRandom(seed)
  const draw = new Drawing(random, options.peers ?? pick(random, peerCounts))
  return draw.history(seed)
}

class Drawing {
  private readonly random: Random
  private readonly peers: number
  private readonly acts: readonly ActKind[]
  private readonly faults: readonly FirstFaultKind[]
  private labels = 0

  constructor(random: Random, peers: number) {
    this.random = random
    this.peers = peers
    this.acts = [...basicActs, ...actKinds.filter(() => random.float() < 0.5)]
    this.faults = faultKinds.filter(() => random.float() < 0.25)
  }

  history(seed: number): History {
    const { random, peers } = this
    const hasSpellings = random.float() < 0.15
    const disks = Array.from({ length: peers }, (): DiskHabits => {
      const isPlain = !hasSpellings || random.float() < 0.4
      return {
        caseInsensitive: !isPlain && random.float() < 0.7,
        decomposes: !isPlain && random.float() < 0.4,
        mtimeStepNs: random.float() < 0.1 ? 1_000_000_000n : 1n,
        slowRate: pick(random, [0, 0, 0, 0.03, 0.15]),
        slowMs: pick(random, [2, 20, 80]),
      }
    })
    const weather = {
      latencyMs: pick(random, [0.2, 1, 5, 40]),
      jitterMs: pick(random, [0, 1, 20]),
      lossRate: pick(random, [0, 0, 0.05]),
    }
    return {
      seed,
      disks,
      weather,
      hasTightBrake: random.float() < 0.1,
      sweepMs: this.faults.includes('deaf') ? 5_000 : 600_000,
      // Not drawn: what a seed means stays
      noteFrom: seed % 2 === 0 ? 1 : 4,
      hasSpellings,
      before: Array.from({ length: pick(random, [0, 0, 3, 6]) }, () => this.step(0)),
      phases: Array.from({ length: pick(random, [1, 1, 1, 2, 2, 3]) }, () => this.phase()),
      quietMs: random.float() < 0.05 ? 660_000 : 5_000,
    }
  }

  private phase(): Phase {
    const { random } = this
    if (random.float() < 0.35) {
      const steps = Array.from({ length: 1 + randomBelow(random, 3) }, () =>
        this.step(0, random.float() < 0.3),
      )
      return { kind: 'alone', apart: [], steps }
    }
    const apart = random.float() < 0.5 ? [randomBelow(random, this.peers)] : []
    const steps = Array.from({ length: 3 + randomBelow(random, 8) }, () => this.step(undefined, true))
    return { kind: 'together', apart, steps }
  }

  private step(afterMs?: number, mayFail = false): Step {
    const { random } = this
    const device = randomBelow(random, this.peers)
    const isFault = mayFail && this.faults.length > 0 && random.float() < 0.35
    const delayMs = afterMs ?? pick(random, [0, 0, 1, 5, 15, 60, 300, 1_500]) * random.float()
    const act = isFault && random.float() < 0.5 ? undefined : drawAct(random, this.label(), this.acts)
    return { afterMs: delayMs, device, act, fault: isFault ? this.fault(device) : undefined }
  }

  private label(): string {
    return `w${++this.labels}`
  }

  private fault(device: number): Fault {
    const { random } = this
    const forMs = random.float() * pick(random, [200, 1_500, 6_000])
    const other = (device + 1 + randomBelow(random, Math.max(1, this.peers - 1))) % this.peers
    const kind = pick(random, this.faults)
    switch (kind) {
      case 'cut':
        return { kind, other, forMs }
      case 'reset':
        return { kind, other }
      case 'crash':
        return {
          kind,
          how: random.float() < 0.5 ? 'kill' : 'power',
          afterChanges: randomBelow(random, pick(random, [1, 5, 20, 60])),
          downMs: 50 + forMs,
        }
      case 'restart':
        return { kind, downMs: 50 + forMs }
      case 'errors':
        return {
          kind,
          code: pick(random, ['disk.failed', 'disk.full'] as const),
          rate: pick(random, [0.02, 0.2, 1]),
          forMs,
        }
      case 'store-fails':
        return { kind }
      case 'clock':
        return { kind, byMs: (random.float() - 0.5) * pick(random, [4_000, 7_200_000, 20 * 86_400_000]) }
      case 'isolate':
      case 'freeze':
      case 'deaf':
      case 'unmount':
      case 'pause':
        return { kind, forMs }
    }
  }
}

function pick<T>(random: Random, from: readonly T[]): T {
  // because: every list here has entries
  return from[randomBelow(random, from.length)] as T
}

/** For a person. */
export function describeHistory(history: History): readonly string[] {
  const disks = history.disks.map((habits, index) => {
    const part = history.parts?.[index]
    const odd = [
      habits.caseInsensitive ? 'folds case' : '',
      habits.decomposes ? 'decomposes' : '',
      habits.mtimeStepNs > 1n ? 'whole seconds' : '',
      habits.slowRate > 0 ? `slow ${habits.slowRate} up to ${habits.slowMs} ms` : '',
      part === undefined ? '' : describePart(part),
    ].filter((one) => one !== '')
    return `d${index}${odd.length > 0 ? ` (${odd.join(', ')})` : ''}`
  })
  const lines = [`devices: ${disks.join(', ')}; network ${JSON.stringify(history.weather)}`]
  if (history.hasTightBrake) lines.push('a tight delete brake')
  if (history.hasIgnoreRules === true) lines.push('with a .skeinignore')
  const tell = (step: Step): string =>
    `  +${step.afterMs.toFixed(1)} ms d${step.device}: ${step.act === undefined ? '' : `${step.act.kind} ${step.act.label} `}${step.fault === undefined ? '' : JSON.stringify(step.fault)}`
  if (history.before.length > 0) lines.push('before they meet:', ...history.before.map(tell))
  for (const { kind, apart, steps } of history.phases) {
    const cut = apart.map((device) => `d${device}`).join(', ')
    lines.push(`${kind}${cut === '' ? '' : `, ${cut} cut off`}:`, ...steps.map(tell))
  }
  return lines
}
