/**
 * How the nodes of a space lie in the store, derived from the records and rebuilt from them when in doubt. `<s>` is the
 * space id, ids are fixed in length, names hold no `/`, so keys need no escapes:
 *   `n!<s>!<node>`                    letter (d directory, t tombstone, f other) | parent | name
 *   `c!<s>!<parent>/<name>/<node>`    records of a living node, NUL between them
 *   `x!<s>!<parent>/<name>/<node>`    the same of a deleted directory
 *   `o!<s>!<node>`                    named as a parent, but may be no directory here
 *   `y!<s>!<node>`                    cut loose from a cycle
 *   `i!<s>`                           version of this layout; absent while it is being rebuilt
 */
import { SkeinError } from '../base/errors.ts'
import type { SpaceId } from '../base/ids.ts'
import type { RowChange } from './database.ts'
import { withPrefix } from './database.ts'
import { joinRecords, type TreeNode } from './join.ts'
import { firstCharacter, isNodeId, shardOf, type NodeId } from './node-id.ts'
import { parseRecord, type TreeRecord } from './record.ts'
import { encodeRowText } from './row-text.ts'
import type { Store } from './store.ts'
import type { NodeSource } from './tree-view.ts'
import { isDirectory } from './view.ts'

export const treeRowsVersion = '1'

const decoder = new TextDecoder()

/** A node as the index keeps it. */
export interface IndexedNode {
  readonly node: TreeNode
  /** Its living records, those that parse. */
  readonly texts: readonly string[]
}

export interface PlaceRow {
  readonly letter: 'd' | 't' | 'f'
  readonly parent: NodeId
  readonly name: string
}

export const placeKey = (space: SpaceId, id: NodeId): string => `n!${space}!${id}`
export const missingKey = (space: SpaceId, id: NodeId): string => `o!${space}!${id}`
export const detachedKey = (space: SpaceId, id: NodeId): string => `y!${space}!${id}`
export const versionKey = (space: SpaceId): string => `i!${space}`

const contentKeyOf = (space: SpaceId, id: NodeId, place: PlaceRow): string =>
  `${place.letter === 't' ? 'x' : 'c'}!${space}!${place.parent}/${place.name}/${id}`

export function placeOf(node: TreeNode): PlaceRow {
  return {
    letter: node.isTombstone ? 't' : isDirectory(node) ? 'd' : 'f',
    parent: node.parent,
    name: node.name,
  }
}

export function decodePlace(bytes: Uint8Array | undefined): PlaceRow | undefined {
  if (bytes === undefined) return undefined
  const text = decoder.decode(bytes)
  const letter = text.charAt(0)
  const parent = text.slice(1, 17)
  if ((letter !== 'd' && letter !== 't' && letter !== 'f') || !isNodeId(parent)) return undefined
  return { letter, parent, name: text.slice(17) }
}

/** The rows that bring the index from one state of a node to the next. */
export function nodeRows(
  space: SpaceId,
  id: NodeId,
  before: PlaceRow | undefined,
  now: IndexedNode | undefined,
): RowChange[] {
  const rows: RowChange[] = []
  const place = now === undefined ? undefined : placeOf(now.node)
  const oldKey = before === undefined ? undefined : contentKeyOf(space, id, before)
  const newKey = place === undefined ? undefined : contentKeyOf(space, id, place)
  if (oldKey !== undefined && oldKey !== newKey) rows.push({ type: 'del', key: oldKey })
  if (place === undefined || newKey === undefined || now === undefined) {
    if (before !== undefined) rows.push({ type: 'del', key: placeKey(space, id) })
    return rows
  }
  rows.push({ type: 'put', key: newKey, value: encodeRowText(now.texts.join('\0')) })
  if (oldKey !== newKey || before?.letter !== place.letter) {
    const value = encodeRowText(`${place.letter}${place.parent}${place.name}`)
    rows.push({ type: 'put', key: placeKey(space, id), value })
  }
  return rows
}

/** A line in full, and the record in it where that is known already. */
export interface Line {
  readonly text: string
  readonly record?: TreeRecord
}

export type RecordLine = Required<Line>

/** The records among these lines; others are left out. */
export function recordLines(lines: readonly Line[]): readonly RecordLine[] {
  const found: RecordLine[] = []
  for (const { text, record } of lines) {
    if (record !== undefined) {
      found.push({ text, record })
      continue
    }
    const parsed = parseRecord(text)
    if (parsed.ok) found.push({ text, record: parsed.record })
  }
  return found
}

