/**
 * From a change a person made on this device to records: which living records it replaces and which it adds. Pure but
 * for the Lamport counter. A change replaces only what the device had seen when it was made; what others wrote
 * meanwhile stays beside it.
 */
import { SkeinError } from '../base/errors.ts'
import { eventWriter } from './event-writer.ts'
import { withAttributes } from './file-attributes.ts'
import { contentKey, joinRecords, type DataVersion, type TreeNode } from './join.ts'
import { formatSides, type MergedSide, withSides } from './merge-sides.ts'
import { splitNodeId, type NodeId, type Writer } from './node-id.ts'
import * as records from './record.ts'
import type { NodeData, NodeKind, TreeRecord } from './record.ts'
import type { LiveRecord } from './shard.ts'
import {
  advanceVector,
  compareVectors,
  dominates,
  lamportMax,
  mergeVectors,
  type VersionVector,
} from './version-vector.ts'
import { conflictName } from './view.ts'

export type TreeChange =
  | {
      readonly kind: 'create'
      readonly nodeId: NodeId
      readonly parent: NodeId
      readonly name: string
      readonly data: NodeData
    }
  | {
      readonly kind: 'edit'
      readonly nodeId: NodeId
      /** Versions of what was edited: the index row's. Merging versions on purpose: all of theirs together. */
      readonly observed: VersionVector
      /** Content of what was edited: should another one claim the same versions, it becomes a node of its own. */
      readonly observedHash?: string | undefined
      readonly data: NodeData
      /** Where it stands, should the node have been deleted meanwhile: the edit wins. */
      readonly parent: NodeId
      readonly name: string
    }
  | { readonly kind: 'move'; readonly nodeId: NodeId; readonly parent: NodeId; readonly name: string }
  | {
      readonly kind: 'merge'
      readonly nodeId: NodeId
      /** The concurrent versions put together. Nothing happens unless they are all its versions still. */
      readonly sides: readonly VersionVector[]
      /** `data` is a pure function of these (`leavesOf` the sides): whoever merges them writes the same version. */
      readonly leaves: readonly MergedSide[] | undefined
      readonly data: NodeData
    }
  | {
      readonly kind: 'remove'
      readonly nodeId: NodeId
      /** Versions of what was removed; later ones stay. Directories are removed whatever their versions. */
      readonly observed: VersionVector
      /** Content of what was removed: another one that claims the same versions stays. */
      readonly observedHash?: string | undefined
    }

export interface ChangeResult {
  readonly nodeId: NodeId
  /** Versions of the data after the change; empty for `remove`, and for a `move` or `merge` of what is gone. */
  readonly versions: VersionVector
}

/** The living records of the nodes of one commit, and what the changes so far make of them. */
export interface Draft {
  /** Living records of a node, the changes so far taken in. @throws when its shard is not at hand. */
  live(id: NodeId): readonly DraftRecord[]
  remove(record: DraftRecord): void
  /** @param text its line. */
  add(record: TreeRecord, text: string): void
  readonly writer: Writer
  tick(): number
}

/** A record of a draft; without `stored` it is new in this very commit, and `text` is its line. */
export interface DraftRecord {
  readonly record: TreeRecord
  readonly stored: LiveRecord | undefined
  readonly text?: string
}

/** @param twins nodes shown as one with this one: directories go together, equal files give way. */
export function applyChange(draft: Draft, change: TreeChange, twins: readonly NodeId[]): ChangeResult {
  switch (change.kind) {
    case 'create':
      return { nodeId: change.nodeId, versions: push(draft, change, change.data, undefined) }
    case 'edit':
      return edit(draft, change, twins)
    case 'move':
      return move(draft, change, twins)
    case 'merge':
      return merge(draft, change)
    case 'remove':
      return remove(draft, change, twins)
  }
}

type Of<K extends TreeChange['kind']> = Extract<TreeChange, { kind: K }>

/** What a node's new record takes over from its old ones. */
interface Inherited {
  readonly node: TreeNode
  readonly versions: VersionVector
  /** Of what stays beside the new record. */
  readonly beside: TreeNode | undefined
  readonly extension: string
}

