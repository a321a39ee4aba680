/**
 * Contents that merges may need as their base: text that stood on this disk, compressed, found by hash; and which content
 * a version of a node had. Hard links would not do: an edit in place reaches them. A cache: what is lost or too old costs
 * a conflict copy, never bytes. Lies in `.skein/bases/<number>`, appended to, the oldest file dropped first. An entry is
 *   "SB" | kind u8 (1 content, 2 version) | stored bytes u32 | plain bytes u32 | hash (32) | stored bytes
 * big-endian; a content is stored as zstd, a version as `<node> <version> [<ms since 1970>]`. A torn entry ends its file.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Env } from '../base/env.ts'
import { errorFields } from '../base/log.ts'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type BlobHash, hashBytes, hashFromText, hashOf, hashToText } from '../blobs/hash.ts'
import { ensureDirectory, type Filesystem, joinPath, type OpenFile } from './filesystem.ts'
import { internalFolder } from './names.ts'

export interface BaseContent {
  readonly hash: BlobHash
  readonly bytes: Uint8Array
}

/** This version of this node had this content. */
export interface BaseNote {
  readonly nodeId: string
  readonly version: string
  readonly hash: BlobHash
}

/** A version of a node whose content is kept. */
export interface EarlierBase extends BaseNote {
  readonly sizeBytes: number
  /** When it was noted, which is when another version took its place; undefined for notes of earlier runs. */
  readonly notedAtMs: number | undefined
}

export interface BaseKeep extends AsyncDisposable {
  has(hash: BlobHash): Promise<boolean>
  /** Verified. @returns undefined for what is not here. */
  read(hash: BlobHash): Promise<Uint8Array | undefined>
  /** Known from now on; on the disk with an `add` that brings them along. */
  note(notes: readonly BaseNote[]): void
  /** Content of a version, if it was noted. */
  contentOf(nodeId: string, version: string): Promise<BlobHash | undefined>
  /** Versions of a node whose contents are here, oldest first. */
  earlier(nodeId: string): Promise<readonly EarlierBase[]>
  /** Never throws for the disk's sake. @returns false when it could not be written. */
  add(contents: readonly BaseContent[], notes: readonly BaseNote[]): Promise<boolean>
  /** @returns true when what was added is on the disk. */
  sync(): Promise<boolean>
  /** Compressed. */
  readonly sizeBytes: number
}

const basesFolder = `${internalFolder}/bases`
const headerBytes = 11 + hashBytes
const kinds = { content: 1, version: 2 } as const
const notesMax = 50_000
const freshMax = 2_000
const noteBytes = 2048
const windowBytes = 64 * 1024

interface Place {
  readonly segment: number
  readonly position: number
  readonly storedBytes: number
  readonly plainBytes: number
}

export interface BaseKeepOptions {
  /** Whether the content still stands somewhere in the folder: then it stays when its file is dropped. */
  isCurrent(hash: BlobHash): Promise<boolean>
  /** All together, compressed. */
  readonly maxBytes?: number
  /** Size of one file. */
  readonly segmentBytes?: number
}

export function createBaseKeep(env: Env, filesystem: Filesystem, options: BaseKeepOptions): BaseKeep {
  return new SegmentedKeep(env, filesystem, options)
}

class SegmentedKeep implements BaseKeep {
  private readonly env: Env
  private readonly filesystem: Filesystem
  private readonly options: Required<BaseKeepOptions>
  private readonly places = new Map<BlobHash, Place>()
  private readonly notes = new Map<string, Noted>()
  /** Noted, not on the disk yet. */
  private readonly fresh = new Map<string, BlobHash>()
  private readonly segments = new Map<number, number>()
  private file: OpenFile | undefined
  private isLoaded = false
  private isDisposed = false
  private last: Promise<unknown> = Promise.resolve()

  constructor(env: Env, filesystem: Filesystem, options: BaseKeepOptions) {
    this.env = env
    this.filesystem = filesystem
    this.options = { maxBytes: limits.mergeBasesBytes, segmentBytes: 8 * 1024 * 1024, ...options }
  }

