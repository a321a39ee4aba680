/**
 * The Filesystem seam over node:fs. Metadata calls are synchronous: microseconds on a local disk, where the
 * promise version costs 5-7 times as much; content and fsync, which may take long, run in Node's thread pool.
 */
import { execFile } from 'node:child_process'
import * as fs from 'node:fs'
import { promisify } from 'node:util'
import { hasCode, SkeinError } from '../base/errors.ts'
import { type ContainedRoot, createContainedRoot, type RootIdentity } from './contained-path.ts'
import { filesystemError } from './filesystem-error.ts'
import { decodeTarget } from './link-target.ts'
import {
  type DirectoryEntry,
  type FileKind,
  type FileStat,
  type Filesystem,
  type NewFile,
  type OpenFile,
  parentOf,
  sameSignature,
  type HeldAttributes,
  type SmallFile,
} from './filesystem.ts'
import { readAttributes, writeAttributes } from './node-attributes.ts'
import { probeModes } from './node-modes.ts'
import { watchDirectory, watchesTrees } from './node-watch.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
const readAt = promisify(fs.read)
const writeAt = promisify(fs.write)
const syncHandle = promisify(fs.fsync)
const closeHandle = promisify(fs.close)
const runFile = promisify(execFile)

/**
 * @param root absolute path of an existing directory; the root itself may be reached through symlinks.
 * @param expected the directory that it must be; the one found at first use when left out.
 */
export function createNodeFilesystem(root: string, expected?: RootIdentity): Filesystem {
  const contained = createContainedRoot(root, expected)
  let folds: boolean | undefined
  let modes: boolean | undefined
  const run = <T>(doing: string, path: string, act: (absolute: string) => T): Promise<T> => {
    try {
      return Promise.resolve(contained.within(path, act))
    } catch (error) {
      return Promise.reject(filesystemError(error, doing, path))
    }
  }
  return {
    lstat: (path) => {
      try {
        return Promise.resolve(contained.within(path, statOrAbsent))
      } catch (error) {
        if (isAbsence(error)) return Promise.resolve(undefined)
        return Promise.reject(filesystemError(error, 'look at', path))
      }
    },
    readDirectory: (path) => run('list', path, listDirectory),
    readLink: (path) =>
      run('read the link', path, (absolute) =>
        decodeTarget(fs.readlinkSync(absolute, { encoding: 'buffer' })),
      ),
    open: (path, mode) => run('open', path, (absolute) => openFile(absolute, path, mode)),
    readSmall: (path, maxBytes) => run('read', path, (absolute) => readSmall(absolute, path, maxBytes)),
    createSmall: (path, bytes, file) => run('write', path, (absolute) => createSmall(absolute, bytes, file)),
    readAttributes: (path) => run('look at', path, readAttributes),
    writeAttributes: (path, attributes) =>
      run('set the attributes of', path, (absolute) => writeAttributes(absolute, attributes)),
    syncAll: (files, directories) => syncAll(root, contained, files, directories),
    makeDirectory: (path) => run('make the directory', path, (absolute) => fs.mkdirSync(absolute)),
    makeSymlink: (target, path) => run('make the link', path, (absolute) => fs.symlinkSync(target, absolute)),
    link: (from, to) =>
      run('link', to, (toAbsolute) =>
        contained.within(from, (fromAbsolute) => fs.linkSync(fromAbsolute, toAbsolute)),
      ),
    renameIf: (from, to, expected) =>
      run('rename', to, (toAbsolute) =>
        contained.within(from, (fromAbsolute) => {
          if (expected === undefined)
            return renameToNothing(fromAbsolute, toAbsolute, () => contained.forget())
          const found = statOrAbsent(toAbsolute)
          if (found === undefined || !sameSignature(found, expected)) return false
          fs.renameSync(fromAbsolute, toAbsolute)
          return true
        }),
      ),
    unlink: (path) => run('remove', path, (absolute) => fs.unlinkSync(absolute)),
    removeDirectory: (path) =>
      run('remove the directory', path, (absolute) => {
        fs.rmdirSync(absolute)
        contained.forget()
      }),
    setMode: (path, mode) => run('set the mode of', path, (absolute) => setModeNoFollow(absolute, mode)),
    syncDirectory: (path) => syncDirectory(contained, path),
    watch: (path, listener) => watchDirectory(contained, path, listener),
    watchesTrees,
    get holdsModes() {
      modes ??= probeModes(contained)
      return modes ?? true
    },
    get foldsNames() {
      folds ??= probeFolding(contained)
      return folds
    },
  }
}

const isAbsence = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ELOOP')

