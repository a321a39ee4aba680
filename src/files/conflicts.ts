/**
 * The conflict copies that stand in a folder, and what a person decides about them. A decision is one commit to the
 * document, made from exactly the versions that were looked at: what somebody writes meanwhile stays beside it, and every
 * device follows by the rules it follows anyway. The bytes that lose their place go to versions there (apply.ts).
 */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type BlobHash, hashOf, isBlobHash } from '../blobs/hash.ts'
import { mergeAttributes } from '../crdt/file-attributes.ts'
import { isNodeId, type NodeId } from '../crdt/node-id.ts'
import type { NodeData } from '../crdt/record.ts'
import type { SpaceTree } from '../crdt/space.ts'
import type { TreeChange } from '../crdt/tree-change.ts'
import type { Entry } from '../crdt/tree-view.ts'
import { commonVector, formatVector, mergeVectors, type VersionVector } from '../crdt/version-vector.ts'
import { plainName } from '../crdt/view.ts'
import { joinPath, nameOf, parentOf } from './filesystem.ts'
import type { Folder } from './folder.ts'
import type { FolderTree } from './folder-tree.ts'
import { findMergeBase } from './merge-base.ts'
import type { MergeWait } from './merging.ts'
import { nameProblem } from './names.ts'

/** One of the versions that stand side by side. */
export interface Side {
  readonly nodeId: NodeId
  readonly path: string
  /** It has the name that all of them have a claim to. */
  readonly isMain: boolean
  readonly kind: 'file' | 'dir' | 'link' | 'unknown'
  readonly data: NodeData
  readonly versions: VersionVector
  /** The first 8 characters of the id of the device that wrote it. */
  readonly author: string
}

export interface StandingConflict {
  readonly parentId: NodeId
  /** The name that all sides have a claim to. */
  readonly path: string
  /** The one that has the name first; there is none when it was deleted or renamed. */
  readonly sides: readonly Side[]
  /** What is not here, so that they are not merged by themselves; undefined when only a person can. */
  readonly waitsFor: MergeWait['waitsFor'] | undefined
}

export interface Conflicts {
  /** Conflict copies on this disk. */
  readonly count: number
  /** By path. @param max of them. */
  list(max: number): Promise<readonly StandingConflict[]>
  /** @param path of any of its sides. */
  find(path: string): Promise<StandingConflict | undefined>
  /** This side takes the name, the others go. */
  pick(conflict: StandingConflict, side: Side): Promise<void>
  /** Every copy gets a name of its own. @param labels by side: who wrote it. @returns the new paths. */
  keepAll(conflict: StandingConflict, labels: ReadonlyMap<Side, string>): Promise<readonly string[]>
  /** These bytes take the place of all sides. @throws `limit.exceeded`, `disk.failed`. */
  replace(conflict: StandingConflict, bytes: Uint8Array): Promise<void>
  /** Hash of what all sides were made from, where that is known. */
  baseOf(conflict: StandingConflict): Promise<BlobHash | undefined>
}

export interface ConflictsParts {
  readonly space: SpaceTree
  readonly tree: FolderTree
  readonly folder: Pick<Folder, 'bases' | 'mergeWaits'>
}

