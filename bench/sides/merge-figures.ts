/** How long a merge of a large source takes, from bytes to bytes, and how soon a hopeless one is given up. */
import { limits } from '../../src/base/limits.ts'
import { mergeContents, type MergeRequest } from '../../src/files/merge-contents.ts'

const lineCount = 10_300
const edits = 20
const rounds = 21

/** A source in shape: a third of the lines stand there many times over. */
function sourceLines(): string[] {
  return Array.from({ length: lineCount }, (_, line) => {
    if (line % 9 === 8) return '}\n'
    if (line % 9 === 0) return '\n'
    return `  const value${line} = compute(${line % 700}, options)\n`
  })
}

function request(isReversed: boolean): MergeRequest {
  const base = sourceLines()
  const left = isReversed ? base.toReversed() : [...base]
  const right = [...base]
  for (let edit = 0; edit < edits; edit++) {
    left[edit * 500 + 101] = `  edited on the left ${edit}\n`
    right.splice(edit * 505 + 352, 0, `  added on the right ${edit}\n`)
  }
  const bytes = (lines: readonly string[]): Uint8Array => new TextEncoder().encode(lines.join(''))
  return { base: bytes(base), sides: [bytes(left), bytes(right)], kind: 'lines' }
}

export function measureMerge(): Record<string, number> {
  const timed = (one: MergeRequest, expected: string): number => {
    const startMs = performance.now()
    const { kind } = mergeContents(one, { left: limits.mergeSteps })
    const tookMs = performance.now() - startMs
    if (kind !== expected) throw new Error(`the merge came out as ${kind}`)
    return tookMs
  }
  const plain = request(false)
  const times = Array.from({ length: rounds }, () => timed(plain, 'merged'))
  const [first = Number.NaN] = times
  const merge10k = times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN
  return { first_ms: first, merge10k_ms: merge10k, reversed_ms: timed(request(true), 'exhausted') }
}