function toStat(stat: fs.BigIntStats): FileStat {
  const kind: FileKind = stat.isFile()
    ? 'file'
    : stat.isDirectory()
      ? 'directory'
      : stat.isSymbolicLink()
        ? 'symlink'
        : 'other'
  return {
    kind,
    size: kind === 'directory' ? 0 : Number(stat.size),
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    ino: stat.ino,
    dev: stat.dev,
    mode: Number(stat.mode) & 0o7777,
    links: Number(stat.nlink),
  }
}

function statOrAbsent(absolute: string): FileStat | undefined {
  try {
    // Absence is an everyday answer here, and an exception costs twenty times as much
    const stat = fs.lstatSync(absolute, { bigint: true, throwIfNoEntry: false })
    return stat === undefined ? undefined : toStat(stat)
  } catch (error) {
    if (isAbsence(error)) return undefined
    throw error
  }
}

function listDirectory(absolute: string): readonly DirectoryEntry[] {
  // The path could be a symlink put there meanwhile: hold the directory itself while it is read
  const handle = fs.openSync(absolute, O_RDONLY | O_NOFOLLOW | O_DIRECTORY)
  try {
    const place = process.platform === 'linux' ? `/proc/self/fd/${handle}` : absolute
    const names = fs.readdirSync(place)
    const entries: DirectoryEntry[] = []
    const suspicious = names.some((name) => name.includes('\ufffd'))
    for (const { name, readable } of suspicious
      ? namesFromBytes(place)
      : names.map((name) => ({ name, readable: true }))) {
      if (!readable) {
        entries.push({ name, stat: undefined })
        continue
      }
      const stat = statOrAbsent(`${place}/${name}`)
      if (stat !== undefined) entries.push({ name, stat })
    }
    return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  } finally {
    fs.closeSync(handle)
  }
}

/** A name with U+FFFD either really contains it or is not UTF-8: only the bytes tell. */
function namesFromBytes(place: string): readonly { readonly name: string; readonly readable: boolean }[] {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  return fs.readdirSync(place, { encoding: 'buffer' }).map((bytes) => {
    try {
      return { name: strict.decode(bytes), readable: true }
    } catch {
      // because: TextDecoder throws exactly when the bytes are not UTF-8, which is the answer
      return { name: bytes.toString('latin1'), readable: false }
    }
  })
}

function openFile(absolute: string, path: string, mode: 'read' | 'write' | 'create'): OpenFile {
  const flags = { read: O_RDONLY, write: O_RDWR, create: O_RDWR | O_CREAT | O_EXCL }[mode]
  const handle = fs.openSync(absolute, flags | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0), 0o600)
  if (!fs.fstatSync(handle).isFile()) {
    fs.closeSync(handle)
    throw new SkeinError('file.changed', `"${path}" is no regular file`)
  }
  let open = true
  const guard = async <T>(doing: string, act: () => Promise<T> | T): Promise<T> => {
    try {
      return await act()
    } catch (error) {
      throw filesystemError(error, doing, path)
    }
  }
  const close = async (): Promise<void> => {
    if (!open) return
    open = false
    await guard('close', () => closeHandle(handle))
  }
  return {
    stat: () => guard('look at', () => toStat(fs.fstatSync(handle, { bigint: true }))),
    read: (into, position) => guard('read', () => readFully(handle, into, position)),
    write: (bytes, position) => guard('write', () => writeFully(handle, bytes, position)),
    truncate: (sizeBytes) => guard('cut', () => fs.ftruncateSync(handle, sizeBytes)),
    setModified: (mtimeNs) =>
      guard('set the time of', () => {
        const seconds = secondsText(mtimeNs)
        fs.futimesSync(handle, seconds, seconds)
      }),
    setMode: (bits) => guard('set the mode of', () => setOwnMode(handle, bits)),
    sync: () => guard('sync', () => syncHandle(handle)),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function readSmall(absolute: string, path: string, maxBytes: number): SmallFile | undefined {
  const handle = fs.openSync(absolute, O_RDONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0))
  try {
    const before = fs.fstatSync(handle, { bigint: true })
    if (!before.isFile()) throw new SkeinError('file.changed', `"${path}" is no regular file`)
    if (before.size > BigInt(maxBytes)) return undefined
    const bytes = new Uint8Array(Number(before.size) + 1)
    let done = 0
    while (done < bytes.byteLength) {
      const got = fs.readSync(handle, bytes, done, bytes.byteLength - done, done)
      if (got === 0) break
      done += got
    }
    const attributes = readAttributes(absolute)
    const stat = toStat(fs.fstatSync(handle, { bigint: true }))
    const isSame = sameSignature(stat, toStat(before)) && done === stat.size
    return isSame ? { bytes: bytes.subarray(0, done), stat, attributes } : undefined
  } finally {
    fs.closeSync(handle)
  }
}

