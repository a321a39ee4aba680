/** Contents of a folder for other devices, read where they lie: found by hash in the index. */
import { hasCode } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/server.ts'
import { type Filesystem, joinPath, sameSignature } from './filesystem.ts'
import type { FolderTree } from './folder-tree.ts'
import type { Versions } from './versions.ts'

export interface BlobPlaces {
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  pathOf(parentId: string): string | undefined
  readonly versions: Versions
  kept(hash: BlobHash): Promise<Uint8Array | undefined>
}

/** A file that still looks as it did when it was hashed; the server hashes again what it sends. */
export async function openLocalBlob(places: BlobPlaces, hash: BlobHash): Promise<OpenBlob | undefined> {
  for (const row of await places.tree.rowsWithHash(hash)) {
    const parent = places.pathOf(row.parentId)
    if (parent === undefined || row.kind !== 'file') continue
    const path = joinPath(parent, row.diskName)
    try {
      const small =
        row.size <= limits.blobChunkBytes ? await places.filesystem.readSmall(path, row.size) : undefined
      if (small !== undefined) {
        if (sameSignature(small.stat, row)) return blobOf(small.bytes)
        continue
      }
      const file = await places.filesystem.open(path, 'read')
      if (sameSignature(await file.stat(), row)) {
        return {
          sizeBytes: row.size,
          read: (into, position) => file.read(into, position),
          [Symbol.asyncDispose]: () => file.close(),
        }
      }
      await file.close()
    } catch (error) {
      if (!hasCode(error, 'not.found', 'file.changed', 'file.denied', 'file.unsafe')) throw error
    }
  }
  // Deleted or replaced here, but somebody still waits for it
  for (const kept of await places.versions.find(hash)) {
    const file = await places.filesystem.open(kept, 'read')
    const { size } = await file.stat()
    return {
      sizeBytes: size,
      read: (into, position) => file.read(into, position),
      [Symbol.asyncDispose]: () => file.close(),
    }
  }
  const bytes = await places.kept(hash)
  return bytes === undefined ? undefined : blobOf(bytes)
}

function blobOf(bytes: Uint8Array): OpenBlob {
  return {
    sizeBytes: bytes.byteLength,
    bytes,
    read: async (into, position) => {
      const part = bytes.subarray(position, position + into.byteLength)
      into.set(part)
      return part.byteLength
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}
