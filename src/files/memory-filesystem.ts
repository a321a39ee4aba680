/**
 * A disk in memory: for tests and simulations, with the habits of real disks as options. Inode numbers, ctime and link
 * counts behave as on Linux, because the safety of a folder rests on them. Everything counts as durable at once.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { SkeinError } from '../base/errors.ts'
import {
  type DirectoryEntry,
  type FileKind,
  type FileStat,
  type Filesystem,
  nameOf,
  type OpenFile,
  parentOf,
  sameSignature,
  type Signature,
  type WatchEvent,
} from './filesystem.ts'
import { foldName } from './names.ts'

export interface MemoryFilesystemOptions {
  readonly clock?: Clock
  /** Names that differ only by case are one file, as on macOS and Windows. */
  readonly caseInsensitive?: boolean
  /** Names are stored decomposed, as on HFS+. */
  readonly decomposes?: boolean
  /** Modification times are rounded down to this, as on FAT (2 s) or old ext3 (1 s). */
  readonly mtimeStepNs?: bigint
  /** Bytes that fit; above it writes throw `disk.full`. */
  readonly capacityBytes?: number
}

interface Node {
  readonly ino: bigint
  readonly kind: FileKind
  content: Uint8Array
  target: string
  mode: number
  links: number
  mtimeNs: bigint
  ctimeNs: bigint
  /** Key (folded name where the disk folds) to the name as stored and the node. */
  readonly children: Map<string, { readonly name: string; readonly node: Node }>
  readonly watchers: Set<(event: WatchEvent) => void>
}

const failure = (
  code: 'not.found' | 'file.exists' | 'file.unsafe' | 'file.changed' | 'disk.full',
  what: string,
): SkeinError => new SkeinError(code, what)

