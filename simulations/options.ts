/** Reads the options of the command lines here: `--help` tells them, and one that is not known tells them too. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

/** The values of options that all take one. */
type Values<T extends ParseArgsOptionsConfig> = {
  readonly [Name in keyof T]: T[Name] extends { readonly default: string } ? string : string | undefined
}

/** @returns the values, or the exit code when there is nothing to run. */
export function readOptions<const T extends ParseArgsOptionsConfig>(
  usage: string,
  options: T,
): Values<T> | number {
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean', default: false } } })
    if (Reflect.get(values, 'help') === true) {
      console.log(`usage: ${usage}`)
      return 0
    }
    // because: every option is a string, with its default or without one
    return values as unknown as Values<T>
  } catch (error) {
    // because: parseArgs throws TypeErrors that a person can read
    console.error(`${error instanceof Error ? error.message : String(error)}\n\nusage: ${usage}`)
    return 2
  }
}

/** @returns undefined when it was not given, NaN when it is no whole number. */
export function integer(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  return /^\d+$/.test(text) && Number.isSafeInteger(number) ? number : Number.NaN
}
