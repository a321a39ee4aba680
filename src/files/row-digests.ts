/**
 * The digests of the rows of every directory (directory-digest.ts), kept while a folder is open: each look at the whole disk is
 * held against them, and to read every row for it costs as much as the look. What is written marks its directories, and
 * their rows are read again for the next look. Where rows may have gone in another way nothing is kept.
 */
import type { LocalIndex } from '../crdt/local-index.ts'
import type { DirectoryDigest } from './directory-digest.ts'
import type { RowDigests, TreeSummary } from './folder-tree.ts'
import { summarize } from './tree-summary.ts'

export interface KeptDigests {
  /** To be called before all rows are read. @returns what takes them over. */
  begin(): (summary: TreeSummary) => void
  /** Rows of these directories are others now; told once that is stored, or has failed, and before it as well. */
  written(directories: Iterable<string>): void
  /** Certainly without a row: there is nothing to read. */
  isEmpty(directory: string): boolean
  /** Undefined: all rows are to be read. */
  current(): Promise<RowDigests | undefined>
}

export function createKeptDigests(index: Pick<LocalIndex, 'outlines' | 'losses'>): KeptDigests {
  let known: Map<string, DirectoryDigest | undefined> | undefined
  let losses = index.losses
  const stale = new Set<string>()
  /** Whose rows are being read again: until then nothing is certain. */
  const renewing = new Set<string>()
  const renew = async (digests: Map<string, DirectoryDigest | undefined>, id: string): Promise<void> => {
    // Before it is read: what is written meanwhile marks it again
    stale.delete(id)
    renewing.add(id)
    try {
      const group = (await summarize(index.outlines(id), () => undefined)).get(id)
      if (group === undefined) digests.delete(id)
      else digests.set(id, group.digest)
    } catch (error) {
      stale.add(id)
      throw error
    } finally {
      renewing.delete(id)
    }
  }
  return {
    begin() {
      known = undefined
      stale.clear()
      const before = index.losses
      return (summary) => {
        losses = before
        known = new Map([...summary].map(([id, { digest }]) => [id, digest]))
      }
    },
    written(directories) {
      for (const id of directories) stale.add(id)
    },
    isEmpty: (directory) =>
      known !== undefined &&
      losses === index.losses &&
      [known, stale, renewing].every((directories) => !directories.has(directory)),
    async current() {
      if (known === undefined || losses !== index.losses) return undefined
      const digests = known
      // What is written meanwhile is for the next time
      const ids = [...stale]
      for (const id of ids) await renew(digests, id)
      return losses === index.losses ? digests : undefined
    },
  }
}