export function createConflicts(env: Env, parts: ConflictsParts): Conflicts {
  const { space, tree } = parts
  return {
    get count() {
      return tree.conflictPlaces().length
    },
    async list(max) {
      const found = new Map<string, StandingConflict>()
      for (const { parentId, name } of tree.conflictPlaces()) {
        if (found.size >= max || !isNodeId(parentId)) break
        const key = joinPath(parentId, plainName(name))
        const conflict = found.has(key) ? undefined : await sidesIn(parts, parentId, name)
        if (conflict !== undefined) found.set(key, conflict)
      }
      return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
    },
    async find(path) {
      const parent = parentOf(path)
      const directory = parent === '' ? undefined : await space.lookup(parent)
      if (parent !== '' && directory?.kind !== 'dir') return undefined
      const parentId = directory?.nodeId ?? tree.rootId
      return isNodeId(parentId) ? await sidesIn(parts, parentId, nameOf(path)) : undefined
    },
    async pick(conflict, side) {
      await space.commit(pickChanges(conflict, side))
    },
    async keepAll(conflict, labels) {
      const taken = new Set((await space.children(conflict.parentId)).map((entry) => entry.name))
      const paths: string[] = []
      const changes: TreeChange[] = []
      for (const side of conflict.sides.filter((one) => !one.isMain)) {
        const name = freeName(nameOf(conflict.path), labels.get(side) ?? side.author, taken)
        taken.add(name)
        paths.push(joinPath(parentOf(conflict.path), name))
        changes.push(...renameChanges(conflict, side, { name, newId: () => space.newIds(1)[0] }))
      }
      await space.commit(changes)
      return paths
    },
    replace: (conflict, bytes) => replaceAll(env, parts, conflict, bytes),
    baseOf: (conflict) => baseOf(parts, conflict),
  }
}

async function sidesIn(
  { space, folder }: ConflictsParts,
  parentId: NodeId,
  name: string,
): Promise<StandingConflict | undefined> {
  const plain = plainName(name)
  const entries = (await space.children(parentId)).filter((entry) => plainName(entry.name) === plain)
  const sides = entries.map((entry) => toSide(entry, plain)).sort(mainFirst)
  const [first] = sides
  if (first === undefined || sides.every((side) => side.isMain)) return undefined
  const ids = new Set<string>(sides.map((side) => side.nodeId))
  const waitsFor = folder.mergeWaits().find((wait) => ids.has(wait.nodeId))?.waitsFor
  return { parentId, path: joinPath(parentOf(first.path), plain), sides, waitsFor }
}

async function replaceAll(
  env: Env,
  { space, folder: { bases } }: ConflictsParts,
  conflict: StandingConflict,
  bytes: Uint8Array,
): Promise<void> {
  requireFiles(conflict)
  if (bytes.byteLength > limits.mergeBytes) {
    throw new SkeinError('limit.exceeded', `a merged file of more than ${limits.mergeBytes} bytes`, {
      fix: 'copy it over the file yourself, then: skein conflicts pick PATH --device the one that has the name',
    })
  }
  const hash = hashOf(bytes)
  // On the disk before any device hears of it: the document must not name a content that nobody can give
  if (!(await bases.add([{ hash, bytes }], [])) || !(await bases.sync()))
    throw new SkeinError('disk.failed', 'the merged file could not be kept', {
      fix: 'check the disk for space',
    })
  const [main] = conflict.sides
  const data: NodeData = {
    kind: 'file',
    hash,
    sizeBytes: bytes.byteLength,
    mtimeNs: BigInt(Math.round(env.clock.nowMs())) * 1_000_000n,
    mode: main?.data.mode,
    attributes: mergeAttributes(conflict.sides.map((side) => side.data.attributes)),
    base: main?.data.hash,
  }
  await space.commit(takeOver(conflict, main, data))
}

async function baseOf(
  { tree, folder: { bases } }: ConflictsParts,
  { parentId, path, sides }: StandingConflict,
): Promise<BlobHash | undefined> {
  const [main] = sides
  if (main === undefined) return undefined
  const { nodeId } = main
  const [first, ...others] = sides.map((side) => side.versions)
  const isOneNode = sides.every((side) => side.nodeId === nodeId)
  const common = isOneNode && first !== undefined ? formatVector(commonVector(first, ...others)) : ''
  const versions = sides.map(({ versions: vector, data }) => ({
    version: formatVector(vector),
    baseHash: data.base !== undefined && isBlobHash(data.base) ? data.base : undefined,
  }))
  const place = { nodeId, parentId, name: nameOf(path) }
  return await findMergeBase({ tree, keep: bases }, { ...place, versions, common })
}

