/**
 * How every value lies in the store: u8 version (1) | u32 CRC-32C over key, version and payload (big endian) |
 * payload. The key is under the checksum, so that a value that turns up under another key is found too.
 */
import { crc32c } from '../base/crc32.ts'

const version = 1
const headerBytes = 5
const encoder = new TextEncoder()

/** @returns fresh bytes. */
export function sealRow(key: string, payload: Uint8Array): Uint8Array {
  const row = new Uint8Array(headerBytes + payload.byteLength)
  row[0] = version
  row.set(payload, headerBytes)
  new DataView(row.buffer).setUint32(1, checksum(key, payload))
  return row
}

/** @returns a view of the payload, or undefined when the row is damaged or of an unknown version. */
export function openRow(key: string, row: Uint8Array): Uint8Array | undefined {
  if (row.byteLength < headerBytes || row[0] !== version) return undefined
  // A plain view: what LevelDB returns is a Buffer, whose slice() would not copy
  const payload = new Uint8Array(row.buffer, row.byteOffset + headerBytes, row.byteLength - headerBytes)
  const stored = new DataView(row.buffer, row.byteOffset, row.byteLength).getUint32(1)
  return checksum(key, payload) === stored ? payload : undefined
}

function checksum(key: string, payload: Uint8Array): number {
  return crc32c(payload, crc32c(Uint8Array.of(version), crc32c(encoder.encode(key))))
}
