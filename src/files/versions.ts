/**
 * Old bytes of a folder, kept for 30 days in `.skein/versions/<folder of the day>/<name>~<id>~<hash>`: by hard link or rename, so they
 * cost no copying and no space of their own until the file is replaced. Beside each one `.where` says where it stood,
 * when and why it was kept: `<path>`, then NUL and a line of JSON. What is no such line counts as not known.
 */
import { type Clock, sleep } from '../base/clock.ts'
import { isObject } from '../base/codec.ts'
import { hasCode } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import type { Random } from '../base/random.ts'
import { encodeId } from '../base/ids.ts'
import { createDueDays, dayOf, type DueDays } from './due-days.ts'
import { createVersionFolders, dayIn, type VersionFolders } from './version-folders.ts'
import {
  type FileKind,
  type Filesystem,
  isWithin,
  joinPath,
  nameOf,
  sameSignature,
  type Signature,
  type SmallFile,
} from './filesystem.ts'
import { internalFolder } from './names.ts'

/**
 * Why bytes were kept: others replaced or deleted them, they were a conflict copy that a person resolved, went into a
 * merge, gave way to a restored version, were changed here and never sent, or were damaged by the disk.
 */
export const keptCauses = [
  'replaced',
  'deleted',
  'conflict',
  'merged',
  'restored',
  'local',
  'damaged',
] as const
export type KeptCause = (typeof keptCauses)[number]

/** What is written down with kept bytes. */
export interface KeptAbout {
  readonly cause: KeptCause
  readonly nodeId?: string | undefined
  /** Of these bytes; a version vector as text. */
  readonly version?: string | undefined
  /** Of what took their place. */
  readonly by?: string | undefined
}

export interface Version extends KeptAbout {
  /** Names it among the versions of a folder. */
  readonly id: string
  /** Path of the kept file below the folder's root. */
  readonly kept: string
  /** Where it stood, as far as known. */
  readonly path: string
  /** UTC day it was kept, as 2026-11-21. */
  readonly day: string
  /** When it was kept, by this device's clock; the start of the day where that is not known. */
  readonly keptAtMs: number
  readonly kind: FileKind
  readonly sizeBytes: number
  /** When its bytes were last changed, as far as the disk knows. */
  readonly mtimeNs: bigint
  readonly hash: BlobHash | undefined
}

export interface Versions {
  /** Keeps the bytes at `path` while they stay there (hard link). @returns the kept path, or undefined where links do not exist. */
  keepLink(path: string, hash: BlobHash | undefined, about: KeptAbout): Promise<string | undefined>
  /** Moves what is at `path`, if it is exactly `expected`, out of the way. @returns the kept path, undefined when it changed. */
  keepMoved(
    path: string,
    expected: Signature,
    what: { readonly hash: BlobHash | undefined; readonly about: KeptAbout },
  ): Promise<string | undefined>
  /** Keeps bytes that never stood on this disk, as if they had been replaced at `path`. */
  keepBytes(
    path: string,
    bytes: Uint8Array,
    what: { readonly hash: BlobHash; readonly about: KeptAbout },
  ): Promise<void>
  /** Oldest first. @param below only what stood at this path or below it. */
  list(below?: string): Promise<readonly Version[]>
  /** Kept paths whose content had this hash when it was kept: to be verified by whoever reads them. */
  find(hash: BlobHash): Promise<readonly string[]>
  /** Copies a kept version back to `path` if nothing is there. @throws `file.exists`. */
  restore(version: Pick<Version, 'kept'>, path: string): Promise<void>
  /** Drops what is older than the limit (due-days.ts), then the oldest while there is more than the limit of bytes. */
  expire(): Promise<void>
}

const dayMs = 86_400_000
/** However full, what was kept within this stays: a flood of changes must not wash away what it replaced. */
const safeMs = dayMs
const infoSuffix = '.where'
const infoBytes = 65_536
const sliceMs = 8
export const versionsFolder = `${internalFolder}/versions`

export function createVersions(filesystem: Filesystem, clock: Clock, random: Random): Versions {
  return new FolderVersions(filesystem, clock, random)
}

class FolderVersions implements Versions {
  private readonly filesystem: Filesystem
  private readonly clock: Clock
  private readonly random: Random
  private readonly dueDays: DueDays
  private readonly folders: VersionFolders
  /** Kept paths by hash; what is gone meanwhile is found out when it is asked for. */
  private byHash: Promise<Map<string, string[]>> | undefined

  constructor(filesystem: Filesystem, clock: Clock, random: Random) {
    this.filesystem = filesystem
    this.clock = clock
    this.random = random
    this.dueDays = createDueDays(filesystem, clock, versionsFolder)
    this.folders = createVersionFolders(filesystem, versionsFolder)
  }

