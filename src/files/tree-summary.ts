/** From the rows of the index to what is kept of them in memory while a folder is open: nothing of single files. */
import type { RowOutline } from '../crdt/local-index.ts'
import type { Directories, Totals } from './directories.ts'
import { addEntry, type DirectoryDigest, directoryText, emptyDigest, fileText } from './directory-digest.ts'
import type { DirectoryRow, DirectorySummary, TreeSummary } from './folder-tree.ts'

interface Group extends DirectorySummary {
  readonly directories: DirectoryRow[]
  files: number
  bytes: number
  entries: number
  digest: DirectoryDigest | undefined
}

/** @param note is told of every row. */
export async function summarize(
  rows: AsyncIterable<readonly RowOutline[]>,
  note: (row: RowOutline) => void,
): Promise<TreeSummary> {
  const groups = new Map<string, Group>()
  let last: { readonly directory: string; readonly group: Group } | undefined
  for await (const many of rows) {
    for (const row of many) {
      note(row)
      if (last?.directory !== row.directory) {
        const group = { directories: [], files: 0, bytes: 0, entries: 0, digest: emptyDigest() }
        groups.set(row.directory, group)
        last = { directory: row.directory, group }
      }
      addRow(last.group, row)
    }
  }
  return groups
}

function addRow(group: Group, row: RowOutline): void {
  const { directory: parentId, name, diskName, nodeId, dev, ino } = row
  group.entries++
  if (!row.isPlain) group.digest = undefined
  if (row.kind === 'dir') {
    const isLeftover = !row.isSynced
    group.directories.push({
      nodeId,
      parentId,
      name,
      diskName,
      isLeftover,
      dev: BigInt(dev),
      ino: BigInt(ino),
    })
    if (group.digest !== undefined) addEntry(group.digest, directoryText(diskName, dev, ino))
    return
  }
  if (row.kind === 'file') {
    group.files++
    group.bytes += row.sizeBytes
  }
  const kind = row.kind === 'file' ? 'file' : 'symlink'
  if (group.digest !== undefined) addEntry(group.digest, fileText(diskName, kind, row.signature))
}

/** The directories that the rows lead to from the top, with what stands in them. */
export function takeDirectories(summary: TreeSummary, rootId: string, directories: Directories): Totals {
  const totals = { files: 0, bytes: 0, entries: 0 }
  const waiting = [rootId]
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const group = summary.get(id)
    if (group === undefined) continue
    totals.files += group.files
    totals.bytes += group.bytes
    totals.entries += group.entries
    for (const row of group.directories) {
      directories.put(row)
      waiting.push(row.nodeId)
    }
  }
  return totals
}
