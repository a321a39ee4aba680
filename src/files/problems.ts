/** What keeps single files of a folder from being in sync: by path, with cause and fix. Bounded; the rest is counted. */
import { asSkeinError, hasCode } from '../base/errors.ts'
import { parentOf } from './filesystem.ts'

/** What a person is told about one place. */
export interface ProblemText {
  readonly cause: string
  readonly fix: string
}

export function problemText(error: unknown): ProblemText {
  const known = asSkeinError(error)
  return { cause: known.message, fix: known.fix ?? 'it is tried again by itself' }
}

export interface Problem extends ProblemText {
  readonly path: string
  /** Tried again by itself; the others wait for a person, or for a device that has what is missing. */
  readonly isRetrying?: true
}

export interface Problems {
  set(path: string, text: ProblemText): void
  /** As set; what the disk may allow a little later is tried again. */
  failed(path: string, error: unknown): void
  /** Paths that are to be tried again. */
  passing(): readonly string[]
  clear(path: string): void
  /** Of the direct children of a directory: it is looked at anew. */
  clearIn(directory: string): void
  /** Of directories that are gone. */
  prune(isThere: (directory: string) => boolean): void
  list(): readonly Problem[]
  readonly count: number
}

const passingCodes = ['disk.full', 'disk.failed', 'file.busy', 'file.denied', 'limit.exceeded'] as const
const maxProblems = 1_000

export function createProblems(): Problems {
  const byPath = new Map<string, ProblemText>()
  const passing = new WeakSet<ProblemText>()
  return {
    set(path, text) {
      if (byPath.size < maxProblems || byPath.has(path)) byPath.set(path, text)
    },
    failed(path, error) {
      const text = problemText(error)
      if (hasCode(error, ...passingCodes)) passing.add(text)
      this.set(path, text)
    },
    passing: () => [...byPath].flatMap(([path, text]) => (passing.has(text) ? [path] : [])),
    clear: (path) => void byPath.delete(path),
    clearIn(directory) {
      for (const path of byPath.keys()) if (parentOf(path) === directory) byPath.delete(path)
    },
    prune(isThere) {
      for (const path of byPath.keys()) if (!isThere(parentOf(path))) byPath.delete(path)
    },
    list: () =>
      [...byPath].map(([path, text]) => ({ path, ...text, ...(passing.has(text) && { isRetrying: true }) })),
    get count() {
      return byPath.size
    },
  }
}
