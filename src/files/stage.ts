/** Makes a complete content ready to take its place: its file in staging, with mode, time and attributes. */
import { type FileStat, type Filesystem, type HeldAttributes, joinPath } from './filesystem.ts'
import type { TreeEntry } from './folder-tree.ts'
import { stagingFolder } from './names.ts'
import { createAnew } from './small-files.ts'

/** A complete content: in memory, or the path of a staged file. Neither is fsynced. */
export type StagedContent = Uint8Array | string

/** Whoever may read may execute; other bits stay as they are. */
export const modeFor = (mode: number, executable: boolean): number =>
  executable ? mode | ((mode & 0o444) >> 2) : mode & ~0o111

export interface Staged {
  readonly path: string
  readonly attributes: HeldAttributes
}

/** Content, mode, time and attributes; only its name is missing. */
export async function stage(
  filesystem: Filesystem,
  entry: TreeEntry,
  old: FileStat | undefined,
  content: StagedContent,
): Promise<Staged> {
  const mode = modeFor(old?.kind === 'file' ? old.mode : 0o644, entry.executable)
  const attributes = entry.attributes ?? ''
  if (typeof content !== 'string') {
    const path = joinPath(stagingFolder, entry.hash ?? entry.nodeId)
    const { mtimeNs } = entry
    return { path, attributes: await createAnew(filesystem, path, content, { mode, mtimeNs, attributes }) }
  }
  await using file = await filesystem.open(content, 'write')
  await file.setMode(mode)
  await file.setModified(entry.mtimeNs)
  return { path: content, attributes: await filesystem.writeAttributes(content, attributes) }
}
