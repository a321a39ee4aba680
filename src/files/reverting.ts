/** A person takes back what was changed on this disk and is not sent: holds for one look at everything. */
import { isWithin } from './filesystem.ts'
import type { LocalChange } from './local-changes.ts'

export interface Reverting {
  /** A look at everything is under way that takes changes back. */
  readonly isOn: boolean
  /** @param paths below the root; '' is all. @returns what is taken back, once it is; call `folder.rescan` after it. */
  ask(paths: readonly string[]): Promise<readonly LocalChange[]>
  /** Whether this change is meant. */
  covers(change: Pick<LocalChange, 'path' | 'change' | 'isDirectory'>): boolean
  note(change: LocalChange): void
  /** A round begins. @param all it looks at everything. */
  begin(all: boolean): void
  /** It went through. */
  end(): void
}

interface Request {
  readonly paths: readonly string[]
  readonly done: PromiseWithResolvers<readonly LocalChange[]>
}

export function createReverting(): Reverting {
  let waiting: Request[] = []
  let current: readonly Request[] = []
  let noted = new Map<string, LocalChange>()
  return {
    get isOn() {
      return current.length > 0
    },
    ask(paths) {
      const done = Promise.withResolvers<readonly LocalChange[]>()
      waiting.push({ paths, done })
      return done.promise
    },
    covers({ path, change, isDirectory }) {
      // A directory that is gone comes back with what is to come back in it
      const isWay = change === 'deleted' && isDirectory
      const isMeant = (meant: string): boolean => isWithin(path, meant) || (isWay && isWithin(meant, path))
      return current.some(({ paths }) => paths.some(isMeant))
    },
    note: (change) => void noted.set(change.path, change),
    begin(all) {
      if (!all) return
      current = [...current, ...waiting]
      waiting = []
    },
    end() {
      if (current.length === 0) return
      const all = [...noted.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
      for (const { paths, done } of current)
        done.resolve(all.filter(({ path }) => paths.some((meant) => isWithin(path, meant))))
      current = []
      noted = new Map()
    },
  }
}
