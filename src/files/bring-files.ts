/**
 * How files come to their places: those whose content is here at once, many in one step where nothing gives way to them; for
 * the others the content is asked for.
 */
import { SkeinError } from '../base/errors.ts'
import { type Applied, type Applier, isNewAt, needsContent, type NewlyPlaced } from './apply.ts'
import type { DiskTask } from './disk-task.ts'
import type { TreeEntry } from './folder-tree.ts'
import type { PlacedFile, Placing } from './placing.ts'
import { pathOfSeen, type ScanPlace, type Seen } from './scan.ts'
import type { StagedContent } from './stage.ts'
import type { Transfers } from './transfers.ts'

export interface BringPlace extends Pick<ScanPlace, 'filesystem' | 'problems' | 'tree'> {
  readonly placing: Placing
  /** From so many new files at once on one note stands for the syncs of them all. */
  readonly noteFrom: number
  readonly applier: Pick<Applier, 'placeFile' | 'placeNew'>
  readonly transfers: Transfers
  /** Hands the recorded rows over: they go into the index once what was touched on the disk is synced. */
  flush(): Promise<void>
}

/** Tasks per commit. */
export const flushEvery = 512

/** Does one step and records what it did. @returns false when something stands in the way. */
export type Run = (seen: Seen, act: () => Promise<Applied>) => Promise<boolean>

/** A file whose content is here, for a place where nothing is recorded. */
export function isFresh({ transfers }: BringPlace, { seen, action }: DiskTask): boolean {
  if (action.kind !== 'materialise' && action.kind !== 'replace') return false
  const { entry } = action
  return needsContent(entry) && isNewAt(seen) && transfers.staged(entry.hash) !== undefined
}

interface Carrying {
  readonly run: Run
  /** While it is held nothing is flushed: a note goes with the rows that are flushed next, and must stand for all of them. */
  readonly flushing: { isHeld: boolean }
  readonly signal: AbortSignal
}

/** From this size on a note costs less than to sync a file before it has its name. */
const noteFromBytes = 1024 * 1024

/** Of many, and of large ones, it is noted what they are to be, once for all of them; small ones are placed many in one step. */
export async function bringFresh(
  place: BringPlace,
  tasks: readonly DiskTask[],
  carrying: Carrying,
): Promise<void> {
  const files = tasks.flatMap((task) => freshFile(place, task) ?? [])
  for (let index = 0; index < files.length; index += flushEvery) {
    const part = files.slice(index, index + flushEvery)
    const isNoted = part.length >= place.noteFrom || part.some(({ placed }) => placed.size >= noteFromBytes)
    await place.flush()
    carrying.flushing.isHeld = true
    try {
      if (isNoted) await place.placing.note(part.map(({ placed }) => placed))
      await placeFresh(place, part, carrying, isNoted)
    } finally {
      carrying.flushing.isHeld = false
    }
    await place.flush()
  }
}

async function placeFresh(
  place: BringPlace,
  files: readonly FreshFile[],
  { run, signal }: Carrying,
  isNoted: boolean,
): Promise<void> {
  const small = isNoted ? files.filter(isInMemory) : []
  for (const batch of batchesOf(small)) {
    const outcomes = await place.applier.placeNew(batch, signal)
    for (const [index, { seen, placed }] of batch.entries()) {
      const outcome = outcomes[index] ?? 'changed'
      if (typeof outcome === 'object' && !(outcome instanceof SkeinError)) place.transfers.used(placed.hash)
      const act = (): Promise<Applied> =>
        outcome instanceof SkeinError ? Promise.reject(outcome) : Promise.resolve(outcome)
      if (!(await run(seen, act))) blockedBy(place, seen)
    }
  }
  for (const file of isNoted ? files.filter((one) => !isInMemory(one)) : files) {
    const go = async (act: () => Promise<Applied>): Promise<void> => {
      if (!(await run(file.seen, act))) blockedBy(place, file.seen)
    }
    await bringFile(place, file.task, file.entry, go)
  }
}

interface FreshFile {
  readonly task: DiskTask
  readonly seen: Seen
  readonly entry: TreeEntry
  readonly bytes: StagedContent
  readonly placed: PlacedFile
}

const isInMemory = (file: FreshFile): file is FreshFile & NewlyPlaced => file.bytes instanceof Uint8Array

function freshFile({ transfers }: BringPlace, task: DiskTask): FreshFile | undefined {
  const { seen, action } = task
  if (action.kind !== 'materialise' && action.kind !== 'replace') return undefined
  const { entry } = action
  const bytes = needsContent(entry) ? transfers.staged(entry.hash) : undefined
  if (!needsContent(entry) || bytes === undefined) return undefined
  const { size, mtimeNs, hash } = entry
  return { task, seen, entry, bytes, placed: { path: pathOfSeen(seen), size, mtimeNs, hash } }
}

/** Files and bytes of one step. */
const batchFiles = 128
const batchBytes = 4 * 1024 * 1024

function* batchesOf<T extends NewlyPlaced>(files: readonly T[]): Generator<readonly T[]> {
  let batch: T[] = []
  let bytes = 0
  for (const file of files) {
    batch.push(file)
    bytes += file.bytes.byteLength
    if (batch.length < batchFiles && bytes < batchBytes) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

/** The content is here already, or will be: then this place is looked at again. */
export async function bringFile(
  place: BringPlace,
  task: DiskTask,
  entry: TreeEntry,
  go: (act: () => Promise<Applied>) => Promise<void>,
): Promise<void> {
  if (!needsContent(entry)) return
  const { seen } = task
  const staged = place.transfers.staged(entry.hash)
  if (staged === undefined) {
    // Where the disk takes another name for this one there is no use in fetching it, with every look once more
    const { foldsNames } = place.filesystem
    if (foldsNames && isNewAt(seen) && (await place.filesystem.lstat(pathOfSeen(seen))) !== undefined) {
      blockedBy(place, seen)
      // ... but its writer alone can tell, once nobody was found who has it, that it is lost (lost-versions.ts)
      const isHere = (await place.tree.rowsWithHash(entry.hash)).length > 0
      if (isHere || !(await place.tree.isWrittenHere(entry.nodeId, entry.version))) return
    }
    place.transfers.want(
      { parentId: seen.parentId, name: seen.name, nodeId: entry.nodeId, path: pathOfSeen(seen), task },
      entry.hash,
      entry.size,
    )
    return
  }
  place.transfers.used(entry.hash)
  const isNoted = place.placing.isNoted(pathOfSeen(seen), entry.hash)
  await go(() => place.applier.placeFile(seen, entry, staged, isNoted))
}

/** Tells the person that something else stands in its place. */
export function blockedBy(place: Pick<BringPlace, 'filesystem' | 'problems'>, seen: Seen): void {
  const fix = place.filesystem.foldsNames
    ? 'this disk takes two names for one: rename one of them on another device'
    : 'it is looked at again'
  place.problems.set(pathOfSeen(seen), { cause: 'something else stands in its place', fix })
}
