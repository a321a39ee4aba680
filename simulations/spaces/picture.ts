/** What stands on a disk: the tree as its person sees it, and the contents that Skein keeps beside it. */
import { hasCode } from '../../src/base/errors.ts'
import { type BlobHash, hashOf } from '../../src/blobs/hash.ts'
import { type FileStat, type Filesystem, joinPath } from '../../src/files/filesystem.ts'
import { internalFolder } from '../../src/files/names.ts'
import { versionsFolder } from '../../src/files/versions.ts'

export interface TreeItem {
  readonly path: string
  readonly stat: FileStat
}

/** Path to what stands there: `dir`, `-> target`, or the content key, with a star before it when executable. */
export type Picture = ReadonlyMap<string, string>

const shortBytes = 256

/** Names a content: short ones are their own text. */
export function contentKeyOf(bytes: Uint8Array): string {
  if (bytes.byteLength <= shortBytes) return Buffer.from(bytes).toString('latin1')
  return `${bytes.byteLength}:${hashOf(bytes).slice(0, 16)}`
}

/** Parents before children, our own folder left out. */
export async function listTree(disk: Filesystem, directory = ''): Promise<readonly TreeItem[]> {
  const items: TreeItem[] = []
  const walk = async (path: string): Promise<void> => {
    for (const { name, stat } of await readDirectory(disk, path)) {
      const below = joinPath(path, name)
      if (below === internalFolder || stat === undefined) continue
      items.push({ path: below, stat })
      if (stat.kind === 'directory') await walk(below)
    }
  }
  await walk(directory)
  return items
}

export async function takePicture(disk: Filesystem): Promise<Picture> {
  const picture = new Map<string, string>()
  for (const { path, stat } of await listTree(disk)) {
    if (stat.kind === 'directory') picture.set(path, 'dir')
    else if (stat.kind === 'symlink') picture.set(path, `-> ${await disk.readLink(path)}`)
    else {
      const bytes = await readWhole(disk, path)
      if (bytes !== undefined)
        picture.set(path, `${(stat.mode & 0o100) === 0 ? '' : '*'}${contentKeyOf(bytes)}`)
    }
  }
  return picture
}

/** Contents by key in the tree and in versions. */
export async function keptContents(disk: Filesystem): Promise<ReadonlySet<string>> {
  const kept = new Set<string>()
  const trees = [await listTree(disk), await listTree(disk, versionsFolder)]
  for (const { path, stat } of trees.flat()) {
    const bytes = stat.kind === 'file' ? await readWhole(disk, path) : undefined
    if (bytes !== undefined) kept.add(contentKeyOf(bytes))
  }
  return kept
}

/** A file, directory or link on a disk, with hashes instead of contents. */
export interface KeptFile {
  readonly path: string
  readonly ino: bigint
  /** Of a file. */
  readonly hash: BlobHash | undefined
  /** `dir`, `-> target`, or the hash, with a star before it when executable. */
  readonly what: string
  /** In the tree as the person sees it; else in versions. */
  readonly isInTree: boolean
}

/** All of the tree and of versions. */
export async function keptFiles(disk: Filesystem): Promise<readonly KeptFile[]> {
  const files: KeptFile[] = []
  for (const isInTree of [true, false]) {
    for (const { path, stat } of await listTree(disk, isInTree ? '' : versionsFolder)) {
      const bytes = stat.kind === 'file' ? await readWhole(disk, path) : undefined
      const hash = bytes === undefined ? undefined : hashOf(bytes)
      const link = stat.kind === 'symlink' ? `-> ${await disk.readLink(path)}` : 'dir'
      const isExecutable = (stat.mode & 0o100) !== 0
      const what = hash === undefined ? link : `${isExecutable ? '*' : ''}${hash}`
      files.push({ path, ino: stat.ino, hash, what, isInTree })
    }
  }
  return files
}

/** What is gone meanwhile is undefined. */
async function readWhole(disk: Filesystem, path: string): Promise<Uint8Array | undefined> {
  try {
    return (await disk.readSmall(path, Number.MAX_SAFE_INTEGER))?.bytes
  } catch (error) {
    if (!hasCode(error, 'not.found', 'file.changed')) throw error
    return undefined
  }
}

async function readDirectory(
  disk: Filesystem,
  path: string,
): Promise<readonly { readonly name: string; readonly stat: FileStat | undefined }[]> {
  try {
    return await disk.readDirectory(path)
  } catch (error) {
    if (!hasCode(error, 'not.found')) throw error
    return []
  }
}
