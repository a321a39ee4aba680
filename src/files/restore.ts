/**
 * Brings kept versions back: one file, or all of a directory as it was at some time. Restoring is an edit by the person
 * like any other, and keeps what it replaces. Chooses by the times of this device's clock alone.
 */
import { hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import type { BlobFile } from '../blobs/wanted.ts'
import type { SpaceTree } from '../crdt/space.ts'
import { isNodeId } from '../crdt/node-id.ts'
import { formatVector } from '../crdt/version-vector.ts'
import { isWithin, sameSignature } from './filesystem.ts'
import { rowKey } from './folder-tree.ts'
import type { Folder } from './folder.ts'
import { type OwnPlace, type OwnPlaceParts, placeOwn, type Recorded } from './place-own.ts'
import { type Problem, problemText } from './problems.ts'
import type { Version } from './versions.ts'

/** Bytes that can be brought back: kept when they were replaced, or as the base of a merge (`bytes`). */
export interface Restorable extends Omit<Version, 'cause' | 'kept' | 'day'> {
  readonly cause: Version['cause'] | 'edited'
  /** Below the root; undefined: its bytes are among the bases, or on another device. */
  readonly kept: string | undefined
  /** The device that keeps it, when that is another one. */
  readonly remote?: DeviceId
}

/** Gets a content from other devices, this one first. */
export type FetchVersion = (
  wanted: { readonly hash: BlobHash; readonly sizeBytes: number },
  file: BlobFile,
  from: DeviceId,
) => Promise<void>

export interface RestoreParts extends OwnPlaceParts {
  readonly space: SpaceTree
  /** Wall clock. */
  nowMs(): number
  /** Undefined while the folder is paused. */
  readonly bases: Folder['bases'] | undefined
  /** Undefined where nobody is asked. */
  readonly fetch?: FetchVersion | undefined
}

/** What can be brought back at `path` or below it, newest first. Also by the file's former names. */
export async function listRestorable(parts: RestoreParts, path: string): Promise<readonly Restorable[]> {
  const entry = await parts.space.lookup(path)
  const all = await parts.versions.list()
  const below = all.filter((version) => isWithin(version.path, path))
  const here = below.findLast((version) => version.path === path)
  const nodeId = entry?.kind === 'file' ? entry.nodeId : here?.nodeId
  const kept: readonly Version[] =
    nodeId === undefined ? below : all.filter((one) => isWithin(one.path, path) || one.nodeId === nodeId)
  const known = new Set(kept.map(({ version, hash }) => version ?? hash))
  const found: Restorable[] = [...kept]
  if (nodeId !== undefined && isNodeId(nodeId) && parts.bases !== undefined) {
    for (const { version, hash, sizeBytes, notedAtMs = 0 } of await parts.bases.earlier(nodeId)) {
      if (known.has(version) || known.has(hash) || entry?.data.hash === hash) continue
      const id = `b${hash.replaceAll(/[-_]/g, '').slice(0, 11)}`
      found.push({
        id,
        path,
        nodeId,
        version,
        hash,
        sizeBytes,
        kept: undefined,
        kind: 'file',
        cause: 'edited',
        keptAtMs: notedAtMs,
        mtimeNs: 0n,
      })
    }
  }
  return found.sort((a, b) => b.keptAtMs - a.keptAtMs || (a.id < b.id ? 1 : -1))
}

/** The one whose id starts so. @throws `not.found`, `usage`. */
export function findById(versions: readonly Restorable[], id: string): Restorable {
  const found = versions.filter((version) => version.id.startsWith(id))
  const [first, second] = found
  if (first === undefined)
    throw new SkeinError('not.found', `no version ${JSON.stringify(id)}`, {
      fix: 'skein versions PATH lists them',
    })
  if (second !== undefined && first.id !== id)
    throw new SkeinError('usage', `${JSON.stringify(id)} names ${found.length} versions`, {
      fix: 'give more of the id',
    })
  return first
}

/**
 * The versions that make `directory` what it was at `atMs`: of each path the first one kept after that, unless it was
 * written later itself. Without a time: of each path where nothing stands, the newest.
 */
export function chooseBelow(
  versions: readonly Restorable[],
  atMs: number | undefined,
  isThere: (path: string) => boolean,
): readonly Restorable[] {
  const chosen = new Map<string, Restorable>()
  for (const version of [...versions].sort((a, b) => a.keptAtMs - b.keptAtMs)) {
    const { path, keptAtMs, cause, mtimeNs } = version
    // A conflict copy's name was given by the view; what the disk damaged nobody wants by default
    if (cause === 'conflict' || cause === 'damaged' || (version.kept ?? version.remote) === undefined)
      continue
    if (atMs === undefined) {
      if (!isThere(path)) chosen.set(path, version)
    } else if (keptAtMs > atMs && Number(mtimeNs / 1_000_000n) <= atMs && !chosen.has(path)) {
      chosen.set(path, version)
    }
  }
  return [...chosen.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** @returns whether something gave way. @throws as placeOwn, `not.found` when its bytes are gone. */
export async function restoreOne(parts: RestoreParts, version: Restorable, to: string): Promise<boolean> {
  const { filesystem, versions, bases } = parts
  const place = { path: to, cause: 'restored', recorded: await recordedAt(parts, to) } as const
  const { kept } = version
  if (kept !== undefined) return await placeOwn(parts, place, (staged) => versions.restore({ kept }, staged))
  if (version.remote !== undefined) return await restoreRemote(parts, version, place)
  const bytes = version.hash === undefined ? undefined : await bases?.read(version.hash)
  if (bytes === undefined) throw new SkeinError('not.found', 'the bytes of this version are gone')
  return await placeOwn(parts, place, async (staged) => {
    await filesystem.createSmall(staged, bytes, { mode: 0o644, mtimeNs: 0n })
    await using file = await filesystem.open(staged, 'write')
    await file.setModified(BigInt(Math.round(parts.nowMs())) * 1_000_000n)
    await file.sync()
  })
}

/** Its bytes come from the device that keeps it, checked by their hash before they get a name. */
async function restoreRemote(
  parts: RestoreParts,
  { hash, sizeBytes, remote }: Restorable,
  place: OwnPlace,
): Promise<boolean> {
  const { filesystem, fetch } = parts
  if (fetch === undefined || hash === undefined || remote === undefined)
    throw new SkeinError('not.found', 'this version is on another device, and nobody can be asked for it', {
      fix: 'skein resume SPACE, then try again',
    })
  return await placeOwn(parts, place, async (staged) => {
    await using file = await filesystem.open(staged, 'create')
    await fetch({ hash, sizeBytes }, file, remote)
    await file.setModified(BigInt(Math.round(parts.nowMs())) * 1_000_000n)
    await file.sync()
  })
}

export interface RestoredAll {
  readonly restored: readonly string[]
  readonly replacedCount: number
  readonly problems: readonly Problem[]
}

/** One after another; what fails is told and does not stop the rest. */
export async function restoreAll(
  parts: RestoreParts,
  chosen: readonly Restorable[],
  placeOf: (path: string) => string,
): Promise<RestoredAll> {
  const restored: string[] = []
  const problems: Problem[] = []
  let replacedCount = 0
  for (const version of chosen) {
    const to = placeOf(version.path)
    try {
      const current = (await recordedAt(parts, to))?.hash
      if (current !== undefined && current === version.hash) continue
      if (await restoreOne(parts, version, to)) replacedCount++
      restored.push(to)
    } catch (error) {
      if (hasCode(error, 'disk.full', 'folder.missing')) throw error
      problems.push({ path: to, ...problemText(error) })
    }
  }
  return { restored, replacedCount, problems }
}

/** What stands there when it is exactly what the index has recorded; undefined for anything else. */
export async function recordedAt(
  { space, filesystem }: Pick<RestoreParts, 'space' | 'filesystem'>,
  path: string,
): Promise<Recorded | undefined> {
  const entry = await space.lookup(path)
  const stat = await filesystem.lstat(path)
  if (entry === undefined || stat?.kind !== 'file') return undefined
  const row = await space.index.get(rowKey(entry.parent, entry.name))
  if (row?.hash === undefined || !isBlobHash(row.hash)) return undefined
  if (!sameSignature({ ...row, size: row.sizeBytes }, stat)) return undefined
  return { nodeId: row.nodeId, version: formatVector(row.versions), hash: row.hash }
}
