/**
 * The synced tree of a device: one row per path, what disk and document last agreed on. It is the merge base, so a row
 * is written in the batch that records the change it stands for. Rows, `<s>` the space id:
 *   `p!<s>!/<directory>//<name>`   the row, fields joined by NUL; the top directory is empty: `p!<s>!//<name>`
 * A directory's children and its whole subtree are each one range of keys.
 */
import type { SpaceId } from '../base/ids.ts'
import type { RowChange } from './database.ts'
import { withPrefix } from './database.ts'
import { isNodeId, type NodeId } from './node-id.ts'
import { encodeRowText } from './row-text.ts'
import type { Store } from './store.ts'
import { unseenKeys } from './unseen.ts'
import { formatVector, parseVector, type VersionVector } from './version-vector.ts'

/**
 * synced: disk and document agree. racy: written so shortly before it was read that it must be hashed again.
 * alias: the disk name differs from the entry's. notDurable: not yet known to survive a power cut.
 */
export type IndexFlag = 'synced' | 'racy' | 'alias' | 'notDurable'

export interface IndexRow {
  /** Path of the entry in the space. */
  readonly path: string
  readonly nodeId: NodeId
  readonly kind: 'file' | 'dir' | 'link'
  /** Versions of the data that lie on disk. */
  readonly versions: VersionVector
  readonly hash?: string | undefined
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
  readonly dev: bigint
  readonly mode: number
  /** Text of a link. */
  readonly target?: string | undefined
  /** Path on disk where it differs from `path`; flag alias. */
  readonly diskPath?: string | undefined
  /** Extended attributes of a file, as told (file-attributes.ts), and what the disk has instead, '' for none. */
  readonly attributes?: string | undefined
  readonly heldAttributes?: string | undefined
  readonly flags: ReadonlySet<IndexFlag>
}

/** What of a row says whether the disk still has what it had. */
export interface RowOutline {
  readonly directory: string
  readonly name: string
  /** As the disk spells it. */
  readonly diskName: string
  readonly kind: 'file' | 'dir' | 'link'
  readonly nodeId: string
  readonly hash: string
  readonly sizeBytes: number
  readonly dev: string
  readonly ino: string
  /** Size in base 36, times of modification and change, inode and device, NUL between them. */
  readonly signature: string
  readonly isSynced: boolean
  /** Synced, and not to be looked at again for itself. */
  readonly isPlain: boolean
}

export type IndexChange =
  | { readonly kind: 'put'; readonly row: IndexRow }
  | { readonly kind: 'delete'; readonly path: string }

export interface LocalIndex {
  get(path: string): Promise<IndexRow | undefined>
  getMany(paths: readonly string[]): Promise<readonly (IndexRow | undefined)[]>
  /** Direct children by name. */
  children(directory: string): Promise<readonly IndexRow[]>
  /** Everything below a directory (the whole index for the top, ''); a directory's children come together. */
  iterate(directory?: string): AsyncIterable<IndexRow>
  /** All rows, or those of one directory, at little cost, many at a time; a directory's children together. */
  outlines(directory?: string): AsyncIterable<readonly RowOutline[]>
  /** Goes up when rows may have gone by no change made here. */
  readonly losses: number
  /** One atomic batch of rows alone; rows that belong to a tree change go into `SpaceTree.commit`. */
  write(changes: readonly IndexChange[]): Promise<void>
  /** The store rows of these changes, for the batch of another owner. @param onBefore is told what stood at each place. */
  storeRows(
    changes: readonly IndexChange[],
    onBefore?: (before: readonly (IndexRow | undefined)[]) => void,
  ): Promise<readonly RowChange[]>
}

const flagLetters: readonly (readonly [IndexFlag, string])[] = [
  ['synced', 's'],
  ['racy', 'r'],
  ['alias', 'a'],
  ['notDurable', 'd'],
]
const kindLetters = { file: 'f', dir: 'd', link: 'l' } as const
const forgottenAtOnce = 10_000
const decoder = new TextDecoder()

