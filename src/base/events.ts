/** Typed events: past tense, one readonly payload, synchronous, in order. A listener's throw never reaches the emitter. */
import type { Log } from './log.ts'
import { errorFields } from './log.ts'

export interface Events<M extends object> {
  /** @returns a handle that takes the listener off again. */
  on<K extends keyof M>(name: K, listener: (payload: M[K]) => void): Disposable
}

export interface Emitter<M extends object> extends Events<M> {
  emit<K extends keyof M>(name: K, payload: M[K]): void
  listenerCount(name: keyof M): number
}

export function createEmitter<M extends object>(log: Log): Emitter<M> {
  const listeners = new Map<keyof M, Set<(payload: never) => void>>()
  return {
    on(name, listener) {
      const set = listeners.get(name) ?? new Set()
      listeners.set(name, set)
      set.add(listener)
      return { [Symbol.dispose]: () => void set.delete(listener) }
    },
    emit(name, payload) {
      // A copy: a listener may take itself or others off while it runs
      for (const listener of Array.from(listeners.get(name) ?? [])) {
        try {
          // because: `on` ties each listener's payload type to the name it is stored under
          listener(payload as never)
        } catch (error) {
          log.error('event listener failed', { event: String(name), ...errorFields(error) })
        }
      }
    },
    listenerCount: (name) => listeners.get(name)?.size ?? 0,
  }
}
