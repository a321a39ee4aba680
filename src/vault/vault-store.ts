/**
 * One sealed space on the disk of a storage device, in one directory:
 *   <n>.pack            blocks and drops, appended; a pack that is mostly dropped is copied on and removed
 *   records-<g>         the records of generation g in order, the highest one counts
 *   records-<g>.staged  the next generation while it is written; void until renamed
 * A record is durable when `appendRecord` resolves, and so are all blocks put before it: what a record names is there.
 * After a crash torn ends are skipped; what is sound beside them in a pack is copied on, and the pack removed.
 */
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { decodeEntryHeader, encodeEntryHeader, type EntryHeader, entryHeaderBytes } from './pack-entry.ts'
import { sealedIdBytes } from './seal.ts'
import type { VaultDisk } from './vault-disk.ts'
import { type Place, readPlace, scanEntries } from './vault-scan.ts'

export interface StoredRecord {
  readonly id: Uint8Array
  readonly bytes: Uint8Array
}

export interface VaultUsage {
  readonly blockCount: number
  readonly recordCount: number
  /** On the disk, what is dropped but not yet given back included. */
  readonly sizeBytes: number
}

interface RecordPlace extends Place {
  readonly id: Uint8Array
}
interface Pack {
  sizeBytes: number
  liveBytes: number
}

const emptyId = new Uint8Array(sealedIdBytes)
/** In maps: a third of the memory of hex. */
const keyOf = (id: Uint8Array): string =>
  Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')
const recordsName = (generation: number): string => `records-${generation}`

/** @param disk belongs to the store from here. @throws `disk.failed`. */
export async function openVaultStore(env: Env, disk: VaultDisk): Promise<VaultStore> {
  const store = new VaultStore(env, disk)
  await store.load()
  return store
}

export class VaultStore implements AsyncDisposable {
  /** 0: nothing was committed yet; then records of generation 1 are taken. */
  generation = 0
  private readonly env: Env
  private readonly disk: VaultDisk
  private readonly blocks = new Map<string, Place>()
  private readonly packs = new Map<string, Pack>()
  private records: RecordPlace[] = []
  private staged: { readonly generation: number; readonly records: RecordPlace[] } | undefined
  private recordBytes = 0
  /** Packs with blocks that may not survive a power cut. */
  private readonly unsynced = new Set<string>()
  private current: string | undefined
  private lastPack = 0
  private turn: Promise<unknown> = Promise.resolve()

  constructor(env: Env, disk: VaultDisk) {
    this.env = env
    this.disk = disk
  }

  get recordCount(): number {
    return this.records.length
  }

  get usage(): VaultUsage {
    let sizeBytes = this.recordBytes
    for (const pack of this.packs.values()) sizeBytes += pack.sizeBytes
    return { blockCount: this.blocks.size, recordCount: this.records.length, sizeBytes }
  }

  async load(): Promise<void> {
    const names = await this.disk.list()
    const packs = names.filter((name) => /^\d{8}\.pack$/.test(name)).sort()
    const torn: string[] = []
    for (const name of packs) if (!(await this.loadPack(name))) torn.push(name)
    this.lastPack = Number.parseInt(packs.at(-1) ?? '0', 10)
    const generations = names.flatMap((name) => /^records-(\d{1,9})$/.exec(name)?.[1] ?? []).map(Number)
    this.generation = Math.max(0, ...generations)
    if (this.generation > 0) {
      for await (const { header, place } of scanEntries(this.disk, recordsName(this.generation), true)) {
        if (header.kind === 'record') this.records[header.number] = { ...place, id: header.id }
      }
      this.recordBytes = await this.disk.size(recordsName(this.generation))
    }
    for (const name of names)
      if (name.startsWith('records-') && name !== recordsName(this.generation)) await this.disk.remove(name)
    // A record that is damaged in the middle stays missing and is told so; what follows it is still good
    this.records = Array.from(this.records, (place) => place ?? missingRecord)
    for (const name of torn)
      await this.moveOn(name).catch((error: unknown) => {
        // because: on a full disk it stays as it is, is checked again next time, and can be read meanwhile
        this.env.log.warn('a torn pack could not be copied', { pack: name, ...errorFields(error) })
      })
  }

  has(id: Uint8Array): boolean {
    return this.blocks.has(keyOf(id))
  }

  /** Ids in no order but a stable one, `from` of them left out. */
  blockIds(from: number, count: number): readonly Uint8Array[] {
    const out: Uint8Array[] = []
    let index = 0
    for (const key of this.blocks.keys()) {
      if (index++ < from) continue
      if (out.push(new Uint8Array(Buffer.from(key, 'latin1'))) >= count) break
    }
    return out
  }

