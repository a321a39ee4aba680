/**
 * The only code that changes the person's files. Every step checks the disk once more right before it acts, keeps the
 * bytes it takes away (versions.ts), and returns the index rows that now hold. A crash between disk and row heals by
 * itself: the next look finds disk and document equal and adopts (plan.ts).
 */
import { hasCode, SkeinError } from '../base/errors.ts'
import type { BlobHash } from '../blobs/hash.ts'
import { isConflictName } from '../crdt/view.ts'
import {
  type FileStat,
  type Filesystem,
  type HeldAttributes,
  joinPath,
  parentOf,
  sameSignature,
} from './filesystem.ts'
import type { EntryData, RowChange, SyncedRow, TreeEntry } from './folder-tree.ts'
import { isOther, partsOfVersion, sameContent } from './folder-tree.ts'
import { isAsItWas, rescueLateWrite, type Written } from './late-write.ts'
import { parkedPrefix, stagingFolder } from './names.ts'
import { pathOfSeen, type Seen } from './scan.ts'
import {
  createSmallFiles,
  type PlacedSmall,
  type SmallFiles,
  type ThreadedFiles,
  withThread,
} from './small-files.ts'
import { modeFor, stage, type Staged, type StagedContent } from './stage.ts'
import { heldOf, type ToldAttributes } from './told-attributes.ts'
import type { KeptAbout, KeptCause, Versions } from './versions.ts'

/** 'changed': somebody was faster, look again. 'blocked': something else stands there. */
export type Applied = { readonly rows: readonly RowChange[] } | 'changed' | 'blocked'

/** A file that is new at its place, and its content. */
export interface NewlyPlaced {
  readonly seen: Seen
  readonly entry: TreeEntry
  readonly bytes: Uint8Array
}

/** What was placed and is not synced yet: files that are new, and directories whose entries changed. */
export interface Touched {
  readonly files: readonly string[]
  readonly directories: readonly string[]
}

export interface Applier {
  makeDirectory(seen: Seen, entry: TreeEntry): Promise<Applied>
  makeSymlink(seen: Seen, entry: TreeEntry): Promise<Applied>
  /**
   * Puts the content at its place, over the recorded version if there is one.
   * @param isNoted it may get its name before it is durable (placing.ts), where nothing gives way to it.
   */
  placeFile(seen: Seen, entry: TreeEntry, content: StagedContent, isNoted?: boolean): Promise<Applied>
  /**
   * As placeFile for small files at places where nothing is recorded, many in one step; noted all (placing.ts).
   * @returns the outcomes in their order.
   */
  placeNew(files: readonly NewlyPlaced[], signal: AbortSignal): Promise<readonly (Applied | SkeinError)[]>
  /** Mode bits and extended attributes, where the content stays. */
  setDetails(seen: Seen, entry: TreeEntry): Promise<Applied>
  move(seen: Seen, entry: TreeEntry, toParentPath: string): Promise<Applied>
  /**
   * Out of a ring of renames: aside under a reserved name in the same directory. `keep` commits the row that says so before
   * the rename, so that the file is never without a row. From then on its row has a name of its own as well: what comes to
   * its place has one there.
   */
  park(seen: Seen, keep: (rows: readonly RowChange[]) => Promise<void>): Promise<Applied>
  trash(seen: Seen): Promise<Applied>
  /** `take` takes what stands there away, and its row goes with it; with 'stays' it cannot. */
  takeAway(seen: Seen, take: () => Promise<boolean | 'stays'>): Promise<Applied>
  /** What was changed since the last call and is not synced yet: files that are new, and directories. */
  takeTouched(): Touched
  /** Whether what stands there is just what was placed here: an event that tells of it tells nothing new. */
  isEcho(path: string): Promise<boolean>
  /** Whether something was placed there a moment ago, whatever stands there now. */
  wasPlaced(path: string): boolean
}

export function rowFor(
  entry: Pick<TreeEntry, 'nodeId' | 'parentId' | 'name' | 'version'> & EntryData & ToldAttributes,
  diskName: string,
  stat: FileStat,
): SyncedRow {
  const { nodeId, parentId, name, version, kind, hash, executable, target, attributes, heldAttributes } =
    entry
  const { dev, ino, mtimeNs, ctimeNs, size } = stat
  return {
    nodeId,
    parentId,
    name,
    diskName,
    version,
    kind,
    hash,
    size,
    executable,
    target,
    attributes,
    heldAttributes,
    dev,
    ino,
    mtimeNs,
    ctimeNs,
    isRacy: false,
    isLeftover: false,
  }
}

