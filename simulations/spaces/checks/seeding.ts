/**
 * P8: no document is seeded from contents again. Who saw that the document has a file at a place, with these very bytes, makes
 * no second node of it, whatever became of its own index.
 */
import { type FolderTree, rowKey, sameData, type TreeEntry } from '../../../src/files/folder-tree.ts'

/** The tree, with an eye on what a folder was shown and what it makes. */
export function watchSeeding(name: string, tree: FolderTree, onFault: (what: string) => void): FolderTree {
  const shown = new Map<string, readonly TreeEntry[]>()
  return Object.assign(Object.create(tree) as FolderTree, {
    // because: the prototype is the tree itself
    children: async (parentId: string) => {
      const entries = await tree.children(parentId)
      shown.set(parentId, entries)
      return entries
    },
    commit: async (...[changes, rows]: Parameters<FolderTree['commit']>) => {
      for (const change of changes) {
        if (change.kind !== 'create' || change.data.kind !== 'file') continue
        const known = shown.get(change.parentId)?.find((entry) => entry.name === change.name)
        if (known !== undefined && sameData(known, change.data))
          onFault(`${name} made a second node of ${rowKey(change.parentId, change.name)}`)
      }
      return await tree.commit(changes, rows)
    },
  })
}
