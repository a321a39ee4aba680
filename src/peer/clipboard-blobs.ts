/**
 * Long contents of the clipboard: sealed files in a folder of the home, named by the hash of their sealed bytes, served
 * to other members and fetched from them. Bounded by bytes and count, the oldest leave first. What is not very long is
 * at hand before it is on the disk. Nothing here is fsynced: what a power cut leaves broken does not open, is removed, and
 * comes from another device.
 */
import type { FileHandle } from 'node:fs/promises'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { BlobExchange } from '../blobs/exchange.ts'
import { type BlobHash, createBlobHasher, hashOf, isBlobHash } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/source.ts'
import type { BlobFile } from '../blobs/wanted.ts'
import type { ClipboardBlob } from '../crdt/clipboard-item.ts'
import { describeDiskError, writeAll } from './durable-file.ts'
import { createMemoryFile, inMemory } from './memory-blob.ts'
import {
  openPiece,
  pieceBytes,
  pieceCount,
  sealedLength,
  sealedPieceBytes,
  sealPiece,
} from './sealed-blob.ts'

/** A content to be sealed, read piece by piece. */
export interface PlainContent {
  readonly sizeBytes: number
  /** @returns exactly `length` bytes from there. @throws when they are not there any more. */
  read(position: number, length: number): Uint8Array | Promise<Uint8Array>
}

export interface ClipboardBlobs {
  /** Seals a content under a key of its own. @throws `disk.*`. */
  put(content: PlainContent): Promise<ClipboardBlob>
  has(blob: ClipboardBlob): boolean
  /** Resolves when what was put is on the disk. @throws `disk.failed` when it could not be written. */
  stored(blob: ClipboardBlob): Promise<void>
  /** Brings it here if it is not. @throws `blob.missing` when no device in reach has it. */
  fetch(blob: ClipboardBlob, from: DeviceId, signal: AbortSignal): Promise<void>
  /** The opened pieces of a content that is here, in order. @throws `blob.missing`, `blob.corrupt`. */
  pieces(blob: ClipboardBlob, sizeBytes: number): AsyncGenerator<Uint8Array>
  /** Removes all but these. */
  keepOnly(hashes: ReadonlySet<string>): Promise<void>
  readonly heldBytes: number
}

export interface ClipboardBlobParts {
  /** Existing directory of these files alone. */
  readonly directory: string
  readonly exchange: BlobExchange
  /** Whether this device may have contents of the clipboard. */
  readonly mayRead: (remote: DeviceId) => boolean
  /** Default limits.clipboardBlobBytes. */
  readonly bytesMax?: number
}

const partEnding = '.part'

/** @throws `disk.*`. */
export async function openClipboardBlobs(
  env: Env,
  scope: Scope,
  parts: ClipboardBlobParts,
): Promise<ClipboardBlobs> {
  const blobs = new FolderBlobs(env, parts)
  await blobs.readFolder()
  scope.defer(() => blobs.written())
  scope.own(
    parts.exchange.addSource((hash, remote) =>
      parts.mayRead(remote) ? blobs.openFor(hash) : Promise.resolve(undefined),
    ),
  )
  return blobs
}

class FolderBlobs implements ClipboardBlobs {
  heldBytes = 0
  private readonly env: Env
  private readonly parts: ClipboardBlobParts
  /** Sizes of what is here, oldest first. */
  private readonly held = new Map<BlobHash, number>()
  private readonly fetching = new Map<string, Promise<void>>()
  /** Sealed contents on their way to the disk. */
  private readonly fresh = new Map<BlobHash, Uint8Array>()
  private readonly writing = new Set<Promise<void>>()
  private partCount = 0

  constructor(env: Env, parts: ClipboardBlobParts) {
    this.env = env
    this.parts = parts
  }

  async readFolder(): Promise<void> {
    const { directory } = this.parts
    const found: { hash: BlobHash; sizeBytes: number; mtimeMs: number }[] = []
    for (const name of await readdir(directory)) {
      const path = join(directory, name)
      if (name.endsWith(partEnding)) await rm(path, { force: true })
      if (!isBlobHash(name)) continue
      const { size, mtimeMs } = await stat(path)
      found.push({ hash: name, sizeBytes: size, mtimeMs })
    }
    found.sort((a, b) => a.mtimeMs - b.mtimeMs)
    for (const { hash, sizeBytes } of found) this.note(hash, sizeBytes)
    await this.evict()
  }

  has(blob: ClipboardBlob): boolean {
    return isBlobHash(blob.hash) && this.held.has(blob.hash)
  }

