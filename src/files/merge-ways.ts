/**
 * What to merge: the versions that people wrote, whatever was merged on the way, so that all devices come to the same bytes
 * under the same version. Where one of those cannot be had any more, what stands side by side now is put together; that
 * version gets an event of its own (crdt/tree-change.ts). Pure.
 */
import { limits } from '../base/limits.ts'
import type { BlobHash } from '../blobs/hash.ts'
import { type Conflict, type MergeLeaf, partsOfVersion } from './folder-tree.ts'
import type { Origin } from './merge-base.ts'

/** One way to put concurrent versions together. */
export interface MergeWay {
  readonly origin: Origin
  readonly sides: readonly MergeSide[]
  /** Undefined: made from what others may have merged in another way. */
  readonly leaves: readonly MergeLeaf[] | undefined
}

interface MergeSide {
  readonly hash: BlobHash
  readonly size: number | undefined
  readonly executable: boolean
}

/** @returns the ways to try, the best first; none when two contents claim to be one version: only a person can tell. */
export function mergeWays(conflict: Conflict): readonly MergeWay[] {
  const { made, versions } = conflict
  if (made === undefined) return []
  const sizes = new Map(versions.map(({ hash, size }) => [hash, size]))
  const whole: MergeWay = {
    origin: {
      ...conflict,
      common: made.common,
      versions: made.leaves.map(({ versions: version, baseHash }) => ({ version, baseHash })),
    },
    sides: made.leaves.map(({ hash, executable }) => ({ hash, size: sizes.get(hash), executable })),
    leaves: made.leaves,
  }
  const standing = new Set(versions.map(({ version }) => partsOfVersion(version).vector))
  const isPlain =
    made.leaves.every((leaf) => standing.has(leaf.versions)) && made.leaves.length === versions.length
  if (isPlain) return [whole]
  const plain: MergeWay = { origin: conflict, sides: versions, leaves: undefined }
  return made.leaves.length <= limits.mergeSides ? [whole, plain] : [plain]
}
