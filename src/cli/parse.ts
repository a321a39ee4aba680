/** Parses the words and options of one verb with commander, and runs it. Loaded only when there is something to parse. */
import { Command as Parser, CommanderError } from 'commander'
import { SkeinError } from '../base/errors.ts'
import type { Command, Invocation } from './command.ts'
import { exitCodes } from './exit-codes.ts'
import { formatVerbHelp } from './help.ts'
import { suggest } from './suggest.ts'

interface ParseInput {
  readonly args: readonly string[]
  readonly common: Pick<Invocation, 'home' | 'terminal' | 'daemonEntry'>
}

/** @returns the exit code. @throws `usage`, and what the command throws. */
export async function runParsed(name: string, command: Command, input: ParseInput): Promise<number> {
  let exitCode: number = exitCodes.ok
  const parser = build(name, command, async (chosen, words, options) => {
    exitCode = (await chosen.run?.({ ...input.common, words, options })) ?? exitCodes.usage
  })
  try {
    await parser.parseAsync(input.args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.ok
      throw usageError(name, error)
    }
    throw error
  }
  return exitCode
}

function usageError(name: string, error: CommanderError): SkeinError {
  const message = error.message.replace(/^error: /, '').split('\n')[0] ?? ''
  const hint = /\(Did you mean (.*?)\?\)/.exec(error.message)?.[1]
  const fix = hint === undefined ? `skein ${name} --help` : `did you mean ${hint}`
  return new SkeinError('usage', message, { cause: error, fix })
}

type Run = (
  command: Command,
  words: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => Promise<void>

function build(name: string, command: Command, run: Run): Parser {
  const parser = new Parser(name)
  parser.exitOverride()
  parser.configureOutput({ writeErr: () => undefined })
  parser.configureHelp({ formatHelp: () => formatVerbHelp(name, command) })
  parser.helpOption('-h, --help')
  // A sub-verb that is mistyped arrives as a word too many: `missingVerb` says more about it
  parser.allowExcessArguments(command.verbs !== undefined)
  for (const { notation, about } of command.words ?? []) parser.argument(notation, about)
  for (const { notation, about } of command.options ?? []) parser.option(notation, about)
  const verbs = Object.entries(command.verbs ?? {})
  for (const [verb, sub] of verbs) parser.addCommand(rename(build(`${name} ${verb}`, sub, run), verb))
  parser.helpCommand(false)
  parser.action(async () => {
    const word = parser.args[0]
    const isStray = word !== undefined && command.verbs !== undefined && command.words === undefined
    if (command.run === undefined || isStray)
      throw missingVerb(
        name,
        word,
        verbs.map(([verb]) => verb),
      )
    await run(command, parser.args, parser.opts())
  })
  return parser
}

/** Commander finds a sub-verb by its own name, help shows the whole path. */
const rename = (parser: Parser, name: string): Parser => parser.name(name)

function missingVerb(name: string, word: string | undefined, verbs: readonly string[]): SkeinError {
  if (word === undefined) {
    return new SkeinError('usage', `skein ${name} needs one of: ${verbs.join(', ')}`, {
      fix: `skein ${name} --help`,
    })
  }
  const near = suggest(word, verbs)
  const fix = near === undefined ? `it is one of: ${verbs.join(', ')}` : `did you mean: skein ${name} ${near}`
  return new SkeinError('usage', `skein ${name} has no verb "${word}"`, { fix })
}
