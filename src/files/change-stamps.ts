/** When directories of the document (node ids) and rows (row keys) last changed, counted in changes; of very many the oldest are forgotten. */

export interface ChangeStamps {
  /** Counts one change of all these. */
  note(keys: readonly string[]): void
  /** Not before the truth: what was forgotten counts as changed when it was. */
  of(key: string): number
  /** Changes so far. */
  readonly count: number
}

const keptMax = 50_000

export function createChangeStamps(): ChangeStamps {
  const stamps = new Map<string, number>()
  let count = 0
  let forgotten = 0
  return {
    note(keys) {
      count++
      if (stamps.size > keptMax) {
        stamps.clear()
        forgotten = count
      }
      for (const key of keys) stamps.set(key, count)
    },
    of: (key) => stamps.get(key) ?? forgotten,
    get count() {
      return count
    },
  }
}