  /** Kept; durable with the next record. Idempotent. @throws `disk.full`, `disk.failed`. */
  putBlock(id: Uint8Array, sealed: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      if (this.has(id)) return
      await this.writeBlock(id, sealed)
    })
  }

  /** @throws `not.found`, `blob.corrupt` (it is forgotten then, and can be put again), `disk.failed`. */
  async readBlock(id: Uint8Array): Promise<Uint8Array> {
    const place = this.blocks.get(keyOf(id))
    if (place === undefined) throw new SkeinError('not.found', 'no such block here')
    try {
      return await this.readPlace(place)
    } catch (error) {
      // Moved on by a rewrite of its pack while we read
      const now = this.blocks.get(keyOf(id))
      if (now !== undefined && now !== place) return await this.readPlace(now)
      if (hasCode(error, 'blob.corrupt')) this.forget(id)
      throw error
    }
  }

  /** @throws `not.found`, `blob.corrupt`, `disk.failed`. */
  async readRecord(number: number): Promise<StoredRecord> {
    const place = this.records[number]
    if (place === undefined) throw new SkeinError('not.found', 'no such record here')
    if (place === missingRecord) throw new SkeinError('blob.corrupt', 'this record was damaged')
    return { id: place.id, bytes: await this.readPlace(place) }
  }

  /** Adds the next record of the current generation, or of the one that is being staged (current + 1). */
  appendRecord(generation: number, number: number, record: StoredRecord): Promise<void> {
    return this.inTurn(async () => {
      if (this.generation > 0 && generation === this.generation) {
        if (number !== this.records.length) throw overtaken()
        this.records.push(await this.writeRecord(recordsName(generation), { generation, number }, record))
        return
      }
      if (generation !== this.generation + 1) throw overtaken()
      const name = `${recordsName(generation)}.staged`
      if (number === 0) {
        await this.disk.remove(name)
        this.staged = { generation, records: [] }
      }
      if (this.staged?.generation !== generation || this.staged.records.length !== number) throw overtaken()
      this.staged.records.push(await this.writeRecord(name, { generation, number }, record))
    })
  }

  /** The staged generation takes the place of the current one. */
  commit(generation: number, count: number): Promise<void> {
    return this.inTurn(async () => {
      const { staged } = this
      if (staged?.generation !== generation || staged.records.length !== count) throw overtaken()
      const name = recordsName(generation)
      await this.disk.rename(`${name}.staged`, name)
      const before = this.generation
      this.generation = generation
      this.records = staged.records.map((place) => ({ ...place, file: name }))
      this.staged = undefined
      this.recordBytes = await this.disk.size(name)
      if (before > 0) await this.disk.remove(recordsName(before))
    })
  }

  /** Forgets blocks and gives their room back where a pack is mostly empty then. */
  drop(ids: readonly Uint8Array[]): Promise<void> {
    return this.inTurn(async () => {
      const held = ids.filter((id) => this.has(id))
      if (held.length === 0) return
      const payload = new Uint8Array(held.length * sealedIdBytes)
      for (const [index, id] of held.entries()) payload.set(id, index * sealedIdBytes)
      await this.write({ kind: 'drop', generation: 0, number: 0, id: emptyId }, payload)
      for (const id of held) this.forget(id)
      await this.regain()
    })
  }

  /** Reads everything once. @returns how many blocks were damaged; they are forgotten, and can be put again. */
  async scrub(signal: AbortSignal): Promise<number> {
    let damaged = 0
    for (const key of Array.from(this.blocks.keys())) {
      if (signal.aborted) return damaged
      try {
        await this.readBlock(Buffer.from(key, 'latin1'))
      } catch (error) {
        if (!hasCode(error, 'blob.corrupt')) continue
        damaged++
      }
    }
    return damaged
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.inTurn(() => this.syncPacks()).catch((error: unknown) =>
      this.env.log.warn('a sealed space was not synced to the disk', errorFields(error)),
    )
    await this.disk[Symbol.asyncDispose]()
  }

  // --- writing ----------------------------------------------------------------------------------------------------

  private async writeBlock(id: Uint8Array, sealed: Uint8Array): Promise<void> {
    const place = await this.write({ kind: 'block', generation: 0, number: 0, id }, sealed)
    this.blocks.set(keyOf(id), place)
    const pack = this.packs.get(place.file)
    if (pack !== undefined) pack.liveBytes += entryHeaderBytes + place.length
  }

  private async write(
    entry: Pick<EntryHeader, 'kind' | 'generation' | 'number' | 'id'>,
    payload: Uint8Array,
  ): Promise<Place> {
    const file = await this.packToWrite()
    const header = encodeEntryHeader(entry, payload)
    this.unsynced.add(file)
    try {
      const at = await this.disk.append(file, [header, payload])
      const offset = at + entryHeaderBytes
      const pack = this.packs.get(file)
      if (pack !== undefined) pack.sizeBytes = offset + payload.byteLength
      return { file, offset, length: payload.byteLength, crc: crcIn(header) }
    } catch (error) {
      // Its end may be torn now
      this.current = undefined
      throw error
    }
  }

  private async packToWrite(): Promise<string> {
    const { current } = this
    if (current !== undefined && (this.packs.get(current)?.sizeBytes ?? 0) < limits.vaultPackBytes)
      return current
    await this.closeCurrent()
    const name = `${String(++this.lastPack).padStart(8, '0')}.pack`
    this.packs.set(name, { sizeBytes: 0, liveBytes: 0 })
    this.current = name
    return name
  }

  private async closeCurrent(): Promise<void> {
    await this.syncPacks()
    const { current } = this
    this.current = undefined
    if (current === undefined) return
    const closed = { kind: 'closed', generation: 0, number: 0, id: emptyId } as const
    await this.disk.append(current, [encodeEntryHeader(closed, new Uint8Array())])
    const pack = this.packs.get(current)
    if (pack !== undefined) pack.sizeBytes += entryHeaderBytes
  }

  private async syncPacks(): Promise<void> {
    for (const name of this.unsynced) {
      if (this.packs.has(name)) await this.disk.sync(name)
      this.unsynced.delete(name)
    }
  }

  private async writeRecord(
    file: string,
    at: { readonly generation: number; readonly number: number },
    { id, bytes }: StoredRecord,
  ): Promise<RecordPlace> {
    await this.syncPacks()
    const header = encodeEntryHeader({ kind: 'record', ...at, id }, bytes)
    const offset = (await this.disk.append(file, [header, bytes])) + entryHeaderBytes
    await this.disk.sync(file)
    this.recordBytes += entryHeaderBytes + bytes.byteLength
    return { file, offset, length: bytes.byteLength, crc: crcIn(header), id }
  }

  private forget(id: Uint8Array): void {
    const place = this.blocks.get(keyOf(id))
    if (place === undefined) return
    this.blocks.delete(keyOf(id))
    const pack = this.packs.get(place.file)
    if (pack !== undefined) pack.liveBytes -= entryHeaderBytes + place.length
  }

  /** Packs with less than half of their bytes in use: the rest is copied on, durable before the old one goes. */
  private async regain(): Promise<void> {
    for (const [name, pack] of this.packs) {
      if (name === this.current || pack.liveBytes * 2 >= pack.sizeBytes) continue
      await this.moveOn(name)
    }
  }

  /** Its blocks to the current pack, durable before this one goes. */
  private async moveOn(name: string): Promise<void> {
    if (this.current === name) this.current = undefined
    for (const [key, place] of this.blocks) {
      if (place.file !== name) continue
      const id = new Uint8Array(Buffer.from(key, 'latin1'))
      try {
        await this.writeBlock(id, await this.readPlace(place))
      } catch (error) {
        if (!hasCode(error, 'blob.corrupt')) throw error
        this.forget(id)
      }
    }
    await this.syncPacks()
    this.packs.delete(name)
    await this.disk.remove(name)
  }

  // --- reading ----------------------------------------------------------------------------------------------------

  private readPlace(place: Place): Promise<Uint8Array> {
    return readPlace(this.disk, place)
  }

  /** @returns false when there is something in it that is not sound. */
  private async loadPack(name: string): Promise<boolean> {
    const sizeBytes = await this.disk.size(name)
    const pack: Pack = { sizeBytes, liveBytes: 0 }
    this.packs.set(name, pack)
    const end = decodeEntryHeader(
      await this.disk.read(name, Math.max(0, sizeBytes - entryHeaderBytes), entryHeaderBytes),
    )
    const isClosed = end?.kind === 'closed'
    let soundBytes = 0
    // What was closed is trusted until it is read
    for await (const { header, place } of scanEntries(this.disk, name, !isClosed)) {
      soundBytes += entryHeaderBytes + place.length
      if (header.kind === 'block') {
        this.forget(header.id)
        this.blocks.set(keyOf(header.id), place)
        pack.liveBytes += entryHeaderBytes + place.length
      } else if (header.kind === 'drop') {
        const payload = await this.readPlace(place).catch((error: unknown) => {
          // because: what was to be dropped stays, and is found by the next clearing
          this.env.log.debug('a drop could not be read', errorFields(asSkeinError(error)))
          return new Uint8Array()
        })
        for (let at = 0; at + sealedIdBytes <= payload.byteLength; at += sealedIdBytes)
          this.forget(payload.subarray(at, at + sealedIdBytes))
      }
    }
    const isSound = soundBytes === sizeBytes
    if (isSound && !isClosed) this.current = name
    return isSound || isClosed
  }

  /** One change at a time. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.turn.then(work)
    this.turn = next.catch(() => undefined) // because: whoever asked for it is told; the next one goes on
    return next
  }
}

const missingRecord: RecordPlace = { file: '', offset: 0, length: 0, crc: 0, id: emptyId }
const crcIn = (header: Uint8Array): number => new DataView(header.buffer).getUint32(52)

/** Somebody else has written meanwhile: look again, and go on from there. */
const overtaken = (): SkeinError =>
  new SkeinError('vault.overtaken', 'another device has added to this sealed space meanwhile')
