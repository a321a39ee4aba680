/**
 * The command `skein`. The options that every verb has are taken here by hand; a verb that is called with nothing
 * else starts at once, and only what needs more is parsed by commander, which costs as much to load as all the rest.
 */
import { asSkeinError, SkeinError } from '../base/errors.ts'
import { resolveHomePath } from '../program/home-path.ts'
import { daemonPath } from '../program/program.ts'
import type { Command } from './command.ts'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import { createTerminal } from './terminal.ts'
import { findVerb } from './verbs.ts'

export interface MainOptions {
  /** Entry of the background process, when it is not the usual one. */
  readonly daemonEntry?: string
}

/** @param args without node and script. @returns the exit code; nothing is thrown but programmer errors. */
export async function main(args: readonly string[], options: MainOptions = {}): Promise<number> {
  quietBrokenPipe()
  const given = takeCommon(args)
  const terminal = createTerminal(given.isJson)
  try {
    const [name, ...rest] = given.rest
    if (name === undefined || name === '-h' || name === '--help' || name === 'help') {
      return await showHelp(rest[0])
    }
    const entry = findVerb(name === '--version' || name === '-V' ? 'version' : name)
    if (entry === undefined) throw await unknownVerb(name)
    const command = await entry.load()
    const common = {
      home: resolveHomePath(given.home),
      terminal,
      daemonEntry: options.daemonEntry ?? daemonPath(),
    }
    if (isPlain(command, rest)) return await command.run({ ...common, words: [], options: {} })
    const { runParsed } = await import('./parse.ts')
    return await runParsed(name, command, { args: rest, common })
  } catch (error) {
    const known = asSkeinError(error)
    terminal.fail(known)
    // What nobody foresaw: the stack helps to report it
    if (!(error instanceof SkeinError) && error instanceof Error) terminal.say(String(error.stack))
    return exitCodeOf(known)
  }
}

/** Called with nothing that has to be parsed. */
function isPlain(
  command: Command,
  rest: readonly string[],
): command is Command & Required<Pick<Command, 'run'>> {
  const needsWords = command.words?.some(({ notation }) => notation.startsWith('<')) === true
  return rest.length === 0 && command.run !== undefined && !needsWords
}

interface Common {
  readonly home: string | undefined
  readonly isJson: boolean
  readonly rest: readonly string[]
}

/** `--home DIR`, `--home=DIR` and `--json` may stand anywhere before `--`. */
export function takeCommon(args: readonly string[]): Common {
  const rest: string[] = []
  let home: string | undefined
  let isJson = false
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? ''
    if (arg === '--') {
      rest.push(...args.slice(index))
      break
    }
    if (arg === '--json') isJson = true
    else if (arg === '--home') home = args[++index] ?? ''
    else if (arg.startsWith('--home=')) home = arg.slice('--home='.length)
    else rest.push(arg)
  }
  return { home, isJson, rest }
}

async function showHelp(verb: string | undefined): Promise<number> {
  const { formatHelp, formatVerbHelp } = await import('./help.ts')
  const entry = verb === undefined ? undefined : findVerb(verb)
  if (verb !== undefined && entry === undefined) throw await unknownVerb(verb)
  const text =
    verb === undefined || entry === undefined ? formatHelp() : formatVerbHelp(verb, await entry.load())
  process.stdout.write(text)
  return exitCodes.ok
}

async function unknownVerb(name: string): Promise<SkeinError> {
  const { suggest } = await import('./suggest.ts')
  const { verbNames } = await import('./verbs.ts')
  const near = suggest(name, verbNames())
  return new SkeinError('usage', `there is no verb "${name}"`, {
    fix: near === undefined ? 'skein --help lists all verbs' : `did you mean: skein ${near}`,
  })
}

/** `skein events | head -1`: the reader has gone, which is no fault of ours. */
function quietBrokenPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok)
    throw error
  })
}
