/**
 * A disk that changes bytes by itself: files damaged through it keep the stat they had, ctime included, which no write
 * through a real file system can do. All else, the bytes too, is the real disk.
 */
import { readFile, stat as statFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type FileStat, type Filesystem, sameSignature } from '../../src/files/filesystem.ts'

export interface DamagingDisk {
  readonly filesystem: Filesystem
  /** Flips one bit of a file of the real disk below `root`. */
  damage(path: string, atByte?: number): Promise<void>
}

export function createDamagingDisk(inner: Filesystem, root: string): DamagingDisk {
  /** What damaged files looked like before and what the disk says now, by inode: until somebody touches or writes them. */
  const before = new Map<bigint, { readonly was: FileStat; readonly real: FileStat | undefined }>()
  const masked = (stat: FileStat | undefined): FileStat | undefined => {
    const known = stat === undefined ? undefined : before.get(stat.ino)
    if (stat === undefined || known === undefined) return stat
    // In the middle of it
    if (known.real === undefined) return known.was
    if (stat.mtimeNs !== known.real.mtimeNs) return stat
    const isTouched = stat.ctimeNs !== known.real.ctimeNs
    return isTouched ? { ...stat, mtimeNs: known.was.mtimeNs } : known.was
  }
  const filesystem: Filesystem = {
    watchesTrees: inner.watchesTrees,
    foldsNames: inner.foldsNames,
    holdsModes: inner.holdsModes,
    lstat: async (path) => masked(await inner.lstat(path)),
    readDirectory: async (path) =>
      (await inner.readDirectory(path)).map(({ name, stat }) => ({
        name,
        stat: masked(stat),
      })),
    readLink: (path) => inner.readLink(path),
    open: (path, mode) => inner.open(path, mode),
    async readSmall(path, maxBytes) {
      const small = await inner.readSmall(path, maxBytes)
      return small === undefined ? undefined : { ...small, stat: masked(small.stat) ?? small.stat }
    },
    createSmall: (path, bytes, file) => inner.createSmall(path, bytes, file),
    readAttributes: (path) => inner.readAttributes(path),
    writeAttributes: (path, attributes) => inner.writeAttributes(path, attributes),
    syncAll: (files, directories) => inner.syncAll(files, directories),
    makeDirectory: (path) => inner.makeDirectory(path),
    makeSymlink: (target, path) => inner.makeSymlink(target, path),
    link: (from, to) => inner.link(from, to),
    async renameIf(from, to, expected) {
      const real = expected === undefined ? undefined : await inner.lstat(to)
      const isIt =
        real !== undefined && expected !== undefined && sameSignature(masked(real) ?? real, expected)
      return await inner.renameIf(from, to, isIt ? real : expected)
    },
    unlink: (path) => inner.unlink(path),
    removeDirectory: (path) => inner.removeDirectory(path),
    setMode: (path, mode) => inner.setMode(path, mode),
    syncDirectory: (path) => inner.syncDirectory(path),
    watch: (path, listener) => inner.watch(path, listener),
  }
  return {
    filesystem,
    async damage(path, atByte = 0) {
      const stat = await inner.lstat(path)
      if (stat === undefined) throw new Error(`nothing at ${path}`)
      const was = masked(stat) ?? stat
      before.set(stat.ino, { was, real: undefined })
      const absolute = join(root, path)
      const { atime, mtime } = await statFile(absolute)
      const bytes = await readFile(absolute)
      bytes[atByte] = (bytes[atByte] ?? 0) ^ 0x10
      await writeFile(absolute, bytes, { flag: 'r+' })
      await utimes(absolute, atime, mtime)
      before.set(stat.ino, { was, real: await inner.lstat(path) })
    },
  }
}
