/** How two versions of a file differ, as a unified diff for a terminal; what is no text as sizes and hashes. Pure. */
import { printable } from '../base/printable.ts'
import type { ConflictDiff, ConflictSide } from '../peer/api-spaces.ts'
import type { Terminal } from './terminal.ts'
import { formatSize } from '../base/quantities.ts'
import { safe } from './terminal.ts'

const colours: Readonly<Record<string, string>> = { '-': '\u001b[31m', '+': '\u001b[32m' }
const plain = '\u001b[0m'

interface Pair {
  readonly main: ConflictSide
  readonly copy: ConflictSide
}

export function formatDiff(
  { kind, hunks, isCut }: ConflictDiff,
  { main, copy }: Pair,
  { hasColour, columns }: Pick<Terminal, 'hasColour' | 'columns'>,
): string {
  const paint = (sign: string, line: string): string =>
    hasColour && colours[sign] !== undefined ? `${colours[sign]}${line}${plain}` : line
  const head = [
    paint('-', safe`--- ${main.path}  by ${main.device}`),
    paint('+', safe`+++ ${copy.path}  by ${copy.device}`),
  ]
  if (kind !== 'text') return [...head, reasons[kind], ...[main, copy].map(formatSide)].join('\n')
  const lines = hunks.flatMap(({ oldStart, newStart, lines: changed }) => {
    const oldCount = changed.filter((line) => !line.startsWith('+')).length
    const newCount = changed.filter((line) => !line.startsWith('-')).length
    const place = `@@ -${oldStart},${oldCount} +${newStart},${newCount} @@`
    return [place, ...changed.map((line) => paint(line.slice(0, 1), fit(printableLine(line), columns)))]
  })
  return [...head, ...lines, ...(isCut ? ['(there is more)'] : [])].join('\n')
}

const reasons: Readonly<Record<Exclude<ConflictDiff['kind'], 'text'>, string>> = {
  binary: 'no text: only sizes and contents can be compared',
  large: 'too large or too different to be shown',
  missing: 'a version is not here yet, and no device within reach has it',
}

const formatSide = ({ path, sizeBytes, hash }: ConflictSide): string =>
  safe`  ${formatSize(sizeBytes).padStart(8)}  ${hash ?? 'no content'}  ${path}`

/** A tab is as harmless as it is frequent. */
const printableLine = (line: string): string => line.split('\t').map(printable).join('    ')

/** A line that is wider than the terminal would wrap and hide where the next one begins. */
function fit(line: string, columns: number | undefined): string {
  if (columns === undefined || line.length <= columns) return line
  return `${line.slice(0, Math.max(1, columns - 1)).toWellFormed()}…`
}
