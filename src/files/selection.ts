/**
 * Which paths of a space this device keeps, as a pure function of patterns in gitignore syntax (ignore.ts): what `only`
 * matches, everything when it is empty, without what `except` matches. A directory that may hold something selected is
 * selected as the way to it. The ignore rules themselves are always kept: without them this device would send what the
 * others leave out.
 */
import { parseIgnoreRules } from './ignore.ts'
import { ignoreFile } from './names.ts'

export interface SelectionRules {
  readonly only: readonly string[]
  readonly except: readonly string[]
}

export interface Selection {
  /** Nothing is left out. */
  readonly isAll: boolean
  /** @param path below the root as the document has it; '' is the root. */
  selects(path: string, isDirectory: boolean): boolean
}

export const wholeSpace: SelectionRules = { only: [], except: [] }

export function createSelection({ only, except }: SelectionRules): Selection {
  const wanted = parseIgnoreRules(only.join('\n'))
  const unwanted = parseIgnoreRules(except.join('\n'))
  return {
    isAll: only.length === 0 && except.length === 0,
    selects(path, isDirectory) {
      if (path === '' || path === ignoreFile) return true
      if (unwanted.explain(path, isDirectory)?.isIgnored === true) return false
      if (only.length === 0 || wanted.explain(path, isDirectory)?.isIgnored === true) return true
      return isDirectory && wanted.mayMatchBelow(path)
    },
  }
}
