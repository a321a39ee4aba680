/** The thread behind merge-workers.ts: base and sides in, merged bytes out, bounded by steps. */
import { parentPort } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { limits } from '../base/limits.ts'
import { mergeContents, type MergeRequest } from './merge-contents.ts'

const port = parentPort
assert(port !== null, 'runs as a worker thread')
port.on('message', ({ id, request }: { readonly id: number; readonly request: MergeRequest }) => {
  port.postMessage({ id, result: mergeContents(request, { left: limits.mergeSteps }) })
})
