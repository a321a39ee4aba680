/** How far the contents on their way here are: files and bytes since the last time that nothing was on its way. */
import type { BlobHash } from '../blobs/hash.ts'

export interface TransferProgress {
  readonly waiting: number
  readonly doneFiles: number
  readonly totalFiles: number
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface ProgressCount {
  add(hash: BlobHash, sizeBytes: number): void
  got(hash: BlobHash, bytes: number): void
  /** It is here, wherever it came from. */
  done(hash: BlobHash): void
  /** Nobody waits for it any more. */
  left(hash: BlobHash): void
  readonly progress: TransferProgress
}

export function createProgressCount(): ProgressCount {
  const waiting = new Map<BlobHash, { readonly sizeBytes: number; gotBytes: number }>()
  let [doneFiles, totalFiles, doneBytes, totalBytes] = [0, 0, 0, 0]
  const take = (hash: BlobHash): { readonly sizeBytes: number; readonly gotBytes: number } => {
    const found = waiting.get(hash) ?? { sizeBytes: 0, gotBytes: 0 }
    waiting.delete(hash)
    return found
  }
  const restart = (): void => {
    if (waiting.size === 0) [doneFiles, totalFiles, doneBytes, totalBytes] = [0, 0, 0, 0]
  }
  return {
    add(hash, sizeBytes) {
      if (waiting.has(hash)) return
      waiting.set(hash, { sizeBytes, gotBytes: 0 })
      totalFiles++
      totalBytes += sizeBytes
    },
    got(hash, bytes) {
      const one = waiting.get(hash)
      if (one === undefined) return
      // A second attempt may get the same bytes again
      const counted = Math.min(bytes, one.sizeBytes - one.gotBytes)
      one.gotBytes += counted
      doneBytes += counted
    },
    done(hash) {
      if (!waiting.has(hash)) return
      const { sizeBytes, gotBytes } = take(hash)
      doneFiles++
      doneBytes += sizeBytes - gotBytes
      restart()
    },
    left(hash) {
      if (!waiting.has(hash)) return
      const { sizeBytes, gotBytes } = take(hash)
      totalFiles--
      totalBytes -= sizeBytes
      doneBytes -= gotBytes
      restart()
    },
    get progress() {
      return { waiting: waiting.size, doneFiles, totalFiles, doneBytes, totalBytes }
    },
  }
}
