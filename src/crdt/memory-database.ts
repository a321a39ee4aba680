/**
 * The Database seam in memory, for tests and simulations: survives close and reopen, loses what was not synced in a
 * simulated power cut, and fails writes on demand.
 */
import { SkeinError } from '../base/errors.ts'
import type { Database, KeyRange, Row, RowChange } from './database.ts'

const scanStep = 32

/** The simulated disk: outlives the databases opened on it. */
export interface MemoryDisk {
  readonly open: () => Promise<Database>
  /** Forgets every batch since the last one with `sync`. */
  losePower(): void
  /** The next `count` batches fail, as after a failed fsync; the database stays failed until reopened. */
  failBatches(count: number): void
  /** A second disk with the same content. */
  copy(): MemoryDisk
  /** The raw value, to damage it in tests. */
  raw: Map<string, Uint8Array>
}

export function createMemoryDisk(content: ReadonlyMap<string, Uint8Array> = new Map()): MemoryDisk {
  const raw = new Map(content)
  let durable = new Map(content)
  let keys = createSortedKeys(raw)
  let failures = 0
  let generation = 0
  const pages: DiskContent = {
    keysIn: (range) => keys.in(range),
    apply(changes, isSynced) {
      if (failures > 0) {
        failures--
        throw new SkeinError('store.failed', 'simulated write error')
      }
      for (const change of changes) {
        if (change.type === 'del') raw.delete(change.key)
        else {
          if (!raw.has(change.key)) keys.add(change.key)
          raw.set(change.key, change.value.slice())
        }
      }
      if (isSynced) durable = new Map(raw)
    },
  }
  return {
    raw,
    open() {
      const mine = ++generation
      return Promise.resolve(new MemoryDatabase(raw, pages, () => mine === generation))
    },
    losePower() {
      raw.clear()
      for (const [key, value] of durable) raw.set(key, value)
      keys = createSortedKeys(raw)
      generation++
    },
    failBatches(count) {
      failures = count
    },
    copy: () => createMemoryDisk(raw),
  }
}

interface DiskContent {
  keysIn(range: KeyRange): readonly string[]
  apply(changes: readonly RowChange[], isSynced: boolean): void
}

class MemoryDatabase implements Database {
  readonly hasLostRows = false
  private readonly raw: ReadonlyMap<string, Uint8Array>
  private readonly content: DiskContent
  private readonly isCurrent: () => boolean
  private isFailed = false

  constructor(raw: ReadonlyMap<string, Uint8Array>, content: DiskContent, isCurrent: () => boolean) {
    this.raw = raw
    this.content = content
    this.isCurrent = isCurrent
  }

  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    await this.turn()
    return keys.map((key) => this.raw.get(key)?.slice())
  }

  async batch(changes: readonly RowChange[], options?: { readonly sync?: boolean }): Promise<void> {
    await this.turn()
    try {
      this.content.apply(changes, options?.sync ?? false)
    } catch (error) {
      this.isFailed = true
      throw error
    }
  }

  async *scan(range: KeyRange): AsyncGenerator<readonly Row[]> {
    await this.turn()
    const keys = this.content.keysIn(range)
    for (let at = 0; at < keys.length; at += scanStep) {
      const rows: Row[] = []
      for (const key of keys.slice(at, at + scanStep)) {
        const value = this.raw.get(key)
        if (value !== undefined) rows.push([key, value.slice()])
      }
      yield rows
    }
  }

  async *keys(range: KeyRange): AsyncGenerator<string> {
    await this.turn()
    yield* this.content.keysIn(range)
  }

  async close(): Promise<void> {
    await Promise.resolve()
    this.isFailed = true
  }

  /** Answers come a turn later, as from a disk, and never from one that was closed, failed or cut off. */
  private async turn(): Promise<void> {
    await Promise.resolve()
    if (this.isFailed || !this.isCurrent()) throw new SkeinError('store.failed', 'the database has failed')
  }
}

/** The keys of a Map in order: new ones are merged in when somebody reads, gone ones skipped. */
function createSortedKeys(raw: ReadonlyMap<string, Uint8Array>): {
  add(key: string): void
  in(range: KeyRange): readonly string[]
} {
  let sorted: readonly string[] = []
  let fresh = [...raw.keys()]
  const merge = (): void => {
    const added = fresh.sort(compareCodePoints)
    const merged: string[] = []
    let next = 0
    for (const key of sorted) {
      for (
        let one = added[next];
        one !== undefined && compareCodePoints(one, key) <= 0;
        one = added[++next]
      ) {
        if (one !== key && one !== merged.at(-1) && raw.has(one)) merged.push(one)
      }
      if (raw.has(key)) merged.push(key)
    }
    for (const one of added.slice(next)) if (one !== merged.at(-1) && raw.has(one)) merged.push(one)
    sorted = merged
    fresh = []
  }
  return {
    add: (key) => void fresh.push(key),
    in(range) {
      if (fresh.length > 0) merge()
      const out: string[] = []
      const limit = range.limit ?? Number.POSITIVE_INFINITY
      for (let index = lowerBound(sorted, range.from); index < sorted.length && out.length < limit; index++) {
        const key = sorted[index]
        if (key === undefined || compareCodePoints(key, range.to) >= 0) break
        if (raw.has(key)) out.push(key)
      }
      return out
    },
  }
}

/** UTF-8 order, which UTF-16 comparison breaks for surrogate pairs against U+E000..U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index)
    const y = b.charCodeAt(index)
    if (x !== y) {
      const isXPair = x >= 0xd800 && x <= 0xdfff
      const isYPair = y >= 0xd800 && y <= 0xdfff
      return isXPair === isYPair ? x - y : isXPair ? 1 : -1
    }
  }
  return a.length - b.length
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareCodePoints(sorted[middle] ?? '', key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
