/**
 * The inodes of a disk in memory and the names that lead to them. Told to a journal, if there is one, before a change is
 * made: it can take back what a power cut would.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { SkeinError } from '../base/errors.ts'
import {
  type FileKind,
  type FileStat,
  type HeldAttributes,
  nameOf,
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
  /** Extended attributes: held, refused like on FAT, or no part of the system. Held when left out. */
  readonly attributes?: 'held' | 'refused' | 'unknown'
  readonly journal?: MemoryJournal
}

/** Hears of every change before it counts as durable. */
export interface MemoryJournal {
  /** Names or attributes of an inode changed. Changes of one operation survive together or not at all. */
  changed(change: MemoryChange): void
  /** The content of a file is about to change. Contents are replaced, never written into: keeping the old one is free. */
  writing(file: MemoryFile): void
  /** Content and attributes of a file, or entries of a directory, are on the disk. */
  synced(inode: bigint): void
}

export interface MemoryChange {
  readonly operation: number
  readonly inode: bigint
  readonly undo: () => void
}

export interface MemoryFile {
  readonly ino: bigint
  content: Uint8Array
}

export interface MemoryNode {
  readonly ino: bigint
  readonly kind: FileKind
  content: Uint8Array
  target: string
  mode: number
  attributes: string
  links: number
  mtimeNs: bigint
  ctimeNs: bigint
  /** Key (folded name where the disk folds) to the name as stored and the node. */
  readonly children: Map<string, { readonly name: string; readonly node: MemoryNode }>
  readonly watchers: Set<(event: WatchEvent) => void>
}

export const failure = (
  code: 'not.found' | 'file.exists' | 'file.unsafe' | 'file.changed' | 'disk.full',
  what: string,
): SkeinError => new SkeinError(code, what)

/** The directory tree and its inodes. */
export class MemoryInodes {
  private readonly options: MemoryFilesystemOptions
  private readonly root: MemoryNode
  /** Number of the operation under way. */
  operation = 0
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

  find(path: string): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.root
    for (const part of partsOf(path)) {
      if (node?.kind !== 'directory') return undefined
      node = node.children.get(this.keyOf(part))?.node
    }
    return node
  }

  get(path: string): MemoryNode {
    const node = this.find(path)
    if (node === undefined) throw failure('not.found', `"${path}" is not there`)
    return node
  }

  directory(path: string): MemoryNode {
    const node = this.get(path)
    if (node.kind !== 'directory') throw failure('not.found', `"${path}" is no directory`)
    return node
  }

  notify(path: string): void {
    const parent = this.find(parentOf(path))
    for (const listener of parent?.watchers ?? []) listener({ kind: 'changed', name: nameOf(path) })
  }

  /** The attributes of an inode are about to change. */
  keep(node: MemoryNode): void {
    if (this.options.journal === undefined) return
    const { mode, attributes, links, mtimeNs, ctimeNs } = node
    this.record(node, () => Object.assign(node, { mode, attributes, links, mtimeNs, ctimeNs }))
  }

  attributesOf(node: MemoryNode): HeldAttributes {
    return this.options.attributes === 'unknown' ? undefined : node.attributes
  }

  setAttributes(node: MemoryNode, attributes: string): HeldAttributes {
    const isHeld = (this.options.attributes ?? 'held') === 'held'
    if (isHeld && attributes !== node.attributes) {
      this.keep(node)
      node.attributes = attributes
      node.ctimeNs = this.tick()
    }
    return this.attributesOf(node)
  }

  sync(path: string, node = this.find(path)): void {
    if (node !== undefined) this.options.journal?.synced(node.ino)
  }

  private record(node: MemoryNode, undo: () => void): void {
    this.options.journal?.changed({ operation: this.operation, inode: node.ino, undo })
  }

  touch(node: MemoryNode): void {
    this.keep(node)
    node.ctimeNs = this.tick()
    node.mtimeNs = this.roundTime(node.ctimeNs)
  }

  add(path: string, kind: FileKind, target: string): MemoryNode {
    const node = this.createNode(kind, target)
    this.attach(path, node)
    node.links = 1
    return node
  }

  attach(path: string, node: MemoryNode): void {
    assert(path !== '', 'the root cannot be replaced')
    partsOf(path)
    const parent = this.directory(parentOf(path))
    const name = this.options.decomposes === true ? nameOf(path).normalize('NFD') : nameOf(path)
    if (new TextEncoder().encode(name).byteLength > 255) throw failure('file.unsafe', 'the name is too long')
    const key = this.keyOf(name)
    if (parent.children.has(key)) throw failure('file.exists', `"${path}" is already there`)
    this.record(parent, () => void parent.children.delete(key))
    parent.children.set(key, { name, node })
    this.touch(parent)
    this.notify(path)
  }

  detach(path: string): void {
    assert(path !== '', 'the root cannot be removed')
    const parent = this.directory(parentOf(path))
    const node = this.get(path)
    const key = this.keyOf(nameOf(path))
    const name = parent.children.get(key)?.name ?? key
    this.record(parent, () => void parent.children.set(key, { name, node }))
    this.keep(node)
    parent.children.delete(key)
    node.links--
    node.ctimeNs = this.tick()
    if (node.links === 0) this.usedBytes -= node.content.byteLength
    this.touch(parent)
    this.notify(path)
  }

  /** The content becomes so long, with `bytes` at `position`. */
  replace(node: MemoryNode, sizeBytes: number, bytes: Uint8Array, position: number): void {
    const grownBytes = sizeBytes - node.content.byteLength
    const { capacityBytes } = this.options
    if (capacityBytes !== undefined && this.usedBytes + grownBytes > capacityBytes) {
      throw failure('disk.full', 'the disk is full')
    }
    this.options.journal?.writing(node)
    this.usedBytes += grownBytes
    const content = new Uint8Array(sizeBytes)
    content.set(node.content.subarray(0, sizeBytes))
    content.set(bytes, position)
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

  private createNode(kind: FileKind, target: string): MemoryNode {
    const nowNs = this.tick()
    const mode = kind === 'directory' ? 0o755 : kind === 'file' ? 0o600 : 0o777
    return {
      ino: this.nextIno++,
      kind,
      content: new Uint8Array(),
      target,
      mode,
      attributes: '',
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

export function statOf(node: MemoryNode): FileStat {
  const { kind, mode, links, mtimeNs, ctimeNs, ino } = node
  const size = kind === 'symlink' ? new TextEncoder().encode(node.target).byteLength : node.content.byteLength
  return { kind, size, mode, links, mtimeNs, ctimeNs, ino, dev: 1n }
}
