/**
 * A large content on its way into staging, with notes beside it of which parts of it stand there, for whoever goes on after
 * a kill. A process that dies takes nothing along that was written: what is noted is there. As long as all comes in order the
 * length of the file says as much, and there are no notes. After a power cut neither length nor notes can be believed; the
 * hash of the whole finds out, and the block list what is wrong (blobs/download.ts). Zeros that the disk reads there anyway
 * are not written, so that a sparse file stays one; and the disk takes what is there while the rest is on its way.
 *
 *   notes = record*     record = offset u64 | length u32 | crc32c u32 of the twelve bytes before      big endian
 */
import { crc32c } from '../base/crc32.ts'
import { limits } from '../base/limits.ts'
import type { BlobFile } from '../blobs/wanted.ts'
import { joined, type Range, without } from '../blobs/ranges.ts'
import { syncNow } from './early-sync.ts'
import { type Filesystem, type OpenFile, removeIfThere } from './filesystem.ts'
import { dataRuns } from './zero-blocks.ts'

export interface PartialFile extends BlobFile, AsyncDisposable {
  kept(): readonly Range[]
  sync(): Promise<void>
  /** All of it is there and right: notes are needed no more. @throws what the disk failed with meanwhile. */
  complete(): Promise<void>
}

const notesEnd = '.parts'
const recordBytes = 16
/** In memory; what comes out of order soon lies beside each other. */
const rangesMax = 512
/** So much is worth a sync while the rest is on its way. */
const syncFromBytes = 64 * 1024 * 1024

/** Of a staged file. */
export const notesOf = (path: string): string => `${path}${notesEnd}`
/** @returns the name of the staged file that notes of this name belong to; that name itself for other names. */
export const stagedNameOf = (name: string): string =>
  name.endsWith(notesEnd) ? name.slice(0, -notesEnd.length) : name

/** Whether notes were begun: then the length of the file says nothing. */
export const hasNotes = async (filesystem: Filesystem, path: string): Promise<boolean> =>
  (await filesystem.lstat(notesOf(path)))?.kind === 'file'

/** Notes from the first byte on, for a file that is not filled in order. Before the file is there. */
export async function beginNotes(filesystem: Filesystem, path: string): Promise<void> {
  if (await hasNotes(filesystem, path)) return
  const notes = await filesystem.open(notesOf(path), 'create')
  await notes.close()
}

/** Removes a staged file and its notes. The file first: notes without one say nothing. */
export async function removePartial(filesystem: Filesystem, path: string): Promise<void> {
  for (const one of [path, notesOf(path)])
    if ((await filesystem.lstat(one)) !== undefined) await removeIfThere(filesystem, one)
}

/** @param path made when it is not there. */
export async function openPartialFile(
  filesystem: Filesystem,
  path: string,
  sizeBytes: number,
): Promise<PartialFile> {
  const isThere = (await filesystem.lstat(path)) !== undefined
  if (!isThere) await removeIfThere(filesystem, notesOf(path))
  await using stack = new AsyncDisposableStack()
  const file = stack.use(await filesystem.open(path, isThere ? 'write' : 'create'))
  const notes = await readNotes(filesystem, path, sizeBytes)
  const { size } = await file.stat()
  const partial = new NotedFile({ filesystem, path, file }, notes ?? [{ offset: 0, length: size }], size)
  if (notes !== undefined) await partial.openNotes('write')
  stack.move()
  return partial
}

/** @returns undefined when there are none. */
async function readNotes(
  filesystem: Filesystem,
  path: string,
  sizeBytes: number,
): Promise<readonly Range[] | undefined> {
  if (!(await hasNotes(filesystem, path))) return undefined
  const notes = await filesystem.readSmall(notesOf(path), limits.partNotesBytes)
  if (notes === undefined) return []
  const { bytes } = notes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const ranges: Range[] = []
  for (let at = 0; at + recordBytes <= bytes.byteLength; at += recordBytes) {
    const offset = Number(view.getBigUint64(at))
    const length = view.getUint32(at + 8)
    if (crc32c(bytes.subarray(at, at + 12)) !== view.getUint32(at + 12)) continue
    if (length > 0 && offset + length <= sizeBytes) ranges.push({ offset, length })
  }
  return joined(ranges)
}

interface NotedPlace {
  readonly filesystem: Filesystem
  readonly path: string
  readonly file: OpenFile
}

class NotedFile implements PartialFile {
  private readonly place: NotedPlace
  private ranges: Range[]
  /** Where what is in order ends, and the file with it. Undefined once it is not all in order. */
  private end: number | undefined
  private notes: OpenFile | undefined
  private notesBytes = 0
  /** Behind it nothing stood when the file was opened: what was not written since reads as zeros. */
  private blankFrom: number
  private fileBytes: number
  private unsyncedBytes = 0
  private syncing: Promise<void> | undefined
  private syncFailure: { readonly error: unknown } | undefined

