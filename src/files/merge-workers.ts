/**
 * Where merges run: small ones right here while they stay small, all others in one thread, started when first needed and
 * ended when it has had nothing to do for a while. Both come to the same result: steps bound them, not time.
 */
import { Worker } from 'node:worker_threads'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { mergeContents, type MergeRequest, type MergeResult } from './merge-contents.ts'

export interface MergeWorkers extends AsyncDisposable {
  /** @throws `cancelled` after the end, `internal` when the thread died. */
  merge(request: MergeRequest): Promise<MergeResult>
}

// The emitted worker is a .js file beside the emitted module: tsc does not rewrite this address
const workerUrl = new URL(`./merge-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
const idleMs = 10_000

export function createMergeWorkers(env: Env): MergeWorkers {
  return new ThreadMerges(env)
}

class ThreadMerges implements MergeWorkers {
  private readonly env: Env
  private readonly jobs = new Map<number, PromiseWithResolvers<MergeResult>>()
  private worker: Worker | undefined
  private idle: Disposable | undefined
  private lastId = 0
  private isDisposed = false

  constructor(env: Env) {
    this.env = env
  }

  async merge(request: MergeRequest): Promise<MergeResult> {
    if (this.isDisposed) throw new SkeinError('cancelled', 'merging has ended')
    const all = [request.base, ...request.sides]
    if (all.reduce((sum, bytes) => sum + bytes.byteLength, 0) <= limits.mergeInlineBytes) {
      const result = mergeContents(request, { left: limits.mergeInlineSteps })
      if (result.kind !== 'exhausted') return result
    }
    this.idle?.[Symbol.dispose]()
    this.worker ??= this.start()
    const id = ++this.lastId
    const done = Promise.withResolvers<MergeResult>()
    this.jobs.set(id, done)
    this.worker.postMessage({ id, request })
    return await done.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true
    this.idle?.[Symbol.dispose]()
    this.failAll(new SkeinError('cancelled', 'merging has ended'))
    await this.worker?.terminate()
  }

  private start(): Worker {
    const worker = new Worker(workerUrl)
    worker.unref()
    worker.on('message', ({ id, result }: { readonly id: number; readonly result: MergeResult }) => {
      this.jobs.get(id)?.resolve(result)
      this.jobs.delete(id)
      if (this.jobs.size === 0 && !this.isDisposed) this.endWhenIdle()
    })
    const gone = (cause: unknown): void => {
      if (this.worker !== worker) return
      this.worker = undefined
      this.failAll(new SkeinError('internal', 'the merging thread ended', { cause }))
    }
    worker.on('error', gone)
    worker.on('exit', gone)
    return worker
  }

  private endWhenIdle(): void {
    this.idle?.[Symbol.dispose]()
    this.idle = this.env.clock.setTimer(idleMs, () => {
      const { worker } = this
      this.worker = undefined
      void worker?.terminate()
    })
  }

  private failAll(error: SkeinError): void {
    for (const job of this.jobs.values()) job.reject(error)
    this.jobs.clear()
  }
}