  async keepLink(path: string, hash: BlobHash | undefined, about: KeptAbout): Promise<string | undefined> {
    const kept = await this.slot(path, hash, about)
    try {
      await this.filesystem.link(path, kept)
      return kept
    } catch (error) {
      await this.dropInfo(kept)
      if (hasCode(error, 'file.unsupported', 'file.denied')) return undefined
      throw error
    }
  }

  async keepMoved(
    path: string,
    expected: Signature,
    { hash, about }: { readonly hash: BlobHash | undefined; readonly about: KeptAbout },
  ): Promise<string | undefined> {
    const now = await this.filesystem.lstat(path)
    if (now === undefined || !sameSignature(now, expected)) return undefined
    const kept = await this.slot(path, hash, about)
    const isMoved = await this.filesystem.renameIf(path, kept, undefined)
    const moved = await this.filesystem.lstat(kept)
    // Somebody put another file there after the look: it goes back to where it was
    if (isMoved && moved?.ino === expected.ino && moved.mtimeNs === expected.mtimeNs) return kept
    if (isMoved) await this.filesystem.renameIf(kept, path, undefined)
    await this.dropInfo(kept)
    return undefined
  }

  async keepBytes(
    path: string,
    bytes: Uint8Array,
    { hash, about }: { readonly hash: BlobHash; readonly about: KeptAbout },
  ): Promise<void> {
    const kept = await this.slot(path, hash, about)
    await using file = await this.filesystem.open(kept, 'create')
    await file.write(bytes, 0)
    await file.sync()
  }

  async list(below = ''): Promise<readonly Version[]> {
    const found: Version[] = []
    let sliceStartMs = this.clock.monotonicMs()
    for (const share of await this.folders.all()) {
      const folder = joinPath(versionsFolder, share)
      const day = dayIn(share)
      for (const { name, stat } of await this.filesystem.readDirectory(folder)) {
        if (stat === undefined || name.endsWith(infoSuffix)) continue
        if (this.clock.monotonicMs() - sliceStartMs > sliceMs) {
          // There may be 100,000, each read in one step
          await sleep(this.clock, 0)
          sliceStartMs = this.clock.monotonicMs()
        }
        const kept = joinPath(folder, name)
        const info = await readInfo(this.filesystem, `${kept}${infoSuffix}`)
        if (!isWithin(info.path, below)) continue
        const [id = '', hash = ''] = name.split('~').slice(-2)
        const { kind, size, mtimeNs } = stat
        const keptAtMs = info.keptAtMs ?? Date.parse(`${day}T00:00:00Z`)
        const contentHash = isBlobHash(hash) ? hash : undefined
        found.push({ ...info, id, kept, day, keptAtMs, kind, sizeBytes: size, mtimeNs, hash: contentHash })
      }
    }
    return found.sort((a, b) => a.keptAtMs - b.keptAtMs || (a.id < b.id ? -1 : 1))
  }

  async find(hash: BlobHash): Promise<readonly string[]> {
    this.byHash ??= this.readHashes()
    const found: string[] = []
    for (const kept of (await this.byHash).get(hash) ?? []) {
      if ((await this.filesystem.lstat(kept)) !== undefined) found.push(kept)
    }
    return found
  }

  /** Asked for each content that is wanted: the directories are read once, then kept in mind. */
  private async readHashes(): Promise<Map<string, string[]>> {
    const byHash = new Map<string, string[]>()
    try {
      for (const day of await this.folders.all()) {
        const folder = joinPath(versionsFolder, day)
        for (const { name } of await this.filesystem.readDirectory(folder))
          noteHash(byHash, joinPath(folder, name))
      }
    } catch (error) {
      this.byHash = undefined
      throw error
    }
    return byHash
  }

  async restore(version: Pick<Version, 'kept'>, path: string): Promise<void> {
    const { filesystem } = this
    const kept = await filesystem.lstat(version.kept)
    if (kept?.kind === 'symlink') {
      await filesystem.makeSymlink(await filesystem.readLink(version.kept), path)
      return
    }
    // A copy, not a link: an edit in place must not reach the kept version
    await using from = await filesystem.open(version.kept, 'read')
    await using to = await filesystem.open(path, 'create')
    const buffer = new Uint8Array(1024 * 1024)
    for (let position = 0; ;) {
      const got = await from.read(buffer, position)
      if (got > 0) await to.write(buffer.subarray(0, got), position)
      position += got
      if (got < buffer.byteLength) break
    }
    if (kept !== undefined) await to.setMode(kept.mode)
    const attributes = await filesystem.readAttributes(version.kept)
    if (attributes !== undefined && attributes !== '') await filesystem.writeAttributes(path, attributes)
    await to.sync()
  }