export function createLocalIndex(store: Store, space: SpaceId): LocalIndex {
  const pathKey = (path: string): string => {
    const slash = path.lastIndexOf('/')
    return slash < 0
      ? `p!${space}!//${path}`
      : `p!${space}!/${path.slice(0, slash)}//${path.slice(slash + 1)}`
  }
  const pathOf = (key: string): string =>
    key.slice(`p!${space}!/`.length).replace(/^\//, '').replace('//', '/')
  const getMany: LocalIndex['getMany'] = async (paths) => {
    const values = await store.getMany(paths.map(pathKey))
    return values.map((value, index) =>
      value === undefined ? undefined : decodeRow(paths[index] ?? '', value),
    )
  }
  async function* scan(prefix: string): AsyncGenerator<IndexRow> {
    for await (const [key, value] of store.scan(withPrefix(prefix))) {
      const row = decodeRow(pathOf(key), value)
      if (row !== undefined) yield row
    }
  }
  const storeRows: LocalIndex['storeRows'] = async (changes, onBefore) => {
    const paths = changes.map((change) => (change.kind === 'put' ? change.row.path : change.path))
    const before = await getMany(paths)
    onBefore?.(before)
    const out: RowChange[] = []
    for (const [index, change] of changes.entries()) {
      const old = before[index]
      if (change.kind === 'delete') {
        if (old !== undefined) out.push({ type: 'del', key: pathKey(change.path) })
        continue
      }
      const { row } = change
      out.push({ type: 'put', key: pathKey(row.path), value: encodeRow(row) })
    }
    return out
  }
  return {
    get: async (path) => (await getMany([path]))[0],
    getMany,
    async children(directory) {
      const out: IndexRow[] = []
      const prefix = directory === '' ? `p!${space}!//` : `p!${space}!/${directory}//`
      for await (const rows of store.scanMany(withPrefix(prefix))) {
        for (const [key, value] of rows) {
          const row = decodeRow(pathOf(key), value)
          if (row !== undefined) out.push(row)
        }
      }
      return out
    },
    iterate: (directory = '') => scan(directory === '' ? `p!${space}!/` : `p!${space}!/${directory}/`),
    outlines(directory) {
      const top = `p!${space}!/`
      return readOutlines(store, directory === undefined ? top : `${top}${directory}//`, top.length)
    },
    async write(changes) {
      await store.write(await storeRows(changes))
    },
    storeRows,
    get losses() {
      return store.losses
    },
  }
}

async function* readOutlines(
  store: Store,
  prefix: string,
  topLength: number,
): AsyncGenerator<readonly RowOutline[]> {
  for await (const rows of store.scanMany(withPrefix(prefix))) {
    const outlines: RowOutline[] = []
    for (const [key, value] of rows) {
      const split = key.indexOf('//', topLength)
      const outline = outlineOf(key.slice(topLength, split), key.slice(split + 2), value)
      if (outline !== undefined) outlines.push(outline)
    }
    yield outlines
  }
}

/** Cut out of the text of a row: decoding every field costs three times as much. */
function outlineOf(directory: string, name: string, bytes: Uint8Array): RowOutline | undefined {
  const text = decoder.decode(bytes)
  const ends: number[] = []
  for (let at = text.indexOf('\0'); at >= 0; at = text.indexOf('\0', at + 1)) ends.push(at)
  ends.push(text.length)
  const field = (index: number): string => text.slice((ends[index - 1] ?? -1) + 1, ends[index])
  const head = field(0)
  const kind = (['file', 'dir', 'link'] as const).find((one) => kindLetters[one] === head.charAt(0))
  if (kind === undefined || ends.length < 12) return undefined
  const diskName = field(11)
  return {
    directory,
    name,
    diskName: diskName === '' ? name : diskName,
    kind,
    nodeId: field(1),
    hash: field(3),
    sizeBytes: Number.parseInt(field(4), 36),
    ino: field(7),
    dev: field(8),
    signature: text.slice((ends[3] ?? 0) + 1, ends[8]),
    isSynced: head.charAt(1) === 's',
    isPlain: head.slice(1) === 's' || head.slice(1) === 'sa',
  }
}

/** Forgets what is known of the disk: all of it is compared anew with the documents, and nothing counts as deleted. */
export async function forgetLocalIndex(store: Store, space: SpaceId): Promise<void> {
  const families = [
    store.keys(withPrefix(`p!${space}!`)),
    // Paths of nodes: builds before this one wrote them, nobody reads them
    store.keys(withPrefix(`b!${space}!`)),
    unseenKeys(store, space),
  ]
  for (const keys of families) {
    let doomed: RowChange[] = []
    for await (const key of keys) {
      doomed.push({ type: 'del', key })
      if (doomed.length < forgottenAtOnce) continue
      await store.write(doomed)
      doomed = []
    }
    await store.write(doomed)
  }
  store.noteLoss()
}

function encodeRow(row: IndexRow): Uint8Array {
  const flags = flagLetters.map(([flag, letter]) => (row.flags.has(flag) ? letter : '')).join('')
  const fields = [
    `${kindLetters[row.kind]}${flags}`,
    row.nodeId,
    formatVector(row.versions),
    row.hash ?? '',
    row.sizeBytes.toString(36),
    row.mtimeNs.toString(),
    row.ctimeNs.toString(),
    row.ino.toString(),
    row.dev.toString(),
    row.mode.toString(36),
    row.target ?? '',
    row.diskPath ?? '',
  ]
  if (row.attributes !== undefined || row.heldAttributes !== undefined)
    fields.push(row.attributes ?? '', row.heldAttributes === undefined ? '' : `=${row.heldAttributes}`)
  return encodeRowText(fields.join('\0'))
}

/** Own rows under a checksum: what does not decode is of a layout we do not know, and counts as absent. */
function decodeRow(path: string, bytes: Uint8Array): IndexRow | undefined {
  const [head = '', nodeId = '', versions = '', hash = '', size = '', ...rest] = decoder
    .decode(bytes)
    .split('\0')
  const [mtime = '0', ctime = '0', ino = '0', dev = '0', mode = '0', target = '', diskPath = ''] = rest
  const [attributes = '', held = ''] = rest.slice(7)
  const kind = (['file', 'dir', 'link'] as const).find((one) => kindLetters[one] === head.charAt(0))
  const vector = parseVector(versions)
  if (kind === undefined || vector === undefined || !isNodeId(nodeId)) return undefined
  return {
    path,
    nodeId,
    kind,
    versions: vector,
    hash: hash === '' ? undefined : hash,
    sizeBytes: Number.parseInt(size, 36),
    mtimeNs: BigInt(mtime),
    ctimeNs: BigInt(ctime),
    ino: BigInt(ino),
    dev: BigInt(dev),
    mode: Number.parseInt(mode, 36),
    target: target === '' ? undefined : target,
    diskPath: diskPath === '' ? undefined : diskPath,
    attributes: attributes === '' ? undefined : attributes,
    heldAttributes: held === '' ? undefined : held.slice(1),
    flags: new Set(flagLetters.filter(([, letter]) => head.includes(letter, 1)).map(([flag]) => flag)),
  }
}
