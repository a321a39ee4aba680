/**
 * Merges what several writers made of one file, from bytes to bytes, or says that a person has to. A pure function of
 * base, set of sides and kind: every device that does it gets the same bytes, whatever the order and the machine.
 */
import { limits } from '../base/limits.ts'
import { parseJson } from './json-tree.ts'
import type { Steps } from './line-diff.ts'
import { mergeJson } from './merge-json.ts'
import { mergeText, type TextMerge } from './merge-text.ts'
import { readText } from './text-diff.ts'

export interface MergeRequest {
  readonly base: Uint8Array
  /** Two or more; order and repetition mean nothing. */
  readonly sides: readonly Uint8Array[]
  readonly kind: 'lines' | 'json'
}

export type MergeResult =
  | { readonly kind: 'merged'; readonly bytes: Uint8Array }
  /** Overlapping edits, no text, or too large: both are kept. */
  | { readonly kind: 'conflict' }
  /** Not done in the steps given. */
  | { readonly kind: 'exhausted' }

const conflict: MergeResult = { kind: 'conflict' }
const privateKey = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY|^AGE-SECRET-KEY-/m

export function mergeContents(request: MergeRequest, steps: Steps): MergeResult {
  const base = readText(request.base)
  const sides = request.sides.map(readText).filter((side) => side !== undefined)
  if (base === undefined || sides.length < request.sides.length) return conflict
  if ([base, ...sides].some((text) => privateKey.test(text))) return conflict
  const merged = request.kind === 'json' ? mergeJsonLike(base, sides, steps) : mergeText(base, sides, steps)
  if (merged.kind !== 'merged') return merged
  const bytes = new TextEncoder().encode(merged.text)
  return bytes.byteLength <= limits.mergeBytes ? { kind: 'merged', bytes } : conflict
}

/** Clean lines can still be broken JSON (a comma, a key twice): then by structure. */
function mergeJsonLike(base: string, sides: readonly string[], steps: Steps): TextMerge {
  const byLines = mergeText(base, sides, steps)
  if (byLines.kind === 'exhausted') return byLines
  const isJson = (text: string): boolean => parseJson(text, true) !== undefined
  // What was no JSON before cannot be checked
  if (![base, ...sides].every(isJson)) return { kind: 'conflict' }
  if (byLines.kind === 'merged' && isJson(byLines.text)) return byLines
  return mergeJson(base, sides)
}