  constructor(place: NotedPlace, ranges: readonly Range[], fileBytes: number) {
    this.place = place
    this.ranges = [...ranges]
    this.end = endOf(ranges)
    this.blankFrom = fileBytes
    this.fileBytes = fileBytes
  }

  kept(): readonly Range[] {
    return joined(this.ranges)
  }

  stat(): Promise<{ readonly size: number }> {
    return this.place.file.stat()
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.place.file.read(into, position)
  }

  sync(): Promise<void> {
    return this.place.file.sync()
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const { byteLength } = bytes
    const isInOrder = this.notes === undefined && position === this.end
    if (this.notes === undefined && !isInOrder) await this.beginNotes()
    await this.writeData(bytes, position)
    if (isInOrder) {
      this.end = position + byteLength
      this.ranges = [{ offset: 0, length: this.end }]
      return
    }
    this.ranges.push({ offset: position, length: byteLength })
    if (this.ranges.length > rangesMax) this.ranges = [...joined(this.ranges)]
    await this.append({ offset: position, length: byteLength })
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.place.file.truncate(sizeBytes)
    this.fileBytes = sizeBytes
    this.blankFrom = Math.min(this.blankFrom, sizeBytes)
    this.ranges = [...without(this.kept(), [{ offset: sizeBytes, length: Infinity }])]
    if (this.notes === undefined) {
      this.end = endOf(this.ranges)
      return
    }
    await this.notes.truncate(0)
    this.notesBytes = 0
    await this.noteAll()
  }

  async complete(): Promise<void> {
    await this.syncing
    if (this.syncFailure !== undefined) throw this.syncFailure.error
    if (this.notes === undefined) return
    await this.closeNotes()
    await removeIfThere(this.place.filesystem, notesOf(this.place.path))
  }

  async openNotes(mode: 'create' | 'write'): Promise<void> {
    this.notes = await this.place.filesystem.open(notesOf(this.place.path), mode)
    const { size } = await this.notes.stat()
    // A record that was cut off is written over
    this.notesBytes = size - (size % recordBytes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.syncing
    await this.closeNotes()
    await this.place.file.close()
  }

  private async writeData(bytes: Uint8Array, position: number): Promise<void> {
    const { file } = this.place
    const end = position + bytes.byteLength
    const runs = dataRuns(bytes, position)
    const isAllData = runs[0]?.start === 0 && runs[0].end === bytes.byteLength
    if (isAllData || !this.isBlank(position, end)) await file.write(bytes, position)
    else {
      for (const run of runs) await file.write(bytes.subarray(run.start, run.end), position + run.start)
      // Its length tells how much has come
      const written = runs.length === 0 ? position : position + (runs.at(-1)?.end ?? 0)
      if (written < end && end > this.fileBytes) await file.truncate(end)
    }
    this.fileBytes = Math.max(this.fileBytes, end)
    this.unsyncedBytes += bytes.byteLength
    if (this.unsyncedBytes >= syncFromBytes && this.syncing === undefined) this.startSync()
  }

  private isBlank(start: number, end: number): boolean {
    return (
      start >= this.blankFrom &&
      this.ranges.every((one) => one.offset >= end || one.offset + one.length <= start)
    )
  }

  private startSync(): void {
    this.unsyncedBytes = 0
    this.syncing = syncNow(this.place.filesystem, this.place.path).then(
      () => void (this.syncing = undefined),
      (error: unknown) => {
        this.syncing = undefined
        this.syncFailure = { error }
      },
    )
  }

  /** From here on the length of the file does not tell: what is there is noted before anything comes behind it. */
  private async beginNotes(): Promise<void> {
    await this.openNotes('create')
    await this.noteAll()
  }

  private async noteAll(): Promise<void> {
    for (const range of this.kept()) await this.append(range)
  }

  private async append({ offset, length }: Range): Promise<void> {
    const parts = splitLengths(length)
    const record = new Uint8Array(recordBytes * parts.length)
    const view = new DataView(record.buffer)
    let from = offset
    for (const [index, part] of parts.entries()) {
      const at = index * recordBytes
      view.setBigUint64(at, BigInt(from))
      view.setUint32(at + 8, part)
      view.setUint32(at + 12, crc32c(record.subarray(at, at + 12)))
      from += part
    }
    await this.notes?.write(record, this.notesBytes)
    this.notesBytes += record.byteLength
  }

  private async closeNotes(): Promise<void> {
    const { notes } = this
    this.notes = undefined
    await notes?.close()
  }
}

function endOf(ranges: readonly Range[]): number | undefined {
  const [first, second] = ranges
  if (first === undefined) return 0
  return second === undefined && first.offset === 0 ? first.length : undefined
}

const longest = 2 ** 31

/** Lengths of one range as records can hold them. */
function splitLengths(length: number): readonly number[] {
  const parts: number[] = []
  for (let left = length; left > 0; left -= longest) parts.push(Math.min(left, longest))
  return parts
}