/** Places whose own events are told apart; those of older ones only cost another look. */
const placedMax = 4_096

/** @param threaded for many small files at once; without it they are placed right here. */
export function createApplier(filesystem: Filesystem, versions: Versions, threaded?: ThreadedFiles): Applier {
  return new DiskApplier(filesystem, versions, withThread(createSmallFiles(filesystem), threaded))
}

class DiskApplier implements Applier {
  private readonly filesystem: Filesystem
  private readonly versions: Versions
  private readonly touched = new Set<string>()
  private readonly fresh = new Set<string>()
  /** What was placed lately, to tell the events of it from those of others. */
  private readonly placedStats = new Map<string, FileStat>()
  /** Places of files that are being made by a thread: their events may come before its answer. */
  private readonly coming = new Map<string, Promise<void>>()

  private readonly small: SmallFiles
  private stagings = 0

  constructor(filesystem: Filesystem, versions: Versions, small: SmallFiles) {
    this.filesystem = filesystem
    this.versions = versions
    this.small = small
  }

  async makeDirectory(seen: Seen, entry: TreeEntry): Promise<Applied> {
    try {
      await this.filesystem.makeDirectory(pathOfSeen(seen))
    } catch (error) {
      if (hasCode(error, 'file.exists')) return 'blocked'
      throw error
    }
    return this.placed(seen, entry)
  }

  async makeSymlink(seen: Seen, entry: TreeEntry): Promise<Applied> {
    if (!(await this.clear(seen, 'replaced'))) return 'changed'
    try {
      await this.filesystem.makeSymlink(entry.target, pathOfSeen(seen))
    } catch (error) {
      if (hasCode(error, 'file.exists')) return 'blocked'
      throw error
    }
    return this.placed(seen, entry)
  }

  async placeFile(seen: Seen, entry: TreeEntry, content: StagedContent, isNoted = false): Promise<Applied> {
    const { filesystem } = this
    const isLate = isNoted && isNewAt(seen)
    const staged = await stage(filesystem, entry, seen.stat, content)
    // On the disk before it has its name, and before a person's bytes go; of many that are new all together follow
    if (!isLate) await filesystem.syncAll([staged.path], [])
    const applied = await this.placeStaged(seen, entry, staged)
    if (typeof applied !== 'object' && content instanceof Uint8Array) await filesystem.unlink(staged.path)
    else if (isLate) this.fresh.add(pathOfSeen(seen))
    return applied
  }

  private async placeStaged(seen: Seen, entry: TreeEntry, staged: Staged): Promise<Applied> {
    const { filesystem, versions } = this
    const path = pathOfSeen(seen)
    const placed = (): Promise<Applied> => this.placed(seen, entry, entry, staged.attributes)
    if (seen.row === undefined || seen.stat === undefined) {
      // The kernel refuses if anything came to stand here meanwhile
      if (!(await filesystem.renameIf(staged.path, path, undefined))) return 'blocked'
      return placed()
    }
    const expected = seen.stat
    const cause = isOther(seen.row) ? 'damaged' : 'replaced'
    const about = { ...aboutRow(seen.row, cause), by: partsOfVersion(entry.version).vector }
    const kept = await versions.keepLink(path, seen.row.hash, about)
    // Linking changed the ctime; all the rest must be as recorded
    const now = await filesystem.lstat(path)
    const isSame = now?.ino === expected.ino && now.size === expected.size && now.mtimeNs === expected.mtimeNs
    if (now === undefined || !isSame) return 'changed'
    if (kept === undefined) {
      if ((await versions.keepMoved(path, now, { hash: seen.row.hash, about })) === undefined)
        return 'changed'
      if (!(await filesystem.renameIf(staged.path, path, undefined))) return 'blocked'
      return placed()
    }
    if (!(await filesystem.renameIf(staged.path, path, now))) return 'changed'
    await rescueLateWrite(filesystem, kept, path, now)
    return placed()
  }

