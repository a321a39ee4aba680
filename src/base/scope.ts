/**
 * Structured concurrency: a scope owns tasks, resources and child scopes. Closing it aborts the signal,
 * awaits every task, then disposes resources in reverse order. A task that fails closes its own scope only.
 */
import type { Env } from './env.ts'
import { hasCode, SkeinError } from './errors.ts'
import { errorFields } from './log.ts'

export interface Scope extends AsyncDisposable {
  readonly name: string
  readonly signal: AbortSignal
  /** Runs a task owned by this scope. A failure other than by our own abort is logged and closes the scope. */
  spawn(name: string, task: (signal: AbortSignal) => Promise<void>): void
  /** Takes over a resource; disposed with the scope, last in first out. @returns the same resource. */
  own<T extends AsyncDisposable | Disposable>(resource: T): T
  /** Runs on close, in the order of `own`. */
  defer(cleanup: () => void | Promise<void>): void
  /** A scope that ends at the latest with this one. */
  child(name: string): Scope
  /** Aborts, awaits, disposes. Idempotent; every call waits for the one close. Never throws: failures are logged. */
  close(reason?: SkeinError): Promise<void>
  /** Why it closed, once it has begun to close. */
  readonly reason: SkeinError | undefined
}

export function createScope(env: Env, name: string): Scope {
  const controller = new AbortController()
  const tasks = new Set<Promise<void>>()
  const cleanups: (() => void | Promise<void>)[] = []
  let reason: SkeinError | undefined
  let closing: Promise<void> | undefined

  const runCleanups = (): Promise<void> => runInReverse(cleanups, env, name)
  const close = (why?: SkeinError): Promise<void> => {
    closing ??= (async () => {
      reason = why ?? new SkeinError('cancelled', `${name} closed`)
      controller.abort(reason)
      while (tasks.size > 0) await Promise.allSettled(tasks)
      await runCleanups()
    })()
    return closing
  }
  const fail = (taskName: string, error: unknown): void => {
    if (controller.signal.aborted && hasCode(error, 'cancelled')) return
    if (error === reason) return
    env.log.error('task failed', { scopeName: name, task: taskName, ...errorFields(error) })
    void close(new SkeinError('internal', `${taskName} failed`, { cause: error }))
  }
  const defer = (cleanup: () => void | Promise<void>): void => {
    if (closing === undefined) cleanups.push(cleanup)
    else {
      // Arrived too late to be owned: it ends at once, or it would leak
      cleanups.push(cleanup)
      const late = Promise.resolve(closing).then(runCleanups)
      late.catch(() => undefined) // because: runCleanups logs its own failures
    }
  }
  return {
    name,
    signal: controller.signal,
    get reason() {
      return reason
    },
    spawn(taskName, task) {
      if (controller.signal.aborted) return
      const running = Promise.resolve()
        .then(() => task(controller.signal))
        .catch((error: unknown) => fail(taskName, error))
        .finally(() => tasks.delete(running))
      tasks.add(running)
    },
    own(resource) {
      defer(async () => {
        if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]()
        else resource[Symbol.dispose]()
      })
      return resource
    },
    defer,
    child(childName) {
      const inner = createScope(env, `${name}/${childName}`)
      const entry = (): Promise<void> => inner.close(reason)
      cleanups.push(entry)
      // A child must start ending with us, not after our tasks: they may be waiting for it
      const onAbort = (): void => void inner.close(reason)
      controller.signal.addEventListener('abort', onAbort, { once: true })
      if (controller.signal.aborted) onAbort()
      inner.defer(() => {
        controller.signal.removeEventListener('abort', onAbort)
        const index = cleanups.indexOf(entry)
        if (index >= 0) cleanups.splice(index, 1)
      })
      return inner
    },
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

type Cleanup = () => void | Promise<void>

async function runInReverse(cleanups: Cleanup[], env: Env, name: string): Promise<void> {
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) {
    try {
      await cleanup()
    } catch (error) {
      env.log.error('cleanup failed', { scopeName: name, ...errorFields(error) })
    }
  }
}
