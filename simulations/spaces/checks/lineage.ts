/** Which content a person made from which: what versions that stand side by side may be merged from. */
import { limits } from '../../../src/base/limits.ts'
import { mergeContents } from '../../../src/files/merge-contents.ts'
import { contentKeyOf } from '../picture.ts'

export interface Lineage {
  /** Contents by key (picture.ts). */
  readonly made: (content: string, from: readonly string[]) => void
  /** These versions of a path merge to that content, from something that one of them was made from. */
  readonly isMerged: (path: string, sides: readonly string[], merged: string) => boolean
}

export function createLineage(): Lineage {
  const madeFrom = new Map<string, Set<string>>()
  const ancestors = (content: string): ReadonlySet<string> => {
    const found = new Set([content])
    for (const one of found) for (const before of madeFrom.get(one) ?? []) found.add(before)
    return found
  }
  const isEarlier = (content: string, later: string): boolean =>
    content !== later && ancestors(later).has(content)
  return {
    made(content, from) {
      const before = madeFrom.get(content) ?? new Set()
      madeFrom.set(content, before)
      for (const replaced of from) before.add(replaced)
    },
    isMerged: (path, sides, merged) =>
      sides
        .flatMap((side) => [...ancestors(side)])
        .filter((base) => !sides.includes(base) || sides.some((side) => isEarlier(base, side)))
        .some((base) => mergedText(path, base, sides) === merged),
  }
}

function mergedText(path: string, base: string, sides: readonly string[]): string | undefined {
  const bytes = (content: string): Uint8Array => Buffer.from(content, 'latin1')
  const kind = path.endsWith('.json') ? 'json' : 'lines'
  const result = mergeContents(
    { base: bytes(base), sides: sides.map(bytes), kind },
    { left: limits.mergeSteps },
  )
  return result.kind === 'merged' ? contentKeyOf(result.bytes) : undefined
}
