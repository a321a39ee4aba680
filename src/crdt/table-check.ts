/**
 * Holds the tables of LevelDB (`*.ldb`) against their own checksums, block by block. LevelDB does so only with an option
 * that its binding does not have, and a damaged key that breaks its order makes it end the whole process. Reads about
 * 0.5 GB/s, so it is for after an unclean stop. Format: leveldb, doc/table_format.md.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c } from '../base/crc32.ts'

const footerBytes = 48
/** Compression type and checksum after each block. */
const trailerBytes = 5
const magic = [0x8b80fb57, 0xdb477524] as const

/**
 * Names of the tables in a directory that are not as they were written. One without its end is not among them: LevelDB
 * was stopped while it wrote it and does not use it, and finds it out by itself should it be a used one.
 */
export async function damagedTables(directory: string): Promise<readonly string[]> {
  const damaged: string[] = []
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.ldb')) continue
    const bytes = await readFile(join(directory, name))
    if (isFinished(bytes) && !isWholeTable(bytes)) damaged.push(name)
  }
  return damaged
}

function isFinished(bytes: Uint8Array): boolean {
  const end = bytes.byteLength
  if (end < footerBytes) return false
  const view = new DataView(bytes.buffer, bytes.byteOffset, end)
  return view.getUint32(end - 8, true) === magic[0] && view.getUint32(end - 4, true) === magic[1]
}

/** @param bytes a table. True when every block has its checksum. */
export function isWholeTable(bytes: Uint8Array): boolean {
  if (!isFinished(bytes)) return false
  const end = bytes.byteLength
  const view = new DataView(bytes.buffer, bytes.byteOffset, end)
  const footer = new Reader(bytes, end - footerBytes, end)
  const [metaindex, index] = [footer.handle(), footer.handle()]
  // The one names the blocks of rows, the other the filter that says which rows are not there
  return [metaindex, index].every((block) => areWhole(view, block))
}

/** A block of handles, and all the blocks that it names. */
function areWhole(view: DataView, block: BlockHandle): boolean {
  if (!isBlock(view, block)) return false
  const end = block.offset + block.sizeBytes
  // What is compressed holds its handles where we cannot read them; this store writes none
  if (view.getUint8(end) !== 0) return true
  const restarts = view.getUint32(end - 4, true)
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  const entries = new Reader(bytes, block.offset, end - 4 * (restarts + 1))
  while (entries.hasMore()) {
    entries.varint()
    const keyBytes = entries.varint()
    entries.varint()
    entries.skip(keyBytes)
    if (!isBlock(view, entries.handle())) return false
  }
  return true
}

interface BlockHandle {
  readonly offset: number
  readonly sizeBytes: number
}

function isBlock(view: DataView, { offset, sizeBytes }: BlockHandle): boolean {
  if (!(sizeBytes >= 4 && offset + sizeBytes + trailerBytes <= view.byteLength)) return false
  const stored = view.getUint32(offset + sizeBytes + 1, true)
  const crc = crc32c(new Uint8Array(view.buffer, view.byteOffset + offset, sizeBytes + 1))
  // LevelDB stores checksums turned and shifted, so that a checksum over checksums says something
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0 === stored
}

/** Reads varints; what does not fit reads as a handle that no block can have. */
class Reader {
  private readonly bytes: Uint8Array
  private position: number
  private readonly end: number

  constructor(bytes: Uint8Array, from: number, end: number) {
    this.bytes = bytes
    this.position = from
    this.end = end
  }

  hasMore(): boolean {
    return this.position < this.end
  }

  skip(count: number): void {
    this.position += count
  }

  varint(): number {
    let value = 0
    for (let factor = 1; factor < 2 ** 49; factor *= 128) {
      const byte = this.position < this.end ? (this.bytes[this.position++] ?? 0) : 0
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    return Number.MAX_SAFE_INTEGER
  }

  handle(): BlockHandle {
    return { offset: this.varint(), sizeBytes: this.varint() }
  }
}