  get sizeBytes(): number {
    return [...this.segments.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  has(hash: BlobHash): Promise<boolean> {
    return this.inTurn(async () => this.places.has(hash), false)
  }

  read(hash: BlobHash): Promise<Uint8Array | undefined> {
    return this.inTurn(() => this.readNow(hash), undefined)
  }

  note(notes: readonly BaseNote[]): void {
    for (const { nodeId, version, hash } of notes) {
      const key = noteKey(nodeId, version)
      this.fresh.delete(key)
      this.fresh.set(key, hash)
      const [oldest] = this.fresh.size > freshMax ? this.fresh.keys() : []
      if (oldest !== undefined) this.fresh.delete(oldest)
    }
  }

  contentOf(nodeId: string, version: string): Promise<BlobHash | undefined> {
    const key = noteKey(nodeId, version)
    return this.inTurn(async () => this.fresh.get(key) ?? this.notes.get(key)?.hash, undefined)
  }

  earlier(nodeId: string): Promise<readonly EarlierBase[]> {
    return this.inTurn(async () => {
      const found: EarlierBase[] = []
      for (const [key, { hash, atMs }] of this.notes) {
        const place = key.startsWith(`${nodeId} `) ? this.places.get(hash) : undefined
        if (place === undefined) continue
        const version = key.slice(nodeId.length + 1)
        found.push({ nodeId, version, hash, sizeBytes: place.plainBytes, notedAtMs: atMs })
      }
      return found
    }, [])
  }

  add(contents: readonly BaseContent[], notes: readonly BaseNote[]): Promise<boolean> {
    return this.inTurn(async () => {
      await this.append(this.encode(contents, notes))
      for (const { nodeId, version } of notes) this.fresh.delete(noteKey(nodeId, version))
      await this.dropOldest()
      return true
    }, false)
  }

  sync(): Promise<boolean> {
    return this.inTurn(async () => {
      await this.file?.sync()
      if (this.file !== undefined) await this.filesystem.syncDirectory(basesFolder)
      return true
    }, false)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true
    await this.last
    await this.file?.close()
    this.file = undefined
  }

  /** One after another, the files known first. What the disk refuses is logged: it is a cache. */
  private inTurn<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
    const turn = this.last.then(async () => {
      if (this.isDisposed) return otherwise
      try {
        if (!this.isLoaded) await this.load()
        return await work()
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error
        this.env.log.warn('bases for merges cannot be kept', errorFields(error))
        return otherwise
      }
    })
    this.last = turn.catch(() => undefined) // because: whoever asked gets the error
    return turn
  }

  private async load(): Promise<void> {
    const { filesystem } = this
    if ((await filesystem.lstat(basesFolder)) !== undefined) {
      const names = (await filesystem.readDirectory(basesFolder)).map(({ name }) => Number(name))
      for (const segment of names.filter(Number.isSafeInteger).sort((a, b) => a - b))
        await this.loadSegment(segment)
    }
    this.isLoaded = true
  }

  private async loadSegment(segment: number): Promise<void> {
    await using file = await this.filesystem.open(pathOf(segment), 'read')
    const { size } = await file.stat()
    const window = new Uint8Array(windowBytes)
    let [position, start, end] = [0, 0, 0]
    while (position + headerBytes <= size) {
      // Most entries are short: a reading for each would cost more than all else at the start
      if (position + headerBytes + noteBytes > end && end < size) {
        start = position
        end = start + (await file.read(window, start))
      }
      const header = window.subarray(position - start, Math.max(position, end) - start)
      const entry = decodeHeader(header)
      if (entry === undefined || position + headerBytes + entry.storedBytes > size) break
      if (entry.kind === kinds.content) this.places.set(entry.hash, { ...entry, segment, position })
      else if (entry.storedBytes <= noteBytes)
        this.remember(
          new TextDecoder().decode(header.subarray(headerBytes, headerBytes + entry.storedBytes)),
          entry.hash,
        )
      position += headerBytes + entry.storedBytes
    }
    this.segments.set(segment, position)
  }

  private async readNow(hash: BlobHash): Promise<Uint8Array | undefined> {
    const place = this.places.get(hash)
    if (place === undefined) return undefined
    const stored = new Uint8Array(place.storedBytes)
    await using file = await this.filesystem.open(pathOf(place.segment), 'read')
    const got = await file.read(stored, place.position + headerBytes)
    const bytes = got === place.storedBytes ? decompress(stored, place.plainBytes) : undefined
    if (bytes !== undefined && hashOf(bytes) === hash) return bytes
    this.places.delete(hash)
    return undefined
  }

  private encode(contents: readonly BaseContent[], notes: readonly BaseNote[]): readonly Entry[] {
    const entries: Entry[] = []
    for (const { hash, bytes } of contents) {
      if (this.places.has(hash) || entries.some((entry) => entry.hash === hash)) continue
      entries.push({ hash, plainBytes: bytes.byteLength, stored: zstdCompressSync(bytes), note: undefined })
    }
    for (const { nodeId, version, hash } of notes) {
      const note = noteKey(nodeId, version)
      if (this.notes.get(note)?.hash === hash) continue
      const text = `${note} ${Math.round(this.env.clock.nowMs())}`
      entries.push({ hash, plainBytes: 0, stored: new TextEncoder().encode(text), note: text })
    }
    return entries
  }

  private async append(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return
    const segment = await this.openLast()
    const start = this.segments.get(segment) ?? 0
    const parts: Uint8Array[] = []
    let position = start
    for (const { hash, plainBytes, stored, note } of entries) {
      const kind = note === undefined ? kinds.content : kinds.version
      parts.push(encodeHeader({ kind, hash, plainBytes, storedBytes: stored.byteLength }), stored)
      if (note === undefined)
        this.places.set(hash, { segment, position, storedBytes: stored.byteLength, plainBytes })
      else this.remember(note, hash)
      position += headerBytes + stored.byteLength
    }
    try {
      await this.file?.write(Buffer.concat(parts), start)
      this.segments.set(segment, position)
    } catch (error) {
      for (const { hash } of entries) this.places.delete(hash)
      throw error
    }
  }

  /** The file to append to, cut to its last whole entry. */
  private async openLast(): Promise<number> {
    const newest = Math.max(0, ...this.segments.keys())
    const isFull = (this.segments.get(newest) ?? 0) >= this.options.segmentBytes
    if (this.file !== undefined && !isFull) return newest
    await this.file?.close()
    this.file = undefined
    const segment = this.segments.has(newest) && isFull ? newest + 1 : newest
    const isThere = this.segments.has(segment)
    if (!isThere) await ensureDirectory(this.filesystem, basesFolder)
    const file = await this.filesystem.open(pathOf(segment), isThere ? 'write' : 'create')
    if (isThere) await file.truncate(this.segments.get(segment) ?? 0)
    this.segments.set(segment, this.segments.get(segment) ?? 0)
    this.file = file
    return segment
  }

  /** Over the bound the oldest file goes; what of it still stands in the folder is written again, half of it at most. */
  private async dropOldest(): Promise<void> {
    if (this.segments.size < 2 || this.sizeBytes <= this.options.maxBytes) return
    const oldest = Math.min(...this.segments.keys())
    const kept: BaseContent[] = []
    let room = this.options.segmentBytes / 2
    for (const [hash, place] of this.places) {
      if (place.segment !== oldest) continue
      const isKept = room >= place.storedBytes && (await this.options.isCurrent(hash))
      const bytes = isKept ? await this.readNow(hash) : undefined
      this.places.delete(hash)
      if (bytes === undefined) continue
      room -= place.storedBytes
      kept.push({ hash, bytes })
    }
    this.segments.delete(oldest)
    await this.filesystem.unlink(pathOf(oldest))
    await this.append(this.encode(kept, []))
  }

  private remember(text: string, hash: BlobHash): void {
    const [nodeId = '', version = '', time] = text.split(' ')
    const key = noteKey(nodeId, version)
    const atMs = time === undefined || !/^\d{1,15}$/.test(time) ? undefined : Number(time)
    this.notes.delete(key)
    this.notes.set(key, { hash, atMs })
    const [first] = this.notes.size > notesMax ? this.notes.keys() : []
    if (first !== undefined) this.notes.delete(first)
  }
}

interface Noted {
  readonly hash: BlobHash
  readonly atMs: number | undefined
}

interface Entry {
  readonly hash: BlobHash
  readonly plainBytes: number
  readonly stored: Uint8Array
  readonly note: string | undefined
}

interface Header {
  readonly kind: number
  readonly storedBytes: number
  readonly plainBytes: number
  readonly hash: BlobHash
}

const pathOf = (segment: number): string => joinPath(basesFolder, String(segment))
const noteKey = (nodeId: string, version: string): string => `${nodeId} ${version}`

function encodeHeader({ kind, storedBytes, plainBytes, hash }: Header): Uint8Array {
  const bytes = new Uint8Array(headerBytes)
  const view = new DataView(bytes.buffer)
  bytes.set([0x53, 0x42, kind])
  view.setUint32(3, storedBytes)
  view.setUint32(7, plainBytes)
  bytes.set(hashFromText(hash), 11)
  return bytes
}

function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.byteLength < headerBytes || bytes[0] !== 0x53 || bytes[1] !== 0x42) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const kind = bytes[2] ?? 0
  const storedBytes = view.getUint32(3)
  const plainBytes = view.getUint32(7)
  if (kind !== kinds.content && kind !== kinds.version) return undefined
  if (plainBytes > limits.mergeBytes || storedBytes > 2 * limits.mergeBytes) return undefined
  return { kind, storedBytes, plainBytes, hash: hashToText(bytes.slice(11, headerBytes)) }
}

function decompress(stored: Uint8Array, plainBytes: number): Uint8Array | undefined {
  try {
    const { buffer, byteOffset, byteLength } = zstdDecompressSync(stored, {
      maxOutputLength: Math.max(1, plainBytes),
    })
    return new Uint8Array(buffer, byteOffset, byteLength)
  } catch {
    // because: damaged bytes are the same as none, the content is looked for elsewhere
    return undefined
  }
}
