/**
 * Contents by their hash, with where their bytes lie: what Map does, in a third of the memory. A vault may hold a million
 * contents, and nearly all of them are one piece of one block: those are numbers in columns, the others objects.
 */
import type { BlobHash } from '../blobs/hash.ts'

/** Bytes of one block, or of the inline part of one record. */
export interface Piece {
  /** Id of a block in hex, or the number of a record. */
  readonly from: string | number
  readonly offset: number
  readonly length: number
}

export interface ContentPlace {
  readonly sizeBytes: number
  readonly isDone: boolean
  /** In order, without gaps from 0 on. */
  readonly pieces: readonly Piece[]
}

interface Columns {
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
  /** Index in `origins`. */
  readonly origins: Uint32Array
}

const firstRows = 64
const columns = (rows: number): Columns => ({
  offsets: new Uint32Array(rows),
  lengths: new Uint32Array(rows),
  origins: new Uint32Array(rows),
})

export class ContentTable {
  /** A row of the columns, or what does not fit into one. */
  private readonly places = new Map<BlobHash, number | ContentPlace>()
  private columns = columns(firstRows)
  private usedRows = 0
  private readonly freeRows: number[] = []
  private readonly origins: Piece['from'][] = []
  private readonly indexes = new Map<Piece['from'], number>()

  get size(): number {
    return this.places.size
  }

  has(hash: BlobHash): boolean {
    return this.places.has(hash)
  }

  get(hash: BlobHash): ContentPlace | undefined {
    const place = this.places.get(hash)
    return typeof place === 'number' ? this.read(place) : place
  }

  set(hash: BlobHash, place: ContentPlace): void {
    this.delete(hash)
    const [only, ...more] = place.pieces
    const isRow = place.isDone && more.length === 0 && only?.length === place.sizeBytes
    this.places.set(hash, isRow ? this.write(only) : place)
  }

  delete(hash: BlobHash): boolean {
    const place = this.places.get(hash)
    if (typeof place === 'number') this.freeRows.push(place)
    return this.places.delete(hash)
  }

  keys(): IterableIterator<BlobHash> {
    return this.places.keys()
  }

  *[Symbol.iterator](): Generator<readonly [BlobHash, ContentPlace]> {
    for (const [hash, place] of this.places)
      yield [hash, typeof place === 'number' ? this.read(place) : place]
  }

  private read(row: number): ContentPlace {
    const { offsets, lengths, origins } = this.columns
    const length = lengths[row] ?? 0
    const from = this.origins[origins[row] ?? 0] ?? ''
    return { sizeBytes: length, isDone: true, pieces: [{ from, offset: offsets[row] ?? 0, length }] }
  }

  /** @returns the row. */
  private write({ from, offset, length }: Piece): number {
    const row = this.freeRows.pop() ?? this.usedRows++
    if (row >= this.columns.lengths.length) this.grow()
    const { offsets, lengths, origins } = this.columns
    offsets[row] = offset
    lengths[row] = length
    origins[row] = this.indexOf(from)
    return row
  }

  private grow(): void {
    const { offsets, lengths, origins } = this.columns
    // By half: at a million rows twice as many would be 12 MB for nothing
    const next = columns(Math.ceil(lengths.length * 1.5))
    next.offsets.set(offsets)
    next.lengths.set(lengths)
    next.origins.set(origins)
    this.columns = next
  }

  private indexOf(from: Piece['from']): number {
    const known = this.indexes.get(from)
    if (known !== undefined) return known
    this.indexes.set(from, this.origins.length)
    return this.origins.push(from) - 1
  }
}
