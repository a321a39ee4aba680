/**
 * Devices that take a part of the space only, at rest and at any moment.
 * Read-only never writes: no change of such a device reaches the document, and no record of a device that may only read ever
 * stands on another one (P43). What is not selected is neither fetched nor taken for deleted, and does not stay when
 * others hold it. What differs on such a disk is told, and what is told differs (P31). All that is selected and not told
 * of is as the document has it, with the same names and bytes as on whole devices (P11, P1).
 */
import type { BlobHash } from '../../../src/blobs/hash.ts'
import { type NodeId, rootNodeId } from '../../../src/crdt/node-id.ts'
import type { SpaceTree } from '../../../src/crdt/space.ts'
import { isWithin, joinPath } from '../../../src/files/filesystem.ts'
import { createSelection, type Selection } from '../../../src/files/selection.ts'
import type { LocalChange } from '../../../src/files/local-changes.ts'
import type { FolderTree } from '../../../src/files/folder-tree.ts'
import { keptFiles } from '../picture.ts'
import type { SpaceDevice } from '../device.ts'

/** What the document shows: path to `dir`, `-> target`, or hash, with a star before it when executable. */
export type DocumentPicture = ReadonlyMap<string, string>

/** What a partial device is compared with. */
export interface PartView {
  readonly name: string
  readonly selection: Selection
  readonly document: DocumentPicture
  /** The same of its disk. */
  readonly disk: DocumentPicture
  readonly told: readonly LocalChange[]
  /** Paths with problems that are listed. */
  readonly problems: readonly string[]
  /** Contents that stand somewhere, in a tree or in versions. */
  readonly somewhere: ReadonlySet<string>
  /** Contents that other devices hold at places that they selected. */
  readonly heldElsewhere: ReadonlySet<string>
}

export const selectionOf = ({ rules }: SpaceDevice): Selection => createSelection(rules.selection)

/** @throws when something is not as it should be and nobody is told. */
export function checkPart(view: PartView): void {
  const { name, selection, document, disk, told, problems, somewhere } = view
  const isTold = (path: string): boolean =>
    told.some(
      (change) => isWithin(path, change.path) || (change.change !== 'edited' && isWithin(change.path, path)),
    )
  for (const [path, what] of document) {
    if (!selection.selects(path, what === 'dir') || isTold(path)) continue
    const shown = disk.get(path)
    const isNowhere = what !== 'dir' && !what.startsWith('-> ') && !somewhere.has(plain(what))
    if (shown !== what && !isNowhere)
      throw new Error(`${name} shows ${JSON.stringify(path)} as ${shown}, the document as ${what}`)
  }
  for (const [path, what] of disk) {
    if (isTold(path) || isWay(path, disk) || problems.some((known) => isWithin(path, known))) continue
    const isSelected = selection.selects(path, what === 'dir')
    if (isSelected && document.has(path)) continue
    const isLastHolder = !view.heldElsewhere.has(plain(what))
    if (what !== 'dir' && !what.startsWith('-> ') && isLastHolder) continue
    throw new Error(
      `${name} still has ${JSON.stringify(path)}, which is ${isSelected ? 'gone' : 'not selected'}: ${what}`,
    )
  }
  for (const change of told) checkTold(view, change)
}

/** A directory with something in it goes after that. */
const isWay = (path: string, disk: DocumentPicture): boolean =>
  disk.get(path) === 'dir' && [...disk.keys()].some((other) => other !== path && isWithin(other, path))

function checkTold({ name, document, disk }: PartView, { path, change }: LocalChange): void {
  const isTrue =
    change === 'added'
      ? disk.has(path)
      : change === 'deleted'
        ? !disk.has(path)
        : disk.has(path) && disk.get(path) !== document.get(path)
  if (!isTrue)
    throw new Error(`${name} tells that ${JSON.stringify(path)} was ${change} here, which it was not`)
}

const plain = (what: string): string => (what.startsWith('*') ? what.slice(1) : what)

/** @throws when a record of a device that may only read stands in the document of another one. */
export async function checkGranted(granted: SpaceDevice, others: readonly SpaceDevice[]): Promise<void> {
  const short = granted.deviceId.slice(0, 8)
  for (const { name, space } of others) {
    if (space === undefined) continue
    for await (const entry of space.walk()) {
      const node = await space.node(entry.nodeId)
      const writers = node?.versions.flatMap(({ versions }) => [...versions.keys()]) ?? []
      if ([...writers, node?.place.writer ?? ''].some((writer) => writer.startsWith(short)))
        throw new Error(`${name} took a record of ${granted.name}, which may only read: ${entry.name}`)
    }
  }
}

/** The tree, with an eye on what a device that sends nothing commits. */
export function watchReadOnly(
  device: Pick<SpaceDevice, 'name' | 'isReadOnly'>,
  tree: FolderTree,
  onFault: (what: string) => void,
): FolderTree {
  // By the rules that the folder was opened with
  if (!device.isReadOnly) return tree
  return Object.assign(Object.create(tree) as FolderTree, {
    // because: the prototype is the tree itself
    commit: async (...[changes, rows]: Parameters<FolderTree['commit']>) => {
      if (changes.length > 0)
        onFault(`${device.name} only receives, and wrote ${changes.map(({ kind }) => kind).join(', ')}`)
      return await tree.commit(changes, rows)
    },
  })
}

