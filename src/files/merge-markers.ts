/**
 * Puts versions of a text together for a person to finish: what does not overlap is merged, the rest stands between
 * markers as git writes them (https://git-scm.com/docs/git-merge, "How conflicts are presented", diff3 style). Unlike
 * merge-text.ts, whose result nobody looks at, edits right beside each other are only marked, never refused. Pure.
 */
import { diffLines, type Hunk, type Steps } from './line-diff.ts'
import { numberLines, splitLines } from './merge-text.ts'

export interface MarkedSide {
  /** Who wrote it: one line. */
  readonly label: string
  readonly text: string
}

export interface MarkedMerge {
  readonly text: string
  /** Places that a person has to decide. */
  readonly markerCount: number
}

const [opening, original, divider, closing] = ['<<<<<<<', '|||||||', '=======', '>>>>>>>']

/**
 * @param base what all sides come from; without it every difference is marked.
 * @param sides two or more; the first is the one that has the file's name.
 * @returns undefined when the steps are used up.
 */
export function mergeWithMarkers(
  base: string | undefined,
  sides: readonly MarkedSide[],
  steps: Steps,
): MarkedMerge | undefined {
  const [first, ...others] = sides
  let merged: MarkedMerge = { text: first?.text ?? '', markerCount: 0 }
  let label = first?.label ?? ''
  for (const other of others) {
    const next = mergeTwo(base, [{ label, text: merged.text }, other], steps)
    if (next === undefined) return undefined
    merged = { text: next.text, markerCount: merged.markerCount + next.markerCount }
    label = `${label}, ${other.label}`
  }
  return merged
}

/** The number of the first line that looks like a marker, from 1; undefined when there is none. */
export function findMarker(text: string): number | undefined {
  const index = text
    .split('\n')
    .findIndex((line) => line.startsWith(`${opening} `) || line.startsWith(`${closing} `))
  return index < 0 ? undefined : index + 1
}

function mergeTwo(
  base: string | undefined,
  sides: readonly [MarkedSide, MarkedSide],
  steps: Steps,
): MarkedMerge | undefined {
  const numbers = new Map<string, number>()
  const [left, right] = sides.map(({ text }) => splitLines(text))
  const origin = base === undefined ? undefined : splitLines(base)
  if (left === undefined || right === undefined) return undefined
  const lines = { left, right, origin: origin ?? left }
  const codes = numberLines(lines.origin, numbers)
  const ofLeft = origin === undefined ? [] : diffLines(codes, numberLines(left, numbers), steps)
  const ofRight = diffLines(codes, numberLines(right, numbers), steps)
  if (ofLeft === undefined || ofRight === undefined) return undefined
  const out: string[] = []
  let markerCount = 0
  let at = 0
  for (const chunk of chunksOf(ofLeft, ofRight)) {
    out.push(...lines.origin.slice(at, chunk.start))
    at = chunk.end
    const ours = left.slice(...chunk.left)
    const theirs = right.slice(...chunk.right)
    const isAlike = ours.join('') === theirs.join('')
    if (origin !== undefined && (chunk.by === 'right' || isAlike)) out.push(...theirs)
    else if (origin !== undefined && chunk.by === 'left') out.push(...ours)
    else {
      markerCount++
      out.push(`${opening} ${sides[0].label}\n`, ...ended(ours))
      if (origin !== undefined)
        out.push(`${original} before\n`, ...ended(origin.slice(chunk.start, chunk.end)))
      out.push(`${divider}\n`, ...ended(theirs), `${closing} ${sides[1].label}\n`)
    }
  }
  out.push(...lines.origin.slice(at))
  return { text: out.join(''), markerCount }
}

interface Chunk {
  /** Lines of the origin. */
  readonly start: number
  readonly end: number
  readonly by: 'left' | 'right' | 'both'
  readonly left: readonly [number, number]
  readonly right: readonly [number, number]
}

/** Hunks of both sides that overlap or touch belong together. */
function chunksOf(ofLeft: readonly Hunk[], ofRight: readonly Hunk[]): readonly Chunk[] {
  const all = [
    ...ofLeft.map((hunk) => ({ hunk, isLeft: true })),
    ...ofRight.map((hunk) => ({ hunk, isLeft: false })),
  ].sort((a, b) => a.hunk.baseStart - b.hunk.baseStart || a.hunk.baseEnd - b.hunk.baseEnd)
  const chunks: Chunk[] = []
  const shift = { left: 0, right: 0 }
  for (let index = 0; index < all.length;) {
    const first = all[index]
    if (first === undefined) break
    const start = first.hunk.baseStart
    let end = first.hunk.baseEnd
    const grown = { left: 0, right: 0 }
    const by = { left: false, right: false }
    for (let one = first; one !== undefined && one.hunk.baseStart <= end;) {
      const { hunk, isLeft } = one
      end = Math.max(end, hunk.baseEnd)
      grown[isLeft ? 'left' : 'right'] += hunk.sideEnd - hunk.sideStart - (hunk.baseEnd - hunk.baseStart)
      by[isLeft ? 'left' : 'right'] = true
      const next = all[++index]
      if (next === undefined) break
      one = next
    }
    const range = (side: 'left' | 'right'): readonly [number, number] => [
      start + shift[side],
      end + shift[side] + grown[side],
    ]
    const who = by.left && by.right ? 'both' : by.left ? 'left' : 'right'
    chunks.push({ start, end, by: who, left: range('left'), right: range('right') })
    shift.left += grown.left
    shift.right += grown.right
  }
  return chunks
}

/** A marker begins a line of its own, also after a last line without an end. */
const ended = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => (line.endsWith('\n') ? line : `${line}\n`))
