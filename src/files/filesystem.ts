/**
 * The disk below one shared folder, as a seam. Paths are relative to the folder's root, parts separated by '/', '' is
 * the root itself. No implementation ever follows a symlink below the root or leaves it, whatever a path says.
 *
 * Contract: test/contract/filesystem.ts, run against node-filesystem.ts and memory-filesystem.ts.
 * Methods are asynchronous so that an implementation may live in a worker; errors are SkeinErrors (see filesystemError).
 */

import { hasCode } from '../base/errors.ts'

export type FileKind = 'file' | 'directory' | 'symlink' | 'other'

/** What identifies one state of one file. Two equal signatures are taken for equal content (racy ones excepted). */
export interface Signature {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

export interface FileStat extends Signature {
  readonly kind: FileKind
  /** Permission bits only, 0o000..0o7777. */
  readonly mode: number
  readonly links: number
}

export interface DirectoryEntry {
  readonly name: string
  /** Undefined for a name that is not valid UTF-8: it is shown (as Latin-1), never opened, never synced. */
  readonly stat: FileStat | undefined
}

/** An open regular file. One owner; no two operations at once. */
export interface OpenFile extends AsyncDisposable {
  stat(): Promise<FileStat>
  /** @returns bytes read; fewer than asked only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Writes all of it. @throws `disk.full`. */
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  setModified(mtimeNs: bigint): Promise<void>
  setMode(mode: number): Promise<void>
  /** Content and metadata are on the disk once resolved. */
  sync(): Promise<void>
  close(): Promise<void>
}

/**
 * What a disk has of a file's extended attributes, as text (crdt/file-attributes.ts), '' for none; undefined where it cannot
 * tell, which is no sign that there are none.
 */
export type HeldAttributes = string | undefined

/** A small file as it was at one moment. */
export interface SmallFile {
  readonly bytes: Uint8Array
  readonly attributes: HeldAttributes
  /** Of exactly these bytes. */
  readonly stat: FileStat
}

export interface NewFile {
  readonly mode: number
  readonly mtimeNs: bigint
  /** These and no others, '' for none; undefined: whatever the disk gives it. */
  readonly attributes?: string | undefined
}

export type WatchEvent =
  | { readonly kind: 'changed'; readonly name: string | undefined }
  /** The watch saw its end: directory gone, or the kernel dropped events. */
  | { readonly kind: 'ended' }

export interface Filesystem {
  /** @returns undefined when nothing is there, or when a parent is missing or no directory. */
  lstat(path: string): Promise<FileStat | undefined>
  /** All entries with their stat, sorted by name; what vanished meanwhile is left out. @throws `not.found` also when `path` is no directory. */
  readDirectory(path: string): Promise<readonly DirectoryEntry[]>
  readLink(path: string): Promise<string>
  /** 'read' never follows a symlink, never blocks on a pipe; 'create' fails with `file.exists`; 'write' needs it to exist. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile>
  /**
   * Reads a regular file whole, in one step. @returns undefined when it is longer than `maxBytes` or changed while it was read.
   * @throws as `open`.
   */
  readSmall(path: string, maxBytes: number): Promise<SmallFile | undefined>
  /**
   * Makes a file with this content, mode, time and attributes, in one step; not yet synced.
   * @returns attributes that it has, if any were asked for. @throws `file.exists`, `disk.full`.
   */
  createSmall(path: string, bytes: Uint8Array, file: NewFile): Promise<HeldAttributes>
  /** Of a file. */
  readAttributes(path: string): Promise<HeldAttributes>
  /** Makes them these and no others, as far as the disk can. @returns what it has then. */
  writeAttributes(path: string, attributes: string): Promise<HeldAttributes>
  /** Content of these files and entries of these directories are on the disk once resolved; what is gone is skipped. */
  syncAll(files: readonly string[], directories: readonly string[]): Promise<void>
  makeDirectory(path: string): Promise<void>
  makeSymlink(target: string, path: string): Promise<void>
  /** Hard link. @throws `file.exists`, or `file.unsupported` where the disk has none. */
  link(from: string, to: string): Promise<void>
  /**
   * Moves `from` to `to` if what stands at `to` right now is exactly `expected` (undefined: nothing). The check and the
   * rename are as close together as the system allows; "nothing" is enforced by the kernel for files where hard links exist.
   * @returns false when something else stands there: nothing was moved.
   */
  renameIf(from: string, to: string, expected: Signature | undefined): Promise<boolean>
  /** Removes a file or symlink. */
  unlink(path: string): Promise<void>
  /** Removes an empty directory. @throws `file.exists` when it is not empty. */
  removeDirectory(path: string): Promise<void>
  setMode(path: string, mode: number): Promise<void>
  /** Entries of the directory (creations, renames, removals) are on the disk once resolved. */
  syncDirectory(path: string): Promise<void>
  /**
   * Watches one directory; where `watchesTrees`, also all below it, and names are paths relative to it.
   * @throws `limit.exceeded` when the system has no watches left.
   */
  watch(path: string, listener: (event: WatchEvent) => void): Disposable
  /** True where one native watch on the root covers everything below (macOS, Windows). */
  readonly watchesTrees: boolean
  /**
   * False where files have no exec bit of their own (FAT, Windows): what they show of it says nothing. Probed, then remembered.
   */
  readonly holdsModes: boolean
  /** True when two names that differ only by case or normalisation are one file here. Probed, then remembered. */
  readonly foldsNames: boolean
}

export function sameSignature(a: Signature, b: Signature): boolean {
  return (
    a.ino === b.ino &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs &&
    a.dev === b.dev
  )
}

export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))
export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
export const joinPath = (parent: string, name: string): string => (parent === '' ? name : `${parent}/${name}`)
/** True when `path` is `ancestor` or lies below it. */
export const isWithin = (path: string, ancestor: string): boolean =>
  ancestor === '' || path === ancestor || path.startsWith(`${ancestor}/`)

/** Removes a file unless it is gone. */
export async function removeIfThere(filesystem: Filesystem, path: string): Promise<void> {
  try {
    await filesystem.unlink(path)
  } catch (error) {
    if (!hasCode(error, 'not.found')) throw error
  }
}

/** Makes a directory unless it is there. */
export async function ensureDirectory(filesystem: Filesystem, path: string): Promise<void> {
  try {
    await filesystem.makeDirectory(path)
  } catch (error) {
    if (!hasCode(error, 'file.exists')) throw error
  }
}
