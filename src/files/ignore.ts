/**
 * What a space leaves out: gitignore syntax from one `.skeinignore` in the root, with the same meaning on every peer
 * (https://git-scm.com/docs/gitignore; no per-directory files). Our own matcher because the patterns arrive from other
 * devices: matching is linear with one backtrack point per star kind, where pattern-to-RegExp can take exponential time.
 */
import { isInternal } from './names.ts'

export interface IgnoreRules {
  /** True when `path`, or a directory above it, is left out. */
  ignores(path: string, isDirectory: boolean): boolean
  /** Which rule decides about `path`, and for which part of it; undefined when none matches. */
  explain(path: string, isDirectory: boolean): IgnoreReason | undefined
  /** Whether a rule might match something below this directory. */
  mayMatchBelow(directory: string): boolean
}

export interface IgnoreReason {
  readonly isIgnored: boolean
  /** From 1. */
  readonly line: number
  /** The line as it stands in the file. */
  readonly pattern: string
  /** `path` itself, or the directory above it that the rule matched. */
  readonly matched: string
}

interface Rule {
  /** From 1. */
  readonly line: number
  readonly pattern: string
  readonly negated: boolean
  readonly directoryOnly: boolean
  /** Components; '**' spans any number of them. */
  readonly parts: readonly string[]
}

/** Rules beyond this are ignored; a list that long is a mistake. */
const maxRules = 10_000

export function parseIgnoreRules(text: string): IgnoreRules {
  const rules: Rule[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const rule = rules.length < maxRules ? parseRule(line) : undefined
    if (rule !== undefined) rules.push({ ...rule, line: index + 1, pattern: line })
  }
  const findLast = (parts: readonly string[], isDirectory: boolean): Rule | undefined => {
    for (let index = rules.length - 1; index >= 0; index--) {
      const rule = rules[index]
      if (rule === undefined || (rule.directoryOnly && !isDirectory)) continue
      if (matchParts(rule.parts, parts)) return rule
    }
    return undefined
  }
  /** A file cannot be re-included when a directory above it is left out: as in git, ask from the top. */
  const explain = (path: string, isDirectory: boolean): IgnoreReason | undefined => {
    const parts = path.split('/')
    let reason: IgnoreReason | undefined
    for (let depth = 1; depth <= parts.length; depth++) {
      const rule = findLast(parts.slice(0, depth), depth < parts.length || isDirectory)
      if (rule === undefined) continue
      const { line, pattern, negated } = rule
      reason = { isIgnored: !negated, line, pattern, matched: parts.slice(0, depth).join('/') }
      if (!negated) break
    }
    return reason
  }
  return {
    explain,
    mayMatchBelow(directory) {
      const parts = directory.split('/')
      return rules.some((rule) => !rule.negated && leadsTo(rule.parts, parts))
    },
    ignores(path, isDirectory) {
      const parts = path.split('/')
      if (parts.some(isInternal)) return true
      return rules.length > 0 && explain(path, isDirectory)?.isIgnored === true
    },
  }
}

function parseRule(line: string): Omit<Rule, 'line' | 'pattern'> | undefined {
  let pattern = line.replace(/^\ufeff/, '')
  while (pattern.endsWith(' ') && !pattern.endsWith('\\ ')) pattern = pattern.slice(0, -1)
  if (pattern === '' || pattern.startsWith('#')) return undefined
  const negated = pattern.startsWith('!')
  if (negated) pattern = pattern.slice(1)
  const directoryOnly = pattern.endsWith('/')
  if (directoryOnly) pattern = pattern.slice(0, -1)
  if (pattern === '') return undefined
  const anchored = pattern.includes('/')
  const parts = pattern
    .replace(/^\//, '')
    .split('/')
    .filter((part) => part !== '')
  if (parts.length === 0) return undefined
  // `a/**` means everything inside a, not a itself
  if (parts.at(-1) === '**' && parts.length > 1) parts.push('*')
  return { negated, directoryOnly, parts: anchored ? parts : ['**', ...parts] }
}

/** Whether a pattern matches something below `parts`, as far as can be told without looking there. */
function leadsTo(pattern: readonly string[], parts: readonly string[]): boolean {
  for (const [index, part] of parts.entries()) {
    const expected = pattern[index]
    if (expected === '**') return true
    if (expected === undefined || !matchName(expected, part)) return false
  }
  return pattern.length > parts.length
}

/** Components against components: '**' is a star over whole components, one backtrack point as in matchName. */
function matchParts(pattern: readonly string[], parts: readonly string[]): boolean {
  let at = 0
  let star = -1
  let starAt = 0
  for (let index = 0; index < parts.length;) {
    const expected = pattern[at]
    if (expected === '**') {
      star = at++
      starAt = index
    } else if (expected !== undefined && matchName(expected, parts[index] ?? '')) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++starAt
    } else return false
  }
  while (pattern[at] === '**') at++
  return at === pattern.length
}

/** One component: `*`, `?`, `[a-z]`, `[!a]`, backslash escapes. */
function matchName(pattern: string, name: string): boolean {
  let at = 0
  let star = -1
  let starAt = 0
  for (let index = 0; index < name.length;) {
    if (pattern[at] === '*') {
      star = at++
      starAt = index
      continue
    }
    const step = matchOne(pattern, at, name[index] ?? '')
    if (step > 0) {
      at += step
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++starAt
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}

/** @returns how much of the pattern the character used up, 0 when it does not match. */
function matchOne(pattern: string, at: number, character: string): number {
  const token = pattern[at]
  if (token === undefined) return 0
  if (token === '?') return 1
  if (token === '\\') return pattern[at + 1] === character ? 2 : 0
  if (token !== '[') return token === character ? 1 : 0
  const end = closingBracket(pattern, at)
  if (end < 0) return character === '[' ? 1 : 0
  const negated = pattern[at + 1] === '!' || pattern[at + 1] === '^'
  let found = false
  for (let index = at + (negated ? 2 : 1); index < end; index++) {
    const escaped = pattern[index] === '\\' && index + 1 < end
    if (escaped) index++
    const low = pattern[index] ?? ''
    if (pattern[index + 1] === '-' && index + 2 < end) {
      found ||= character >= low && character <= (pattern[index + 2] ?? '')
      index += 2
    } else found ||= character === low
  }
  return found === negated ? 0 : end - at + 1
}

function closingBracket(pattern: string, open: number): number {
  let index = open + 1
  if (pattern[index] === '!' || pattern[index] === '^') index++
  if (pattern[index] === ']') index++ // because: a bracket right at the start stands for itself
  for (; index < pattern.length; index++) {
    if (pattern[index] === '\\') index++
    else if (pattern[index] === ']') return index
  }
  return -1
}
