/** Where the document has its directories: on this disk they may stand elsewhere still, or not at all. */
import { limits } from '../base/limits.ts'
import { joinPath } from './filesystem.ts'
import type { FolderTree } from './folder-tree.ts'

/** For as long as the document stays the same. @returns the path of a directory; undefined for one that is not there. */
export function createDocumentPaths(
  tree: Pick<FolderTree, 'rootId' | 'entries'>,
): (directoryId: string) => Promise<string | undefined> {
  const known = new Map<string, Promise<string | undefined>>()
  const find = async (id: string, depth: number): Promise<string | undefined> => {
    if (id === tree.rootId) return ''
    const [entry] = depth > limits.pathDepth ? [] : await tree.entries(id)
    const parent = entry && (await pathOf(entry.parentId, depth + 1))
    return entry === undefined || parent === undefined ? undefined : joinPath(parent, entry.name)
  }
  const pathOf = (id: string, depth: number): Promise<string | undefined> => {
    const path = known.get(id) ?? find(id, depth)
    known.set(id, path)
    return path
  }
  return (id) => pathOf(id, 0)
}
