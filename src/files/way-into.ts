/**
 * What may keep a directory of the document from this disk, when it is wanted as the new place of something: rules that leave
 * it out, or, on a disk that takes two names for one, the very thing that is to move. There another directory may also
 * stand at the path of one that is gone.
 */
import { limits } from '../base/limits.ts'
import { joinPath } from './filesystem.ts'
import type { FolderTree, RowChange } from './folder-tree.ts'
import type { ScanPlace, Seen } from './scan.ts'

/**
 * 'free': it comes. 'left-out': the rules of this space leave it out. 'itself': what is to move into it stands in its place.
 * 'blocked': something else does.
 */
export type WayIn = 'free' | 'left-out' | 'itself' | 'blocked'

export async function wayInto(
  {
    tree,
    filesystem,
    directories,
    ignore,
  }: Pick<ScanPlace, 'filesystem' | 'directories' | 'ignore'> & {
    readonly tree: Pick<FolderTree, 'entries'>
  },
  directoryId: string,
  { stat }: Pick<Seen, 'stat'>,
): Promise<WayIn> {
  let id = directoryId
  for (let depth = 0; depth < limits.pathDepth; depth++) {
    const [entry] = await tree.entries(id)
    if (entry === undefined || directories.pathOf(id) !== undefined) return 'free'
    const parent = directories.pathOf(entry.parentId)
    if (parent === undefined) {
      id = entry.parentId
      continue
    }
    const path = joinPath(parent, entry.name)
    if (ignore().ignores(path, true)) return 'left-out'
    const there = filesystem.foldsNames ? await filesystem.lstat(path) : undefined
    if (there === undefined) return 'free'
    return there.dev === stat?.dev && there.ino === stat.ino ? 'itself' : 'blocked'
  }
  return 'free'
}

/**
 * @param rows of one commit. @returns them, and before them all that was recorded below directories that go while another one
 * stands at their path: what came to their place on this disk is in that one, and is recorded there.
 */
export async function withRowsBelow(
  {
    tree,
    filesystem,
    directories,
  }: Pick<ScanPlace, 'filesystem' | 'directories'> & {
    readonly tree: Pick<FolderTree, 'rows'>
  },
  rows: readonly RowChange[],
): Promise<readonly RowChange[]> {
  if (!filesystem.foldsNames) return rows
  const kept = new Set(rows.map((change) => (change.kind === 'put' ? change.row.nodeId : '')))
  const below: RowChange[] = []
  for (const change of rows) {
    if (change.kind === 'put' || kept.has(change.nodeId)) continue
    const path = directories.pathOf(change.nodeId)
    if (path === undefined || (await filesystem.lstat(path))?.kind !== 'directory') continue
    for (const id of directories.below(change.nodeId)) {
      for (const { parentId, name, nodeId } of await tree.rows(id))
        if (!kept.has(nodeId)) below.push({ kind: 'forget', parentId, name, nodeId })
    }
  }
  return below.length === 0 ? rows : [...below, ...rows]
}

/** News in a directory that is gone, of which the brake tells nobody yet: there is time until the person decides. */
export const isInHeldDirectory = async (
  place: Pick<ScanPlace, 'filesystem'> & { readonly holdsDeletions: () => boolean },
  { parentPath }: Pick<Seen, 'parentPath'>,
): Promise<boolean> => place.holdsDeletions() && (await place.filesystem.lstat(parentPath)) === undefined
