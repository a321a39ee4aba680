/**
 * Looks at one directory in all three trees and says for each name what is there. Watches before it lists, so that what
 * changes afterwards is announced. Reads no content; whoever needs a hash asks for it (ingest.ts).
 */
import { hasCode } from '../base/errors.ts'
import type { Directories } from './directories.ts'
import { type FileStat, type Filesystem, joinPath, sameSignature } from './filesystem.ts'
import type { FolderPart } from './folder-part.ts'
import type { FolderTree, SyncedRow, TreeEntry } from './folder-tree.ts'
import type { IgnoreRules } from './ignore.ts'
import { explainNameProblem, isInternal, nameProblem, otherFormName, parkedPrefix } from './names.ts'
import type { Problems } from './problems.ts'
import type { Watcher } from './watch.ts'

/** One name of one directory. */
export interface Seen {
  readonly parentId: string
  readonly parentPath: string
  readonly name: string
  readonly diskName: string
  readonly row: SyncedRow | undefined
  readonly stat: FileStat | undefined
  readonly here: TreeEntry | undefined
  /** Every visible version of the row's node, as far as it is shown in this directory; undefined: not looked. */
  readonly versions: readonly TreeEntry[] | undefined
  /** It has on the disk, for another form of one name, the name that something else of the document is to have. */
  readonly isInTheWay?: boolean | undefined
}

export interface ScanPlace {
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  readonly directories: Directories
  readonly watcher: Watcher
  readonly problems: Problems
  ignore(): IgnoreRules
  readonly part: FolderPart
}

export const pathOfSeen = (seen: Pick<Seen, 'parentPath' | 'diskName'>): string =>
  joinPath(seen.parentPath, seen.diskName)

/** Where a directory stands on this disk, if that is not the place looked at. */
export function pathElsewhere(
  { directories }: Pick<ScanPlace, 'directories'>,
  nodeId: string,
  seen: Pick<Seen, 'parentPath' | 'diskName'>,
): string | undefined {
  const path = directories.pathOf(nodeId)
  return path === pathOfSeen(seen) ? undefined : path
}

/**
 * Everything that stands in a directory on any side. A directory that is not on the disk shows what rows and document say.
 * @param isNew its id was drawn a moment ago: neither rows nor document can have anything in it.
 */
export async function scanDirectory(
  place: ScanPlace,
  parentId: string,
  parentPath: string,
  isNew = false,
): Promise<readonly Seen[]> {
  const stats = await unlessDenied(place, `${parentPath}/`, () => listDisk(place, parentPath))
  // A directory that cannot be looked into is left alone on every side
  if (stats === undefined) return []
  place.problems.clearIn(parentPath)
  place.part.changes.clearIn(parentPath)
  const rows = new Map((isNew ? [] : await place.tree.rows(parentId)).map((row) => [row.name, row]))
  const entries = isNew ? [] : (await place.tree.children(parentId)).filter(isShownHere(place, parentId))
  const children = new Map(entries.map((entry) => [entry.name, entry]))
  const byNode = new Map<string, TreeEntry[]>()
  for (const entry of entries)
    for (const id of entry.nodes) byNode.set(id, [...(byNode.get(id) ?? []), entry])
  const byDiskName = new Map([...rows.values()].map((row) => [row.diskName, row.name]))
  const onDisk = new Map<string, { readonly diskName: string; readonly stat: FileStat }>()
  for (const [diskName, stat] of knownFirst(stats, byDiskName)) {
    const path = joinPath(parentPath, diskName)
    const known = byDiskName.get(diskName)
    // A parked file has a reserved name on the disk: its row says whose it is
    if (known === undefined && isInternal(diskName)) continue
    if (isIgnored(place, { parentPath, name: known ?? diskName, diskName }, stat?.kind === 'directory'))
      continue
    const plain = diskName.normalize('NFC')
    const isTaken = (one: string): boolean => onDisk.has(one) || rows.has(one)
    const name = known ?? (onDisk.has(plain) ? otherFormName(plain, isTaken) : plain)
    const trouble = stat === undefined ? explainNameProblem('not-unicode') : entryTrouble(name, stat)
    if (trouble !== undefined) place.problems.set(path, { cause: trouble, fix: 'rename or remove it' })
    else if (stat !== undefined) onDisk.set(name, { diskName, stat })
    // A place that cannot be looked at is left alone on every side
    if (trouble !== undefined) {
      rows.delete(name)
      children.delete(name)
    }
  }
  const mayGiveWay = !place.filesystem.foldsNames
  const seen: Seen[] = []
  for (const name of new Set([...onDisk.keys(), ...rows.keys(), ...children.keys()])) {
    const row = rows.get(name)
    const here = children.get(name)
    const diskName = onDisk.get(name)?.diskName ?? row?.diskName ?? name
    const isDirectory = (onDisk.get(name)?.stat.kind ?? row?.kind ?? here?.kind) === 'directory'
    if (isIgnored(place, { parentPath, name, diskName }, isDirectory)) continue
    seen.push({
      parentId,
      parentPath,
      name,
      diskName,
      row,
      stat: onDisk.get(name)?.stat,
      here,
      versions: row === undefined ? undefined : byNode.get(row.nodeId),
      isInTheWay:
        mayGiveWay && row !== undefined && name !== diskName && children.has(diskName) && !rows.has(diskName),
    })
  }
  return seen
}

/** What was set aside in a ring of renames has a name that no rule was meant for. */
const isIgnored = (
  { ignore }: Pick<ScanPlace, 'ignore'>,
  { parentPath, name, diskName }: Pick<Seen, 'parentPath' | 'name' | 'diskName'>,
  isDirectory: boolean,
): boolean => !diskName.startsWith(parkedPrefix) && ignore().ignores(joinPath(parentPath, name), isDirectory)

