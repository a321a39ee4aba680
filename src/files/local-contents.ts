/** Contents that this folder needs and has: elsewhere in its tree, in versions, among the kept bases. They cost no network. */
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { BlobFile } from '../blobs/wanted.ts'
import { type BlobHash, createBlobHasher, hashOf } from '../blobs/hash.ts'
import type { Directories } from './directories.ts'
import { syncMeanwhile } from './early-sync.ts'
import { type Filesystem, joinPath, removeIfThere, sameSignature } from './filesystem.ts'
import type { FolderTree } from './folder-tree.ts'
import { type HashWorkers, isLarge } from './hash-workers.ts'
import type { Versions } from './versions.ts'

export interface LocalPlaces {
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  readonly directories: Directories
  readonly versions: Versions
  readonly workers?: HashWorkers | undefined
  /** Small contents that stand nowhere in the tree: merged ones, above all. */
  kept(hash: BlobHash): Promise<Uint8Array | undefined>
}

export interface LocalWanted {
  readonly hash: BlobHash
  readonly sizeBytes: number
}

const isNoSource = (error: unknown): boolean =>
  hasCode(error, 'not.found', 'file.changed', 'file.denied', 'file.unsafe')

/** A large content, shared by the file system or copied. @param to nothing stands there. @returns whether it is there now, verified. */
export async function copyByThread(
  env: Env,
  parts: LocalPlaces,
  { hash, sizeBytes, signal, to }: LocalWanted & { readonly signal: AbortSignal; readonly to: string },
): Promise<boolean> {
  const { workers, filesystem } = parts
  if (workers === undefined || !isLarge(sizeBytes)) return false
  for (const path of await localPaths(parts, hash)) {
    try {
      const copying = workers.copy(path, to, signal)
      await syncMeanwhile(env, filesystem, to, copying)
      if ((await copying) === hash) return true
    } catch (error) {
      if (!isNoSource(error)) throw error
    }
    await removeIfThere(filesystem, to)
  }
  return false
}

/** A small content. @returns fresh bytes, verified. */
export async function findLocal(parts: LocalPlaces, job: LocalWanted): Promise<Uint8Array | undefined> {
  const kept = await parts.kept(job.hash)
  if (kept?.byteLength === job.sizeBytes) return kept.slice()
  for (const path of await localPaths(parts, job.hash)) {
    try {
      const small = await parts.filesystem.readSmall(path, job.sizeBytes)
      if (small?.bytes.byteLength === job.sizeBytes && hashOf(small.bytes) === job.hash) return small.bytes
    } catch (error) {
      if (!isNoSource(error)) throw error
    }
  }
  return undefined
}

/** Copies it into `file`. @returns whether it is there now, verified. */
export async function copyLocal(parts: LocalPlaces, job: LocalWanted, file: BlobFile): Promise<boolean> {
  const kept = job.sizeBytes <= limits.mergeBytes ? await parts.kept(job.hash) : undefined
  if (kept !== undefined) {
    await file.truncate(0)
    await file.write(kept, 0)
    return true
  }
  for (const path of await localPaths(parts, job.hash)) {
    try {
      await using from = await parts.filesystem.open(path, 'read')
      await file.truncate(0)
      if ((await copyContent(from, file)) === job.hash) return true
      await file.truncate(0)
    } catch (error) {
      if (!isNoSource(error)) throw error
    }
  }
  return false
}

async function localPaths(parts: LocalPlaces, hash: BlobHash): Promise<readonly string[]> {
  const paths: string[] = []
  for (const row of await parts.tree.rowsWithHash(hash)) {
    const parent = parts.directories.pathOf(row.parentId)
    if (parent === undefined) continue
    const path = joinPath(parent, row.diskName)
    const stat = await parts.filesystem.lstat(path)
    if (stat !== undefined && sameSignature(stat, row)) paths.push(path)
  }
  return [...paths, ...(await parts.versions.find(hash))]
}

async function copyContent(from: BlobFile, to: BlobFile): Promise<BlobHash> {
  const hasher = createBlobHasher()
  const buffer = new Uint8Array(1024 * 1024)
  for (let position = 0; ;) {
    const got = await from.read(buffer, position)
    const part = buffer.subarray(0, got)
    hasher.update(part)
    if (got > 0) await to.write(part, position)
    position += got
    if (got < buffer.byteLength) return hasher.digest()
  }
}
