/**
 * The byte form of what a storage device keeps: entries one after another in append-only files.
 *   entry  = header 60 || payload
 *   header = "SKV1" || kind u8 || 0 0 0 || length u32 || generation u32 || number u32 || id 32 || crc32c(payload) u32 ||
 *            crc32c(header so far) u32                                                       (all big-endian)
 * kind 1 block, 2 record (number: its place in the generation), 3 drop (payload: ids of blocks), 4 closed (last of a file:
 * all before it was synced; a file without it may have bytes that never reached the disk, and is checked in whole). The checksums find torn
 * and rotten entries; that nothing was forged only a device with the key can tell.
 */
import { crc32c } from '../base/crc32.ts'
import { limits } from '../base/limits.ts'
import { sealedIdBytes } from './seal.ts'

export const entryHeaderBytes = 60
const magic = 0x534b5631 // SKV1
const kinds = ['block', 'record', 'drop', 'closed'] as const
export type EntryKind = (typeof kinds)[number]

export interface EntryHeader {
  readonly kind: EntryKind
  /** Of the payload. */
  readonly length: number
  readonly generation: number
  readonly number: number
  readonly id: Uint8Array
  readonly payloadCrc: number
}

export const entryBytesMax = Math.max(limits.vaultBlockBytes, limits.vaultRecordBytes * 2)

/** @returns the header of an entry with this payload. */
export function encodeEntryHeader(
  entry: Pick<EntryHeader, 'kind' | 'generation' | 'number' | 'id'>,
  payload: Uint8Array,
): Uint8Array {
  const out = new Uint8Array(entryHeaderBytes)
  const view = new DataView(out.buffer)
  view.setUint32(0, magic)
  out[4] = kinds.indexOf(entry.kind) + 1
  view.setUint32(8, payload.byteLength)
  view.setUint32(12, entry.generation)
  view.setUint32(16, entry.number)
  out.set(entry.id, 20)
  view.setUint32(52, crc32c(payload))
  view.setUint32(56, crc32c(out.subarray(0, 56)))
  return out
}

/** @returns undefined where no whole, sound header stands. */
export function decodeEntryHeader(bytes: Uint8Array, offset = 0): EntryHeader | undefined {
  if (bytes.byteLength - offset < entryHeaderBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, entryHeaderBytes)
  if (view.getUint32(0) !== magic) return undefined
  const header = bytes.subarray(offset, offset + entryHeaderBytes)
  if (crc32c(header.subarray(0, 56)) !== view.getUint32(56)) return undefined
  const kind = kinds[(header[4] ?? 0) - 1]
  const length = view.getUint32(8)
  if (kind === undefined || length > entryBytesMax) return undefined
  return {
    kind,
    length,
    generation: view.getUint32(12),
    number: view.getUint32(16),
    id: header.slice(20, 20 + sealedIdBytes),
    payloadCrc: view.getUint32(52),
  }
}

/** @returns where the next sound header starts at or after `from`, -1 when there is none in these bytes. */
export function findEntry(bytes: Uint8Array, from: number): number {
  const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = found.indexOf('SKV1', from); at >= 0; at = found.indexOf('SKV1', at + 1))
    if (decodeEntryHeader(bytes, at) !== undefined) return at
  return -1
}
