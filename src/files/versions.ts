/**
 * Old bytes of a folder, kept for 30 days in `.skein/versions/<day>/<name>~<id>~<hash>`: by hard link or rename, so they
 * cost no copying and no space of their own until the file is replaced. `info` files say where each one stood.
 */
import type { Clock } from '../base/clock.ts'
import { hasCode } from '../base/errors.ts'
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import type { Random } from '../base/random.ts'
import { encodeId } from '../base/ids.ts'
import {
  ensureDirectory,
  type Filesystem,
  joinPath,
  nameOf,
  sameSignature,
  type Signature,
} from './filesystem.ts'
import { internalFolder } from './names.ts'

export interface Version {
  /** Path of the kept file below the folder's root. */
  readonly kept: string
  /** Where it stood, as far as known. */
  readonly path: string
  /** UTC day it was replaced or deleted, as 2026-11-21. */
  readonly day: string
  readonly sizeBytes: number
}

export interface Versions {
  /** Keeps the bytes at `path` while they stay there (hard link). @returns the kept path, or undefined where links do not exist. */
  keepLink(path: string, hash: BlobHash | undefined): Promise<string | undefined>
  /** Moves what is at `path`, if it is exactly `expected`, out of the way. @returns the kept path, undefined when it changed. */
  keepMoved(path: string, expected: Signature, hash: BlobHash | undefined): Promise<string | undefined>
  /** Keeps bytes that never stood on this disk, as if they had been replaced at `path`. */
  keepBytes(path: string, bytes: Uint8Array, hash: BlobHash): Promise<void>
  list(): Promise<readonly Version[]>
  /** Kept paths whose content had this hash when it was kept: to be verified by whoever reads them. */
  find(hash: BlobHash): Promise<readonly string[]>
  /** Copies a kept version back to `path` if nothing is there. @throws `file.exists`. */
  restore(version: Version, path: string): Promise<void>
  /** Drops what is older than the limit. */
  expire(): Promise<void>
}

const keptDays = 30
const infoSuffix = '.where'
export const versionsFolder = `${internalFolder}/versions`

export function createVersions(filesystem: Filesystem, clock: Clock, random: Random): Versions {
  return new FolderVersions(filesystem, clock, random)
}

class FolderVersions implements Versions {
  private readonly filesystem: Filesystem
  private readonly clock: Clock
  private readonly random: Random
  /** Kept paths by hash; what is gone meanwhile is found out when it is asked for. */
  private byHash: Promise<Map<string, string[]>> | undefined

  constructor(filesystem: Filesystem, clock: Clock, random: Random) {
    this.filesystem = filesystem
    this.clock = clock
    this.random = random
  }

  async keepLink(path: string, hash: BlobHash | undefined): Promise<string | undefined> {
    const kept = await this.slot(path, hash)
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
    hash: BlobHash | undefined,
  ): Promise<string | undefined> {
    const now = await this.filesystem.lstat(path)
    if (now === undefined || !sameSignature(now, expected)) return undefined
    const kept = await this.slot(path, hash)
    const isMoved = await this.filesystem.renameIf(path, kept, undefined)
    const moved = await this.filesystem.lstat(kept)
    // Somebody put another file there after the look: it goes back to where it was
    if (isMoved && moved?.ino === expected.ino && moved.mtimeNs === expected.mtimeNs) return kept
    if (isMoved) await this.filesystem.renameIf(kept, path, undefined)
    await this.dropInfo(kept)
    return undefined
  }

  async keepBytes(path: string, bytes: Uint8Array, hash: BlobHash): Promise<void> {
    const kept = await this.slot(path, hash)
    await using file = await this.filesystem.open(kept, 'create')
    await file.write(bytes, 0)
    await file.sync()
  }

  async list(): Promise<readonly Version[]> {
    const found: Version[] = []
    for (const day of await this.days()) {
      const folder = joinPath(versionsFolder, day)
      for (const { name, stat } of await this.filesystem.readDirectory(folder)) {
        if (stat === undefined || name.endsWith(infoSuffix)) continue
        const kept = joinPath(folder, name)
        const path = await readInfo(this.filesystem, `${kept}${infoSuffix}`)
        found.push({ kept, path, day, sizeBytes: stat.size })
      }
    }
    return found
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
      for (const day of await this.days()) {
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

  async restore(version: Version, path: string): Promise<void> {
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
    await to.sync()
  }

  async expire(): Promise<void> {
    const oldest = dayOf(this.clock.nowMs() - keptDays * 86_400_000)
    for (const day of await this.days()) {
      if (day >= oldest) continue
      const folder = joinPath(versionsFolder, day)
      for (const { name } of await this.filesystem.readDirectory(folder)) {
        await this.filesystem.unlink(joinPath(folder, name))
      }
      await this.filesystem.removeDirectory(folder)
    }
  }

  /** A free name for the bytes of `path`, with its info file written. */
  private async slot(path: string, hash: BlobHash | undefined): Promise<string> {
    const folder = joinPath(versionsFolder, dayOf(this.clock.nowMs()))
    if ((await this.filesystem.lstat(folder)) === undefined) {
      for (const directory of [internalFolder, versionsFolder, folder]) {
        await ensureDirectory(this.filesystem, directory)
      }
    }
    // The name is shortened so that the suffix always fits 255 bytes; the info file has all of the path
    const unique = encodeId(this.random.bytes(16)).slice(0, 12)
    const kept = joinPath(folder, `${shorten(nameOf(path))}~${unique}~${hash ?? ''}`)
    const info = { mode: 0o600, mtimeNs: BigInt(Math.round(this.clock.nowMs())) * 1_000_000n }
    await this.filesystem.createSmall(`${kept}${infoSuffix}`, new TextEncoder().encode(path), info)
    if (this.byHash !== undefined) noteHash(await this.byHash, kept)
    return kept
  }

  private dropInfo(kept: string): Promise<void> {
    return this.filesystem.unlink(`${kept}${infoSuffix}`)
  }

  private async days(): Promise<readonly string[]> {
    if ((await this.filesystem.lstat(versionsFolder)) === undefined) return []
    const entries = await this.filesystem.readDirectory(versionsFolder)
    return entries.filter((entry) => entry.stat?.kind === 'directory').map((entry) => entry.name)
  }
}

function noteHash(byHash: Map<string, string[]>, kept: string): void {
  const hash = kept.slice(kept.lastIndexOf('~') + 1)
  if (!isBlobHash(hash)) return
  const known = byHash.get(hash)
  if (known === undefined) byHash.set(hash, [kept])
  else known.push(kept)
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

async function readInfo(filesystem: Filesystem, path: string): Promise<string> {
  const stat = await filesystem.lstat(path)
  if (stat?.kind !== 'file') return ''
  await using info = await filesystem.open(path, 'read')
  const bytes = new Uint8Array(Math.min(stat.size, 65_536))
  await info.read(bytes, 0)
  return new TextDecoder().decode(bytes)
}

function shorten(name: string): string {
  let short = name
  while (new TextEncoder().encode(short).byteLength > 180) short = short.slice(0, -1)
  return short.toWellFormed()
}
