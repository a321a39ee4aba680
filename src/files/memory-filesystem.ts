/**
 * A disk in memory: for tests and simulations, with the habits of real disks as options. Inode numbers, ctime and link
 * counts behave as on Linux, because the safety of a folder rests on them. Everything counts as durable at once, unless a
 * journal is told what happens: it can take back what a power cut would.
 */
import { type DirectoryEntry, type Filesystem, type OpenFile } from './filesystem.ts'
import {
  failure,
  type MemoryFilesystemOptions,
  MemoryInodes,
  type MemoryNode,
  statOf,
} from './memory-inodes.ts'

export function createMemoryFilesystem(options: MemoryFilesystemOptions = {}): Filesystem {
  const disk = new MemoryInodes(options)
  const later = <T>(act: () => T): Promise<T> => {
    disk.operation++
    try {
      return Promise.resolve(act())
    } catch (error) {
      return Promise.reject(error as Error) // because: only SkeinErrors and asserts are thrown below
    }
  }
  return {
    watchesTrees: false,
    foldsNames: options.caseInsensitive === true,
    holdsModes: true,
    lstat: (path) =>
      later(() => {
        const node = disk.find(path)
        return node === undefined ? undefined : statOf(node)
      }),
    readDirectory: (path) =>
      later(() => {
        const entries: DirectoryEntry[] = [...disk.directory(path).children.values()].map(
          ({ name, node }) => ({ name, stat: statOf(node) }),
        )
        return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
      }),
    readLink: (path) =>
      later(() => {
        const node = disk.get(path)
        if (node.kind !== 'symlink') throw failure('file.changed', `"${path}" is no link`)
        return node.target
      }),
    open: (path, mode) =>
      later(() => openNode(disk, mode === 'create' ? disk.add(path, 'file', '') : disk.get(path), path)),
    makeDirectory: (path) => later(() => void disk.add(path, 'directory', '')),
    makeSymlink: (target, path) => later(() => void disk.add(path, 'symlink', target)),
    link: (from, to) =>
      later(() => {
        const node = disk.get(from)
        if (node.kind === 'directory') throw failure('file.exists', 'directories have no hard links')
        disk.attach(to, node)
        disk.keep(node)
        node.links++
        node.ctimeNs = disk.tick()
      }),
    renameIf: (from, to, expected) => later(() => disk.renameIf(from, to, expected)),
    unlink: (path) =>
      later(() => {
        if (disk.get(path).kind === 'directory') throw failure('file.changed', `"${path}" is a directory`)
        disk.detach(path)
      }),
    removeDirectory: (path) =>
      later(() => {
        const node = disk.directory(path)
        if (node.children.size > 0) throw failure('file.exists', `"${path}" is not empty`)
        disk.detach(path)
        for (const listener of node.watchers) listener({ kind: 'ended' })
      }),
    ...wholeFileMethods(disk, later),
    watch: (path, listener) => {
      const { watchers } = disk.directory(path)
      watchers.add(listener)
      return { [Symbol.dispose]: () => void watchers.delete(listener) }
    },
  }
}

function wholeFileMethods(
  disk: MemoryInodes,
  later: <T>(act: () => T) => Promise<T>,
): Pick<
  Filesystem,
  'readSmall' | 'createSmall' | 'readAttributes' | 'writeAttributes' | 'setMode' | 'syncAll' | 'syncDirectory'
> {
  return {
    setMode: (path, mode) =>
      later(() => {
        const node = disk.get(path)
        disk.keep(node)
        node.mode = mode
        node.ctimeNs = disk.tick()
        disk.notify(path)
      }),
    readSmall: (path, maxBytes) =>
      later(() => {
        const node = disk.get(path)
        if (node.kind !== 'file') throw failure('file.changed', `"${path}" is no regular file`)
        return node.content.byteLength > maxBytes
          ? undefined
          : { bytes: node.content.slice(), stat: statOf(node), attributes: disk.attributesOf(node) }
      }),
    readAttributes: (path) => later(() => disk.attributesOf(disk.get(path))),
    writeAttributes: (path, attributes) =>
      later(() => {
        const held = disk.setAttributes(disk.get(path), attributes)
        disk.notify(path)
        return held
      }),
    createSmall: (path, bytes, { mode, mtimeNs, attributes }) =>
      later(() => {
        const node = disk.add(path, 'file', '')
        disk.replace(node, bytes.byteLength, bytes, 0)
        disk.touch(node)
        node.mode = mode
        node.mtimeNs = disk.roundTime(mtimeNs)
        return attributes === undefined ? undefined : disk.setAttributes(node, attributes)
      }),
    syncAll: (files, directories) =>
      later(() => [...files, ...directories].forEach((path) => disk.sync(path))),
    syncDirectory: (path) => later(() => disk.sync(path, disk.directory(path))),
  }
}

function openNode(disk: MemoryInodes, node: MemoryNode, path: string): OpenFile {
  if (node.kind !== 'file') throw failure('file.changed', `"${path}" is no regular file`)
  const close = (): Promise<void> => Promise.resolve()
  const changed = (act: () => void): Promise<void> => {
    disk.operation++
    try {
      act()
      disk.notify(path)
      return Promise.resolve()
    } catch (error) {
      return Promise.reject(error as Error) // because: resize throws only SkeinErrors
    }
  }
  return {
    stat: () => Promise.resolve(statOf(node)),
    read: (into, position) => {
      const part = node.content.subarray(
        Math.min(position, node.content.byteLength),
        position + into.byteLength,
      )
      into.set(part)
      return Promise.resolve(part.byteLength)
    },
    write: (bytes, position) =>
      changed(() => {
        // A new array: earlier readers may hold views
        const sizeBytes = Math.max(node.content.byteLength, position + bytes.byteLength)
        disk.replace(node, sizeBytes, bytes, position)
        disk.touch(node)
      }),
    truncate: (sizeBytes) =>
      changed(() => {
        disk.replace(node, sizeBytes, new Uint8Array(), 0)
        disk.touch(node)
      }),
    setModified: (mtimeNs) =>
      changed(() => {
        disk.keep(node)
        node.mtimeNs = disk.roundTime(mtimeNs)
        node.ctimeNs = disk.tick()
      }),
    setMode: (mode) =>
      changed(() => {
        disk.keep(node)
        node.mode = mode
        node.ctimeNs = disk.tick()
      }),
    sync: () => Promise.resolve(disk.sync(path, node)),
    close,
    [Symbol.asyncDispose]: close,
  }
}