  async put(content: PlainContent): Promise<ClipboardBlob> {
    if (sealedLength(content.sizeBytes) > limits.clipboardMemoryBytes) return await this.putLong(content)
    const key = this.env.random.bytes(32)
    const count = pieceCount(content.sizeBytes)
    const sealed = new Uint8Array(sealedLength(content.sizeBytes))
    for (let index = 0; index < count; index++) {
      const position = index * pieceBytes
      const plain = await content.read(position, Math.min(pieceBytes, content.sizeBytes - position))
      sealed.set(sealPiece(key, index, index === count - 1, plain), index * sealedPieceBytes)
    }
    const hash = hashOf(sealed)
    await this.keep(hash, sealed)
    return { hash, sealedBytes: sealed.byteLength, key }
  }

  /** Resolves when nothing is on its way to the disk. */
  async written(): Promise<void> {
    while (this.writing.size > 0) await Promise.all(this.writing)
  }

  async stored(blob: ClipboardBlob): Promise<void> {
    await this.written()
    if (this.has(blob)) return
    throw new SkeinError('disk.failed', 'the content could not be written to the disk of the home', {
      fix: 'free some space there (skein doctor), then copy it again',
    })
  }

  private async putLong(content: PlainContent): Promise<ClipboardBlob> {
    const key = this.env.random.bytes(32)
    const hasher = createBlobHasher()
    const count = pieceCount(content.sizeBytes)
    const path = this.newPart()
    try {
      await withNewFile(path, async (file) => {
        for (let index = 0; index < count; index++) {
          const position = index * pieceBytes
          const plain = await content.read(position, Math.min(pieceBytes, content.sizeBytes - position))
          const sealed = sealPiece(key, index, index === count - 1, plain)
          hasher.update(sealed)
          await writeAll(file, sealed, index * sealedPieceBytes)
        }
      })
      const hash = hasher.digest()
      await this.place(path, hash, sealedLength(content.sizeBytes))
      return { hash, sealedBytes: sealedLength(content.sizeBytes), key }
    } catch (error) {
      await rm(path, { force: true })
      throw error instanceof SkeinError ? error : describeDiskError(error)
    }
  }

  async fetch(blob: ClipboardBlob, from: DeviceId, signal: AbortSignal): Promise<void> {
    if (this.has(blob)) return
    const running = this.fetching.get(blob.hash)
    if (running !== undefined) {
      // Whoever began it may have given up
      await running.catch(() => undefined)
      return await this.fetch(blob, from, signal)
    }
    const fetching = this.fetchNow(blob, from, signal).finally(() => this.fetching.delete(blob.hash))
    this.fetching.set(blob.hash, fetching)
    await fetching
  }

  async *pieces(blob: ClipboardBlob, sizeBytes: number): AsyncGenerator<Uint8Array> {
    if (!this.has(blob) || blob.sealedBytes !== sealedLength(sizeBytes)) throw missing()
    const count = pieceCount(sizeBytes)
    const source = isBlobHash(blob.hash) ? await this.openFor(blob.hash) : undefined
    if (source === undefined) throw missing()
    try {
      for (let index = 0; index < count; index++) {
        const length = Math.min(sealedPieceBytes, blob.sealedBytes - index * sealedPieceBytes)
        const sealed = new Uint8Array(length)
        const got = await source.read(sealed, index * sealedPieceBytes)
        yield openPiece(blob.key, index, index === count - 1, sealed.subarray(0, got))
      }
    } catch (error) {
      if (hasCode(error, 'blob.corrupt') && isBlobHash(blob.hash)) await this.drop(blob.hash)
      throw error
    } finally {
      await source[Symbol.asyncDispose]()
    }
  }

  async keepOnly(hashes: ReadonlySet<string>): Promise<void> {
    for (const hash of this.held.keys()) if (!hashes.has(hash)) await this.drop(hash)
  }

  async openFor(hash: BlobHash): Promise<OpenBlob | undefined> {
    const sizeBytes = this.held.get(hash)
    if (sizeBytes === undefined) return undefined
    const fresh = this.fresh.get(hash)
    if (fresh !== undefined) return inMemory(fresh)
    const file = await open(this.pathOf(hash), 'r').catch(() => undefined)
    if (file === undefined) return undefined
    return {
      sizeBytes,
      read: async (into, position) => (await file.read(into, 0, into.byteLength, position)).bytesRead,
      [Symbol.asyncDispose]: () => file.close(),
    }
  }

