/**
 * Puts bytes and what is known about them into a vault: full blocks as they come, the rest together in shared ones, and a
 * record that names them once they are there. A little left at the end travels inside the record. Holds a few blocks in
 * memory, whatever is written.
 */
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type Catalogue, fromHex } from './catalogue.ts'
import type { Piece } from './content-table.ts'
import { blockPlainBytes, type Sealer } from './seal.ts'
import { type Entry, sealRecord, type SealedRecord } from './sealed-record.ts'
import type { VaultClient } from './vault-client.ts'
import { joinIds } from './vault-wire.ts'

/** More than this in an open block: it is written as one, and what it wastes is padding. */
const inlineBytesMax = 96 * 1024
/** Estimated bytes of entries and ids, after which a record is closed: with what is inline it stays below the most. */
const recordBytesGoal = 256 * 1024
const pieceCostBytes = 16
/** Contents of one record: what a crash makes to be looked at again. */
const recordBlocksMax = 256

/** A block that pieces of this record lie in; its number in the record is known at the end. */
interface Slot {
  id: Uint8Array | undefined
}
export interface Written {
  readonly slot: Slot
  readonly offset: number
  readonly length: number
}
type OpenEntry =
  | { readonly kind: 'plain'; readonly entry: Entry }
  | {
      readonly kind: 'placed'
      readonly entry: Exclude<Entry, { k: 'space' }>
      readonly pieces: readonly Written[]
    }

export interface VaultWriterParts {
  readonly client: VaultClient
  readonly sealer: Sealer
  /** Kept up with what is written. */
  readonly catalogue: Catalogue
  readonly signal: AbortSignal
  /** Bytes on their way: sealed, whether or not they had to be sent. */
  readonly onSent?: (sizeBytes: number) => void
}

export class VaultWriter {
  /** Blocks that the holder did not have before. */
  sentBlocks = 0
  private readonly parts: VaultWriterParts
  private slots: Slot[] = []
  private known = new Map<string, Slot>()
  private entries: OpenEntry[] = []
  private costBytes = 0
  private bundle: { readonly slot: Slot; readonly bytes: Uint8Array; usedBytes: number } | undefined
  private readonly sending = new Set<Promise<void>>()
  private failure: { readonly error: unknown } | undefined

  constructor(parts: VaultWriterParts) {
    this.parts = parts
  }

  /** A whole block of its own. Waits while too many are on their way. The bytes are copied or sealed before it returns. */
  async block(bytes: Uint8Array): Promise<Written> {
    const sealed = this.parts.sealer.sealBlock(bytes)
    const slot = this.slotOf(sealed.id)
    await this.send(sealed.id, sealed.bytes)
    return { slot, offset: 0, length: bytes.byteLength }
  }

  /** Together with others; any length. */
  async bytes(bytes: Uint8Array): Promise<readonly Written[]> {
    const out: Written[] = []
    for (let at = 0; at < bytes.byteLength;) {
      this.bundle ??= this.openBundle()
      const { bundle } = this
      const part = bytes.subarray(at, at + blockPlainBytes - bundle.usedBytes)
      bundle.bytes.set(part, bundle.usedBytes)
      out.push({ slot: bundle.slot, offset: bundle.usedBytes, length: part.byteLength })
      bundle.usedBytes += part.byteLength
      at += part.byteLength
      if (bundle.usedBytes === blockPlainBytes) await this.closeBundle()
    }
    return out
  }

  /** Bytes that lie in blocks of this vault already. */
  existing(pieces: readonly Piece[]): readonly Written[] {
    return pieces.map(({ from, offset, length }) => {
      if (typeof from === 'number') throw new SkeinError('internal', 'inline bytes are written again')
      return { slot: this.slotOf(fromHex(from)), offset, length }
    })
  }

  /** Notes what the pieces are. They count once the record is written, with `flush` or before when it is long enough. */
  async entry(entry: Exclude<Entry, { k: 'space' }>, pieces: readonly Written[]): Promise<void> {
    this.entries.push({ kind: 'placed', entry, pieces })
    this.costBytes += 128 + pieces.length * pieceCostBytes
    if (entry.k === 'doc') this.costBytes += entry.vector.byteLength
    if (this.isLong()) await this.flush()
  }

