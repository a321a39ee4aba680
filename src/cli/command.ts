/** The shape of one verb of the command line: what help shows, what it accepts, what it does. */
import type { Terminal } from './terminal.ts'

/** A word or an option in commander's notation: `<dir>`, `[code]`, `-f, --follow`, `--lines <count>`. */
export interface Notation {
  readonly notation: string
  readonly about: string
}

export interface Command {
  readonly summary: string
  /** Whole command lines, shown first in help. */
  readonly examples: readonly string[]
  readonly words?: readonly Notation[]
  readonly options?: readonly Notation[]
  readonly verbs?: Readonly<Record<string, Command>>
  /** @returns the exit code. Operating errors are thrown. */
  readonly run?: (call: Invocation) => Promise<number>
}

/** One call of a verb. */
export interface Invocation {
  /** Absolute. */
  readonly home: string
  readonly terminal: Terminal
  readonly words: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  /** Entry of the background process. */
  readonly daemonEntry: string
}

export const textOption = (call: Invocation, name: string): string | undefined => {
  const value = call.options[name]
  return typeof value === 'string' ? value : undefined
}

export const isSet = (call: Invocation, name: string): boolean => call.options[name] === true

/** Values of an option that may be given several times. */
export const textsOption = (call: Invocation, name: string): readonly string[] => {
  const value = call.options[name]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