  private async fetchNow(blob: ClipboardBlob, from: DeviceId, signal: AbortSignal): Promise<void> {
    const { hash, sealedBytes } = blob
    if (!isBlobHash(hash)) throw missing()
    const fetch = (file: BlobFile): Promise<void> =>
      this.parts.exchange.fetch({ hash, sizeBytes: sealedBytes, signal }, file, [from])
    if (sealedBytes <= limits.clipboardMemoryBytes) {
      const memory = createMemoryFile(sealedBytes)
      await fetch(memory).catch((error: unknown) => {
        throw hasCode(error, 'blob.missing') ? missing(error) : error
      })
      return await this.keep(hash, memory.bytes)
    }
    const path = this.newPart()
    try {
      await withNewFile(path, (file) => fetch(asBlobFile(file)))
      await this.place(path, hash, sealedBytes)
    } catch (error) {
      await rm(path, { force: true })
      throw hasCode(error, 'blob.missing') ? missing(error) : error
    }
  }

  /** At hand from here on, on the disk a little later; while much is on its way to it this waits. */
  private async keep(hash: BlobHash, sealed: Uint8Array): Promise<void> {
    this.fresh.set(hash, sealed)
    this.note(hash, sealed.byteLength)
    const writing = this.write(hash, sealed)
      .catch(async (error: unknown) => {
        // because: it cannot be kept, so it counts as gone; the disk reports itself
        this.env.log.warn('clipboard content not written', errorFields(describeDiskError(error)))
        await this.drop(hash)
      })
      .finally(() => {
        this.writing.delete(writing)
        if (this.fresh.get(hash) === sealed) this.fresh.delete(hash)
      })
    this.writing.add(writing)
    await this.evict()
    const freshBytes = [...this.fresh.values()].reduce((sum, one) => sum + one.byteLength, 0)
    if (freshBytes > 2 * limits.clipboardMemoryBytes) await writing
  }

  private async write(hash: BlobHash, sealed: Uint8Array): Promise<void> {
    const path = this.newPart()
    try {
      await withNewFile(path, (file) => writeAll(file, sealed, 0))
      await rename(path, this.pathOf(hash))
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
    // Dropped while it was written
    if (!this.held.has(hash)) await this.drop(hash)
  }

  private async place(path: string, hash: BlobHash, sizeBytes: number): Promise<void> {
    await rename(path, this.pathOf(hash))
    this.note(hash, sizeBytes)
    await this.evict()
  }

  private note(hash: BlobHash, sizeBytes: number): void {
    this.heldBytes += sizeBytes - (this.held.get(hash) ?? 0)
    this.held.delete(hash)
    this.held.set(hash, sizeBytes)
  }

  private async evict(): Promise<void> {
    const bytesMax = this.parts.bytesMax ?? limits.clipboardBlobBytes
    for (const hash of this.held.keys()) {
      const isOver = this.heldBytes > bytesMax || this.held.size > limits.clipboardBlobs
      if (!isOver || this.held.size === 1) return
      await this.drop(hash)
    }
  }

  private async drop(hash: BlobHash): Promise<void> {
    this.heldBytes -= this.held.get(hash) ?? 0
    this.held.delete(hash)
    this.fresh.delete(hash)
    await rm(this.pathOf(hash), { force: true }).catch((error: unknown) => {
      // because: it is found again at the next start, and removed then
      this.env.log.warn('clipboard content not removed', errorFields(error))
    })
  }

  private pathOf(hash: string): string {
    return join(this.parts.directory, hash)
  }

  private newPart(): string {
    return join(this.parts.directory, `${process.pid}-${this.partCount++}${partEnding}`)
  }
}

function missing(cause?: unknown): SkeinError {
  const known = cause instanceof SkeinError ? cause : undefined
  const isNowhere = known?.details['isNowhere'] === true
  return new SkeinError(
    'blob.missing',
    isNowhere
      ? 'no device in reach has this content any more'
      : 'this content is on another device that is not in reach',
    { cause, fix: isNowhere ? 'copy it again' : 'connect the device that it was copied on' },
  )
}

/** Its own error messages hold paths of the home alone. */
async function withNewFile(path: string, work: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'wx+', 0o600)
  try {
    await work(file)
  } finally {
    await file.close()
  }
}

function asBlobFile(file: FileHandle): BlobFile {
  return {
    stat: () => file.stat(),
    read: async (into, position) => (await file.read(into, 0, into.byteLength, position)).bytesRead,
    write: (bytes, position) => writeAll(file, bytes, position),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
  }
}
