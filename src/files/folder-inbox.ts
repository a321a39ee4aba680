/** What waits for the next round of a folder: dirty directories, contents that arrived, or everything. */
import type { ReadyPlace } from './transfers.ts'

export interface Inbox {
  add(ids: readonly string[]): void
  /** As add, for what need not wait for more of its kind. */
  addUrgent(ids: readonly string[]): void
  addAll(): void
  addReady(places: readonly ReadyPlace[]): void
  /** Wakes the loop without work, so that it sees a changed state. */
  poke(): void
  take(): {
    readonly dirty: ReadonlySet<string>
    readonly all: boolean
    readonly ready: readonly ReadyPlace[]
  }
  /** @param onlyPoke work alone does not wake it: the folder is paused. */
  wait(signal: AbortSignal, onlyPoke: boolean): Promise<void>
  readonly hasWork: boolean
  /** Something in it need not wait. */
  readonly isUrgent: boolean
}

export function createInbox(): Inbox {
  let dirty = new Set<string>()
  let ready: ReadyPlace[] = []
  let all = false
  let poked = false
  let urgent = false
  let woken = Promise.withResolvers<void>()
  const wake = (): void => woken.resolve()
  const hasWork = (): boolean => all || dirty.size > 0 || ready.length > 0
  return {
    add(ids) {
      for (const id of ids) dirty.add(id)
      if (ids.length > 0) wake()
    },
    addUrgent(ids) {
      for (const id of ids) dirty.add(id)
      if (ids.length === 0) return
      urgent = true
      wake()
    },
    addAll() {
      all = true
      wake()
    },
    addReady(places) {
      ready.push(...places)
      urgent = true
      wake()
    },
    poke() {
      poked = true
      wake()
    },
    take() {
      const work = { dirty, all, ready }
      dirty = new Set()
      ready = []
      all = false
      urgent = false
      return work
    },
    async wait(signal, onlyPoke) {
      if (hasWork() && !poked && !onlyPoke) return
      const onAbort = (): void => wake()
      signal.addEventListener('abort', onAbort, { once: true })
      while (!signal.aborted && !poked) {
        await woken.promise
        woken = Promise.withResolvers()
        if (hasWork() && !onlyPoke) break
      }
      signal.removeEventListener('abort', onAbort)
      signal.throwIfAborted()
      poked = false
    },
    get hasWork() {
      return hasWork()
    },
    get isUrgent() {
      return urgent
    },
  }
}
