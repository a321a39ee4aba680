/**
 * How every value lies in the store: u8 version (1) | u32 CRC-32C over key, version and payload (big endian) |
 * payload. The key is under the checksum, so that a value that turns up under another key is found too.
 */
import { crc32c } from '../base/crc32.ts'
import type { RowChange } from './database.ts'

const version = 1
const headerBytes = 5
const encoder = new TextEncoder()
/** A key and the version: a row is sealed or opened thousands of times a second, and a buffer for each costs more than all else. */
const scratch = new Uint8Array(8 * 1024)
/** A UTF-16 unit takes this much at most. */
const unitBytes = 3

/** @returns fresh bytes. */
export function sealRow(key: string, payload: Uint8Array): Uint8Array {
  const row = new Uint8Array(headerBytes + payload.byteLength)
  sealInto(row, key, payload)
  return row
}

/** The same of many rows; the values lie in one buffer. */
export function sealRows(changes: readonly RowChange[]): RowChange[] {
  let sizeBytes = 0
  for (const change of changes) if (change.type === 'put') sizeBytes += headerBytes + change.value.byteLength
  const all = new Uint8Array(sizeBytes)
  let at = 0
  return changes.map((change) => {
    if (change.type === 'del') return change
    const value = all.subarray(at, at + headerBytes + change.value.byteLength)
    at += value.byteLength
    sealInto(value, change.key, change.value)
    return { type: 'put', key: change.key, value }
  })
}

/** @returns a view of the payload, or undefined when the row is damaged or of an unknown version. */
export function openRow(key: string, row: Uint8Array): Uint8Array | undefined {
  if (row.byteLength < headerBytes || row[0] !== version) return undefined
  // A plain view: what LevelDB returns is a Buffer, whose slice() would not copy
  const payload = new Uint8Array(row.buffer, row.byteOffset + headerBytes, row.byteLength - headerBytes)
  const stored = ((at(row, 1) << 24) | (at(row, 2) << 16) | (at(row, 3) << 8) | at(row, 4)) >>> 0
  return checksum(key, payload) === stored ? payload : undefined
}

const at = (row: Uint8Array, index: number): number => row[index] ?? 0

function sealInto(row: Uint8Array, key: string, payload: Uint8Array): void {
  const sum = checksum(key, payload)
  row[0] = version
  row[1] = sum >>> 24
  row[2] = sum >>> 16
  row[3] = sum >>> 8
  row[4] = sum
  row.set(payload, headerBytes)
}

function checksum(key: string, payload: Uint8Array): number {
  if (key.length * unitBytes >= scratch.byteLength)
    return crc32c(payload, crc32c(Uint8Array.of(version), crc32c(encoder.encode(key))))
  const { written } = encoder.encodeInto(key, scratch)
  scratch[written] = version
  return crc32c(payload, crc32c(scratch.subarray(0, written + 1)))
}
