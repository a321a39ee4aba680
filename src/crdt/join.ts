/**
 * From the live records of one node to the node: a register join. Its place is the one with the highest stamp (no
 * bytes are lost by that); its data are all versions that no other one contains. Pure, and the same for every order
 * and any repetition of the records. Merging is made so that equal versions have equal content (merge-sides.ts); where
 * they have not (a peer of another making), all are kept side by side, in an order that depends on the content alone.
 */
import { type MergedSide, sidesOf } from './merge-sides.ts'
import type { NodeId } from './node-id.ts'
import { compareStamps, type NodeData, type Stamp, type TreeRecord } from './record.ts'
import { compareVectors, type VersionVector } from './version-vector.ts'

/** One version of a node's data that nothing here has replaced. */
export interface DataVersion extends NodeData {
  readonly versions: VersionVector
  /** The newest event in `versions`: who is named in a conflict copy, and who wins. */
  readonly stamp: Stamp
  /** What it was merged from, where that is known; undefined for what somebody wrote. */
  readonly sides?: readonly MergedSide[] | undefined
}

export interface TreeNode {
  readonly id: NodeId
  readonly parent: NodeId
  readonly name: string
  readonly place: Stamp
  /** At least one; the first has the highest stamp. More than one: concurrent versions. */
  readonly versions: readonly DataVersion[]
  /** A deleted directory, kept so that what others put into it has a place. */
  readonly isTombstone: boolean
}

/** @param records all live records of one id. @returns undefined when there are none. */
export function joinRecords(records: readonly TreeRecord[]): TreeNode | undefined {
  const [first] = records
  if (first === undefined) return undefined
  let placed = first
  for (const record of records) {
    const order = compareStamps(record.place, placed.place)
    // The same stamp with another place is no honest history, but the choice must still not depend on order
    if (order > 0 || (order === 0 && placeText(record) > placeText(placed))) placed = record
  }
  // A record that lives was seen by no deleter: a directory that anybody moved or made again is not deleted
  const living = records.filter((record) => record.kind !== 'tombstone')
  const isTombstone = living.length === 0
  const versions = maximal(isTombstone ? records : living)
  return {
    id: first.id,
    parent: placed.parent,
    name: placed.name,
    place: placed.place,
    versions,
    isTombstone,
  }
}

const placeText = (record: TreeRecord): string => `${record.parent}/${record.name}`

/** What makes two versions the same content. */
export function contentKey(data: NodeData): string {
  return `${data.kind}|${data.hash ?? ''}|${data.target ?? ''}`
}

function maximal(records: readonly TreeRecord[]): readonly DataVersion[] {
  const [only] = records
  if (only !== undefined && records.length === 1) return [toVersion(only)]
  const kept: TreeRecord[] = []
  for (const record of records) {
    const isCovered = records.some((other) => {
      if (other === record) return false
      const order = compareVectors(record.versions, other.versions)
      if (order === 'equal')
        return contentKey(record) === contentKey(other) && detailText(record) < detailText(other)
      return order === 'before'
    })
    const isRepeated = kept.some(
      (other) =>
        compareVectors(record.versions, other.versions) === 'equal' &&
        contentKey(record) === contentKey(other) &&
        detailText(record) === detailText(other),
    )
    if (!isCovered && !isRepeated) kept.push(record)
  }
  return kept.map(toVersion).sort(byStampDown)
}

/** Breaks ties between records that tell the same version differently. */
const detailText = (record: TreeRecord): string =>
  `${record.sizeBytes ?? ''}|${record.mtimeNs ?? ''}|${record.mode ?? ''}|${record.base ?? ''}${record.extension}`

function toVersion(record: TreeRecord): DataVersion {
  let stamp: Stamp | undefined
  for (const [writer, lamport] of record.versions) {
    const candidate = { writer, lamport }
    if (stamp === undefined || compareStamps(candidate, stamp) > 0) stamp = candidate
  }
  const { kind, hash, sizeBytes, mtimeNs, mode, target, base, attributes, versions } = record
  const data = { kind, hash, sizeBytes, mtimeNs, mode, target, base, attributes }
  return { ...data, versions, stamp: stamp ?? record, sides: sidesOf(record) }
}

function byStampDown(a: DataVersion, b: DataVersion): number {
  const order = compareStamps(b.stamp, a.stamp)
  if (order !== 0) return order
  return contentKey(a) < contentKey(b) ? -1 : 1
}
