/** Reads the entries of a vault's files (pack-entry.ts): what is sound, in order, whatever lies between. */
import { crc32c } from '../base/crc32.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import {
  decodeEntryHeader,
  entryBytesMax,
  type EntryHeader,
  entryHeaderBytes,
  findEntry,
} from './pack-entry.ts'
import type { VaultDisk } from './vault-disk.ts'

/** Where the payload of an entry lies. */
export interface Place {
  readonly file: string
  readonly offset: number
  readonly length: number
  readonly crc: number
}

/** @throws `blob.corrupt` when the disk gives back other bytes than were written, `not.found`, `disk.failed`. */
export async function readPlace(disk: VaultDisk, { file, offset, length, crc }: Place): Promise<Uint8Array> {
  const bytes = await disk.read(file, offset, length)
  if (bytes.byteLength !== length || crc32c(bytes) !== crc)
    throw new SkeinError('blob.corrupt', 'the disk of the storage device gave back other bytes')
  return bytes
}

/** All sound entries of a file in order. @param isVerified payloads are read and checked too. */
export async function* scanEntries(
  disk: VaultDisk,
  file: string,
  isVerified: boolean,
): AsyncGenerator<{ readonly header: EntryHeader; readonly place: Place }> {
  const size = await disk.size(file)
  for (let at = 0; at + entryHeaderBytes <= size;) {
    const header = decodeEntryHeader(await disk.read(file, at, entryHeaderBytes))
    const offset = at + entryHeaderBytes
    if (header === undefined || offset + header.length > size) {
      at = await nextEntry(disk, { file, from: at + 1, size })
      continue
    }
    const place = { file, offset, length: header.length, crc: header.payloadCrc }
    const isSound = !isVerified || (await hasSoundBytes(disk, place))
    if (isSound) yield { header, place }
    // The length of a sound header may still be wrong for its place: look inside what is not sound
    at = isSound ? offset + header.length : await nextEntry(disk, { file, from: at + 1, size })
  }
}

async function hasSoundBytes(disk: VaultDisk, place: Place): Promise<boolean> {
  try {
    await readPlace(disk, place)
    return true
  } catch (error) {
    if (hasCode(error, 'blob.corrupt')) return false
    throw error
  }
}

async function nextEntry(
  disk: VaultDisk,
  { file, from, size }: { readonly file: string; readonly from: number; readonly size: number },
): Promise<number> {
  for (let at = from; at < size; at += entryBytesMax) {
    const window = await disk.read(file, at, entryBytesMax + entryHeaderBytes)
    const found = findEntry(window, 0)
    if (found >= 0) return at + found
  }
  return size
}
