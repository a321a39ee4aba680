/**
 * Where a command prints and asks. Standard output is for results (one JSON value a line with --json), standard
 * error for talk. Whatever came from outside goes through `safe` or `printable`, so that it cannot steer the terminal.
 */
import type { SkeinError } from '../base/errors.ts'
import { toWireError } from '../base/errors.ts'
import { printable, printableJson } from '../base/printable.ts'

export interface Terminal {
  /** Results are wanted as JSON. */
  readonly isJson: boolean
  /** A person sits here and can be asked. */
  readonly isInteractive: boolean
  readonly hasColour: boolean
  /** Width of standard output; undefined where it is no terminal. */
  readonly columns: number | undefined
  /** A result for people, already safe; nothing with --json. */
  print(text: string): void
  /** A result for programs; nothing without --json. */
  json(value: unknown): void
  /** Talk: progress, hints. Silent with --json. */
  say(text: string): void
  /** An error with its fix, in the form that is wanted. */
  fail(error: SkeinError): void
  /** Raw text to standard output in both forms. */
  write(text: string): void
}

export interface Streams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly stdin: NodeJS.ReadStream
}

export function createTerminal(isJson: boolean, streams: Streams = process): Terminal {
  const { stdout, stderr } = streams
  const variables = process.env
  const noColour = variables['NO_COLOR']
  const write = (text: string): void => void stdout.write(text)
  return {
    isJson,
    // Where there is no terminal `isTTY` is undefined, whatever its type says
    isInteractive: Boolean(streams.stdin.isTTY) && Boolean(stderr.isTTY),
    hasColour:
      Boolean(stdout.isTTY) && (noColour === undefined || noColour === '') && variables['TERM'] !== 'dumb',
    // A terminal that was never told its size says 0
    columns: stdout.isTTY && stdout.columns > 0 ? stdout.columns : undefined,
    print: (text) => (isJson ? undefined : write(`${text}\n`)),
    json: (value) => (isJson ? write(`${printableJson(value)}\n`) : undefined),
    say: (text) => void (isJson || stderr.write(`${text}\n`)),
    fail(error) {
      const wire = toWireError(error)
      if (isJson) write(`${printableJson({ error: wire })}\n`)
      else stderr.write(`skein: ${printable(wire.message)}\n${fixLine(wire.fix)}`)
    },
    write,
  }
}

/** A fix may be a command line with quotes and backslashes; it is ours, only names in it are not. */
const fixLine = (fix: string | undefined): string => (fix === undefined ? '' : `  fix: ${printable(fix)}\n`)

/** Template tag: the text is ours, what is put in is not. */
export function safe(
  strings: TemplateStringsArray,
  ...values: readonly (string | number | undefined)[]
): string {
  return strings.reduce((text, part, index) => {
    const value = values[index - 1]
    return text + (value === undefined ? '' : printable(String(value))) + part
  })
}

/** Rows in aligned columns; cells are made safe here. @param head column titles. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => printable(String(cell ?? ''))))
  const widths = head.map((_title, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Local date and time to the second. */
export function formatTime(atMs: number): string {
  if (!Number.isFinite(atMs) || Math.abs(atMs) > 8.64e15) return '?'
  const at = new Date(atMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}
