/**
 * Differences between two sequences of line numbers: Myers' O(ND) in linear space (An O(ND) Difference Algorithm, 1986,
 * section 4b), after lines that only one side has are set aside. Bounded by a budget of steps, not by a clock, so that
 * every device comes to the same answer. Hunks that could stand at several places stand at the last one, and say how far
 * up they could go: who merges keeps clear of all of it.
 */

/** Work that may still be done; one step is one comparison or one diagonal. */
export interface Steps {
  left: number
}

/** base[baseStart, baseEnd) became side[sideStart, sideEnd); between two hunks at least one line is unchanged. */
export interface Hunk {
  readonly baseStart: number
  readonly baseEnd: number
  readonly sideStart: number
  readonly sideEnd: number
  /** The first line of the base that it could begin at and mean the same. */
  readonly reachStart: number
}

/** @returns hunks in order, or undefined when the steps are used up. */
export function diffLines(base: Int32Array, side: Int32Array, steps: Steps): readonly Hunk[] | undefined {
  const changedInBase = new Uint8Array(base.length)
  const changedInSide = new Uint8Array(side.length)
  const left = sharedOnly(base, side, changedInBase)
  const right = sharedOnly(side, base, changedInSide)
  steps.left -= base.length + side.length
  const search = new MiddleSearch(left.lines, right.lines, steps)
  const isDone = search.run(
    (at) => (changedInBase[left.places[at] ?? 0] = 1),
    (at) => (changedInSide[right.places[at] ?? 0] = 1),
  )
  if (!isDone) return undefined
  return settle(base, side, collectHunks(changedInBase, changedInSide))
}

/** Lines that the other side has none of are changed for certain; the rest is what has to be searched. */
function sharedOnly(
  lines: Int32Array,
  other: Int32Array,
  changed: Uint8Array,
): { readonly lines: Int32Array; readonly places: Int32Array } {
  const there = new Set(other)
  const kept = new Int32Array(lines.length)
  const places = new Int32Array(lines.length)
  let count = 0
  for (const [at, line] of lines.entries()) {
    if (there.has(line)) {
      kept[count] = line
      places[count++] = at
    } else changed[at] = 1
  }
  return { lines: kept.subarray(0, count), places: places.subarray(0, count) }
}

interface Box {
  readonly a0: number
  readonly a1: number
  readonly b0: number
  readonly b1: number
}

/** Splits the box where a shortest way from its start meets one from its end, until nothing but changes is left. */
class MiddleSearch {
  private readonly a: Int32Array
  private readonly b: Int32Array
  private readonly steps: Steps
  private readonly forward: Int32Array
  private readonly backward: Int32Array

  constructor(a: Int32Array, b: Int32Array, steps: Steps) {
    this.a = a
    this.b = b
    this.steps = steps
    this.forward = new Int32Array(a.length + b.length + 4)
    this.backward = new Int32Array(a.length + b.length + 4)
  }

  run(onlyInA: (at: number) => void, onlyInB: (at: number) => void): boolean {
    const waiting: Box[] = [{ a0: 0, a1: this.a.length, b0: 0, b1: this.b.length }]
    for (let box = waiting.pop(); box !== undefined; box = waiting.pop()) {
      const { a0, a1, b0, b1 } = this.trim(box)
      const meeting = a0 < a1 && b0 < b1 ? this.meet({ a0, a1, b0, b1 }) : undefined
      if (this.steps.left < 0) return false
      if (meeting === undefined) {
        for (let at = a0; at < a1; at++) onlyInA(at)
        for (let at = b0; at < b1; at++) onlyInB(at)
      } else {
        const { x, y } = meeting
        waiting.push({ a0: x, a1, b0: y, b1 }, { a0, a1: x, b0, b1: y })
      }
    }
    return true
  }

