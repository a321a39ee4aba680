/**
 * A person takes a space up in another directory than the one that the index describes: the old one was deleted, or stays as
 * it is. Nothing that is known of the old place says anything about the new one, so it is forgotten, and the folder begins as
 * at its first use: what stands there is compared by content, and nothing counts as deleted. Never done on a device's own
 * account: a directory without its marker is otherwise a disk that is not mounted (root-guard.ts).
 */
import type { Filesystem } from './filesystem.ts'
import type { FolderTree, RowChange } from './folder-tree.ts'
import { readMarker } from './root-guard.ts'

const rowsAtOnce = 1_000

/** @returns whether there was something to forget. Before the folder is opened. */
export async function forgetOtherPlace(
  tree: Pick<FolderTree, 'rootId' | 'row' | 'rows' | 'commit'>,
  filesystem: Pick<Filesystem, 'lstat' | 'readSmall'>,
): Promise<boolean> {
  const root = await tree.row('', '')
  if (root?.target === undefined || root.target === (await readMarker(filesystem))) return false
  let forgotten: RowChange[] = []
  const flush = async (): Promise<void> => {
    await tree.commit([], forgotten)
    forgotten = []
  }
  const directories = [tree.rootId]
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for (const { parentId, name, nodeId, kind } of await tree.rows(directory)) {
      if (kind === 'directory') directories.push(nodeId)
      forgotten.push({ kind: 'forget', parentId, name, nodeId })
      if (forgotten.length >= rowsAtOnce) await flush()
    }
  }
  // The last one: until then this is the place of before, which is not there
  forgotten.push({ kind: 'forget', parentId: '', name: '', nodeId: root.nodeId })
  await flush()
  return true
}
