/** The thread behind hash-workers.ts: path in, BLAKE3 out, one reusable buffer, contained in its root. */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { createBlobHasher } from '../blobs/hash.ts'
import { createContainedRoot } from './contained-path.ts'

const port = parentPort
assert(port !== null, 'runs as a worker thread')
// because: hash-workers.ts starts it with exactly this
const { root } = workerData as { readonly root: string }
const contained = createContainedRoot(root)
const buffer = new Uint8Array(1024 * 1024)

function hashFile(absolute: string): string {
  const handle = openSync(
    absolute,
    constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
  )
  try {
    const hasher = createBlobHasher()
    for (;;) {
      const got = readSync(handle, buffer, 0, buffer.byteLength, null)
      if (got === 0) return hasher.digest()
      hasher.update(buffer.subarray(0, got))
    }
  } finally {
    closeSync(handle)
  }
}

port.on('message', ({ id, path }: { readonly id: number; readonly path: string }) => {
  try {
    port.postMessage({ id, hash: contained.within(path, hashFile) })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    port.postMessage({ id, code, text: String(error) })
  }
})
