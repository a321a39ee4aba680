/**
 * Reads a vault: its records in order, and the bytes that they name. Everything is opened with the key, so what a holder
 * changed, mixed up or lost shows here and is told as its fault; contents are hashed once more by whoever asked for them.
 */
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { WantOptions } from '../blobs/client.ts'
import type { AskSource } from '../blobs/wanted.ts'
import { Catalogue, type DocUpdate, fromHex } from './catalogue.ts'
import type { Piece } from './content-table.ts'
import type { Sealer } from './seal.ts'
import { openRecord, type SpaceInfo } from './sealed-record.ts'
import type { VaultClient } from './vault-client.ts'
import type { StoredRecord } from './vault-store.ts'

/** Blocks kept opened: small contents that lie together are asked for together. */
const openBlocksMax = 24
/** Updates of documents held until all records are read; beyond it they are read a second time. */
const heldUpdateBytes = 32 * 1024 * 1024

interface PendingUpdate extends DocUpdate {
  /** What is inline in its record, where that is still held. */
  readonly inline: Uint8Array | undefined
}

export interface VaultReaderParts {
  readonly device: DeviceId
  readonly client: VaultClient
  readonly sealer: Sealer
}

export class VaultReader {
  catalogue = new Catalogue(1)
  /** Things this holder gave back that were not what was given to it. */
  damageCount = 0
  private readonly env: Env
  private readonly parts: VaultReaderParts
  private readonly opened = new Map<string | number, Promise<Uint8Array>>()
  private inFlight = 0
  private readonly waiting: (() => void)[] = []

  constructor(env: Env, parts: VaultReaderParts) {
    this.env = env
    this.parts = parts
  }