function createSmall(absolute: string, bytes: Uint8Array, file: NewFile): HeldAttributes {
  const handle = fs.openSync(absolute, O_RDWR | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0), 0o600)
  try {
    for (let done = 0; done < bytes.byteLength;)
      done += fs.writeSync(handle, bytes, done, bytes.byteLength - done, done)
    setOwnMode(handle, file.mode)
    const seconds = secondsText(file.mtimeNs)
    fs.futimesSync(handle, seconds, seconds)
    return file.attributes === undefined ? undefined : writeAttributes(absolute, file.attributes)
  } finally {
    fs.closeSync(handle)
  }
}

/** Of a file that we made ourselves: FAT refuses modes that it cannot hold. */
function setOwnMode(handle: number, mode: number): void {
  try {
    fs.fchmodSync(handle, mode)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) throw error
  }
}

/** As a text, because Node takes a negative number for "now". What it makes of it is exact to a fraction of a microsecond. */
const secondsText = (timeNs: bigint): string => String(Number(timeNs) / 1e9)

/** From so many files on the whole file system is synced: one journal commit instead of one a file. */
const syncAllFrom = 32

async function syncAll(
  root: string,
  contained: ContainedRoot,
  files: readonly string[],
  directories: readonly string[],
): Promise<void> {
  if (files.length >= syncAllFrom && process.platform === 'linux') {
    try {
      // Node has no syncfs; coreutils do
      await runFile('sync', ['-f', root])
      return
    } catch {
      // because: without that program each file is synced by itself
    }
  }
  for (const path of files) {
    let handle: number
    try {
      handle = contained.within(path, (absolute) =>
        fs.openSync(absolute, O_RDONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0)),
      )
    } catch (error) {
      if (isAbsence(error)) continue
      throw filesystemError(error, 'sync', path)
    }
    try {
      await syncHandle(handle)
    } finally {
      await closeHandle(handle)
    }
  }
  for (const path of directories) {
    try {
      await syncDirectory(contained, path)
    } catch (error) {
      if (!hasCode(error, 'not.found', 'file.changed')) throw error
    }
  }
}

async function readFully(handle: number, into: Uint8Array, position: number): Promise<number> {
  let done = 0
  while (done < into.byteLength) {
    const { bytesRead } = await readAt(handle, into, done, into.byteLength - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

async function writeFully(handle: number, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.byteLength) {
    const { bytesWritten } = await writeAt(handle, bytes, done, bytes.byteLength - done, position + done)
    done += bytesWritten
  }
}

/** link + unlink instead of rename: the kernel refuses when anything stands at `to`, so no check can be too early. */
function renameToNothing(from: string, to: string, onDirectory: () => void): boolean {
  const source = fs.lstatSync(from)
  if (!source.isDirectory()) {
    try {
      fs.linkSync(from, to)
      fs.unlinkSync(from)
      return true
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'EEXIST') return false
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EMLINK' && code !== 'ENOSYS') throw error
      // No hard links here: fall through to check and rename
    }
  }
  if (statOrAbsent(to) !== undefined) return false
  fs.renameSync(from, to)
  if (source.isDirectory()) onDirectory()
  return true
}

function setModeNoFollow(absolute: string, mode: number): void {
  const handle = fs.openSync(absolute, O_RDONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0))
  try {
    fs.fchmodSync(handle, mode)
  } finally {
    fs.closeSync(handle)
  }
}

async function syncDirectory(contained: ContainedRoot, path: string): Promise<void> {
  if (process.platform === 'win32') return // because: Windows cannot sync a directory; NTFS journals renames
  try {
    const handle = contained.within(path, (absolute) =>
      fs.openSync(absolute, O_RDONLY | O_NOFOLLOW | O_DIRECTORY),
    )
    try {
      await syncHandle(handle)
    } finally {
      await closeHandle(handle)
    }
  } catch (error) {
    throw filesystemError(error, 'sync', path)
  }
}

/** Asks the disk whether our own folder answers to another spelling; false while it is not there yet. */
function probeFolding(contained: ContainedRoot): boolean {
  const stat = (path: string): FileStat | undefined => {
    try {
      return contained.within(path, statOrAbsent)
    } catch (error) {
      if (isAbsence(error)) return undefined
      throw filesystemError(error, 'look at', path)
    }
  }
  const plain = stat(parentOf('.skein/x'))
  const upper = stat('.SKEIN')
  return plain !== undefined && upper !== undefined && plain.ino === upper.ino
}
