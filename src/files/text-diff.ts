/** How two texts differ, for a person: runs of changed lines with three around them, as in a unified diff. Pure, bounded. */
import { limits } from '../base/limits.ts'
import { diffLines } from './line-diff.ts'
import { numberLines, splitLines } from './merge-text.ts'

/** First character of a line: ` ` in both, `-` in the old text alone, `+` in the new one alone. No line ends. */
export interface TextHunk {
  /** From 1. */
  readonly oldStart: number
  readonly newStart: number
  readonly lines: readonly string[]
}

export interface TextDiff {
  readonly hunks: readonly TextHunk[]
  /** Lines, or parts of long ones, were left out. */
  readonly isCut: boolean
}

const context = 3

/** @param maxLines of all hunks together. @returns undefined when the texts are too different to be compared. */
export function diffTexts(
  before: string,
  after: string,
  maxLines: number = limits.diffLines,
): TextDiff | undefined {
  const [oldLines, newLines] = [splitLines(before), splitLines(after)]
  const numbers = new Map<string, number>()
  const codes = numberLines(oldLines, numbers)
  const changes = diffLines(codes, numberLines(newLines, numbers), { left: limits.mergeSteps })
  if (changes === undefined) return undefined
  const hunks: { oldStart: number; newStart: number; lines: string[] }[] = []
  let [oldAt, left, isCut] = [0, maxLines, false]
  const say = (sign: string, line: string): void => {
    if (left-- <= 0) {
      isCut = true
      return
    }
    const text = line.replace(/\r?\n$/, '')
    isCut ||= text.length > limits.diffLineLength
    hunks.at(-1)?.lines.push(sign + text.slice(0, limits.diffLineLength).toWellFormed())
  }
  for (const [index, change] of changes.entries()) {
    const start = Math.max(oldAt, change.baseStart - context)
    const isApart = hunks.length === 0 || start > oldAt
    if (left > 0 && isApart) {
      const newStart = change.sideStart - (change.baseStart - start)
      hunks.push({ oldStart: start + 1, newStart: newStart + 1, lines: [] })
    }
    const after = changes[index + 1]?.baseStart ?? oldLines.length
    const end = Math.min(oldLines.length, change.baseEnd + context, after)
    for (const line of oldLines.slice(start, change.baseStart)) say(' ', line)
    for (const line of oldLines.slice(change.baseStart, change.baseEnd)) say('-', line)
    for (const line of newLines.slice(change.sideStart, change.sideEnd)) say('+', line)
    for (const line of oldLines.slice(change.baseEnd, end)) say(' ', line)
    oldAt = end
  }
  return { hunks, isCut }
}

/** @returns undefined for what is no UTF-8 text of at most limits.mergeBytes. */
export function readText(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength > limits.mergeBytes || bytes.includes(0)) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    // because: `fatal` has no other way to say that it is not UTF-8
    return undefined
  }
}
