/** A file that a content is fetched into, in memory. */
import type { BlobFile } from '../../src/blobs/wanted.ts'

export interface MemoryBlobFile extends BlobFile {
  /** As long as it may get; what a killed process would leave. */
  readonly content: Uint8Array
  size: number
}

/** Takes bytes where they belong. @param start what an earlier try left. */
export function memoryBlobFile(sizeBytes: number, start: Uint8Array = new Uint8Array()): MemoryBlobFile {
  const content = new Uint8Array(sizeBytes)
  content.set(start)
  return {
    content,
    size: start.byteLength,
    stat() {
      return Promise.resolve({ size: this.size })
    },
    read(into, position) {
      const part = content.subarray(position, Math.min(this.size, position + into.byteLength))
      into.set(part)
      return Promise.resolve(part.byteLength)
    },
    write(part, position) {
      content.set(part, position)
      this.size = Math.max(this.size, position + part.byteLength)
      return Promise.resolve()
    },
    truncate(length) {
      this.size = length
      return Promise.resolve()
    },
  }
}
