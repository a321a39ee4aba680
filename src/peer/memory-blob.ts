/** Contents that are not very long, in memory in the place of a file: what a download writes to, and what is served. */
import type { OpenBlob } from '../blobs/source.ts'
import type { BlobFile } from '../blobs/wanted.ts'

/** Bytes in memory, to be read like a file. */
export function inMemory(sealed: Uint8Array): OpenBlob {
  return {
    sizeBytes: sealed.byteLength,
    read(into, position) {
      const part = sealed.subarray(position, position + into.byteLength)
      into.set(part)
      return Promise.resolve(part.byteLength)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

export interface MemoryFile extends BlobFile {
  readonly bytes: Uint8Array
}

/** Takes a download of at most `sizeBytes`. */
export function createMemoryFile(sizeBytes: number): MemoryFile {
  const bytes = new Uint8Array(sizeBytes)
  let size = 0
  return {
    bytes,
    stat: () => Promise.resolve({ size }),
    read(into, position) {
      const part = bytes.subarray(position, Math.min(size, position + into.byteLength))
      into.set(part)
      return Promise.resolve(part.byteLength)
    },
    write(part, position) {
      bytes.set(part, position)
      size = Math.max(size, position + part.byteLength)
      return Promise.resolve()
    },
    truncate(length) {
      size = Math.min(size, length)
      return Promise.resolve()
    },
  }
}