function edit(draft: Draft, change: Of<'edit'>, twins: readonly NodeId[]): ChangeResult {
  const live = draft.live(change.nodeId)
  const node = joinRecords(live.map(({ record }) => record))
  const observed = withEqual(storedOf(live), change.observed)
  const replaced = live.find(({ record }) => dominates(observed, record.versions))
  for (const twin of twins) dropEqual(draft, twin, observed, node)
  if (node === undefined) {
    const inherited = { versions: observed, extension: '' }
    return { nodeId: change.nodeId, versions: push(draft, change, change.data, inherited) }
  }
  splitCovered(draft, node, { observed, isRival: rivalsOf(node, change) })
  for (const one of draft.live(change.nodeId)) {
    if (dominates(observed, one.record.versions)) draft.remove(one)
  }
  const inherited: Inherited = {
    node,
    versions: observed,
    beside: joinRecords(draft.live(change.nodeId).map(({ record }) => record)),
    extension: withSides(replaced?.record.extension ?? '', undefined),
  }
  return { nodeId: change.nodeId, versions: push(draft, change, change.data, inherited) }
}

/** Several devices may have come to the same content: it is shown once, and who saw it saw all of them. */
function withEqual(node: TreeNode | undefined, observed: VersionVector): VersionVector {
  const isSeen = (version: DataVersion): boolean => dominates(observed, version.versions)
  const seen = new Set(node?.versions.filter(isSeen).map(contentKey))
  const equal = node?.versions.filter((version) => !isSeen(version) && seen.has(contentKey(version))) ?? []
  return mergeVectors(observed, ...equal.map((version) => version.versions))
}

/** The node without what this very commit made of it: two files that were swapped each get the content of the other. */
const storedOf = (live: readonly DraftRecord[]): TreeNode | undefined =>
  joinRecords(live.filter(({ stored }) => stored !== undefined).map(({ record }) => record))

/** Tells the versions that claim to be the one that was looked at, and have another content. */
function rivalsOf(
  node: TreeNode | undefined,
  { observed, observedHash }: Of<'edit'> | Of<'remove'>,
): (version: Pick<DataVersion, 'versions' | 'hash'>) => boolean {
  const isIt = ({ versions }: Pick<DataVersion, 'versions'>): boolean =>
    compareVectors(versions, observed) === 'equal'
  const isThere = node?.versions.some((version) => isIt(version) && version.hash === observedHash) === true
  return (version) => isThere && isIt(version) && version.hash !== observedHash
}

/**
 * Puts concurrent versions together. The new version is exactly what its sides contain and no event of its own: devices
 * that merge the same sides at the same time write equal versions, which are one. Where others could come to another
 * content from the same sides, it gets an event of its own: equal versions are to mean equal content.
 */
function merge(draft: Draft, { nodeId, sides, leaves, data }: Of<'merge'>): ChangeResult {
  const live = draft.live(nodeId)
  const node = joinRecords(live.map(({ record }) => record))
  const isOneOf = (all: readonly VersionVector[], one: VersionVector): boolean =>
    all.some((other) => compareVectors(one, other) === 'equal')
  const current = node?.versions.map((version) => version.versions) ?? []
  const isCurrent =
    current.length === sides.length &&
    current.every((one) => isOneOf(sides, one)) &&
    sides.every((side) => isOneOf(current, side))
  const stamp = { lamport: draft.tick(), writer: draft.writer }
  const whole = mergeVectors(...sides)
  const isExact =
    compareVectors(whole, mergeVectors(...(leaves ?? []).map(({ versions }) => versions))) === 'equal'
  const recorded = isExact ? formatSides(leaves ?? [], data.base) : undefined
  const versions = recorded === undefined ? advanceVector(whole, draft.writer, stamp.lamport) : whole
  // A vector that had to forget writers covers not all sides: the versions stay side by side
  if (node === undefined || !isCurrent || !sides.every((side) => dominates(versions, side)))
    return { nodeId, versions: new Map() }
  for (const one of live) draft.remove(one)
  const extension = withSides(live[0]?.record.extension ?? '', recorded)
  put(draft, node, data, { stamp, place: node.place, versions, extension })
  return { nodeId, versions }
}

