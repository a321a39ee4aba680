/** A bounded asynchronous queue, one or more producers, one consumer. Full means wait or refuse, never grow. */
import { abortReason } from './clock.ts'
import { SkeinError } from './errors.ts'

export interface Queue<T> {
  readonly size: number
  /** Sum of the weights of what waits. */
  readonly weight: number
  /** Adds now if there is room. @returns false when full or ended: the item was not taken. */
  offer(item: T): boolean
  /** Adds, waiting for room. @throws `channel.closed` once ended, or the signal's reason. */
  push(item: T, signal?: AbortSignal): Promise<void>
  /** Takes the oldest. @returns undefined once ended and empty. */
  take(signal?: AbortSignal): Promise<T | undefined>
  /** Nothing more is taken in; what waits can still be taken out. Idempotent. */
  end(): void
}

/**
 * @param capacity largest total weight held; an item heavier than that is taken only by an empty queue.
 * @param weigh weight of an item, > 0; default 1 each.
 */
export function createQueue<T>(capacity: number, weigh: (item: T) => number = () => 1): Queue<T> {
  const items: T[] = []
  let weight = 0
  let ended = false
  const takers: (() => void)[] = []
  const pushers: (() => void)[] = []
  const wake = (waiting: (() => void)[]): void => waiting.splice(0).forEach((resolve) => resolve())
  const wait = (waiting: (() => void)[], signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortReason(signal))
      const done = (): void => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = (): void => {
        const index = waiting.indexOf(done)
        if (index >= 0) waiting.splice(index, 1)
        // because: only reachable through a signal
        reject(abortReason(signal as AbortSignal))
      }
      waiting.push(done)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  const offer = (item: T): boolean => {
    const itemWeight = weigh(item)
    if (ended || (items.length > 0 && weight + itemWeight > capacity)) return false
    items.push(item)
    weight += itemWeight
    wake(takers)
    return true
  }
  return {
    get size() {
      return items.length
    },
    get weight() {
      return weight
    },
    offer,
    async push(item, signal) {
      while (!offer(item)) {
        if (ended) throw new SkeinError('channel.closed', 'the queue has ended')
        await wait(pushers, signal)
      }
    },
    async take(signal) {
      for (;;) {
        if (items.length > 0) {
          // because: length was just checked, and T may itself include undefined
          const item = items.shift() as T
          weight -= weigh(item)
          wake(pushers)
          return item
        }
        if (ended) return undefined
        await wait(takers, signal)
      }
    },
    end() {
      ended = true
      wake(takers)
      wake(pushers)
    },
  }
}
