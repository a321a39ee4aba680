/** The content that concurrent versions of a file were made from, as far as anybody here can tell. */
import type { BlobHash } from '../blobs/hash.ts'
import type { BaseKeep } from './base-keep.ts'
import { type Conflict, type FolderTree, partsOfVersion } from './folder-tree.ts'

export interface MergeBaseParts {
  readonly tree: Pick<FolderTree, 'row'>
  readonly keep: Pick<BaseKeep, 'contentOf'>
}

/** Concurrent versions of a file, and the version vector (as text) that all of them contain. */
export interface Origin extends Pick<Conflict, 'nodeId' | 'parentId' | 'name' | 'common'> {
  readonly versions: readonly { readonly version: string; readonly baseHash: BlobHash | undefined }[]
}

/**
 * What all sides were edited from: told by their records where they agree, so the same on every device; else the
 * content of the version that they have in common, as far as this device has seen it.
 */
export async function findMergeBase(
  { tree, keep }: MergeBaseParts,
  { nodeId, parentId, name, versions, common }: Origin,
): Promise<BlobHash | undefined> {
  const [first, ...others] = versions
  const told = first?.baseHash
  if (told !== undefined && others.every(({ baseHash }) => baseHash === told)) return told
  const isCommon = (version: string): boolean => partsOfVersion(version).vector === common
  if (common === '' || versions.some(({ version }) => isCommon(version))) return undefined
  const row = await tree.row(parentId, name)
  if (row?.nodeId === nodeId && isCommon(row.version)) return row.hash
  return await keep.contentOf(nodeId, common)
}