/** Fields that this version's own record has in store for later peers. */
function extensionOf(live: readonly DraftRecord[], version: DataVersion): string {
  const own = live.find(
    ({ record }) =>
      compareVectors(record.versions, version.versions) === 'equal' &&
      contentKey(record) === contentKey(version),
  )
  return own?.record.extension ?? ''
}

interface Seen {
  readonly observed: VersionVector
  readonly isRival: (version: DataVersion) => boolean
}

/**
 * A new version of ours says by its counter that it contains all earlier ones of ours. One of them that lives as a
 * concurrent version of this node, and was not part of what is edited, would be lost by that: it becomes a node of
 * its own first, with an id that every device would give it.
 */
function splitCovered(draft: Draft, node: TreeNode, { observed, isRival }: Seen): void {
  const claim = advanceVector(observed, draft.writer, lamportMax)
  for (const version of node.versions) {
    const isSeen = dominates(observed, version.versions) && !isRival(version)
    if (isSeen || !dominates(claim, version.versions)) continue
    const live = draft.live(node.id)
    for (const one of live) {
      if (dominates(version.versions, one.record.versions)) draft.remove(one)
    }
    const id = splitNodeId(node.id, version.stamp.writer, version.stamp.lamport)
    const name = conflictName(
      { node, version, name: node.name, isConflict: true, isFirst: false, nodes: [node.id] },
      new Set(),
    )
    const lamport = draft.tick()
    put(draft, { id, parent: node.parent, name }, version, {
      stamp: { lamport, writer: draft.writer },
      place: { lamport, writer: draft.writer },
      versions: version.versions,
      extension: extensionOf(live, version),
    })
  }
}

function move(draft: Draft, change: Of<'move'>, twins: readonly NodeId[]): ChangeResult {
  let versions: VersionVector = new Map()
  for (const id of [change.nodeId, ...twins]) {
    const live = draft.live(id)
    const node = joinRecords(live.map(({ record }) => record))
    if (node === undefined) continue
    const isEqualFile = id !== change.nodeId && !isDirectoryData(node.versions[0])
    for (const one of live) draft.remove(one)
    if (isEqualFile) continue
    const lamport = draft.tick()
    const stamp = { lamport, writer: draft.writer }
    for (const version of node.versions) {
      const extension = extensionOf(live, version)
      const letter = live.find(({ record }) => record.kind === version.kind)?.record.kindLetter
      const place = { id, parent: change.parent, name: change.name }
      put(draft, place, version, { stamp, place: stamp, versions: version.versions, extension, letter })
    }
    if (id === change.nodeId) versions = mergeVectors(...node.versions.map((version) => version.versions))
  }
  return { nodeId: change.nodeId, versions }
}

function remove(draft: Draft, change: Of<'remove'>, twins: readonly NodeId[]): ChangeResult {
  const node = joinRecords(draft.live(change.nodeId).map(({ record }) => record))
  if (node !== undefined && isDirectoryData(node.versions[0])) {
    for (const id of [change.nodeId, ...twins]) bury(draft, id)
  } else {
    const observed = withEqual(storedOf(draft.live(change.nodeId)), change.observed)
    const isRival = rivalsOf(node, change)
    for (const twin of twins) dropEqual(draft, twin, observed, node)
    for (const one of draft.live(change.nodeId)) {
      if (dominates(observed, one.record.versions) && !isRival(one.record)) draft.remove(one)
    }
    keepPlace(draft, node)
  }
  return { nodeId: change.nodeId, versions: new Map() }
}

/** A deleted directory keeps a record, so that what others put into it meanwhile has a place. */
function bury(draft: Draft, id: NodeId): void {
  const live = draft.live(id)
  const node = joinRecords(live.map(({ record }) => record))
  if (node === undefined || node.isTombstone) return
  for (const one of live) draft.remove(one)
  const lamport = draft.tick()
  const all = mergeVectors(...live.map(({ record }) => record.versions))
  const stamp = { lamport, writer: draft.writer }
  const versions = advanceVector(all, draft.writer, lamport)
  const extension = live[0]?.record.extension ?? ''
  put(draft, node, { kind: 'tombstone' }, { stamp, place: node.place, versions, extension })
}

