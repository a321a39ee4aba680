/** From a node of the document with concurrent versions to what merging needs to know of it. Pure. */
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import type { DataVersion, TreeNode } from '../crdt/join.ts'
import { leavesOf, type Mergeable, type MergedSide } from '../crdt/merge-sides.ts'
import { commonVector, formatVector, type VersionVector } from '../crdt/version-vector.ts'
import { type Conflict, type FileVersion, type MergeLeaf, versionText } from './folder-tree.ts'

/** @returns undefined for what is no file in all its versions, or has one content only. */
export function conflictOf(node: TreeNode): Conflict | undefined {
  const versions = node.versions.flatMap((version) => toFileVersion(version) ?? [])
  const isOne = new Set(versions.map((version) => version.hash)).size < 2
  if (versions.length < node.versions.length || isOne) return undefined
  const { id: nodeId, parent: parentId, name } = node
  const common = commonOf(node.versions.map((version) => version.versions))
  return { nodeId, parentId, name, versions, common, made: madeOf(node.versions) }
}

export const hashOrNone = (text: string | undefined): BlobHash | undefined =>
  text !== undefined && isBlobHash(text) ? text : undefined

export const isExecutable = (mode: number | undefined): boolean => ((mode ?? 0) & 0o100) !== 0

function commonOf([first, ...others]: readonly VersionVector[]): string {
  return first === undefined ? '' : formatVector(commonVector(first, ...others))
}

function toFileVersion(version: DataVersion): FileVersion | undefined {
  const hash = hashOrNone(version.hash)
  if (version.kind !== 'file' || hash === undefined) return undefined
  return {
    kind: 'file',
    hash,
    size: version.sizeBytes ?? 0,
    mtimeNs: version.mtimeNs ?? 0n,
    executable: isExecutable(version.mode),
    target: '',
    attributes: version.attributes,
    version: versionText(formatVector(version.versions), hash),
    baseHash: hashOrNone(version.base),
  }
}

/** @param versions of files, every one with a content. */
function madeOf(versions: readonly DataVersion[]): Conflict['made'] {
  const mergeable = versions.map(({ versions: vector, hash = '', base, mode, sides }): Mergeable => {
    return { versions: vector, hash, base, isExecutable: isExecutable(mode), sides }
  })
  const leaves = leavesOf(mergeable)
  if (leaves === undefined) return undefined
  return {
    leaves: leaves.flatMap((leaf) => toLeaf(leaf) ?? []),
    common: commonOf(leaves.map((leaf) => leaf.versions)),
  }
}

function toLeaf({ versions, hash, base, isExecutable: executable }: MergedSide): MergeLeaf | undefined {
  if (!isBlobHash(hash)) return undefined
  return { hash, versions: formatVector(versions), baseHash: hashOrNone(base), executable }
}
