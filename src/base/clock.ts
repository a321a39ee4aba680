/**
 * Time as a collaborator. Nothing outside the real clock reads the machine's time or sets a timer,
 * so the same code runs under a simulated clock.
 */
import { SkeinError } from './errors.ts'

export interface Clock {
  /** Wall clock, ms since 1970. May jump either way: for people and records only, never for measuring. */
  nowMs(): number
  /** Never goes back. The zero point has no meaning. */
  monotonicMs(): number
  /** Calls once after at least `delayMs` unless disposed first. A throw of `callback` is a programmer error. */
  setTimer(delayMs: number, callback: () => void): Disposable
}

/** Resolves after `delayMs`. @throws `cancelled` (or the signal's own SkeinError reason) when aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortReason(signal))
    const onAbort = (): void => {
      timer[Symbol.dispose]()
      // because: onAbort is only ever attached when there is a signal
      reject(abortReason(signal as AbortSignal))
    }
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** The reason of an aborted signal as an operating error. */
export function abortReason(signal: AbortSignal): SkeinError {
  if (signal.reason instanceof SkeinError) return signal.reason
  return new SkeinError('cancelled', 'cancelled', { cause: signal.reason })
}

/** @throws the signal's reason as an operating error if it is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal)
}

/** Settles as `promise` does unless the signal aborts first; the listener never outlives the wait. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) {
      promise.catch(() => undefined) // because: its failure has no reader any more, the abort is what is reported
      reject(abortReason(signal))
      return
    }
    const onAbort = (): void => reject(abortReason(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

export interface Deadline {
  readonly timeoutMs: number
  /** Names the work in the error. */
  readonly what: string
  /** Aborts earlier. */
  readonly signal?: AbortSignal | undefined
}

/** Runs `work` with a signal that aborts with `deadline.exceeded` after the time-out, or with the parent signal. */
export async function withDeadline<T>(
  clock: Clock,
  deadline: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { timeoutMs, what, signal: parent } = deadline
  throwIfAborted(parent)
  const controller = new AbortController()
  const onParent = (): void => controller.abort(parent?.reason)
  parent?.addEventListener('abort', onParent, { once: true })
  const timer = clock.setTimer(timeoutMs, () =>
    controller.abort(new SkeinError('deadline.exceeded', `${what} took longer than ${timeoutMs} ms`)),
  )
  try {
    return await untilAborted(work(controller.signal), controller.signal)
  } finally {
    timer[Symbol.dispose]()
    parent?.removeEventListener('abort', onParent)
  }
}