export function createMemoryFilesystem(options: MemoryFilesystemOptions = {}): Filesystem {
  const disk = new Disk(options)
  const later = <T>(act: () => T): Promise<T> => {
    try {
      return Promise.resolve(act())
    } catch (error) {
      return Promise.reject(error as Error) // because: only SkeinErrors and asserts are thrown below
    }
  }
  return {
    watchesTrees: false,
    foldsNames: options.caseInsensitive === true,
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
    setMode: (path, mode) =>
      later(() => {
        const node = disk.get(path)
        node.mode = mode
        node.ctimeNs = disk.tick()
        disk.notify(path)
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
  disk: Disk,
  later: <T>(act: () => T) => Promise<T>,
): Pick<Filesystem, 'readSmall' | 'createSmall' | 'syncAll' | 'syncDirectory'> {
  return {
    readSmall: (path, maxBytes) =>
      later(() => {
        const node = disk.get(path)
        if (node.kind !== 'file') throw failure('file.changed', `"${path}" is no regular file`)
        return node.content.byteLength > maxBytes
          ? undefined
          : { bytes: node.content.slice(), stat: statOf(node) }
      }),
    createSmall: (path, bytes, { mode, mtimeNs }) =>
      later(() => {
        const node = disk.add(path, 'file', '')
        disk.resize(node, bytes.byteLength)
        node.content.set(bytes)
        disk.touch(node)
        node.mode = mode
        node.mtimeNs = disk.roundTime(mtimeNs)
      }),
    syncAll: () => later(() => undefined),
    syncDirectory: (path) => later(() => void disk.directory(path)),
  }
}

function statOf(node: Node): FileStat {
  const { kind, mode, links, mtimeNs, ctimeNs, ino } = node
  const size = kind === 'symlink' ? new TextEncoder().encode(node.target).byteLength : node.content.byteLength
  return { kind, size, mode, links, mtimeNs, ctimeNs, ino, dev: 1n }
}

/** The directory tree and its inodes. */
class Disk {
  private readonly options: MemoryFilesystemOptions
  private readonly root: Node
  private nextIno = 1n
  private lastNs = 0n
  private usedBytes = 0

  constructor(options: MemoryFilesystemOptions) {
    this.options = options
    this.root = this.createNode('directory', '')
    this.root.links = 1
  }

  /** Strictly increasing, so that every change has a ctime of its own, as close to the clock as that allows. */
  tick(): bigint {
    const nowNs = BigInt(Math.round((this.options.clock?.nowMs() ?? 0) * 1e6))
    this.lastNs = nowNs > this.lastNs ? nowNs : this.lastNs + 1n
    return this.lastNs
  }

  roundTime(ns: bigint): bigint {
    return ns - (ns % (this.options.mtimeStepNs ?? 1n))
  }

  find(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (const part of partsOf(path)) {
      if (node?.kind !== 'directory') return undefined
      node = node.children.get(this.keyOf(part))?.node
    }
    return node
  }

  get(path: string): Node {
    const node = this.find(path)
    if (node === undefined) throw failure('not.found', `"${path}" is not there`)
    return node
  }

  directory(path: string): Node {
    const node = this.get(path)
    if (node.kind !== 'directory') throw failure('not.found', `"${path}" is no directory`)
    return node
  }

  notify(path: string): void {
    const parent = this.find(parentOf(path))
    for (const listener of parent?.watchers ?? []) listener({ kind: 'changed', name: nameOf(path) })
  }

  touch(node: Node): void {
    node.ctimeNs = this.tick()
    node.mtimeNs = this.roundTime(node.ctimeNs)
  }

  add(path: string, kind: FileKind, target: string): Node {
    const node = this.createNode(kind, target)
    this.attach(path, node)
    node.links = 1
    return node
  }

  attach(path: string, node: Node): void {
    assert(path !== '', 'the root cannot be replaced')
    partsOf(path)
    const parent = this.directory(parentOf(path))
    const name = this.options.decomposes === true ? nameOf(path).normalize('NFD') : nameOf(path)
    if (new TextEncoder().encode(name).byteLength > 255) throw failure('file.unsafe', 'the name is too long')
    const key = this.keyOf(name)
    if (parent.children.has(key)) throw failure('file.exists', `"${path}" is already there`)
    parent.children.set(key, { name, node })
    this.touch(parent)
    this.notify(path)
  }

  detach(path: string): void {
    assert(path !== '', 'the root cannot be removed')
    const parent = this.directory(parentOf(path))
    const node = this.get(path)
    parent.children.delete(this.keyOf(nameOf(path)))
    node.links--
    node.ctimeNs = this.tick()
    if (node.links === 0) this.usedBytes -= node.content.byteLength
    this.touch(parent)
    this.notify(path)
  }

  resize(node: Node, sizeBytes: number): void {
    const grownBytes = sizeBytes - node.content.byteLength
    const { capacityBytes } = this.options
    if (capacityBytes !== undefined && this.usedBytes + grownBytes > capacityBytes) {
      throw failure('disk.full', 'the disk is full')
    }
    this.usedBytes += grownBytes
    const content = new Uint8Array(sizeBytes)
    content.set(node.content.subarray(0, sizeBytes))
    node.content = content
  }

  renameIf(from: string, to: string, expected: Signature | undefined): boolean {
    const node = this.get(from)
    const found = this.find(to)
    const isOther = found !== undefined && found !== node
    if (expected === undefined && isOther) return false
    if (expected !== undefined && (found === undefined || !sameSignature(statOf(found), expected)))
      return false
    if (node.kind === 'directory' && from !== to && `${to}/`.startsWith(`${from}/`)) {
      throw failure('file.unsafe', 'a directory cannot move into itself')
    }
    if (isOther && found.children.size > 0) throw failure('file.exists', `"${to}" is not empty`)
    this.directory(parentOf(to))
    if (isOther) this.detach(to)
    node.links++ // because: detach counts one down, and a rename keeps the number
    this.detach(from)
    this.attach(to, node)
    return true
  }

  private keyOf(name: string): string {
    if (this.options.caseInsensitive === true) return foldName(name)
    return this.options.decomposes === true ? name.normalize('NFC') : name
  }

  private createNode(kind: FileKind, target: string): Node {
    const nowNs = this.tick()
    const mode = kind === 'directory' ? 0o755 : kind === 'file' ? 0o600 : 0o777
    return {
      ino: this.nextIno++,
      kind,
      content: new Uint8Array(),
      target,
      mode,
      links: 0,
      mtimeNs: this.roundTime(nowNs),
      ctimeNs: nowNs,
      children: new Map(),
      watchers: new Set(),
    }
  }
}

function partsOf(path: string): readonly string[] {
  const parts = path === '' ? [] : path.split('/')
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..' || part.includes('\0') || !part.isWellFormed()) {
      throw failure('file.unsafe', 'a path that would leave the folder was refused')
    }
  }
  return parts
}

function openNode(disk: Disk, node: Node, path: string): OpenFile {
  if (node.kind !== 'file') throw failure('file.changed', `"${path}" is no regular file`)
  const close = (): Promise<void> => Promise.resolve()
  const changed = (act: () => void): Promise<void> => {
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
        if (position + bytes.byteLength > node.content.byteLength)
          disk.resize(node, position + bytes.byteLength)
        else node.content = node.content.slice() // because: earlier readers may hold views
        node.content.set(bytes, position)
        disk.touch(node)
      }),
    truncate: (sizeBytes) =>
      changed(() => {
        disk.resize(node, sizeBytes)
        disk.touch(node)
      }),
    setModified: (mtimeNs) =>
      changed(() => {
        node.mtimeNs = disk.roundTime(mtimeNs)
        node.ctimeNs = disk.tick()
      }),
    setMode: (mode) =>
      changed(() => {
        node.mode = mode
        node.ctimeNs = disk.tick()
      }),
    sync: () => Promise.resolve(),
    close,
    [Symbol.asyncDispose]: close,
  }
}