  plain(entry: Entry): void {
    this.entries.push({ kind: 'plain', entry })
    this.costBytes += 256
  }

  /** True when what a long content has so far should be noted, so that the record does not become too long. */
  isLong(pieceCount = 0): boolean {
    return (
      this.costBytes + this.slots.length * 32 + pieceCount * pieceCostBytes >= recordBytesGoal ||
      this.slots.length >= recordBlocksMax
    )
  }

  /** Waits for all blocks, then writes the record. @throws what sending failed with, `file.changed` when overtaken. */
  async flush(): Promise<void> {
    let inline: Uint8Array = new Uint8Array()
    let inlineSlot: Slot | undefined
    const { bundle } = this
    if (bundle !== undefined && bundle.usedBytes <= inlineBytesMax) {
      inline = bundle.bytes.slice(0, bundle.usedBytes)
      inlineSlot = bundle.slot
      this.slots.splice(this.slots.indexOf(bundle.slot), 1)
      this.bundle = undefined
    } else await this.closeBundle()
    await Promise.all(this.sending)
    this.check()
    if (this.entries.length > 0) await this.append(inline, inlineSlot)
    this.slots = []
    this.known = new Map()
    this.entries = []
    this.costBytes = 0
  }

  private async append(inline: Uint8Array, inlineSlot: Slot | undefined): Promise<void> {
    const { catalogue, client, sealer, signal } = this.parts
    const index = new Map(this.slots.map((slot, at) => [slot, at]))
    if (inlineSlot !== undefined) index.set(inlineSlot, this.slots.length)
    const entries = this.entries.map((one): Entry => {
      if (one.kind === 'plain') return one.entry
      const pieces = one.pieces.flatMap(({ slot, offset, length }) => [index.get(slot) ?? -1, offset, length])
      return { ...one.entry, pieces }
    })
    const { generation, nextNumber: number, previous } = catalogue
    const blocks = joinIds(this.slots.flatMap(({ id }) => (id === undefined ? [] : [id])))
    const record: SealedRecord = { generation, number, previous, blocks, inline, entries }
    const sealed = sealRecord(sealer, record)
    await client.append({ generation, number }, sealed, signal)
    catalogue.apply(sealed.id, record)
  }

  private openBundle(): NonNullable<VaultWriter['bundle']> {
    const slot: Slot = { id: undefined }
    this.slots.push(slot)
    return { slot, bytes: new Uint8Array(blockPlainBytes), usedBytes: 0 }
  }

  private async closeBundle(): Promise<void> {
    const { bundle } = this
    if (bundle === undefined) return
    this.bundle = undefined
    const { id, bytes } = this.parts.sealer.sealBlock(bundle.bytes)
    bundle.slot.id = id
    await this.send(id, bytes)
  }

  private slotOf(id: Uint8Array): Slot {
    const key = Buffer.from(id).toString('latin1')
    const held = this.known.get(key)
    if (held !== undefined) return held
    const slot: Slot = { id }
    this.slots.push(slot)
    this.known.set(key, slot)
    return slot
  }

  /** Starts sending what the holder lacks; waits only while as many as allowed are under way. */
  private async send(id: Uint8Array, sealed: Uint8Array): Promise<void> {
    this.check()
    while (this.sending.size >= limits.vaultBlocksInFlight) await Promise.race(this.sending)
    this.check()
    const task: Promise<void> = this.sendOne(id, sealed)
      .catch((error: unknown) => {
        // because: it is thrown at the next block, or by flush
        this.failure ??= { error }
      })
      .finally(() => this.sending.delete(task))
    this.sending.add(task)
  }

  private async sendOne(id: Uint8Array, sealed: Uint8Array): Promise<void> {
    const { client, signal, onSent } = this.parts
    const [missing] = await client.missing([id], signal)
    if (missing !== undefined) {
      await client.put(id, sealed, signal)
      this.sentBlocks++
    }
    onSent?.(sealed.byteLength)
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure.error
  }
}
