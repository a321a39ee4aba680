/**
 * Cuts a failing history shorter while it still fails in the same way: whole phases, then steps, then faults, devices and
 * habits of disks, again and again until nothing can go any more.
 */
import type { History, Phase, Step } from './history.ts'

export interface Shrunk {
  readonly history: History
  readonly runs: number
}

/** @param fails whether a history fails in the way that matters. @param runsMax bounds the time it takes. */
export async function shrinkHistory(
  history: History,
  fails: (history: History) => Promise<boolean>,
  runsMax: number,
): Promise<Shrunk> {
  let best = history
  let runs = 0
  for (let hasShrunk = true; hasShrunk && runs < runsMax;) {
    hasShrunk = false
    for (const candidate of candidatesOf(best)) {
      if (runs++ >= runsMax) break
      if (!(await fails(candidate))) continue
      best = candidate
      hasShrunk = true
      break
    }
  }
  return { history: best, runs }
}

const without = <T>(list: readonly T[], index: number): readonly T[] => list.toSpliced(index, 1)

function* candidatesOf(history: History): Generator<History> {
  const { phases, before, disks } = history
  for (const index of phases.keys()) yield { ...history, phases: without(phases, index) }
  if (before.length > 1) yield { ...history, before: [] }
  for (const [index, phase] of phases.entries()) {
    for (const shorter of shorterPhases(phase)) yield { ...history, phases: phases.with(index, shorter) }
  }
  for (const index of before.keys()) yield { ...history, before: without(before, index) }
  const last = disks.length - 1
  if (disks.length > 2 && !usesDevice(history, last)) yield { ...history, disks: disks.slice(0, -1) }
  const plain = { caseInsensitive: false, decomposes: false, mtimeStepNs: 1n, slowRate: 0, slowMs: 0 }
  for (const [index, habits] of disks.entries()) {
    if (
      Object.entries(plain).some(([name, value]) => name !== 'slowMs' && Reflect.get(habits, name) !== value)
    )
      yield { ...history, disks: disks.with(index, plain) }
  }
  const { weather } = history
  if (weather.jitterMs + weather.lossRate > 0)
    yield { ...history, weather: { ...weather, jitterMs: 0, lossRate: 0 } }
}

function usesDevice({ phases, before }: History, device: number): boolean {
  const steps = [...before, ...phases.flatMap((phase) => phase.steps)]
  const isNamed = ({ fault }: Step): boolean =>
    fault !== undefined && 'other' in fault && fault.other === device
  return (
    steps.some((step) => step.device === device || isNamed(step)) ||
    phases.some(({ apart }) => apart.includes(device))
  )
}

function* shorterPhases(phase: Phase): Generator<Phase> {
  const { steps, apart } = phase
  if (steps.length > 3) {
    yield { ...phase, steps: steps.slice(0, steps.length >> 1) }
    yield { ...phase, steps: steps.slice(steps.length >> 1) }
  }
  for (const index of steps.keys()) yield { ...phase, steps: without(steps, index) }
  if (apart.length > 0) yield { ...phase, apart: [] }
  for (const [index, step] of steps.entries()) {
    if (step.fault !== undefined && step.act !== undefined) {
      yield { ...phase, steps: steps.with(index, { ...step, fault: undefined }) }
      yield { ...phase, steps: steps.with(index, { ...step, act: undefined }) }
    }
  }
}
