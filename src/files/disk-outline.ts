/**
 * One walk over a whole folder on the disk that keeps only a digest of each directory (directory-digest.ts): whoever holds
 * it against the rows knows which directories to look into. Reads no contents, so it is cheap; where there is a
 * thread for it (hash-workers.ts) it runs there.
 */
import { throwIfAborted } from '../base/clock.ts'
import { hasCode } from '../base/errors.ts'
import { addEntry, emptyDigest, textOfStat } from './directory-digest.ts'
import { type Filesystem, joinPath } from './filesystem.ts'
import { parseIgnoreRules } from './ignore.ts'
import { isInternal } from './names.ts'

/** Plain arrays of equal length: it crosses from a thread. */
export interface DiskOutline {
  readonly paths: readonly string[]
  readonly low: readonly number[]
  readonly high: readonly number[]
  readonly entries: readonly number[]
}

/** @param ignoreText the rules (ignore.ts). What cannot be read is left out. */
export async function outlineDisk(
  filesystem: Pick<Filesystem, 'readDirectory'>,
  ignoreText: string,
  signal: AbortSignal,
): Promise<DiskOutline> {
  const ignore = parseIgnoreRules(ignoreText)
  const hasRules = ignoreText !== ''
  const out = { paths: [] as string[], low: [] as number[], high: [] as number[], entries: [] as number[] }
  const waiting = ['']
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    throwIfAborted(signal)
    const digest = emptyDigest()
    try {
      for (const { name, stat } of await filesystem.readDirectory(path)) {
        const inner = joinPath(path, name)
        const isDirectory = stat?.kind === 'directory'
        if (isInternal(name) || (hasRules && ignore.ignores(inner, isDirectory))) continue
        // A name that is no text counts, but never matches
        addEntry(digest, stat === undefined ? '' : textOfStat(name, stat))
        if (isDirectory) waiting.push(inner)
      }
    } catch (error) {
      if (hasCode(error, 'not.found', 'file.changed', 'file.denied', 'file.unsafe', 'disk.failed')) continue
      throw error
    }
    out.paths.push(path)
    out.low.push(digest.low)
    out.high.push(digest.high)
    out.entries.push(digest.entries)
  }
  return out
}
