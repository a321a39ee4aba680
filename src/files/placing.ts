/**
 * Files that are new at their place get their names before they are durable where many come at once: one sync for all of
 * them instead of one for each. What such a file is to be is noted durably before it gets its name (crdt/intents.ts), so
 * that one which a power cut left short is fetched again and never taken for an edit. Text of a note: for each file its
 * size (base 36), mtime (nanoseconds), hash and path, NUL between all of them.
 */
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import type { Intents } from '../crdt/intents.ts'
import type { FileStat } from './filesystem.ts'

/** What a file is to be once it stands at its place. */
export interface PlacedFile {
  readonly path: string
  readonly size: number
  readonly mtimeNs: bigint
  readonly hash: BlobHash
}

export interface Placing {
  /** Reads what an earlier run left: it did not come to its end. */
  load(): Promise<void>
  /** Notes that these files are about to be placed. Resolved: the note survives a power cut. */
  note(files: readonly PlacedFile[]): Promise<void>
  /** Noted since the last `take`. */
  isNoted(path: string, hash: BlobHash): boolean
  /** Notes whose files have been placed, or will not be. */
  take(): readonly number[]
  /** The files of these notes are durable, and their rows are stored. */
  settled(notes: readonly number[]): void
  /** Forgets what is settled. */
  tidy(): Promise<void>
  /** All of the disk was looked at: what an earlier run left was found. */
  forgetLeft(): void
  /** Whether a power cut left this file short after an earlier run had placed it. */
  isTorn(path: string, stat: FileStat, hash: BlobHash | undefined): boolean
}

/** Placing a file sets its time, to a microsecond, before it gets its name. */
const timeStepNs = 1_000n
const secondNs = 1_000_000_000n
/** Whoever writes to a file sets both its times at once; a file that was placed carries the time of an edit elsewhere. */
const editedNs = 20_000_000n

export function createPlacing(intents: Intents): Placing {
  let left: readonly PlacedFile[] = []
  let leftNotes: readonly number[] = []
  let next = 1
  let open: number[] = []
  let done: number[] = []
  const noted = new Map<string, BlobHash>()
  return {
    async load() {
      const notes = await intents.read()
      left = notes.flatMap(({ text }) => parseNote(text))
      leftNotes = notes.map(({ number }) => number)
      next = Math.max(0, ...leftNotes) + 1
    },
    async note(files) {
      const number = next++
      const past = done
      done = []
      open.push(number)
      await intents.add({ number, text: textOf(files) }, past)
      for (const { path, hash } of files) noted.set(path, hash)
    },
    isNoted: (path, hash) => noted.get(path) === hash,
    take() {
      const taken = open
      open = []
      noted.clear()
      return taken
    },
    settled: (notes) => void done.push(...notes),
    async tidy() {
      if (done.length === 0) return
      const past = done
      done = []
      await intents.remove(past)
    },
    forgetLeft() {
      left = []
      done.push(...leftNotes)
      leftNotes = []
    },
    isTorn: (path, stat, hash) => left.some((file) => isRestOf(file, { path, stat, hash })),
  }
}

interface Found {
  readonly path: string
  readonly stat: FileStat
  readonly hash: BlobHash | undefined
}

/**
 * Bytes are missing or were never written, and the time is the one that was set. Where the path is the noted one a disk may
 * keep whole seconds; a file that was moved since is known by its exact time.
 */
function isRestOf(file: PlacedFile, { path, stat, hash }: Found): boolean {
  if (stat.kind !== 'file' || stat.size > file.size || hash === file.hash) return false
  const isExact = distance(stat.mtimeNs, file.mtimeNs) < timeStepNs && stat.mtimeNs % secondNs !== 0n
  if (isExact && distance(stat.ctimeNs, stat.mtimeNs) >= editedNs) return true
  const isSecond = stat.mtimeNs % secondNs === 0n && distance(stat.mtimeNs, file.mtimeNs) < 2n * secondNs
  return path === file.path && (isExact || isSecond)
}

const distance = (a: bigint, b: bigint): bigint => (a > b ? a - b : b - a)

const fieldsPerFile = 4

const textOf = (files: readonly PlacedFile[]): string =>
  files
    .flatMap(({ size, mtimeNs, hash, path }) => [size.toString(36), mtimeNs.toString(), hash, path])
    .join('\0')

/** Own rows under a checksum: what is of another layout counts as none. */
function parseNote(text: string): readonly PlacedFile[] {
  const fields = text.split('\0')
  const files: PlacedFile[] = []
  for (let index = 0; index + fieldsPerFile <= fields.length; index += fieldsPerFile) {
    const [size = '', mtime = '', hash = '', path = ''] = fields.slice(index)
    if (!isBlobHash(hash) || !/^-?\d+$/.test(mtime)) return files
    files.push({ path, size: Number.parseInt(size, 36), mtimeNs: BigInt(mtime), hash })
  }
  return files
}
