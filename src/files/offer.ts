/**
 * Contents that are new on this device go ahead of the records that name them (blobs/push.ts). What is read for its hash
 * is held until then, so a round works on parts of bounded size.
 */
import { limits } from '../base/limits.ts'
import type { SpacePush } from '../blobs/push.ts'
import type { FirstIndex } from './first-index.ts'
import type { FolderTree } from './folder-tree.ts'
import type { Action } from './plan.ts'
import type { Seen } from './scan.ts'

export interface Offering {
  readonly tree: FolderTree
  readonly push?: Pick<SpacePush, 'offer' | 'room' | 'hasTakers'> | undefined
  readonly first: Pick<FirstIndex, 'isKnownToOthers'>
}

const partPlaces = 256
const partBytes = 4 * 1024 * 1024

/** @param bytes what the action was decided from, where it is at hand. */
export async function offerNew(
  { push, tree, first }: Offering,
  action: Action,
  bytes: Uint8Array | undefined,
): Promise<void> {
  if (action.kind !== 'create' && action.kind !== 'edit' && action.kind !== 'recreate') return
  const { hash } = action.data
  if (push === undefined || bytes === undefined || hash === undefined || !push.hasTakers) return
  if (first.isKnownToOthers) return
  // What stands here already under another name is known to the others as well
  if ((await tree.rowsWithHash(hash)).length === 0) push.offer(bytes)
}

/** The next places to work on. @returns one at least, if any are left. */
export function nextPart(places: readonly Seen[], from: number): readonly Seen[] {
  let end = from
  for (let bytes = 0; end < places.length && end - from < partPlaces && bytes < partBytes; end++) {
    const { stat } = places[end] ?? {}
    if (stat?.kind === 'file' && stat.size <= limits.pushedContentBytes) bytes += stat.size
  }
  return places.slice(from, end)
}
