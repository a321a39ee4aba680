/**
 * Merges what several writers made of one text, line by line (diff3; Khanna, Kunal, Pierce 2007). Only edits that keep at
 * least one unchanged line between them are put together: there the result holds every edit and invents nothing.
 * Everything closer is a conflict. The result depends on the base and the set of sides alone, not on their order.
 * Never by characters: that turns 30 -> 45 against 30 -> 60 into 645.
 */
import { diffLines, type Hunk, type Steps } from './line-diff.ts'

export type TextMerge =
  | { readonly kind: 'merged'; readonly text: string }
  | { readonly kind: 'conflict' }
  /** The sides are too different to be compared in the steps given. */
  | { readonly kind: 'exhausted' }

const conflict: TextMerge = { kind: 'conflict' }

/** @param steps are used up as the work goes on. */
export function mergeText(base: string, sides: readonly string[], steps: Steps): TextMerge {
  const changed = distinctSides(base, sides)
  const [only] = changed
  if (only === undefined) return { kind: 'merged', text: base }
  if (changed.length === 1) return { kind: 'merged', text: only }
  const numbers = new Map<string, number>()
  const baseLines = splitLines(base)
  const baseNumbers = numberLines(baseLines, numbers)
  const edits: Edit[] = []
  for (const [index, side] of changed.entries()) {
    const lines = splitLines(side)
    const hunks = diffLines(baseNumbers, numberLines(lines, numbers), steps)
    if (hunks === undefined) return { kind: 'exhausted' }
    for (const hunk of hunks) edits.push(toEdit(hunk, lines, index))
  }
  const combined = combine(edits)
  if (combined === undefined || !keepApart(combined, changed.length)) return conflict
  const merged = applyEdits(baseLines, combined)
  // A last line without an end can only be last: anything after it would be glued to it
  const isSound = merged.every((line, index) => index === merged.length - 1 || line.endsWith('\n'))
  return isSound ? { kind: 'merged', text: merged.join('') } : conflict
}

/** Sides that say something, each once, in an order that does not depend on who asks. */
export const distinctSides = (base: string, sides: readonly string[]): readonly string[] =>
  [...new Set(sides)].filter((side) => side !== base).sort()

/** Lines with their ends, so that joining them gives the text again, whatever ends it uses. */
export function splitLines(text: string): readonly string[] {
  const lines: string[] = []
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start)
    const next = end === -1 ? text.length : end + 1
    lines.push(text.slice(start, next))
    start = next
  }
  return lines
}

/** The same number for the same line. */
export function numberLines(lines: readonly string[], numbers: Map<string, number>): Int32Array {
  const out = new Int32Array(lines.length)
  for (const [index, line] of lines.entries()) {
    let number = numbers.get(line)
    if (number === undefined) {
      number = numbers.size
      numbers.set(line, number)
    }
    out[index] = number
  }
  return out
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly reachStart: number
  readonly lines: readonly string[]
  readonly sides: readonly number[]
}

const toEdit = (hunk: Hunk, lines: readonly string[], side: number): Edit => ({
  start: hunk.baseStart,
  end: hunk.baseEnd,
  reachStart: hunk.reachStart,
  lines: lines.slice(hunk.sideStart, hunk.sideEnd),
  sides: [side],
})

/** In order of the base; what several sides did alike is one edit. @returns undefined when two differ at one place. */
function combine(edits: Edit[]): readonly Edit[] | undefined {
  edits.sort((a, b) => a.start - b.start || a.end - b.end)
  const combined: Edit[] = []
  for (const edit of edits) {
    const last = combined.at(-1)
    if (last === undefined || last.start !== edit.start || last.end !== edit.end) {
      combined.push(edit)
      continue
    }
    if (last.lines.length !== edit.lines.length || last.lines.some((line, at) => line !== edit.lines[at]))
      return undefined
    const reachStart = Math.min(last.reachStart, edit.reachStart)
    combined[combined.length - 1] = { ...last, reachStart, sides: [...last.sides, ...edit.sides] }
  }
  return combined
}

/** At least one unchanged line between edits of different sides, wherever an edit that could stand elsewhere stands. */
function keepApart(edits: readonly Edit[], sideCount: number): boolean {
  const lastOf: (Edit | undefined)[] = Array.from({ length: sideCount })
  for (const edit of edits) {
    for (const before of lastOf) {
      if (before === undefined || before.sides.some((side) => edit.sides.includes(side))) continue
      if (edit.reachStart <= before.end) return false
    }
    for (const side of edit.sides) lastOf[side] = edit
  }
  return true
}

function applyEdits(base: readonly string[], edits: readonly Edit[]): readonly string[] {
  const out: string[] = []
  const copy = (from: readonly string[], start: number, end: number): void => {
    for (let index = start; index < end; index++) out.push(from[index] ?? '')
  }
  let at = 0
  for (const { start, end, lines } of edits) {
    copy(base, at, start)
    copy(lines, 0, lines.length)
    at = end
  }
  copy(base, at, base.length)
  return out
}