  private trim({ a0, a1, b0, b1 }: Box): Box {
    const { a, b } = this
    while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) {
      a0++
      b0++
    }
    while (a0 < a1 && b0 < b1 && a[a1 - 1] === b[b1 - 1]) {
      a1--
      b1--
    }
    return { a0, a1, b0, b1 }
  }

  /** @returns undefined when the box has no line in common, or the steps are used up. */
  private meet({ a0, a1, b0, b1 }: Box): { readonly x: number; readonly y: number } | undefined {
    const { a, b, forward, backward } = this
    const n = a1 - a0
    const m = b1 - b0
    const most = Math.ceil((n + m) / 2)
    const middle = most + 1
    forward.fill(-1, 0, 2 * most + 3)
    backward.fill(-1, 0, 2 * most + 3)
    forward[middle + 1] = 0
    backward[middle + 1] = 0
    const delta = n - m
    const isOdd = delta % 2 !== 0
    // Diagonals that ran off the box at either end are not followed any more
    const skip = { forwardLow: 0, forwardHigh: 0, backwardLow: 0, backwardHigh: 0 }
    const far = (way: Int32Array, d: number, k: number): number => {
      const below = way[middle + k - 1] ?? -1
      const above = way[middle + k + 1] ?? -1
      return k === -d || (k !== d && below < above) ? above : below + 1
    }
    for (let d = 0; d <= most; d++) {
      this.steps.left -= 2 * d + 2
      if (this.steps.left < 0) return undefined
      for (let k = -d + skip.forwardLow; k <= d - skip.forwardHigh; k += 2) {
        let x = far(forward, d, k)
        const from = x
        while (x < n && x - k < m && a[a0 + x] === b[b0 + x - k]) x++
        this.steps.left -= x - from
        forward[middle + k] = x
        if (x > n) skip.forwardHigh += 2
        else if (x - k > m) skip.forwardLow += 2
        else if (isOdd && Math.abs(delta - k) <= most) {
          const other = backward[middle + delta - k] ?? -1
          if (other !== -1 && x >= n - other) return { x: a0 + x, y: b0 + x - k }
        }
      }
      for (let k = -d + skip.backwardLow; k <= d - skip.backwardHigh; k += 2) {
        let x = far(backward, d, k)
        const from = x
        while (x < n && x - k < m && a[a1 - 1 - x] === b[b1 - 1 - x + k]) x++
        this.steps.left -= x - from
        backward[middle + k] = x
        if (x > n) skip.backwardHigh += 2
        else if (x - k > m) skip.backwardLow += 2
        else if (!isOdd && Math.abs(delta - k) <= most) {
          const other = forward[middle + delta - k] ?? -1
          if (other !== -1 && other >= n - x) return { x: a0 + other, y: b0 + other - (delta - k) }
        }
      }
    }
    return undefined
  }
}

type BareHunk = Omit<Hunk, 'reachStart'>

function collectHunks(changedInBase: Uint8Array, changedInSide: Uint8Array): BareHunk[] {
  const hunks: BareHunk[] = []
  let base = 0
  let side = 0
  while (base < changedInBase.length || side < changedInSide.length) {
    const baseStart = base
    const sideStart = side
    while (changedInBase[base] === 1) base++
    while (changedInSide[side] === 1) side++
    if (base > baseStart || side > sideStart)
      hunks.push({ baseStart, baseEnd: base, sideStart, sideEnd: side })
    base++
    side++
  }
  return hunks
}

/** Moves each hunk down as far as it means the same, from the last to the first; those that come to touch are one. */
function settle(base: Int32Array, side: Int32Array, hunks: readonly BareHunk[]): readonly Hunk[] {
  const settled: Hunk[] = []
  for (const hunk of hunks.toReversed()) {
    let { baseStart, baseEnd, sideStart, sideEnd } = hunk
    let next = settled.at(-1)
    while (baseEnd < (next?.baseStart ?? base.length) && canMove(base, baseStart, baseEnd)) {
      if (!canMove(side, sideStart, sideEnd)) break
      baseStart++
      baseEnd++
      sideStart++
      sideEnd++
    }
    if (next !== undefined && next.baseStart === baseEnd) {
      settled.pop()
      baseEnd = next.baseEnd
      sideEnd = next.sideEnd
      next = settled.at(-1)
    }
    settled.push({ baseStart, baseEnd, sideStart, sideEnd, reachStart: baseStart })
  }
  settled.reverse()
  return settled.map((hunk, index) => ({
    ...hunk,
    reachStart: reachOf(base, side, hunk, settled[index - 1]),
  }))
}

/** A run can move down by a line when the line after it equals its first. An empty run can go anywhere. */
const canMove = (lines: Int32Array, start: number, end: number): boolean =>
  start === end || lines[start] === lines[end]

function reachOf(base: Int32Array, side: Int32Array, hunk: Hunk, before: Hunk | undefined): number {
  let { baseStart, baseEnd, sideStart, sideEnd } = hunk
  while (baseStart > (before?.baseEnd ?? 0)) {
    if (!canMove(base, baseStart - 1, baseEnd - 1) || !canMove(side, sideStart - 1, sideEnd - 1)) break
    baseStart--
    baseEnd--
    sideStart--
    sideEnd--
  }
  return baseStart
}
