/**
 * Files whose bytes the disk changed by itself, until the right ones are back: found by scrubbing (scrub.ts), put right by
 * repair.ts. Written down before anything is done about one, because a touch or a crash would make damaged bytes look like
 * an edit of this device: what is known here as damage is never offered to others.
 */
import {
  array,
  decodeCanonical,
  encodeCanonical,
  integer,
  object,
  optional,
  text,
  textOf,
} from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import { type RowChange, rowKey, type SyncedRow } from './folder-tree.ts'

export interface DamagedPlace {
  readonly parentId: string
  readonly name: string
  readonly nodeId: string
  /** What should stand there. */
  readonly version: string
  readonly sizeBytes: number
  /** Of the damaged file: another one has other bytes. */
  readonly ino: bigint
  /** What does; undefined when it cannot be read. */
  readonly actual: BlobHash | undefined
  /** By this device's clock. */
  readonly foundAtMs: number
}

export interface Damage {
  /** From earlier runs. Before it resolves nothing may be looked at. */
  load(): Promise<void>
  /** Resolves when it is kept. Above the limit nothing is added: so many are no bad sectors but a bad disk. */
  add(place: DamagedPlace): Promise<boolean>
  at(parentId: string, name: string): DamagedPlace | undefined
  list(): readonly DamagedPlace[]
  /** True for the very bytes that are known as damage of what the row stands for. */
  covers(row: Pick<SyncedRow, 'parentId' | 'name' | 'version'>, hash: BlobHash | undefined): boolean
  /** True when this is the file that is known as damage of what the row stands for, at another place than the row's now. */
  isMoved(
    row: Pick<SyncedRow, 'version'>,
    stat: { readonly ino: bigint },
    hash: BlobHash | undefined,
  ): boolean
  /** Nothing is to be put right at this place. */
  settle(parentId: string, name: string): void
  /** What was done on the disk: what moved is known at its new place; where another file stands now, or none, all is settled. */
  recorded(rows: readonly RowChange[]): void
  readonly count: number
}

const id = text(64)
const shape = array(
  object({
    parent: id,
    name: text(limits.pathNameBytes),
    node: id,
    version: text(4096),
    size: integer(),
    ino: text(20, /^\d+$/),
    actual: optional(textOf(isBlobHash, 'a hash')),
    found: integer(),
  }),
  limits.damagedFiles,
)
const bytesMax = limits.damagedFiles * 5_120

/** @param keep none: known for this run alone. */
export function createDamage(
  env: Env,
  spaceId: string,
  keep: Pick<Keep, 'read' | 'write'> | undefined,
): Damage {
  const name = `damage-${spaceId}`
  const places = new Map<string, DamagedPlace>()
  let saving: Promise<void> = Promise.resolve()
  const save = (): Promise<void> => {
    saving = saving.then(async () => {
      await keep?.write(name, encodePlaces(places.values()))
    })
    const saved = saving
    saving = saving.catch((error: unknown) =>
      env.log.error('list of damaged files not kept', errorFields(error)),
    )
    return saved
  }
  const settle = (parentId: string, fileName: string): void => {
    // because: one that is known too long is looked at once more and settled again; `save` has reported it
    if (places.delete(rowKey(parentId, fileName))) save().catch(() => undefined)
  }
  return {
    async load() {
      const stored = await keep?.read(name)
      if (stored === undefined) return
      for (const place of decodePlaces(stored)) places.set(rowKey(place.parentId, place.name), place)
    },
    async add(place) {
      const key = rowKey(place.parentId, place.name)
      if (places.size >= limits.damagedFiles && !places.has(key)) return false
      places.set(key, place)
      await save()
      return true
    },
    at: (parentId, fileName) => places.get(rowKey(parentId, fileName)),
    list: () => [...places.values()],
    covers(row, hash) {
      const known = places.size === 0 ? undefined : places.get(rowKey(row.parentId, row.name))
      return (
        known !== undefined && known.version === row.version && known.actual === hash && hash !== undefined
      )
    },
    isMoved: ({ version }, { ino }, hash) =>
      places.size > 0 &&
      hash !== undefined &&
      [...places.values()].some(
        (known) => known.ino === ino && known.version === version && known.actual === hash,
      ),
    settle,
    recorded(rows) {
      if (places.size === 0) return
      for (const moved of movedBy(rows, [...places.values()])) {
        places.set(rowKey(moved.parentId, moved.name), moved)
        // because: as in `settle`
        save().catch(() => undefined)
      }
      for (const change of rows) {
        const { parentId, name: fileName } = change.kind === 'put' ? change.row : change
        const known = places.get(rowKey(parentId, fileName))
        const isSame = change.kind === 'put' && change.row.ino === known?.ino
        if (known !== undefined && !isSame) settle(parentId, fileName)
      }
    },
    get count() {
      return places.size
    },
  }
}

function movedBy(rows: readonly RowChange[], known: readonly DamagedPlace[]): readonly DamagedPlace[] {
  return rows.flatMap((change) => {
    if (change.kind !== 'put' || change.writtenBy !== undefined) return []
    const { ino, version, parentId, name } = change.row
    const one = known.find((place) => place.ino === ino && place.version === version)
    const isElsewhere = one !== undefined && (one.parentId !== parentId || one.name !== name)
    return isElsewhere ? [{ ...one, parentId, name }] : []
  })
}

function encodePlaces(places: Iterable<DamagedPlace>): Uint8Array {
  const rows = [...places].map((place) => ({
    parent: place.parentId,
    name: place.name,
    node: place.nodeId,
    version: place.version,
    size: place.sizeBytes,
    ino: String(place.ino),
    ...(place.actual !== undefined && { actual: place.actual }),
    found: place.foundAtMs,
  }))
  return encodeCanonical(rows)
}

const decodePlaces = (bytes: Uint8Array): readonly DamagedPlace[] =>
  decodeCanonical(bytes, shape, bytesMax).map((row) => ({
    parentId: row.parent,
    name: row.name,
    nodeId: row.node,
    version: row.version,
    sizeBytes: row.size,
    ino: BigInt(row.ino),
    actual: row.actual,
    foundAtMs: row.found,
  }))
