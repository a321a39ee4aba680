/**
 * A last guard against disks that lose what they said was synced. Rows are committed only after the files they stand for
 * are on the disk (folder-pass.ts); a file that is short all the same is told from an edit here and fetched again.
 */
import type { FileStat } from './filesystem.ts'
import type { EntryData } from './folder-tree.ts'

/** Placing a file sets its time, to a microsecond, before it gets its name. */
const timeStepNs = 1_000n
/** Whoever writes to a file sets both its times at once; a file that was placed carries the time of an edit elsewhere. */
const editedNs = 20_000_000n

/**
 * Whether a file was cut short by a power cut after it was placed and before it was on the disk: bytes are missing, and its
 * time is the one that was set for it, not the one of a write here. A disk that keeps whole seconds cannot tell: there
 * it counts as an edit.
 */
export function isTorn(stat: FileStat, placed: Pick<EntryData, 'kind' | 'size' | 'mtimeNs'>): boolean {
  const isPlacedTime = distance(stat.mtimeNs, placed.mtimeNs) < timeStepNs
  const isEdited = distance(stat.ctimeNs, stat.mtimeNs) < editedNs
  const isShort = placed.kind === 'file' && stat.kind === 'file' && stat.size < placed.size
  return isShort && isPlacedTime && !isEdited && stat.mtimeNs % 1_000_000_000n !== 0n
}

const distance = (a: bigint, b: bigint): bigint => (a > b ? a - b : b - a)