function toSide(entry: Entry, plain: string): Side {
  const { nodeId, path, kind, data } = entry
  const author = data.stamp.writer.slice(0, 8)
  return { nodeId, path, isMain: entry.name === plain, kind, data, versions: data.versions, author }
}

const mainFirst = (a: Side, b: Side): number =>
  a.isMain === b.isMain ? (a.path < b.path ? -1 : 1) : a.isMain ? -1 : 1

function pickChanges(conflict: StandingConflict, picked: Side): readonly TreeChange[] {
  const [main] = conflict.sides
  if (main === picked && main.isMain) return removals(conflict.sides.filter((side) => side !== picked))
  if (main?.isMain !== true) {
    // Nothing has the name any more: the copy takes it
    const name = nameOf(conflict.path)
    const others = removals(conflict.sides.filter((side) => side !== picked))
    return [...others, { kind: 'move', nodeId: picked.nodeId, parent: conflict.parentId, name }]
  }
  requireFiles(conflict)
  return takeOver(conflict, main, { ...picked.data, base: main.data.hash })
}

/**
 * `data` stands for all sides from now on: versions of the main side's node are contained in the new one, the other nodes
 * lose what was looked at.
 */
function takeOver(conflict: StandingConflict, main: Side | undefined, data: NodeData): readonly TreeChange[] {
  if (main === undefined) return []
  const same = conflict.sides.filter((side) => side.nodeId === main.nodeId)
  const observed = mergeVectors(...same.map((side) => side.versions))
  const { nodeId } = main
  const place = { parent: conflict.parentId, name: nameOf(conflict.path) }
  return [
    { kind: 'edit', nodeId, observed, data, ...place },
    ...removals(conflict.sides.filter((side) => side.nodeId !== nodeId)),
  ]
}

const removals = (sides: readonly Side[]): readonly TreeChange[] =>
  sides.map(({ nodeId, versions, data }) => ({
    kind: 'remove',
    nodeId,
    observed: versions,
    observedHash: data.hash,
  }))

interface NewName {
  readonly name: string
  readonly newId: () => NodeId | undefined
}

function renameChanges(
  { parentId, sides }: StandingConflict,
  side: Side,
  { name, newId }: NewName,
): readonly TreeChange[] {
  const isNodeOfItsOwn = sides.every((other) => other === side || other.nodeId !== side.nodeId)
  if (isNodeOfItsOwn) return [{ kind: 'move', nodeId: side.nodeId, parent: parentId, name }]
  const nodeId = newId()
  if (nodeId === undefined) return []
  const { kind, hash, sizeBytes, mtimeNs, mode, target, attributes } = side.data
  const data = { kind, hash, sizeBytes, mtimeNs, mode, target, attributes }
  return [{ kind: 'create', nodeId, parent: parentId, name, data }, ...removals([side])]
}

function requireFiles({ path, sides }: StandingConflict): void {
  if (sides.every((side) => side.kind === 'file' || side.kind === 'link')) return
  throw new SkeinError('file.unsupported', `"${path}" is a directory on one side`, {
    fix: 'keep both: skein conflicts pick PATH --both',
  })
}

/** `stem (from label).ext`, with a number when that is taken. */
function freeName(name: string, label: string, taken: ReadonlySet<string>): string {
  const dot = name.lastIndexOf('.')
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, '']
  const safe = label.replace(/[/\\:*?"<>|\p{C}]/gu, '_').trim()
  for (let count = 1; ; count++) {
    const suffix = ` (from ${safe}${count === 1 ? '' : ` ${count}`})`
    let start = stem
    while (nameProblem(`${start}${suffix}${extension}`) === 'too-long' && start !== '')
      start = start.slice(0, -1).toWellFormed()
    const found = `${start}${suffix}${extension}`.normalize('NFC')
    if (!taken.has(found)) return found
  }
}
