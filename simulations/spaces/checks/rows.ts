/**
 * Disk, index and document of one device at rest.
 * P12, I7, and "no row without its file": every row's file is there, with the content and the signature that the row says;
 * every file on the disk has a row, every entry of the document too, in the same version. I10 rests on it.
 * P31: the counts of the status are those of the rows, and nobody says "in sync" who is not. I11: the names in rows are
 * those of the document, whatever the disk made of them; so are the attributes where a disk holds none. P19, I3: every row's directory is reached from the top.
 */
import { hashOf } from '../../../src/blobs/hash.ts'
import { isWithin, joinPath, sameSignature } from '../../../src/files/filesystem.ts'
import type { SyncedRow, TreeEntry } from '../../../src/files/folder-tree.ts'
import { createSpaceFolderTree } from '../../../src/files/space-folder-tree.ts'
import type { SpaceDevice } from '../device.ts'
import { listTree } from '../picture.ts'
import { isFolding } from './pictures.ts'

export async function checkRows(device: SpaceDevice): Promise<void> {
  const { space, folder } = device
  if (space === undefined || folder === undefined) throw new Error(`${device.name} does not run`)
  const tree = await createSpaceFolderTree(space)
  const found = { files: 0, bytes: 0, directories: 0, paths: new Set<string>() }
  const walk = async (parentId: string, path: string): Promise<void> => {
    const rows = await tree.rows(parentId)
    checkEntries(device, await tree.children(parentId), rows, path)
    for (const row of rows) {
      if (row.parentId === '') continue
      const below = joinPath(path, row.diskName)
      found.paths.add(below)
      await checkRow(device, row, below)
      if (row.kind === 'file') {
        found.files++
        found.bytes += row.size
      } else if (row.kind === 'directory') {
        found.directories++
        await walk(row.nodeId, below)
      }
    }
  }
  await walk(tree.rootId, '')
  if (!isFolding(device)) {
    // What cannot be synced is told
    const problems = folder.status().problems.map((problem) => problem.path)
    const isTold = (path: string): boolean => problems.some((known) => isWithin(path, known))
    for (const { path } of await listTree(device.disk))
      if (!found.paths.has(path) && !isTold(path))
        throw new Error(`${device.name}: ${JSON.stringify(path)} has no row`)
  }
  const { files, bytes, directories } = folder.status()
  if (files !== found.files || bytes !== found.bytes || directories !== found.directories)
    throw new Error(
      `${device.name} claims ${files} files, ${bytes} bytes, ${directories} directories: has ${found.files}, ${found.bytes}, ${found.directories}`,
    )
  let count = 0
  for await (const row of space.index.iterate()) if (row.path !== '-/root') count++
  if (count !== found.paths.size)
    throw new Error(`${device.name} has ${count} rows, of which ${found.paths.size} are reached from the top`)
}

async function checkRow(device: SpaceDevice, row: SyncedRow, path: string): Promise<void> {
  const fail = (what: string): never => {
    throw new Error(`${device.name}: the row of ${JSON.stringify(path)} ${what}`)
  }
  const stat = await device.disk.lstat(path)
  if (stat === undefined) return fail('has no file')
  if (stat.kind !== row.kind) return fail(`says ${row.kind}, the disk ${stat.kind}`)
  // Where the disk takes two names for one, what is to leave a deleted directory may have no other place
  const { problems = [] } = device.folder?.status() ?? {}
  if (row.isLeftover && !(isFolding(device) && problems.length > 0)) return fail('is a leftover')
  if (row.kind === 'symlink' && (await device.disk.readLink(path)) !== row.target)
    return fail('has another target')
  if (row.kind !== 'file') return undefined
  const small = await device.disk.readSmall(path, Number.MAX_SAFE_INTEGER)
  if (small === undefined || hashOf(small.bytes) !== row.hash) return fail('has another content')
  // A rename that such a disk cannot follow waits with it: until then the file is hashed at every look
  const isBlocked = isFolding(device) && device.folder?.status().problems.some((one) => one.path === path)
  if (!sameSignature(stat, row) && isBlocked !== true) return fail('has another signature')
  if (row.isRacy && isBlocked !== true) return fail('still counts as racy')
  if (small.attributes !== (row.heldAttributes ?? row.attributes ?? ''))
    return fail(`says attributes ${row.attributes} and ${row.heldAttributes}, the disk ${small.attributes}`)
  return undefined
}

function checkEntries(
  device: SpaceDevice,
  entries: readonly TreeEntry[],
  rows: readonly SyncedRow[],
  path: string,
): void {
  const byName = new Map(rows.map((row) => [row.name, row]))
  const problems = device.folder?.status().problems ?? []
  for (const entry of entries) {
    const row = byName.get(entry.name)
    if (row === undefined) {
      if (isFolding(device)) continue
      throw new Error(`${device.name}: the entry ${JSON.stringify(entry.name)} has no row`)
    }
    // A rename that such a disk cannot follow keeps its place from what is to come there, and is told
    const below = joinPath(path, row.diskName)
    if (isFolding(device) && problems.some((one) => one.path === below)) continue
    if (!entry.nodes.includes(row.nodeId))
      throw new Error(`${device.name}: the row of ${JSON.stringify(entry.name)} names another node`)
    if (row.kind === 'file' && row.nodeId === entry.nodeId && row.version !== entry.version)
      throw new Error(`${device.name}: the row of ${JSON.stringify(entry.name)} has another version`)
    if (row.kind === 'file' && row.nodeId === entry.nodeId && row.attributes !== entry.attributes)
      throw new Error(`${device.name}: the row of ${JSON.stringify(entry.name)} has other attributes`)
    byName.delete(entry.name)
  }
  const [extra] = [...byName.values()].filter((row) => row.parentId !== '')
  if (extra !== undefined && !isFolding(device))
    throw new Error(`${device.name}: the row of ${JSON.stringify(extra.name)} has no entry`)
}
