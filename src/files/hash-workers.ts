/** Worker threads that hash large files with synchronous reads (3-4 GB/s each), one root per pool, started when first needed. */
import { Worker } from 'node:worker_threads'
import { abortReason } from '../base/clock.ts'
import { SkeinError } from '../base/errors.ts'
import { type BlobHash, isBlobHash } from '../blobs/hash.ts'
import { filesystemError } from './filesystem-error.ts'

export interface HashWorkers extends AsyncDisposable {
  hash(path: string, signal: AbortSignal): Promise<BlobHash>
}

interface Job {
  readonly path: string
  readonly done: PromiseWithResolvers<BlobHash>
}

// The emitted worker is a .js file beside the emitted module: tsc does not rewrite this address
const workerUrl = new URL(`./hash-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

export function createHashWorkers(root: string): HashWorkers {
  const jobs = new Map<number, Job>()
  let worker: Worker | undefined
  let lastId = 0
  let disposed = false

  const failAll = (error: SkeinError): void => {
    for (const job of jobs.values()) job.done.reject(error)
    jobs.clear()
  }
  const start = (): Worker => {
    const started = new Worker(workerUrl, { workerData: { root } })
    started.unref()
    started.on(
      'message',
      (message: {
        readonly id: number
        readonly hash?: string
        readonly code?: string
        readonly text?: string
      }) => {
        const job = jobs.get(message.id)
        jobs.delete(message.id)
        if (jobs.size === 0) started.unref()
        if (message.hash !== undefined && isBlobHash(message.hash)) job?.done.resolve(message.hash)
        else
          job?.done.reject(
            filesystemError(
              Object.assign(new Error(message.text ?? ''), { code: message.code ?? '' }),
              'read',
              job.path,
            ),
          )
      },
    )
    const gone = (cause: unknown): void => {
      if (worker === started) worker = undefined
      failAll(new SkeinError('internal', 'the hashing thread ended', { cause }))
    }
    started.on('error', gone)
    started.on('exit', gone)
    return started
  }
  return {
    async hash(path, signal) {
      if (disposed) throw new SkeinError('cancelled', 'hashing has ended')
      if (signal.aborted) throw abortReason(signal)
      worker ??= start()
      const id = ++lastId
      const job = { path, done: Promise.withResolvers<BlobHash>() }
      jobs.set(id, job)
      worker.ref()
      worker.postMessage({ id, path })
      const onAbort = (): void => {
        jobs.delete(id)
        job.done.reject(abortReason(signal))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        return await job.done.promise
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
    async [Symbol.asyncDispose]() {
      disposed = true
      failAll(new SkeinError('cancelled', 'hashing has ended'))
      await worker?.terminate()
    },
  }
}