/**
 * What directories that are shown as one hold is shown in the one that stands for them all. Where that one has a place of its
 * own on this disk nothing comes to another one of them: what lies there goes over to it, and then that directory goes.
 */
const isShownHere =
  ({ directories }: Pick<ScanPlace, 'directories'>, directoryId: string) =>
  ({ parentId }: TreeEntry): boolean =>
    parentId === directoryId || directories.pathOf(parentId) === undefined

/**
 * Of several forms of one name the one that is synced stays what it is, then the composed one has the name, as everywhere: the
 * others must not pass for edits of it. They are called otherwise in the document.
 */
function knownFirst<T>(
  stats: readonly (readonly [string, T])[],
  known: ReadonlyMap<string, string>,
): readonly (readonly [string, T])[] {
  const isComposed = ([name]: readonly [string, T]): boolean => name.normalize('NFC') === name
  if (stats.every(isComposed)) return stats
  const isKnown = ([name]: readonly [string, T]): boolean => known.has(name)
  const others = stats.filter((one) => !isKnown(one))
  return [...stats.filter(isKnown), ...others.filter(isComposed), ...others.filter((one) => !isComposed(one))]
}

export interface NamedPlace {
  readonly parentId: string
  readonly name: string
  /** What the document is expected to have there: a hint. */
  readonly nodeId: string
}

/** One name, looked at again. */
export async function scanPlace(
  place: ScanPlace,
  { parentId, name, nodeId }: NamedPlace,
): Promise<Seen | undefined> {
  const parentPath = place.directories.pathOf(parentId)
  if (parentPath === undefined) return undefined
  const row = await place.tree.row(parentId, name)
  const child = await place.tree.child(parentId, name, nodeId)
  const here = child !== undefined && isShownHere(place, parentId)(child) ? child : undefined
  const diskName = row?.diskName ?? name
  const path = joinPath(parentPath, diskName)
  const found = await unlessDenied(place, path, async () => ({ stat: await place.filesystem.lstat(path) }))
  if (found === undefined) return undefined
  const { stat } = found
  return { parentId, parentPath, name, diskName, row, stat, here, versions: undefined }
}

/**
 * What this process may not look at is a problem of its own, tried again now and then; the rest goes on.
 * @param path below the folder's root, which is no such place. @returns undefined then.
 */
export async function unlessDenied<T>(
  { problems }: Pick<ScanPlace, 'problems'>,
  path: string,
  act: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await act()
  } catch (error) {
    if (path === '/' || !hasCode(error, 'file.denied')) throw error
    problems.failed(path, error)
    return undefined
  }
}

async function listDisk(
  place: ScanPlace,
  path: string,
): Promise<readonly (readonly [string, FileStat | undefined])[]> {
  const stat = await place.filesystem.lstat(path)
  if (stat?.kind !== 'directory') return []
  place.watcher.add(path, stat)
  return (await place.filesystem.readDirectory(path)).map((entry) => [entry.name, entry.stat])
}

function entryTrouble(name: string, stat: FileStat): string | undefined {
  const problem = nameProblem(name)
  if (problem !== undefined) return explainNameProblem(problem)
  return stat.kind === 'other' ? 'it is a pipe, socket or device' : undefined
}

/** Whether the disk is by all appearance what the row says; undefined when only the content can tell. */
export function looksSame(row: SyncedRow, stat: FileStat): boolean | undefined {
  if (row.kind !== stat.kind) return false
  if (row.kind === 'directory') return true
  return sameSignature(row, stat) && !row.isRacy ? true : undefined
}

/** It has a name for the time being. */
export const isMisnamed = ({ diskName, isInTheWay }: Pick<Seen, 'diskName' | 'isInTheWay'>): boolean =>
  diskName.startsWith(parkedPrefix) || isInTheWay === true

/**
 * Nothing to decide: disk, row and document are one at this place. In a folder that takes the whole space, and most places are
 * like this: what would be kept of them for the rest of the round is most of its memory.
 */
export function isAtRest({ row, stat, here, versions, name, diskName, isInTheWay }: Seen): boolean {
  if (row === undefined || stat === undefined || here === undefined) return false
  const isSameDirectory = row.kind !== 'directory' || (row.ino === stat.ino && row.dev === stat.dev)
  return (
    looksSame(row, stat) === true &&
    isSameDirectory &&
    !row.isLeftover &&
    row.diskName === diskName &&
    !isMisnamed({ diskName, isInTheWay }) &&
    here.nodeId === row.nodeId &&
    here.version === row.version &&
    here.attributes === row.attributes &&
    here.parentId === row.parentId &&
    here.name === name &&
    !here.isConflictCopy &&
    (versions?.length ?? 0) <= 1
  )
}

/**
 * Where the document has the row's version: that very version, else the one that replaced it, unless another row
 * stands for that one already (a copy was fetched, or copies were told apart by a split).
 */
export async function findOwn(
  tree: FolderTree,
  row: SyncedRow,
  { here, versions }: Pick<Seen, 'here' | 'versions'>,
): Promise<TreeEntry | undefined> {
  if (here?.nodeId === row.nodeId && here.version === row.version) return here
  const entries = versions ?? (await tree.entries(row.nodeId))
  const own = entries.find((entry) => entry.version === row.version) ?? entries[0]
  if (own === undefined || (own.parentId === row.parentId && own.name === row.name)) return own
  // A row of this node at the entry's own place is the one it is meant for, unless only we have that very version
  const claimed = await tree.row(own.parentId, own.name)
  const isOurs = own.version === row.version && claimed?.version !== own.version
  return claimed?.nodeId === own.nodeId && !isOurs ? undefined : own
}
