/** A file in memory for a download that is at most as long as a merge may be. */
import type { BlobFile } from '../blobs/wanted.ts'

export function createMemoryFile(): BlobFile & { bytes(): Uint8Array } {
  let content = new Uint8Array(0)
  return {
    bytes: () => content,
    stat: async () => ({ size: content.byteLength }),
    async read(into, position) {
      const part = content.subarray(position, position + into.byteLength)
      into.set(part)
      return part.byteLength
    },
    async write(bytes, position) {
      const grown = new Uint8Array(Math.max(content.byteLength, position + bytes.byteLength))
      grown.set(content)
      grown.set(bytes, position)
      content = grown
    },
    async truncate(sizeBytes) {
      content = content.slice(0, sizeBytes)
    },
  }
}