  async placeNew(
    files: readonly NewlyPlaced[],
    signal: AbortSignal,
  ): Promise<readonly (Applied | SkeinError)[]> {
    const contents = files.map(({ seen, entry, bytes }) => ({
      path: pathOfSeen(seen),
      // Two of the same content may be on their way at once
      staging: joinPath(stagingFolder, `${entry.hash ?? entry.nodeId}-${(++this.stagings).toString(36)}`),
      bytes,
      mode: modeFor(0o644, entry.executable),
      mtimeNs: entry.mtimeNs,
      attributes: entry.attributes ?? '',
    }))
    const { promise: told, resolve } = Promise.withResolvers<void>()
    for (const { path } of contents) this.coming.set(path, told)
    try {
      const placed = await this.small.place(contents, signal)
      return files.map(({ seen, entry }, index) => {
        const found = placed[index]
        if (found === undefined || found === 'blocked' || found instanceof SkeinError)
          return found ?? 'changed'
        this.fresh.add(pathOfSeen(seen))
        return this.placedAs(seen, entry, { ...found, asLeft: entry })
      })
    } finally {
      for (const { path } of contents) this.coming.delete(path)
      resolve()
    }
  }

  async setDetails(seen: Seen, entry: TreeEntry): Promise<Applied> {
    const { filesystem } = this
    const { row, stat } = seen
    const path = pathOfSeen(seen)
    const now = await filesystem.lstat(path)
    if (row === undefined || stat === undefined || now === undefined || !sameSignature(now, stat))
      return 'changed'
    const mode = filesystem.holdsModes ? modeFor(stat.mode, entry.executable) : stat.mode
    if (mode !== stat.mode) await filesystem.setMode(path, mode)
    if (row.attributes === entry.attributes)
      return this.placed(seen, entry, { ...stat, mode }, row.heldAttributes ?? row.attributes ?? '')
    const attributes = await filesystem.writeAttributes(path, entry.attributes ?? '')
    // An access list has mode bits of its own
    return this.placed(seen, entry, { ...stat, mode: undefined }, attributes)
  }

  async move(seen: Seen, entry: TreeEntry, toParentPath: string): Promise<Applied> {
    const from = pathOfSeen(seen)
    const to = joinPath(toParentPath, entry.name)
    if (seen.row === undefined) return 'changed'
    // Only the directory's node changed, not its path: the file is there already
    if (from !== to && !(await this.filesystem.renameIf(from, to, undefined))) return 'blocked'
    this.touched.add(parentOf(from)).add(toParentPath)
    // The data stays what it was: a newer version of it is a matter of its own
    const place = { ...seen.row, parentId: entry.parentId, name: entry.name }
    const stat = await this.statNow(to)
    const isRacy = seen.row.isRacy || (stat.kind === 'file' && !isAsItWas(stat, seen.stat ?? stat))
    const row = { ...rowFor(place, entry.name, stat), isRacy }
    // A parked file that comes back to its place keeps its row
    const isBack = entry.parentId === seen.parentId && entry.name === seen.name
    const forget: RowChange = { kind: 'forget', parentId: seen.parentId, name: seen.name, nodeId: row.nodeId }
    return { rows: isBack ? [{ kind: 'put', row }] : [forget, { kind: 'put', row }] }
  }

  async park(seen: Seen, keep: (rows: readonly RowChange[]) => Promise<void>): Promise<Applied> {
    if (seen.row === undefined) return 'changed'
    // Versions of one node may change places with each other: each gets a name of its own
    const id = `${seen.row.nodeId}-${seen.row.ino.toString(36)}`
    const [name, diskName] = [`moving ${id}`, `${parkedPrefix}${id}`]
    const to = joinPath(seen.parentPath, diskName)
    const { nodeId, isRacy } = seen.row
    // Under its own name still: a crash before the rename finds the file there
    await keep([{ kind: 'put', row: { ...seen.row, diskName } }])
    if (!(await this.filesystem.renameIf(pathOfSeen(seen), to, undefined))) return 'blocked'
    this.touched.add(seen.parentPath)
    const row = rowFor({ ...seen.row, name }, diskName, await this.statNow(to))
    const forget: RowChange = { kind: 'forget', parentId: seen.parentId, name: seen.name, nodeId }
    return { rows: [forget, { kind: 'put', row: { ...row, isRacy } }] }
  }

