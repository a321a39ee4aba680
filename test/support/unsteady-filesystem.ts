/**
 * A Filesystem whose every call takes its time, now more, now less, before and after it acts: what else happens on the
 * disk and on the network then comes between any two steps, as on a machine under load.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { type Random, randomBelow } from '../../src/base/random.ts'
import type { Filesystem, OpenFile } from '../../src/files/filesystem.ts'

/** @param random decides how long; one draw before and one after each call. */
export function unsteady(inner: Filesystem, random: Random): Filesystem {
  const wait = async (): Promise<void> => {
    const lot = randomBelow(random, 64)
    if (lot === 0) await sleep(20 + randomBelow(random, 100))
    else if (lot < 8) await sleep(1 + randomBelow(random, 8))
    else if (lot < 16) await nextTurn()
  }
  const slowly = async <T>(act: () => Promise<T>): Promise<T> => {
    await wait()
    const result = await act()
    await wait()
    return result
  }
  const wrapFile = (file: OpenFile): OpenFile => ({
    stat: () => slowly(() => file.stat()),
    read: (into, position) => slowly(() => file.read(into, position)),
    write: (bytes, position) => slowly(() => file.write(bytes, position)),
    truncate: (size) => slowly(() => file.truncate(size)),
    setModified: (mtimeNs) => slowly(() => file.setModified(mtimeNs)),
    setMode: (mode) => slowly(() => file.setMode(mode)),
    sync: () => slowly(() => file.sync()),
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file.close(),
  })
  return {
    watchesTrees: inner.watchesTrees,
    foldsNames: inner.foldsNames,
    holdsModes: inner.holdsModes,
    lstat: (path) => slowly(() => inner.lstat(path)),
    readDirectory: (path) => slowly(() => inner.readDirectory(path)),
    readLink: (path) => slowly(() => inner.readLink(path)),
    open: async (path, mode) => wrapFile(await slowly(() => inner.open(path, mode))),
    readSmall: (path, maxBytes) => slowly(() => inner.readSmall(path, maxBytes)),
    createSmall: (path, bytes, file) => slowly(() => inner.createSmall(path, bytes, file)),
    readAttributes: (path) => slowly(() => inner.readAttributes(path)),
    writeAttributes: (path, attributes) => slowly(() => inner.writeAttributes(path, attributes)),
    syncAll: (files, directories) => slowly(() => inner.syncAll(files, directories)),
    makeDirectory: (path) => slowly(() => inner.makeDirectory(path)),
    makeSymlink: (target, path) => slowly(() => inner.makeSymlink(target, path)),
    link: (from, to) => slowly(() => inner.link(from, to)),
    renameIf: (from, to, expected) => slowly(() => inner.renameIf(from, to, expected)),
    unlink: (path) => slowly(() => inner.unlink(path)),
    removeDirectory: (path) => slowly(() => inner.removeDirectory(path)),
    setMode: (path, mode) => slowly(() => inner.setMode(path, mode)),
    syncDirectory: (path) => slowly(() => inner.syncDirectory(path)),
    watch: (path, listener) => inner.watch(path, listener),
  }
}
