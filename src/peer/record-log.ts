/**
 * A log of records in one file, each checked and fsynced as it is appended.
 *
 *   record*:  u32 length | u32 CRC-32 of those 4 bytes | checksum (16 bytes, of the payload) | payload
 *   numbers big endian; the checksum is SHA-256, cut.
 *
 * A last record that is not whole is what a crash leaves: it was never acknowledged, and is cut off (its bytes go
 * to a file beside). A bad record with a good one after it is damage, and reported, never skipped.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { dirname } from 'node:path'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { damaged } from './damaged.ts'
import {
  readIfPresent,
  removeIfPresent,
  replaceFile,
  syncDirectory,
  withFile,
  writeAll,
} from './durable-file.ts'

export const checksumBytes = 16
const recordHeadBytes = 8 + checksumBytes

export const checksum = (bytes: Uint8Array): Buffer =>
  createHash('sha256').update(bytes).digest().subarray(0, checksumBytes)

/** Calls must not overlap: the owner gives them turns. */
export interface RecordLog {
  /** All whole records. @throws `store.corrupt`. */
  read(): Promise<readonly Uint8Array[]>
  /** Durable once resolved. @throws `limit.exceeded`, or what the file system said. */
  append(record: Uint8Array): Promise<void>
  remove(): Promise<void>
}

/** @param path ends in `.log`; torn bytes go to the same name with `.torn`. */
export function createRecordLog(log: Log, path: string): RecordLog {
  const directory = dirname(path)
  const tornPath = path.replace(/log$/, 'torn')
  /** Where the next record goes; undefined until looked, and after a failed append. */
  let endBytes: number | undefined

  const read = async (): Promise<readonly Uint8Array[]> => {
    const bytes = await readIfPresent(path)
    if (bytes === undefined) return []
    const { records, sizeBytes } = parseRecords(bytes, path)
    if (sizeBytes < bytes.byteLength) {
      log.warn('cut a torn record off a log', { path, tornBytes: bytes.byteLength - sizeBytes })
      await replaceFile(tornPath, directory, bytes.subarray(sizeBytes))
      await withFile(path, 'r+', async (file) => {
        await file.truncate(sizeBytes)
        await file.sync()
      })
    }
    endBytes = sizeBytes
    return records
  }
  return {
    read,
    async append(record) {
      if (record.byteLength > limits.keepRecordBytes) {
        throw new SkeinError('limit.exceeded', `a record of ${record.byteLength} bytes for ${path}`)
      }
      if (endBytes === undefined) await read()
      const isNew = endBytes === undefined
      const start = endBytes ?? 0
      const framed = Buffer.concat([recordHead(record), record])
      endBytes = undefined
      await withFile(path, isNew ? 'wx+' : 'r+', async (file) => {
        try {
          await writeAll(file, framed, start)
          await file.datasync()
        } catch (error) {
          await file.truncate(start).catch(() => undefined) // because: the next append looks again, and cuts it
          throw error
        }
      })
      if (isNew) await syncDirectory(directory)
      endBytes = start + framed.byteLength
    },
    async remove() {
      endBytes = undefined
      await removeIfPresent(path, directory)
      await removeIfPresent(tornPath, directory)
    },
  }
}

function recordHead(record: Uint8Array): Buffer {
  const head = Buffer.alloc(recordHeadBytes)
  head.writeUInt32BE(record.byteLength, 0)
  head.writeUInt32BE(crc32(head.subarray(0, 4)), 4)
  checksum(record).copy(head, 8)
  return head
}

/** Payload length of the record head at `offset`, if there is a sound one. */
function lengthAt(bytes: Buffer, offset: number): number | undefined {
  if (offset + recordHeadBytes > bytes.byteLength) return undefined
  if (crc32(bytes.subarray(offset, offset + 4)) !== bytes.readUInt32BE(offset + 4)) return undefined
  return bytes.readUInt32BE(offset)
}

/** The whole record that starts at `offset`, or undefined. */
function recordAt(bytes: Buffer, offset: number): Uint8Array | undefined {
  const length = lengthAt(bytes, offset)
  if (length === undefined) return undefined
  const start = offset + recordHeadBytes
  const end = start + length
  if (end > bytes.byteLength) return undefined
  const payload = bytes.subarray(start, end)
  return checksum(payload).equals(bytes.subarray(offset + 8, start)) ? new Uint8Array(payload) : undefined
}

/** @returns the records and where the last whole one ends. @throws `store.corrupt` when one is bad before others. */
export function parseRecords(
  bytes: Buffer,
  path: string,
): { readonly records: readonly Uint8Array[]; readonly sizeBytes: number } {
  const records: Uint8Array[] = []
  let sizeBytes = 0
  for (let record = recordAt(bytes, 0); record !== undefined; record = recordAt(bytes, sizeBytes)) {
    records.push(record)
    sizeBytes += recordHeadBytes + record.byteLength
  }
  if (isDamaged(bytes, sizeBytes)) throw damaged(path)
  return { records, sizeBytes }
}

/** Whether what follows the last whole record is more than one record that a crash cut short. */
function isDamaged(bytes: Buffer, offset: number): boolean {
  const length = lengthAt(bytes, offset)
  // Records are written one after the other, so nothing can follow a torn one
  if (length !== undefined) return offset + recordHeadBytes + length < bytes.byteLength
  for (let next = offset + 1; next < bytes.byteLength; next++) {
    if (recordAt(bytes, next) !== undefined) return true
  }
  return false
}
