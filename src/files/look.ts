/**
 * Looks at what stands at places of the disk: whether it is what the row says, else what it is, by content. What cannot be
 * read is a problem of its own.
 */
import { hasCode } from '../base/errors.ts'
import type { Damage } from './damage.ts'
import { isTorn } from './durability.ts'
import type { FileStat } from './filesystem.ts'
import { type EntryData, sameData } from './folder-tree.ts'
import { inlineBytes } from './hasher.ts'
import type { Placing } from './placing.ts'
import type { DiskState } from './plan.ts'
import { readData, type ReadEntry, type ReadPlace } from './read-data.ts'
import { looksSame, pathOfSeen, type ScanPlace, type Seen } from './scan.ts'
import { judgeAttributes, type ToldAttributes } from './told-attributes.ts'

type ToldDetails = ToldAttributes & Pick<EntryData, 'executable'>

export interface LookPlace extends ReadPlace, Pick<ScanPlace, 'problems' | 'part'> {
  readonly placing: Placing
  readonly damage: Damage
  /** Wall clock, the disk's own: only to tell whether a file changed just now. */
  nowMs(): number
}

export interface Looked {
  readonly seen: Seen
  readonly disk: DiskState
  readonly stat: FileStat | undefined
  readonly isRacy: boolean
  /** What the disk has instead of the attributes that the data say (told-attributes.ts). */
  readonly heldAttributes?: string | undefined
  /** Left short by a power cut (durability.ts). */
  readonly isTorn?: boolean
  /** Of a small file that was read. */
  readonly bytes?: Uint8Array | undefined
}

/** A change this close to the look may be followed by another one with the same times. */
const racyMs = 20
const hashAtOnce = 4

/** Looks at all, several hashes at once, in the order given. What cannot be read is a problem of its own and left out. */
export async function lookAtAll(
  place: LookPlace,
  places: readonly Seen[],
  signal: AbortSignal,
): Promise<readonly Looked[]> {
  const results: (Looked | undefined)[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < places.length; index = next++) {
      const seen = places[index]
      if (seen !== undefined) results[index] = await look(place, seen, signal)
    }
  }
  await Promise.all(Array.from({ length: hashAtOnce }, lane))
  return results.filter((looked) => looked !== undefined)
}

/** @param told whose exec bit and extended attributes a disk that cannot hold them is taken to have. */
export async function look(
  place: LookPlace,
  seen: Seen,
  signal: AbortSignal,
  told: ToldDetails | undefined = seen.row ?? seen.here,
): Promise<Looked | undefined> {
  const { row, stat } = seen
  if (stat === undefined) return { seen, disk: { state: 'absent' }, stat, isRacy: false }
  if (row !== undefined && looksSame(row, stat) === true)
    return { seen, disk: { state: 'same' }, stat, isRacy: false, heldAttributes: row.heldAttributes }
  const path = pathOfSeen(seen)
  try {
    // From before the read: what comes after it may take long, and the file may change in the moment it is read
    const askedMs = place.nowMs()
    const found = recall(place, path, stat) ?? (await readData(place, path, stat, signal))
    const beforeMs = found.readFromMs ?? askedMs
    place.problems.clear(path)
    const changedMs = Number(found.stat.mtimeNs / 1_000_000n)
    const isNew = changedMs > beforeMs - racyMs && changedMs < place.nowMs() + racyMs
    const isRacy = found.stat.kind === 'file' && isNew
    // What the disk made of it by itself is no edit: the file counts as it was until it is put right
    const isDamage = row !== undefined && place.damage.covers(row, found.data.hash)
    const judged = found.stat.kind === 'file' ? judgeAttributes(found.attributes, told) : undefined
    const isTold = found.stat.kind === 'file' && !place.filesystem.holdsModes
    const executable = isTold ? (told?.executable ?? false) : found.data.executable
    const data = { ...found.data, executable, attributes: judged?.attributes }
    const isSame = row !== undefined && (isDamage || sameData(row, data))
    const isLeft = place.placing.isTorn(path, found.stat, found.data.hash)
    return {
      isTorn: !isSame && (isLeft || (row !== undefined && isTorn(found.stat, row))),
      seen,
      disk: isSame ? { state: 'same' } : { state: 'present', data },
      heldAttributes: judged?.heldAttributes,
      stat: found.stat,
      isRacy,
      bytes: found.bytes,
    }
  } catch (error) {
    signal.throwIfAborted()
    // What vanished meanwhile was announced by its directory: no problem, only a matter of the next look
    if (!hasCode(error, 'not.found')) place.problems.failed(path, error)
    return undefined
  }
}

/** Begins to read the small files among these that a look will have to read. */
export function readAhead(place: LookPlace, places: readonly Seen[], signal: AbortSignal): void {
  const files = places.flatMap((seen) => {
    const { row, stat } = seen
    const isSmall = stat?.kind === 'file' && stat.size <= inlineBytes
    const isKnown = stat !== undefined && row !== undefined && looksSame(row, stat) === true
    const path = pathOfSeen(seen)
    const isToRead = isSmall && !isKnown && recall(place, path, stat) === undefined
    return isToRead ? [{ path, sizeBytes: stat.size }] : []
  })
  place.hasher.readAhead(files, signal)
}

/** A file that nobody is told of has no row: what was found in it stands in for that. */
function recall({ part }: LookPlace, path: string, stat: FileStat): ReadEntry | undefined {
  const data = part.isWhole ? undefined : part.changes.known(path, stat)
  return data === undefined ? undefined : { data, stat, attributes: data.attributes ?? '' }
}
