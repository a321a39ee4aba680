/**
 * Finds the blocks of a wanted content in an old one. Most of a changed file stands where it stood, or all of it moved by
 * the same distance: so each block is tried at the distance of the one before, and only when that fails the old content
 * is searched, byte by byte, for the first bytes of any block that is still missing. At most two passes over the old content.
 */
import { anchorBytes, type BlockList, entryBytes, isBlockOf } from './block-list.ts'
import type { Range } from './ranges.ts'

export interface OldContent {
  readonly sizeBytes: number
  /**
   * @returns a view of exactly these bytes, valid until the next call; undefined when they are not all there.
   * `lengthBytes` is one block at most, or one search window.
   */
  view(position: number, lengthBytes: number): Uint8Array | undefined
}

/** Takes a block that was found: its place in the wanted content and its bytes, valid during the call. */
export type TakeBlock = (position: number, bytes: Uint8Array) => void

/** Blocks in a row that are not where they are expected before the old content is searched. */
const missesBeforeSearch = 2
/** Bytes looked at in one step of a search. */
export const searchWindowBytes = 1024 * 1024
/** The same first bytes in more blocks than that say nothing: zeros, above all. */
const sameAnchorsMax = 4
/** Blocks hashed in vain before searching is given up: content made to look alike must not cost more than fetching it. */
const falseHitsMax = 1024

/** @returns the ranges that were not found, in order, next to each other joined. */
export function matchBlocks(list: BlockList, old: OldContent, take: TakeBlock): readonly Range[] {
  return new Matcher(list, old, take).run()
}

class Matcher {
  private readonly list: BlockList
  private readonly old: OldContent
  private readonly take: TakeBlock
  private readonly found: Uint8Array
  private readonly anchors: AnchorIndex
  /** Where a block stood less where it stands. */
  private distance = 0
  private searchFrom = 0
  private searchLeft: number
  private falseHits = 0

  constructor(list: BlockList, old: OldContent, take: TakeBlock) {
    this.list = list
    this.old = old
    this.take = take
    this.found = new Uint8Array(list.count)
    this.anchors = createAnchorIndex(list)
    this.searchLeft = 2 * old.sizeBytes
  }

  run(): readonly Range[] {
    const { count, blockBytes, sizeBytes } = this.list
    let misses = 0
    for (let index = 0; index < count; index++) {
      if (this.found[index] === 1) continue
      if (this.tryAt(index, this.distance)) {
        misses = 0
        continue
      }
      if (++misses < missesBeforeSearch) continue
      misses = 0
      // What was in front of an insertion or behind it, before anything is searched
      const known = [0, this.old.sizeBytes - sizeBytes].find(
        (distance) => distance !== this.distance && this.tryAt(index, distance),
      )
      if (known === undefined) this.search()
      else this.moveBy(known, index)
    }
    const missing: Range[] = []
    for (let index = 0; index < count; index++) {
      if (this.found[index] === 1) continue
      const offset = index * blockBytes
      const length = Math.min(blockBytes, sizeBytes - offset)
      const last = missing.at(-1)
      if (last !== undefined && last.offset + last.length === offset)
        missing[missing.length - 1] = { offset: last.offset, length: last.length + length }
      else missing.push({ offset, length })
    }
    return missing
  }

  private tryAt(index: number, distance: number): boolean {
    const { blockBytes, sizeBytes } = this.list
    const position = index * blockBytes
    const from = position + distance
    const length = Math.min(blockBytes, sizeBytes - position)
    if (from < 0 || from + length > this.old.sizeBytes) return false
    const bytes = this.old.view(from, length)
    if (bytes === undefined || !isBlockOf(this.list, index, bytes)) return false
    this.found[index] = 1
    this.take(position, bytes)
    return true
  }

  /** A block was found at a new distance: all around it that is at the same, and no search there any more. */
  private moveBy(distance: number, index: number): void {
    const { count, blockBytes } = this.list
    this.distance = distance
    let after = index + 1
    while (after < count && this.found[after] === 0 && this.tryAt(after, distance)) after++
    const end = after * blockBytes + distance
    if (this.searchFrom < end && this.searchFrom >= index * blockBytes + distance) this.searchFrom = end
    let before = index - 1
    while (before >= 0 && this.found[before] === 0 && this.tryAt(before, distance)) before--
  }

  /** Goes on where the last search ended until any missing block is found. */
  private search(): void {
    const { blockBytes } = this.list
    const { sizeBytes } = this.old
    while (this.searchLeft > 0 && this.falseHits < falseHitsMax) {
      if (this.searchFrom >= sizeBytes - anchorBytes) {
        if (this.searchLeft <= anchorBytes) return
        this.searchFrom = 0
      }
      const length = Math.min(searchWindowBytes, sizeBytes - this.searchFrom)
      const window = length < anchorBytes ? undefined : this.old.view(this.searchFrom, length)
      if (window === undefined) {
        this.searchLeft = 0
        return
      }
      const hit = this.anchors.find(window, 0, (block) => this.found[block] === 0)
      const looked = hit === undefined ? length - anchorBytes + 1 : hit.at + 1
      const at = this.searchFrom
      this.searchFrom += looked
      this.searchLeft -= looked
      if (hit === undefined) continue
      for (const block of hit.blocks) {
        const distance = at + hit.at - block * blockBytes
        if (this.found[block] === 1 || !this.tryAt(block, distance)) {
          this.falseHits++
          continue
        }
        this.moveBy(distance, block)
        return
      }
    }
  }
}

interface AnchorHit {
  readonly at: number
  readonly blocks: readonly number[]
}

interface AnchorIndex {
  find(bytes: Uint8Array, from: number, isWanted: (block: number) => boolean): AnchorHit | undefined
}

const filterBits = 22

/** First bytes of blocks to block numbers: a bit filter over four bytes first, 1 GB/s, then the map. */
function createAnchorIndex({ entries, count, sizeBytes, blockBytes }: BlockList): AnchorIndex {
  const filter = new Uint8Array(2 ** filterBits / 8)
  const byAnchor = new Map<string, number[]>()
  const slot = (word: number): number => Math.imul(word, 0x9e37_79b1) >>> (32 - filterBits)
  const key = (bytes: Uint8Array, at: number): string =>
    String.fromCharCode(...bytes.subarray(at, at + anchorBytes))
  for (let block = 0; block < count; block++) {
    if (sizeBytes - block * blockBytes < anchorBytes) continue
    const anchor = key(entries, block * entryBytes)
    const same = byAnchor.get(anchor)
    if (same === undefined) byAnchor.set(anchor, [block])
    else same.push(block)
  }
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  for (const [anchor, blocks] of byAnchor) {
    const [first] = blocks
    if (first === undefined || blocks.length > sameAnchorsMax) {
      byAnchor.delete(anchor)
      continue
    }
    const bit = slot(view.getInt32(first * entryBytes))
    filter[bit >>> 3] = (filter[bit >>> 3] ?? 0) | (1 << (bit & 7))
  }
  return {
    find(bytes, from, isWanted) {
      let word = 0
      const end = bytes.byteLength - anchorBytes
      for (let at = from; at < from + 3 && at < bytes.byteLength; at++) word = (word << 8) | (bytes[at] ?? 0)
      for (let at = from; at <= end; at++) {
        word = (word << 8) | (bytes[at + 3] ?? 0)
        const bit = slot(word)
        if (((filter[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) continue
        const blocks = byAnchor.get(key(bytes, at))?.filter(isWanted)
        if (blocks !== undefined && blocks.length > 0) return { at, blocks }
      }
      return undefined
    },
  }
}
