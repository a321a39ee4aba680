/**
 * A last guard against disks that lose what they said was synced. Rows are committed only after the files they stand for
 * are on the disk (settling.ts), and what gets its name before that is noted (placing.ts); a file that is short all the same
 * is told from an edit here and fetched again.
 */
import type { FileStat } from './filesystem.ts'
import type { SyncedRow } from './folder-tree.ts'

/** Placing a file sets its time, to a microsecond, before it gets its name. */
const timeStepNs = 1_000n
/** Whoever writes to a file sets both its times at once; a file that was placed carries the time of an edit elsewhere. */
const editedNs = 20_000_000n

/**
 * Whether the very file of a row was cut short by a power cut: bytes are missing, and its time is the one that was set for
 * it, not the one of a write here. A disk that keeps whole seconds cannot tell: there it counts as an edit.
 */
export function isTorn(
  stat: FileStat,
  placed: Pick<SyncedRow, 'kind' | 'size' | 'mtimeNs' | 'ino' | 'dev'>,
): boolean {
  // Another file was swapped in: a person's
  if (stat.ino !== placed.ino || stat.dev !== placed.dev) return false
  const isPlacedTime = distance(stat.mtimeNs, placed.mtimeNs) < timeStepNs
  const isEdited = distance(stat.ctimeNs, stat.mtimeNs) < editedNs
  const isShort = placed.kind === 'file' && stat.kind === 'file' && stat.size < placed.size
  return isShort && isPlacedTime && !isEdited && stat.mtimeNs % 1_000_000_000n !== 0n
}

const distance = (a: bigint, b: bigint): bigint => (a > b ? a - b : b - a)