  async trash(seen: Seen): Promise<Applied> {
    // A torn file whose row was lost as well
    if (seen.row === undefined)
      return seen.stat?.kind === 'file' && (await this.clear(seen, 'replaced')) ? { rows: [] } : 'changed'
    const { nodeId } = seen.row
    const forget: RowChange = { kind: 'forget', parentId: seen.parentId, name: seen.name, nodeId }
    if (seen.stat === undefined) return { rows: [forget] }
    // What a person decided against, or what others deleted
    const cause = isConflictName(seen.name) ? 'conflict' : 'deleted'
    if (seen.stat.kind !== 'directory')
      return (await this.clear(seen, cause)) ? { rows: [forget] } : 'changed'
    this.touched.add(seen.parentPath)
    try {
      await this.filesystem.removeDirectory(pathOfSeen(seen))
      return { rows: [forget] }
    } catch (error) {
      // What is left in it is ignored or not yet looked at: it is not ours to remove
      if (!hasCode(error, 'file.exists')) throw error
      return { rows: seen.row.isLeftover ? [] : [{ kind: 'put', row: { ...seen.row, isLeftover: true } }] }
    }
  }

  async takeAway(seen: Seen, take: () => Promise<boolean | 'stays'>): Promise<Applied> {
    this.touched.add(seen.parentPath)
    const taken = await take()
    if (taken !== true) return taken === 'stays' ? 'blocked' : 'changed'
    const { row, parentId, name } = seen
    return { rows: row === undefined ? [] : [{ kind: 'forget', parentId, name, nodeId: row.nodeId }] }
  }

  wasPlaced(path: string): boolean {
    return this.placedStats.has(path) || this.coming.has(path)
  }

  async isEcho(path: string): Promise<boolean> {
    await this.coming.get(path)
    const placed = this.placedStats.get(path)
    if (placed === undefined) return false
    try {
      const stat = await this.filesystem.lstat(path)
      if (stat !== undefined && stat.kind !== 'directory' && sameSignature(stat, placed)) return true
    } catch {
      // because: what cannot be looked at is for the next round to tell
    }
    this.placedStats.delete(path)
    return false
  }

  takeTouched(): Touched {
    const all = { files: [...this.fresh], directories: [...this.touched] }
    this.touched.clear()
    this.fresh.clear()
    return all
  }

  private async statNow(path: string): Promise<FileStat> {
    const stat = await this.filesystem.lstat(path)
    if (stat === undefined)
      throw new SkeinError('file.changed', `"${path}" vanished right after it was written`)
    return stat
  }

  private async placed(
    seen: Seen,
    entry: TreeEntry,
    asLeft: Written = entry,
    attributes?: HeldAttributes,
  ): Promise<Applied> {
    return this.placedAs(seen, entry, { stat: await this.statNow(pathOfSeen(seen)), attributes, asLeft })
  }

  private placedAs(
    seen: Seen,
    entry: TreeEntry,
    { stat, attributes, asLeft }: PlacedSmall & { readonly asLeft: Written },
  ): Applied {
    this.touched.add(seen.parentPath)
    const isRacy = entry.kind === 'file' && !isAsItWas(stat, asLeft)
    if (!isRacy) this.remember(pathOfSeen(seen), stat)
    const held = { ...entry, heldAttributes: heldOf(attributes, entry.attributes) }
    return { rows: [{ kind: 'put', row: { ...rowFor(held, seen.diskName, stat), isRacy } }] }
  }

  private remember(path: string, stat: FileStat): void {
    this.placedStats.delete(path)
    this.placedStats.set(path, stat)
    if (this.placedStats.size <= placedMax) return
    for (const oldest of this.placedStats.keys()) {
      this.placedStats.delete(oldest)
      break
    }
  }

  /** Makes room: what is recorded here goes to versions. */
  private async clear(seen: Seen, cause: KeptCause): Promise<boolean> {
    const { row, stat } = seen
    if (stat === undefined) return true
    this.touched.add(seen.parentPath)
    const what = { hash: row?.hash, about: aboutRow(row, cause) }
    return (await this.versions.keepMoved(pathOfSeen(seen), stat, what)) !== undefined
  }
}

const aboutRow = (row: SyncedRow | undefined, cause: KeptCause): KeptAbout => ({
  cause,
  nodeId: row?.nodeId,
  version: row === undefined ? undefined : partsOfVersion(row.version).vector,
})

/** Nothing that is recorded has to give way. */
export const isNewAt = ({ row, stat }: Seen): boolean => row === undefined || stat === undefined

/** True when a replacement needs no bytes. */
export const needsOnlyDetails = (row: SyncedRow, entry: TreeEntry): boolean =>
  row.kind === 'file' && sameContent(row, entry)

/** True when the staged file still has to be fetched or copied. */
export const needsContent = (entry: TreeEntry): entry is TreeEntry & { readonly hash: BlobHash } =>
  entry.kind === 'file' && entry.hash !== undefined