/**
 * Removes of a twin what equals the content that was seen, and what that had replaced there: a record that somebody moved
 * at the same time may live on beside it. Anything else in it stays.
 */
function dropEqual(draft: Draft, twin: NodeId, observed: VersionVector, node: TreeNode | undefined): void {
  const seen = node?.versions.find((version) => dominates(observed, version.versions))
  if (seen === undefined) return
  const live = draft.live(twin)
  const equal = live.filter(({ record }) => record.hash === seen.hash && record.target === seen.target)
  for (const one of live) {
    if (equal.some(({ record }) => dominates(record.versions, one.record.versions))) draft.remove(one)
  }
  keepPlace(draft, joinRecords(live.map(({ record }) => record)))
}

/** The record that says where a node is may go with a version: what is left of the node says it then. */
function keepPlace(draft: Draft, before: TreeNode | undefined): void {
  if (before === undefined) return
  const live = draft.live(before.id)
  const left = joinRecords(live.map(({ record }) => record))
  const [version] = left?.versions ?? []
  if (left === undefined || version === undefined || records.compareStamps(left.place, before.place) === 0)
    return
  const own = live.filter(({ record }) => compareVectors(record.versions, version.versions) === 'equal')
  const extension = extensionOf(live, version)
  const letter = own[0]?.record.kindLetter
  for (const one of own) if (contentKey(one.record) === contentKey(version)) draft.remove(one)
  const stamp = { lamport: draft.tick(), writer: draft.writer }
  const { place, id, parent, name } = before
  const { versions } = version
  put(draft, { id, parent, name }, version, { stamp, place, versions, extension, letter })
}

function push(
  draft: Draft,
  place: { readonly nodeId: NodeId; readonly parent: NodeId; readonly name: string },
  data: NodeData,
  inherited: Partial<Inherited> | undefined,
): VersionVector {
  const lamport = draft.tick()
  const stamp = { lamport, writer: draft.writer }
  const { node, beside, versions: observed = new Map() } = inherited ?? {}
  const writer = eventWriter(draft.writer, { versions: beside?.versions ?? [], observed, lamport })
  const versions = advanceVector(observed, writer, lamport)
  const spot = node ?? { id: place.nodeId, parent: place.parent, name: place.name }
  const extension = inherited?.extension ?? ''
  put(draft, spot, data, { stamp, place: node?.place ?? stamp, versions, extension })
  return versions
}

interface RecordParts {
  readonly stamp: records.Stamp
  readonly place: records.Stamp
  readonly versions: VersionVector
  readonly extension: string
  readonly letter?: string | undefined
}

function put(
  draft: Draft,
  spot: { readonly id: NodeId; readonly parent: NodeId; readonly name: string },
  data: NodeData,
  parts: RecordParts,
): void {
  const { kind, hash, sizeBytes, mtimeNs, mode, target, base, attributes } = data
  const record: TreeRecord = {
    kind,
    hash,
    sizeBytes,
    mtimeNs,
    mode,
    target,
    base,
    attributes,
    id: spot.id,
    parent: spot.parent,
    name: spot.name,
    ...parts.stamp,
    place: parts.place,
    versions: parts.versions,
    kindLetter: parts.letter ?? records.kindLetter(kind),
    extension: kind === 'unknown' ? parts.extension : withAttributes(parts.extension, attributes),
  }
  const text = records.formatRecord(record)
  const parsed = records.parseRecord(text)
  if (!parsed.ok) {
    throw new SkeinError('file.unsafe', `an entry that cannot be kept: ${parsed.reason}`, {
      fix: 'rename the file',
      details: { reason: parsed.reason },
    })
  }
  draft.add(parsed.record, text)
}

const isDirectoryData = (version: DataVersion | undefined): boolean => {
  const kind: NodeKind | undefined = version?.kind
  return kind === 'dir' || kind === 'tombstone'
}
