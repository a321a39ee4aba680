/** What stands at a place of the disk, as the document would have it: content by hash, or the target of a link. */
import type { FileStat, HeldAttributes } from './filesystem.ts'
import type { EntryData } from './folder-tree.ts'
import type { Hasher } from './hasher.ts'
import type { ScanPlace } from './scan.ts'

export interface ReadPlace extends Pick<ScanPlace, 'filesystem'> {
  readonly hasher: Hasher
}

export interface ReadEntry {
  readonly data: EntryData
  /** What the disk has; the data say none (told-attributes.ts). */
  readonly attributes?: HeldAttributes
  /** Of exactly this data. */
  readonly stat: FileStat
  /** Of a small file. */
  readonly bytes?: Uint8Array | undefined
  /** Wall clock before it was read, where that was long before it was asked for. */
  readonly readFromMs?: number | undefined
}

/** @throws what the disk says, `file.changed` when it will not stand still, `cancelled`. */
export async function readData(
  place: ReadPlace,
  path: string,
  stat: FileStat,
  signal: AbortSignal,
): Promise<ReadEntry> {
  const plain = { hash: undefined, size: 0, mtimeNs: stat.mtimeNs, executable: false, target: '' }
  if (stat.kind === 'directory') return { data: { ...plain, kind: 'directory' }, stat }
  if (stat.kind === 'symlink')
    return { data: { ...plain, kind: 'symlink', target: await place.filesystem.readLink(path) }, stat }
  const hashed = await place.hasher.hash(path, signal)
  const { size, mtimeNs, mode } = hashed.stat
  return {
    data: { ...plain, kind: 'file', hash: hashed.hash, size, mtimeNs, executable: (mode & 0o100) !== 0 },
    stat: hashed.stat,
    attributes: hashed.attributes,
    bytes: hashed.bytes,
    readFromMs: hashed.readFromMs,
  }
}