/** What the document of a device shows. */
export async function documentPicture(space: SpaceTree): Promise<DocumentPicture> {
  const picture = new Map<string, string>()
  const walk = async (directory: NodeId, path: string): Promise<void> => {
    for (const entry of await space.children(directory)) {
      const below = joinPath(path, entry.name)
      const { data } = entry
      if (entry.kind === 'dir') {
        picture.set(below, 'dir')
        await walk(entry.nodeId, below)
      } else if (entry.kind === 'link') picture.set(below, `-> ${data.target}`)
      else if (entry.kind === 'file')
        picture.set(below, `${((data.mode ?? 0) & 0o100) === 0 ? '' : '*'}${data.hash}`)
    }
  }
  await walk(rootNodeId, '')
  return picture
}

/** Checks one device that does not take all. */
export async function checkPartOf(device: SpaceDevice, devices: readonly SpaceDevice[]): Promise<void> {
  const { space, folder } = device
  if (space === undefined || folder === undefined) throw new Error(`${device.name} does not run`)
  const disk = new Map<string, string>()
  const somewhere = new Set<string>()
  const heldElsewhere = new Set<string>()
  for (const one of devices) {
    const selection = selectionOf(one)
    for (const { path, hash, isInTree, what } of await keptFiles(one.disk)) {
      if (hash !== undefined) somewhere.add(hash)
      if (!isInTree) continue
      if (one === device) disk.set(path, what)
      else if (hash !== undefined && (await holds(one, selection, hash))) heldElsewhere.add(hash)
    }
  }
  const told = folder.part.changes.some(Number.MAX_SAFE_INTEGER)
  const document = await documentPicture(space)
  const selection = selectionOf(device)
  const problems = folder.status().problems.map(({ path }) => path)
  checkPart({ name: device.name, selection, document, disk, told, problems, somewhere, heldElsewhere })
}

/** As holding.ts: at a place that it selected, and that the document means for it. What it says itself may take its time, and all stands still here. */
async function holds({ tree, folder }: SpaceDevice, selection: Selection, hash: BlobHash): Promise<boolean> {
  const rows = (await tree?.rowsWithHash(hash)) ?? []
  if (folder?.scrub.damage.count !== 0) return false
  for (const { nodeId, parentId, name } of rows) {
    const meant = ((await tree?.entries(nodeId)) ?? []).filter((entry) => entry.hash === hash)
    for (const { parentId: parent, name: last } of meant) {
      const paths = [await pathWith(tree, parentId, name), await pathWith(tree, parent, last)]
      if (paths.every((path) => selection.selects(path, false))) return true
    }
  }
  return false
}

const pathWith = async (tree: FolderTree | undefined, parentId: string, name: string): Promise<string> =>
  joinPath((await pathOf(tree, parentId)) ?? '', name)

async function pathOf(tree: FolderTree | undefined, id: string): Promise<string | undefined> {
  if (tree === undefined || id === tree.rootId) return ''
  const [entry] = await tree.entries(id)
  const parent = entry && (await pathOf(tree, entry.parentId))
  return entry === undefined || parent === undefined ? undefined : joinPath(parent, entry.name)
}

export interface FetchCheck {
  /** What the document names once all is at rest. */
  observe(document: DocumentPicture): void
  /** @param selection of the folder that fetches. */
  readonly onFetch: (device: SpaceDevice, hash: BlobHash, selection: Selection) => void
}

/**
 * What the document names at places alone that a device did not select, at the last rest and now, is not fetched, unless
 * versions that stand side by side at a place that it did select were made from it: they are merged.
 */
export function createFetchCheck(onFault: (what: string) => void): FetchCheck {
  let atRest: DocumentPicture = new Map()
  const placesOf = (document: DocumentPicture, hash: BlobHash): readonly string[] =>
    [...document].filter(([, what]) => plain(what) === hash).map(([path]) => path)
  const check = async (device: SpaceDevice, hash: BlobHash, selection: Selection): Promise<void> => {
    const { space, tree } = device
    const before = placesOf(atRest, hash)
    if (space === undefined || tree === undefined || selection.isAll || before.length === 0) return
    const now = placesOf(await documentPicture(space), hash)
    const isLeftOut = [...before, ...now].every((path) => !selection.selects(path, false))
    if (!isLeftOut || (await isMergeBase(space, tree, { hash, selection }))) return
    // What stands there still, because nobody else has it, is put right when the disk damages it
    if (now.length > 0 && (await tree.rowsWithHash(hash)).length === 0)
      onFault(`${device.name} fetches ${now.join(', ')}, which it did not select`)
  }
  return {
    observe: (document) => void (atRest = document),
    onFetch: (device, hash, selection) =>
      // because: a device that died meanwhile fetches nothing
      void check(device, hash, selection).catch(() => undefined),
  }
}

async function isMergeBase(
  space: SpaceTree,
  tree: FolderTree,
  { hash, selection }: { readonly hash: BlobHash; readonly selection: Selection },
): Promise<boolean> {
  for await (const { path, isConflict, nodeId } of space.walk()) {
    if (!isConflict || !selection.selects(path, false)) continue
    const { versions, made } = (await tree.conflict(nodeId)) ?? { versions: [], made: undefined }
    if ([...versions, ...(made?.leaves ?? [])].some(({ baseHash }) => baseHash === hash)) return true
  }
  return false
}
