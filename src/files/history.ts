/**
 * What happened to one file, told from what is left of it: the living record, the versions kept here and the bases of
 * merges. A pure function of those; it knows nothing that nobody kept, and says so by leaving it out. Steps are ordered by
 * the Lamport times of their versions, never by clocks.
 */
import type { TreeNode } from '../crdt/join.ts'
import { compareStamps, type Stamp } from '../crdt/record.ts'
import type { Entry } from '../crdt/tree-view.ts'
import { compareVectors, dominates, parseVector, type VersionVector } from '../crdt/version-vector.ts'
import { plainName } from '../crdt/view.ts'
import { joinPath, nameOf, parentOf } from './filesystem.ts'
import type { Restorable } from './restore.ts'

export interface HistoryEvent {
  readonly kind: 'create' | 'edit' | 'rename' | 'delete' | 'merge'
  /** The first 8 characters of the id of the device that did it. */
  readonly author: string | undefined
  readonly atMs: number | undefined
  /** Whose clock says so: of the device that wrote it, or of this one when it heard of it. */
  readonly clock: 'author' | 'here' | undefined
  readonly path: string | undefined
  readonly from?: string | undefined
  readonly sizeBytes?: number | undefined
  readonly hash?: string | undefined
  readonly versionId?: string | undefined
}

export interface HistoryParts {
  /** What stands at the path now. */
  readonly entry: Entry | undefined
  readonly node: TreeNode | undefined
  /** Of the same file, under whatever name, and of others that had the path; newest first. */
  readonly versions: readonly Restorable[]
}

interface Known {
  readonly vector: VersionVector
  readonly stamp: Stamp
  /** Where it stood last, as far as known. */
  readonly path: string | undefined
  readonly sizeBytes: number | undefined
  readonly hash: string | undefined
  readonly mtimeMs: number | undefined
  readonly versionId: string | undefined
}

/** @returns newest first. */
export function tellHistory(parts: HistoryParts): readonly HistoryEvent[] {
  const known = collect(parts)
  const events: Dated[] = []
  for (const [index, version] of known.entries()) {
    const { vector, stamp, path, sizeBytes, hash, mtimeMs, versionId } = version
    const contained = known.slice(0, index).filter((one) => compareVectors(one.vector, vector) === 'before')
    const sides = contained.filter(
      (one) => !contained.some((other) => compareVectors(one.vector, other.vector) === 'before'),
    )
    const isJoin = sides.some((a) => sides.some((b) => isJoinOf(vector, a.vector, b.vector)))
    const isFirst = contained.length === 0 && isCreation(version, known)
    const event: HistoryEvent = {
      kind: sides.length > 1 ? 'merge' : isFirst ? 'create' : 'edit',
      // A merge that needed no person has no author: all devices that have the sides write the same
      author: isJoin ? undefined : authorOf(stamp),
      atMs: mtimeMs,
      clock: mtimeMs === undefined ? undefined : 'author',
      path,
      sizeBytes,
      hash,
      versionId,
    }
    events.push({ event, lamport: stamp.lamport })
  }
  for (const renamed of renames(parts, known)) {
    const at = events.findLastIndex(({ lamport }) => lamport < renamed.lamport)
    events.splice(at + 1, 0, renamed)
  }
  const told = events.map(({ event }) => event)
  const ends = deletions(parts)
  // Where something stands again, what went before it came
  return (parts.entry === undefined ? [...told, ...ends] : [...ends, ...told]).reverse()
}

interface Dated {
  readonly event: HistoryEvent
  readonly lamport: number
}

/**
 * From one known path to the next. Who gave the file the place it has now, and when in the order of things, stands in
 * its record; of earlier renames only their outcome is known.
 */
function renames({ entry, node }: HistoryParts, known: readonly Known[]): readonly Dated[] {
  const found: Dated[] = []
  let path: string | undefined
  for (const { path: next, stamp } of known) {
    if (path !== undefined && next !== undefined && next !== path)
      found.push({ event: renamed(path, next, undefined), lamport: stamp.lamport - 1 })
    path = next ?? path
  }
  const now = entry === undefined ? undefined : plainPath(entry.path)
  if (now === undefined || node === undefined) return found
  const { place } = node
  const isOfVersion = known.some(({ vector }) => vector.get(place.writer) === place.lamport)
  const isLater = known.some(({ stamp }) => stamp.lamport < place.lamport)
  const last = found.at(-1)
  // The path that a kept version stood at last says nothing of when it came there: the record does
  if (last?.event.path === now && isLater && !isOfVersion) {
    found.pop()
    return [...found, { event: renamed(last.event.from, now, place), lamport: place.lamport }]
  }
  const isRenamed = path !== undefined && path !== now
  if (!isRenamed && (isOfVersion || !isLater)) return found
  return [...found, { event: renamed(isRenamed ? path : undefined, now, place), lamport: place.lamport }]
}

