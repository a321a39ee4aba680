/**
 * Brings a vault up to what this device has: documents as the update that the vault lacks, contents that it does not hold
 * yet. And clears it: a new generation of records without what is not needed any more, then the blocks that nothing names.
 * The vault must have been read to its end before: then what is written leads on from all that others wrote.
 */
import type { Clock } from '../base/clock.ts'
import { hasCode } from '../base/errors.ts'
import { type BlobHash, createBlobHasher, hashFromText, hashOf } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/source.ts'
import { Catalogue, fromHex, toHex } from './catalogue.ts'
import { blockPlainBytes, type Sealer } from './seal.ts'
import type { SealedSpace } from './sealed-space.ts'
import type { VaultClient } from './vault-client.ts'
import type { VaultReader } from './vault-reader.ts'
import { VaultWriter, type Written } from './vault-writer.ts'

export interface UploadProgress {
  readonly doneFiles: number
  readonly totalFiles: number
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface UploadParts {
  readonly client: VaultClient
  readonly sealer: Sealer
  readonly reader: VaultReader
  readonly space: SealedSpace
  readonly signal: AbortSignal
  readonly onProgress: (progress: UploadProgress) => void
}

export interface UploadResult {
  /** Contents that the tree shows. */
  readonly live: ReadonlySet<BlobHash>
  readonly sizeBytes: number
  /** Those that neither the vault nor this device has. */
  readonly missingCount: number
  /** How long it took to look at everything, without what was written. */
  readonly lookMs: number
}

interface Need {
  readonly hash: BlobHash
  readonly sizeBytes: number
}

/** Writes what the vault lacks. @throws `vault.overtaken` (read on first), `limit.exceeded`, `disk.full`, `peer.gone`. */
export async function uploadSpace(clock: Clock, parts: UploadParts): Promise<UploadResult> {
  await beginVault(parts)
  const { space, reader } = parts
  const writer = writerOf(parts, reader.catalogue)
  const startMs = clock.monotonicMs()
  const needs: Need[] = []
  let sizeBytes = 0
  const live = new Set<BlobHash>()
  for await (const content of space.contents()) {
    if (live.has(content.hash)) continue
    live.add(content.hash)
    sizeBytes += content.sizeBytes
    if (!reader.catalogue.has(content.hash)) needs.push(content)
  }
  const lookMs = clock.monotonicMs() - startMs
  // Documents first: they are small, and who reads them knows what to wait for
  await addDocuments(parts, writer, reader.catalogue)
  await writer.flush()
  const missingCount = await addContents(parts, writer, needs)
  await writer.flush()
  return { live, sizeBytes, missingCount, lookMs }
}

/** The first record says which space it is: from then on records count one by one. */
async function beginVault({ client, sealer, reader, space, signal }: UploadParts): Promise<void> {
  const { catalogue } = reader
  if (catalogue.space === undefined || catalogue.space.name !== space.info.name) {
    const writer = new VaultWriter({ client, sealer, catalogue, signal })
    writer.plain({ k: 'space', ...space.info })
    const isFirst = catalogue.nextNumber === 0
    await writer.flush()
    if (isFirst) await client.commit(catalogue.generation, 1, signal)
  }
}

const writerOf = ({ client, sealer, signal }: UploadParts, catalogue: Catalogue): VaultWriter =>
  new VaultWriter({ client, sealer, catalogue, signal })

async function addDocuments(parts: UploadParts, writer: VaultWriter, catalogue: Catalogue): Promise<void> {
  for (const [name, digest] of await parts.space.documents()) {
    parts.signal.throwIfAborted()
    const held = catalogue.documents.get(name)
    if (held?.digest === digest) continue
    const { update, vector, digest: now } = await parts.space.export(name, held?.vector)
    const written = await writer.bytes(update)
    await writer.entry({ k: 'doc', name, digest: now, vector, size: update.byteLength, pieces: [] }, written)
  }
}

/** A content that is read, or one that is to be read part by part; undefined where this device does not have it. */
type Loaded = { readonly bytes: Uint8Array } | { readonly blob: OpenBlob } | undefined

/** Small contents are read ahead, so many at a time: they are found by hash one by one, which takes longer than reading. */
const readAhead = 16

/** @returns how many of them this device does not have. */
async function addContents(parts: UploadParts, writer: VaultWriter, needs: readonly Need[]): Promise<number> {
  const totalBytes = needs.reduce((sum, one) => sum + one.sizeBytes, 0)
  let [doneFiles, doneBytes, missingCount] = [0, 0, 0]
  const tell = (addedBytes: number): void => {
    doneBytes += addedBytes
    parts.onProgress({ doneFiles, totalFiles: needs.length, doneBytes, totalBytes })
  }
  if (needs.length > 0) tell(0)
  const ahead: Promise<Loaded>[] = []
  try {
    for (const [index, need] of needs.entries()) {
      parts.signal.throwIfAborted()
      for (let next = index + ahead.length; next < needs.length && ahead.length < readAhead; next++)
        ahead.push(load(parts, needs[next] ?? need))
      if (await addLoaded(writer, need, await (ahead.shift() ?? load(parts, need)), tell)) doneFiles++
      else missingCount++
      tell(0)
    }
  } finally {
    for (const one of ahead) await close(await one.catch(() => undefined))
  }
  return missingCount
}

/** @returns whether this device had it, whole and right. */
async function addContent(
  parts: UploadParts,
  writer: VaultWriter,
  need: Need,
  tell: (addedBytes: number) => void,
): Promise<boolean> {
  return await addLoaded(writer, need, await load(parts, need), tell)
}

async function load({ space, signal }: UploadParts, { hash, sizeBytes }: Need): Promise<Loaded> {
  try {
    const blob = await space.open(hash, signal)
    if (blob === undefined) return undefined
    if (blob.sizeBytes > blockPlainBytes && blob.sizeBytes === sizeBytes) return { blob }
    await using small = blob
    if (small.sizeBytes !== sizeBytes) return undefined
    return { bytes: small.bytes ?? (await readWhole(small)) }
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

/** A file that changes while it is read is another content, and comes with the next look. */
const isGone = (error: unknown): boolean =>
  hasCode(error, 'file.changed', 'not.found', 'file.denied', 'blob.missing')

async function close(loaded: Loaded): Promise<void> {
  if (loaded !== undefined && 'blob' in loaded) await loaded.blob[Symbol.asyncDispose]()
}

async function addLoaded(
  writer: VaultWriter,
  need: Need,
  loaded: Loaded,
  tell: (addedBytes: number) => void,
): Promise<boolean> {
  if (loaded === undefined) return false
  if ('bytes' in loaded) {
    const { bytes } = loaded
    if (hashOf(bytes) !== need.hash) return false
    await addWhole(writer, need.hash, bytes)
    tell(bytes.byteLength)
    return true
  }
  await using blob = loaded.blob
  return await addLarge(writer, blob, need, tell)
}

async function addWhole(writer: VaultWriter, hash: BlobHash, bytes: Uint8Array): Promise<void> {
  const entry = { k: 'content', hash: hashFromText(hash), size: bytes.byteLength, at: 0, done: true } as const
  await writer.entry({ ...entry, pieces: [] }, await writer.bytes(bytes))
}

/** Cut at fixed places, so that a part that did not change is the same block in the next version. */
async function addLarge(
  writer: VaultWriter,
  blob: OpenBlob,
  { hash, sizeBytes: size }: Need,
  tell: (addedBytes: number) => void,
): Promise<boolean> {
  const hasher = createBlobHasher()
  const buffer = new Uint8Array(blockPlainBytes)
  const base = { k: 'content', hash: hashFromText(hash), size, pieces: [] } as const
  let pieces: Written[] = []
  let [at, noted] = [0, 0]
  while (at < size) {
    const part = await readPart(blob, buffer, at).catch((error: unknown) => {
      if (isGone(error)) return nothing
      throw error
    })
    if (part.byteLength === 0) return false
    hasher.update(part)
    at += part.byteLength
    // The end shares a block with others
    if (part.byteLength === blockPlainBytes) pieces.push(await writer.block(part))
    else pieces.push(...(await writer.bytes(part)))
    tell(part.byteLength)
    if (at < size && writer.isLong(pieces.length)) {
      await writer.entry({ ...base, at: noted, done: false }, pieces)
      await writer.flush()
      noted = at
      pieces = []
    }
  }
  if (hasher.digest() !== hash) return false
  await writer.entry({ ...base, at: noted, done: true }, pieces)
  return true
}

async function readWhole(blob: OpenBlob): Promise<Uint8Array> {
  return await readPart(blob, new Uint8Array(blob.sizeBytes), 0)
}

const nothing = new Uint8Array()

async function readPart(blob: OpenBlob, into: Uint8Array, position: number): Promise<Uint8Array> {
  let done = 0
  while (done < into.byteLength) {
    const got = await blob.read(into.subarray(done), position + done)
    if (got === 0) break
    done += got
  }
  return into.subarray(0, done)
}

/**
 * Writes all records anew, with documents as they are and the contents that are still wanted, and drops what nothing names
 * then. Blocks that are mostly of no use are written together again. @param isWanted of contents.
 */
export async function rewriteVault(parts: UploadParts, isWanted: (hash: BlobHash) => boolean): Promise<void> {
  const { client, reader, space, signal } = parts
  const before = reader.catalogue
  const next = new Catalogue(before.generation + 1)
  const writer = writerOf(parts, next)
  writer.plain({ k: 'space', ...space.info })
  await addDocuments(parts, writer, next)
  const sparse = sparseBlocks(before, isWanted)
  for (const [hash, place] of before.contents) {
    signal.throwIfAborted()
    if (!place.isDone || !isWanted(hash)) continue
    const isKept = place.pieces.every(({ from }) => typeof from === 'string' && !sparse.has(from))
    const base = { k: 'content', hash: hashFromText(hash), size: place.sizeBytes, pieces: [] } as const
    if (isKept) {
      const pieces = writer.existing(place.pieces)
      let at = 0
      for (let from = 0; from < pieces.length || from === 0; from += rewrittenPieces) {
        const some = pieces.slice(from, from + rewrittenPieces)
        await writer.entry({ ...base, at, done: from + rewrittenPieces >= pieces.length }, some)
        at += some.reduce((sum, one) => sum + one.length, 0)
      }
      continue
    }
    // In a sparse block lie small contents and the ends of large ones: a large one is read from its own device again
    if (place.sizeBytes <= blockPlainBytes)
      await moveContent(parts, writer, { hash, sizeBytes: place.sizeBytes })
    else await addContent(parts, writer, { hash, sizeBytes: place.sizeBytes }, () => undefined)
  }
  await writer.flush()
  await client.commit(next.generation, next.nextNumber, signal)
  reader.catalogue = next
  await dropUnnamed(parts)
}

/** Of one entry: with its blocks it fits into a record beside what is there. */
const rewrittenPieces = 2_048

async function moveContent(parts: UploadParts, writer: VaultWriter, need: Need): Promise<void> {
  if (await addContent(parts, writer, need, () => undefined)) return
  const place = parts.reader.catalogue.contents.get(need.hash)
  if (place === undefined) return
  try {
    const bytes = await parts.reader.read(place.pieces, parts.signal)
    if (hashOf(bytes) === need.hash) await addWhole(writer, need.hash, bytes)
  } catch (error) {
    // because: what is damaged there and not here can only be brought by another device, later
    if (!hasCode(error, 'blob.corrupt', 'blob.missing')) throw error
  }
}

/** Blocks of which less than half is still wanted. */
function sparseBlocks(catalogue: Catalogue, isWanted: (hash: BlobHash) => boolean): ReadonlySet<string> {
  const liveBytes = new Map<string, number>()
  for (const [hash, { pieces, isDone }] of catalogue.contents) {
    if (!isDone || !isWanted(hash)) continue
    for (const { from, length } of pieces)
      if (typeof from === 'string') liveBytes.set(from, (liveBytes.get(from) ?? 0) + length)
  }
  const out = new Set<string>()
  for (const [id, bytes] of liveBytes) if (bytes * 2 < blockPlainBytes) out.add(id)
  return out
}

async function dropUnnamed({ client, reader, signal }: UploadParts): Promise<void> {
  const unnamed: Uint8Array[] = []
  for await (const id of client.blocks(signal)) if (!reader.catalogue.blocks.has(toHex(id))) unnamed.push(id)
  await client.drop(unnamed, signal)
}

/** Asks whether all blocks are still there; what lies in those that are not counts as not held. @returns how many are gone. */
export async function checkBlocks({ client, reader, signal }: UploadParts): Promise<number> {
  const ids = [...reader.catalogue.blocks.keys()].map(fromHex)
  const lost = new Set((await client.missing(ids, signal)).map(toHex))
  if (lost.size > 0) reader.catalogue.lose(lost)
  return lost.size
}
