/** Contents of a folder for other devices, read where they lie: found by hash in the index. */
import { hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/source.ts'
import {
  type FileStat,
  type Filesystem,
  joinPath,
  type OpenFile,
  sameSignature,
  type Signature,
} from './filesystem.ts'
import type { FolderTree } from './folder-tree.ts'
import type { HashWorkers } from './hash-workers.ts'
import type { LocalChanges } from './local-changes.ts'
import type { Versions } from './versions.ts'

export interface BlobPlaces {
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  pathOf(parentId: string): string | undefined
  readonly versions: Versions
  kept(hash: BlobHash): Promise<Uint8Array | undefined>
  /** What was renamed here, and is not sent, has no row. */
  readonly unsent: Pick<LocalChanges, 'withHash'>
  /** For block lists. */
  readonly workers?: HashWorkers | undefined
}

/** A file that still looks as it did when it was hashed. Whoever gets it hashes it again. */
export async function openLocalBlob(places: BlobPlaces, hash: BlobHash): Promise<OpenBlob | undefined> {
  for (const row of await places.tree.rowsWithHash(hash)) {
    const parent = places.pathOf(row.parentId)
    if (parent === undefined || row.kind !== 'file') continue
    const found = await openAsItWas(places, hash, joinPath(parent, row.diskName), row)
    if (found !== undefined) return found
  }
  // Deleted or replaced here, but somebody still waits for it
  for (const kept of await places.versions.find(hash)) {
    const file = await places.filesystem.open(kept, 'read')
    return openedBlob(places, { path: kept, hash, file, stat: await file.stat() })
  }
  const bytes = await places.kept(hash)
  if (bytes !== undefined) return blobOf(bytes)
  const unsent = places.unsent.withHash(hash)
  return unsent && (await openAsItWas(places, hash, unsent.path, unsent.signature))
}

/** @returns undefined unless it looks as it did when it was hashed. */
async function openAsItWas(
  places: BlobPlaces,
  hash: BlobHash,
  path: string,
  known: Signature,
): Promise<OpenBlob | undefined> {
  const { filesystem } = places
  try {
    if (known.size <= limits.blobChunkBytes) {
      const { bytes, stat } = (await filesystem.readSmall(path, known.size)) ?? {}
      if (bytes !== undefined && stat !== undefined)
        return sameSignature(stat, known) ? blobOf(bytes) : undefined
    }
    const file = await filesystem.open(path, 'read')
    const stat = await file.stat()
    if (sameSignature(stat, known)) return openedBlob(places, { path, hash, file, stat })
    await file.close()
  } catch (error) {
    if (!hasCode(error, 'not.found', 'file.changed', 'file.denied', 'file.unsafe')) throw error
  }
  return undefined
}

interface OpenedFile {
  readonly path: string
  readonly hash: BlobHash
  readonly file: OpenFile
  readonly stat: FileStat
}

function openedBlob({ workers }: BlobPlaces, { path, hash, file, stat }: OpenedFile): OpenBlob {
  return {
    sizeBytes: stat.size,
    async read(into, position) {
      const got = await file.read(into, position)
      const now = await file.stat()
      // What was written to meanwhile is another content; the ctime also tells of links, which is not one
      if (now.mtimeNs !== stat.mtimeNs || now.size !== stat.size)
        throw new SkeinError('file.changed', `"${path}" changed while it was read`)
      return got
    },
    ...(workers === undefined ? {} : { blockList: (signal) => workers.blockList(path, hash, signal) }),
    [Symbol.asyncDispose]: () => file.close(),
  }
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
