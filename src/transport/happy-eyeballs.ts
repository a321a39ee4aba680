/**
 * Several attempts at one goal, staggered: the next starts when the last failed or after a delay, the first that
 * succeeds wins and the others are cancelled; a late winner is handed to `discard`. After RFC 8305.
 */
import { abortReason, throwIfAborted, withDeadline } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'

export interface RaceOptions<T> {
  readonly staggerMs: number
  readonly attemptMs: number
  readonly signal: AbortSignal
  /** Closes what came too late. */
  discard(value: T): void
}

export type RaceResult<T> = { readonly value: T } | { readonly errors: readonly unknown[] }

/** @throws only the signal's reason. */
export async function race<T>(
  env: Env,
  attempts: readonly ((signal: AbortSignal) => Promise<T>)[],
  options: RaceOptions<T>,
): Promise<RaceResult<T>> {
  throwIfAborted(options.signal)
  const outcome = Promise.withResolvers<RaceResult<T>>()
  const stopped = new AbortController()
  const errors: unknown[] = []
  let next = 0
  let isDecided = false
  let timer: Disposable | undefined

  const startNext = (): void => {
    timer?.[Symbol.dispose]()
    timer = undefined
    const attempt = attempts[next++]
    if (attempt === undefined || isDecided) return
    withDeadline(
      env.clock,
      { timeoutMs: options.attemptMs, what: 'dialling', signal: stopped.signal },
      attempt,
    ).then(onSuccess, onFailure)
    if (next < attempts.length) timer = env.clock.setTimer(options.staggerMs, startNext)
  }
  const decide = (): void => {
    isDecided = true
    timer?.[Symbol.dispose]()
    options.signal.removeEventListener('abort', onAbort)
    stopped.abort(new SkeinError('cancelled', 'another address answered'))
  }
  const onSuccess = (value: T): void => {
    if (isDecided) return options.discard(value)
    decide()
    outcome.resolve({ value })
  }
  const onFailure = (error: unknown): void => {
    errors.push(error)
    if (isDecided) return
    if (errors.length === attempts.length) {
      decide()
      outcome.resolve({ errors })
    } else {
      startNext()
    }
  }
  const onAbort = (): void => {
    if (isDecided) return
    decide()
    outcome.reject(abortReason(options.signal))
  }
  options.signal.addEventListener('abort', onAbort, { once: true })
  if (attempts.length === 0) {
    decide()
    return { errors }
  }
  startNext()
  return outcome.promise
}
