/** Parts of a content, and what can be said of several of them. */
import { limits } from '../base/limits.ts'

export interface Range {
  readonly offset: number
  /** limits.blobRangeBytes at most, where it is asked for. */
  readonly length: number
}

/** Ranges that cover `offset` to `end`. */
export function* rangesOf(offset: number, end: number): Generator<Range> {
  for (let at = offset; at < end; at += limits.blobRangeBytes)
    yield { offset: at, length: Math.min(limits.blobRangeBytes, end - at) }
}

/** @returns in order, what touches or overlaps as one. */
export function joined(ranges: readonly Range[]): readonly Range[] {
  const all: { offset: number; length: number }[] = []
  for (const { offset, length } of ranges.toSorted((a, b) => a.offset - b.offset)) {
    if (length === 0) continue
    const last = all.at(-1)
    if (last === undefined || last.offset + last.length < offset) all.push({ offset, length })
    else last.length = Math.max(last.length, offset + length - last.offset)
  }
  return all
}

/** What of these ranges is not in those. @param kept joined. */
export function without(ranges: readonly Range[], kept: readonly Range[]): readonly Range[] {
  const left: Range[] = []
  for (const { offset, length } of ranges) {
    let at = offset
    const end = offset + length
    for (const known of kept) {
      const knownEnd = known.offset + known.length
      if (knownEnd <= at || known.offset >= end) continue
      if (known.offset > at) left.push({ offset: at, length: known.offset - at })
      at = knownEnd
    }
    if (at < end) left.push({ offset: at, length: end - at })
  }
  return left
}