function collect({ entry, node, versions }: HistoryParts): readonly Known[] {
  const found = new Map<string, Known>()
  // Two files that had the path one after the other are two files
  const nodeId = entry?.nodeId ?? versions.find((version) => version.nodeId !== undefined)?.nodeId
  for (const { version, path, sizeBytes, hash, mtimeNs, id, kept, nodeId: ofNode } of versions) {
    if (ofNode !== nodeId) continue
    const vector = version === undefined ? undefined : parseVector(version)
    if (version === undefined || vector === undefined || vector.size === 0) continue
    const mtimeMs = mtimeNs === 0n ? undefined : Number(mtimeNs / 1_000_000n)
    const stood = kept === undefined ? undefined : plainPath(path)
    found.set(version, {
      vector,
      stamp: newest(vector),
      path: stood,
      sizeBytes,
      hash,
      mtimeMs,
      versionId: id,
    })
  }
  const path = entry === undefined ? undefined : plainPath(entry.path)
  for (const { versions: vector, sizeBytes, hash, mtimeNs } of path === undefined
    ? []
    : (node?.versions ?? [])) {
    const mtimeMs = mtimeNs === undefined ? undefined : Number(mtimeNs / 1_000_000n)
    const key = [...vector].join()
    const one = { vector, stamp: newest(vector), path, sizeBytes, hash, mtimeMs, versionId: undefined }
    found.set(key, one)
  }
  return [...found.values()].sort((a, b) => order(a.vector, b.vector) || compareStamps(a.stamp, b.stamp))
}

/** What contains another one comes after it; a merge has no newer event than its sides. */
function order(a: VersionVector, b: VersionVector): number {
  const found = compareVectors(a, b)
  return found === 'before' ? -1 : found === 'after' ? 1 : 0
}

/** The only event in it is its own, and nobody builds on an earlier one of the same writer. */
function isCreation({ vector, stamp }: Known, all: readonly Known[]): boolean {
  return (
    vector.size === 1 && all.every((other) => (other.vector.get(stamp.writer) ?? Infinity) >= stamp.lamport)
  )
}

function isJoinOf(whole: VersionVector, a: VersionVector, b: VersionVector): boolean {
  if (compareVectors(a, b) !== 'concurrent' || !dominates(whole, a) || !dominates(whole, b)) return false
  return [...whole].every(([writer, lamport]) => lamport === Math.max(a.get(writer) ?? 0, b.get(writer) ?? 0))
}

/** Versions that lost a conflict are told by the merge that decided it. */
function deletions({ entry, versions }: HistoryParts): readonly HistoryEvent[] {
  return versions.toReversed().flatMap((version): readonly HistoryEvent[] => {
    const { cause, keptAtMs: atMs, path, id: versionId, sizeBytes, nodeId } = version
    // A deletion that something undid is no end of this node
    if (cause !== 'deleted' || (entry !== undefined && entry.nodeId === nodeId)) return []
    return [{ kind: 'delete', author: undefined, atMs, clock: 'here', path, versionId, sizeBytes }]
  })
}

/** The name of a conflict copy is nobody's doing. */
const plainPath = (path: string): string => joinPath(parentOf(path), plainName(nameOf(path)))

const renamed = (from: string | undefined, path: string, place: Stamp | undefined): HistoryEvent => ({
  kind: 'rename',
  author: place === undefined ? undefined : authorOf(place),
  atMs: undefined,
  clock: undefined,
  path,
  from,
})

const authorOf = ({ writer }: Stamp): string => writer.slice(0, 8)

function newest(vector: VersionVector): Stamp {
  const stamps = [...vector].map(([writer, lamport]) => ({ writer, lamport }))
  // because: an empty vector was left out
  return stamps.reduce((a, b) => (compareStamps(a, b) > 0 ? a : b))
}