  async expire(): Promise<void> {
    const nowMs = this.clock.nowMs()
    const oldest = dayOf(nowMs - limits.versionDays * dayMs)
    const left: { readonly kept: string; readonly sizeBytes: number; readonly keptAtMs: number }[] = []
    let totalBytes = 0
    const days = await this.folders.all()
    const due = await this.dueDays.due(days.filter((day) => day < oldest))
    for (const day of days) {
      const folder = joinPath(versionsFolder, day)
      for (const { name, stat } of await this.filesystem.readDirectory(folder)) {
        const kept = joinPath(folder, name)
        if (due.has(day)) await this.filesystem.unlink(kept)
        else if (stat !== undefined && name.endsWith(infoSuffix)) {
          const keptAtMs = Number(stat.mtimeNs / 1_000_000n)
          left.push({ kept: kept.slice(0, -infoSuffix.length), sizeBytes: 0, keptAtMs })
        } else totalBytes += stat?.size ?? 0
      }
      if (due.has(day)) await this.filesystem.removeDirectory(folder)
    }
    left.sort((a, b) => a.keptAtMs - b.keptAtMs)
    for (const { kept, keptAtMs } of left) {
      if (totalBytes <= limits.versionBytes || nowMs - keptAtMs < safeMs) break
      totalBytes -= (await this.filesystem.lstat(kept))?.size ?? 0
      await this.filesystem.unlink(kept)
      await this.dropInfo(kept)
    }
  }

  /** A free name for the bytes of `path`, with its info file written. */
  private async slot(path: string, hash: BlobHash | undefined, about: KeptAbout): Promise<string> {
    const folder = await this.folders.current(this.clock.nowMs())
    // The name is shortened so that the suffix always fits 255 bytes; the info file has all of the path
    const unique = encodeId(this.random.bytes(16)).slice(0, 12)
    const kept = joinPath(folder, `${shorten(nameOf(path))}~${unique}~${hash ?? ''}`)
    const nowMs = Math.round(this.clock.nowMs())
    const info = new TextEncoder().encode(`${path}\0${JSON.stringify({ atMs: nowMs, ...about })}`)
    const file = { mode: 0o600, mtimeNs: BigInt(nowMs) * 1_000_000n }
    await this.filesystem.createSmall(`${kept}${infoSuffix}`, info, file)
    if (this.byHash !== undefined) noteHash(await this.byHash, kept)
    return kept
  }

  private dropInfo(kept: string): Promise<void> {
    return this.filesystem.unlink(`${kept}${infoSuffix}`)
  }
}

function noteHash(byHash: Map<string, string[]>, kept: string): void {
  const hash = kept.slice(kept.lastIndexOf('~') + 1)
  if (!isBlobHash(hash)) return
  const known = byHash.get(hash)
  if (known === undefined) byHash.set(hash, [kept])
  else known.push(kept)
}

interface KeptInfo extends KeptAbout {
  readonly path: string
  readonly keptAtMs: number | undefined
}

async function readInfo(filesystem: Filesystem, path: string): Promise<KeptInfo> {
  let small: SmallFile | undefined
  try {
    small = await filesystem.readSmall(path, infoBytes)
  } catch (error) {
    if (!hasCode(error, 'not.found', 'file.changed', 'file.denied')) throw error
  }
  if (small === undefined) return { path: '', cause: 'replaced', keptAtMs: undefined }
  const { bytes } = small
  const [stood = '', about = ''] = new TextDecoder().decode(bytes).split('\0')
  return { path: stood, ...parseAbout(about) }
}

/** Lies on a disk that others may write to: whatever is not as it should be is left out. */
function parseAbout(line: string): Omit<KeptInfo, 'path'> {
  let fields: unknown
  try {
    fields = JSON.parse(line)
  } catch {
    // because: versions of earlier runs have no such line
    fields = undefined
  }
  if (!isObject(fields)) return { cause: 'replaced', keptAtMs: undefined }
  const { cause, atMs } = fields
  const textOf = (name: string): string | undefined => {
    const value = fields[name]
    return typeof value === 'string' && value.length <= 1_024 ? value : undefined
  }
  return {
    cause: keptCauses.find((known) => known === cause) ?? 'replaced',
    keptAtMs: typeof atMs === 'number' && Number.isSafeInteger(atMs) ? atMs : undefined,
    nodeId: textOf('nodeId'),
    version: textOf('version'),
    by: textOf('by'),
  }
}

function shorten(name: string): string {
  let short = name
  while (new TextEncoder().encode(short).byteLength > 180) short = short.slice(0, -1)
  return short.toWellFormed()
}
