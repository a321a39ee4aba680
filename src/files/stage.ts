/** Makes a complete content ready to take its place: its file in staging, with mode and time. */
import { type FileStat, type Filesystem, joinPath } from './filesystem.ts'
import type { TreeEntry } from './folder-tree.ts'
import { stagingFolder } from './names.ts'
import { createAnew } from './small-files.ts'

/** A complete content: in memory, or the path of a staged file. Neither is fsynced. */
export type StagedContent = Uint8Array | string

/** Whoever may read may execute; other bits stay as they are. */
export const modeFor = (mode: number, executable: boolean): number =>
  executable ? mode | ((mode & 0o444) >> 2) : mode & ~0o111

/** Content, mode and time. @returns the path of the staged file; only its name is missing. */
export async function stage(
  filesystem: Filesystem,
  entry: TreeEntry,
  old: FileStat | undefined,
  content: StagedContent,
): Promise<string> {
  const mode = modeFor(old?.kind === 'file' ? old.mode : 0o644, entry.executable)
  if (typeof content !== 'string') {
    const path = joinPath(stagingFolder, entry.hash ?? entry.nodeId)
    await createAnew(filesystem, path, content, { mode, mtimeNs: entry.mtimeNs })
    return path
  }
  await using file = await filesystem.open(content, 'write')
  await file.setMode(mode)
  await file.setModified(entry.mtimeNs)
  return content
}