/** @param lines of one node. */
export function indexedNode(lines: readonly RecordLine[]): IndexedNode | undefined {
  const node = joinRecords(lines.map(({ record }) => record))
  return node === undefined ? undefined : { node, texts: lines.map(({ text }) => text) }
}

/** The node in a row. */
const nodeOf = (value: Uint8Array): TreeNode | undefined =>
  indexedNode(recordLines(splitRecords(value).map((text) => ({ text }))))?.node

export const splitRecords = (bytes: Uint8Array): readonly string[] => decoder.decode(bytes).split('\0')

export const isDerivedKey = (key: string, space: SpaceId): boolean =>
  /^[ncxoy]!/.test(key) && key.startsWith(space, 2)

/** All keys of the derived rows of a space. */
export async function* derivedKeys(store: Store, space: SpaceId): AsyncGenerator<string> {
  for (const family of ['n', 'c', 'x', 'o', 'y']) yield* store.keys(withPrefix(`${family}!${space}!`))
}

/** Ids of a family of marker rows (`o` or `y`). */
export async function readMarkers(store: Store, space: SpaceId, family: 'o' | 'y'): Promise<Set<NodeId>> {
  const ids = new Set<NodeId>()
  for await (const key of store.keys(withPrefix(`${family}!${space}!`))) {
    const id = key.slice(-16)
    if (isNodeId(id)) ids.add(id)
  }
  return ids
}

/** The records of one shard as the rows hold them. */
export async function recordsOfShard(
  store: Store,
  space: SpaceId,
  shard: number,
): Promise<ReadonlyMap<NodeId, readonly string[]>> {
  const out = new Map<NodeId, readonly string[]>()
  // The first character of an id says six of the eight bits of its shard
  for await (const [key, value] of store.scan(withPrefix(`n!${space}!${firstCharacter(shard)}`))) {
    const id = key.slice(-16)
    const place = decodePlace(value)
    if (!isNodeId(id) || shardOf(id) !== shard || place === undefined) continue
    const content = await store.get(contentKeyOf(space, id, place))
    if (content !== undefined) out.set(id, splitRecords(content))
  }
  return out
}

/** What the owner of the rows keeps current: it is read at each call. */
export interface RowMarkers {
  readonly missing: ReadonlySet<NodeId>
  readonly detached: ReadonlySet<NodeId>
  /** There may be deleted directories. */
  readonly hasTombstones: boolean
}

/** Whether the space has rows of deleted directories. */
export async function hasTombstoneRows(store: Store, space: SpaceId): Promise<boolean> {
  for await (const _key of store.keys({ ...withPrefix(`x!${space}!`), limit: 1 })) return true
  return false
}

/** The nodes of a space, read from their rows. */
export function createRowSource(store: Store, space: SpaceId, markers: RowMarkers): NodeSource {
  /** A damaged row reads as absent, and absent would mean deleted: such a reading counts as failed. */
  const whole = async <T>(read: () => Promise<T>): Promise<T> => {
    let isDamaged = false
    using _watch = store.on('corrupt', ({ key }) => {
      if (isDerivedKey(key, space)) isDamaged = true
    })
    const result = await read()
    if (isDamaged) throw new SkeinError('store.corrupt', 'the index of a space is being repaired')
    return result
  }
  const listed = (family: 'c' | 'x', parent: NodeId, name?: string): Promise<TreeNode[]> =>
    whole(async () => {
      const prefix =
        name === undefined ? `${family}!${space}!${parent}/` : `${family}!${space}!${parent}/${name}/`
      const nodes: TreeNode[] = []
      for await (const rows of store.scanMany(withPrefix(prefix))) {
        for (const [, value] of rows) {
          const node = nodeOf(value)
          if (node !== undefined) nodes.push(node)
        }
      }
      return nodes
    })
  return {
    node: (id) =>
      whole(async () => {
        const place = decodePlace(await store.get(placeKey(space, id)))
        if (place === undefined) return undefined
        const value = await store.get(contentKeyOf(space, id, place))
        return value === undefined ? undefined : nodeOf(value)
      }),
    living: (parent, name) => listed('c', parent, name),
    tombstones: (parent, name) => (markers.hasTombstones ? listed('x', parent, name) : Promise.resolve([])),
    missingParents: () => Promise.resolve([...markers.missing]),
    detached: () => markers.detached,
  }
}