  /**
   * Takes in the records that came since the last time; all of them when a new generation was begun. Documents come last:
   * whoever learns of a file from them finds its content here.
   * @param take gets each document update, in order. @returns whether anything was new. @throws `peer.gone`, `cancelled`.
   */
  async catchUp(
    take: (updates: readonly { readonly name: string; readonly update: Uint8Array }[]) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client } = this.parts
    const state = await client.open(signal)
    if (state.generation === 0) {
      if (this.catalogue.nextNumber > 0) this.catalogue = new Catalogue(1)
      return false
    }
    const isOther = state.generation !== this.catalogue.generation
    // Fewer than before: it lost some, or shows an older state. What it has is read again, and the rest added anew
    if (isOther || state.recordCount < this.catalogue.nextNumber) {
      if (!isOther || state.generation < this.catalogue.generation) this.blame('it gave back an older state')
      this.catalogue = new Catalogue(state.generation)
      this.forgetRecords()
    }
    let isNew = isOther
    const pending: PendingUpdate[] = []
    let heldBytes = 0
    while (this.catalogue.nextNumber < state.recordCount) {
      const from = this.catalogue.nextNumber
      const records = await client.records(state.generation, from, signal)
      if (records.length === 0)
        throw new SkeinError('blob.missing', 'the storage device gave fewer records than it has')
      for (const record of records) {
        const { updates, inline } = this.takeRecord(record)
        heldBytes += updates.length === 0 ? 0 : inline.byteLength
        const held = heldBytes <= heldUpdateBytes ? inline : undefined
        pending.push(...updates.map((update) => ({ ...update, inline: held })))
      }
      isNew = true
    }
    for (const update of pending) await this.takeUpdate(update, take, signal)
    return isNew
  }

  /** Bytes of pieces, all of them together in memory. @throws `blob.missing`, `blob.corrupt`, `peer.gone`. */
  async read(pieces: readonly Piece[], signal: AbortSignal): Promise<Uint8Array> {
    const out = new Uint8Array(pieces.reduce((sum, one) => sum + one.length, 0))
    let at = 0
    for (const piece of pieces) {
      out.set(await this.bytesOf(piece, signal), at)
      at += piece.length
    }
    return out
  }

  /** The contents of this vault as one more place to ask. */
  readonly ask = (): AskSource =>
    Object.assign((options: WantOptions) => this.want(options), { remote: this.parts.device })

  private async want(options: WantOptions): Promise<void> {
    const content = this.catalogue.contents.get(options.hash)
    const fits = options.isAtMost === true ? (content?.sizeBytes ?? 0) <= options.sizeBytes : true
    if (content?.isDone !== true || options.isList === true || !fits)
      throw new SkeinError('blob.missing', 'this storage device does not have it')
    if (options.isAtMost !== true && content.sizeBytes !== options.sizeBytes)
      throw new SkeinError('blob.missing', 'the content has another size')
    const endOffset = Math.min(content.sizeBytes, options.offset + (options.length ?? content.sizeBytes))
    const signal = options.signal ?? new AbortController().signal
    let start = 0
    for (const piece of content.pieces) {
      const from = Math.max(options.offset, start)
      const to = Math.min(endOffset, start + piece.length)
      if (from < to) {
        const bytes = await this.bytesOf(piece, signal)
        for (let at = from; at < to; at += limits.blobChunkBytes) {
          const part = bytes.subarray(at - start, Math.min(at + limits.blobChunkBytes, to) - start)
          await options.write(part, at)
        }
      }
      start += piece.length
    }
  }

  private async bytesOf({ from, offset, length }: Piece, signal: AbortSignal): Promise<Uint8Array> {
    const held = this.opened.get(from)
    // Shared by all who want it: nobody's signal ends it for the others
    const opening = held ?? this.openOne(from)
    this.opened.delete(from)
    this.opened.set(from, opening)
    if (held === undefined) opening.catch(() => this.opened.delete(from))
    for (const other of this.opened.keys()) {
      if (this.opened.size <= openBlocksMax) break
      this.opened.delete(other)
    }
    const bytes = await opening
    signal.throwIfAborted()
    if (offset + length > bytes.byteLength) throw new SkeinError('blob.corrupt', 'a piece beyond its block')
    return bytes.subarray(offset, offset + length)
  }

  private async openOne(from: string | number): Promise<Uint8Array> {
    const { client, sealer } = this.parts
    const { signal } = new AbortController()
    while (this.inFlight >= limits.vaultBlocksInFlight)
      await new Promise<void>((resolve) => this.waiting.push(resolve))
    this.inFlight++
    try {
      if (typeof from === 'number') {
        const [record] = await client.records(this.catalogue.generation, from, signal)
        if (record === undefined) throw new SkeinError('blob.missing', 'the storage device lost a record')
        return openRecord(sealer, record.id, record.bytes).inline
      }
      const id = fromHex(from)
      return sealer.openBlock(id, await client.get(id, signal))
    } catch (error) {
      if (hasCode(error, 'blob.corrupt')) this.blame('a block is not what was sealed', error)
      if (hasCode(error, 'not.found', 'vault.overtaken'))
        throw new SkeinError('blob.missing', 'the storage device lost a block', { cause: error })
      throw error
    } finally {
      this.inFlight--
      this.waiting.shift()?.()
    }
  }

  private takeRecord({ id, bytes }: StoredRecord): {
    readonly updates: readonly DocUpdate[]
    readonly inline: Uint8Array
  } {
    try {
      const record = openRecord(this.parts.sealer, id, bytes)
      return { updates: this.catalogue.apply(id, record), inline: record.inline }
    } catch (error) {
      if (!hasCode(error, 'blob.corrupt')) throw error
      this.blame(`record ${this.catalogue.nextNumber} is not what was sealed`, error)
      this.catalogue.skip(id)
      return { updates: [], inline: new Uint8Array() }
    }
  }

  private async takeUpdate(
    { name, pieces, inline }: PendingUpdate,
    take: Parameters<VaultReader['catchUp']>[0],
    signal: AbortSignal,
  ): Promise<void> {
    try {
      for (const { from } of pieces)
        if (typeof from === 'number' && inline !== undefined) this.opened.set(from, Promise.resolve(inline))
      await take([{ name, update: await this.read(pieces, signal) }])
    } catch (error) {
      if (!hasCode(error, 'blob.corrupt', 'blob.missing', 'codec.invalid')) throw error
      this.catalogue.isBroken = true
      this.env.log.warn('part of a document could not be read from a storage device', errorFields(error))
    }
  }

  private forgetRecords(): void {
    for (const from of this.opened.keys()) if (typeof from === 'number') this.opened.delete(from)
  }

  private blame(what: string, error?: unknown): void {
    this.damageCount++
    const fields = { deviceId: this.parts.device, what, ...(error !== undefined && errorFields(error)) }
    this.env.log.warn('a storage device gave back what it was not given', fields)
  }
}

/** Which space a vault holds, from the first record that says so. @throws `not.found`, `blob.corrupt`, `peer.gone`. */
export async function readSpaceInfo(
  client: VaultClient,
  sealer: Sealer,
  signal: AbortSignal,
): Promise<SpaceInfo | undefined> {
  const { generation, recordCount } = await client.open(signal)
  for (let from = 0; from < recordCount;) {
    const records = await client.records(generation, from, signal)
    if (records.length === 0) return undefined
    from += records.length
    for (const { id, bytes } of records) {
      const info = spaceIn(sealer, id, bytes)
      if (info !== undefined) return info
    }
  }
  return undefined
}

/** A record that is damaged says nothing; the next one may. */
function spaceIn(sealer: Sealer, id: Uint8Array, bytes: Uint8Array): SpaceInfo | undefined {
  try {
    const found = openRecord(sealer, id, bytes).entries.find((entry) => entry.k === 'space')
    if (found?.k !== 'space') return undefined
    const { k: _, ...info } = found
    return info
  } catch (error) {
    if (hasCode(error, 'blob.corrupt')) return undefined
    throw error
  }
}
