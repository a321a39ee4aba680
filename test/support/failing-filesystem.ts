/** A Filesystem that stops like a killed process: the n-th change of the disk and everything after it fails. */
import { SkeinError } from '../../src/base/errors.ts'
import type { Filesystem, OpenFile } from '../../src/files/filesystem.ts'

export interface CrashPoint {
  readonly filesystem: Filesystem
  /** Changes seen so far. */
  readonly steps: number
  readonly crashed: boolean
}

/** @param before the change with this number (from 0) is not made any more. */
export function crashAt(inner: Filesystem, before: number): CrashPoint {
  let steps = 0
  let crashed = false
  const alive = (): void => {
    if (crashed) throw new SkeinError('folder.missing', 'crashed')
  }
  const change = <T>(act: () => Promise<T>): Promise<T> => {
    if (crashed || steps++ >= before) {
      crashed = true
      return Promise.reject(new SkeinError('folder.missing', 'crashed'))
    }
    return act()
  }
  const read = <T>(act: () => Promise<T>): Promise<T> => {
    if (crashed) return Promise.reject(new SkeinError('folder.missing', 'crashed'))
    return act()
  }
  const wrapFile = (file: OpenFile): OpenFile => ({
    stat: () => read(() => file.stat()),
    read: (into, position) => read(() => file.read(into, position)),
    // A write that is cut leaves half of its bytes
    write: async (bytes, position) => {
      if (!crashed && steps >= before) await file.write(bytes.subarray(0, bytes.byteLength >> 1), position)
      await change(() => file.write(bytes, position))
    },
    truncate: (size) => change(() => file.truncate(size)),
    setModified: (mtimeNs) => change(() => file.setModified(mtimeNs)),
    setMode: (mode) => change(() => file.setMode(mode)),
    sync: () => change(() => file.sync()),
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file.close(),
  })
  const filesystem: Filesystem = {
    watchesTrees: inner.watchesTrees,
    foldsNames: inner.foldsNames,
    holdsModes: inner.holdsModes,
    lstat: (path) => read(() => inner.lstat(path)),
    readDirectory: (path) => read(() => inner.readDirectory(path)),
    readLink: (path) => read(() => inner.readLink(path)),
    open: (path, mode) => (mode === 'create' ? change : read)(() => inner.open(path, mode)).then(wrapFile),
    readSmall: (path, maxBytes) => read(() => inner.readSmall(path, maxBytes)),
    // One that is cut leaves half of its bytes
    createSmall: async (path, bytes, file) => {
      if (!crashed && steps >= before)
        await inner.createSmall(path, bytes.subarray(0, bytes.byteLength >> 1), file)
      return await change(() => inner.createSmall(path, bytes, file))
    },
    readAttributes: (path) => read(() => inner.readAttributes(path)),
    writeAttributes: (path, attributes) => change(() => inner.writeAttributes(path, attributes)),
    syncAll: (files, directories) => change(() => inner.syncAll(files, directories)),
    makeDirectory: (path) => change(() => inner.makeDirectory(path)),
    makeSymlink: (target, path) => change(() => inner.makeSymlink(target, path)),
    link: (from, to) => change(() => inner.link(from, to)),
    renameIf: (from, to, expected) => change(() => inner.renameIf(from, to, expected)),
    unlink: (path) => change(() => inner.unlink(path)),
    removeDirectory: (path) => change(() => inner.removeDirectory(path)),
    setMode: (path, mode) => change(() => inner.setMode(path, mode)),
    syncDirectory: (path) => change(() => inner.syncDirectory(path)),
    watch: (path, listener) => {
      alive()
      return inner.watch(path, listener)
    },
  }
  return {
    filesystem,
    get steps() {
      return steps
    },
    get crashed() {
      return crashed
    },
  }
}
