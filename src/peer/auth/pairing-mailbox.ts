/**
 * One message at a time from a channel, for protocols in which every message has its moment. A message that comes
 * when none is awaited is held, one only, and counts as a fault wherever the other side had to be silent.
 */
import type { Channel } from '../../base/channel.ts'
import { untilAborted } from '../../base/clock.ts'
import type { Env } from '../../base/env.ts'
import { asSkeinError, SkeinError } from '../../base/errors.ts'

export interface Mailbox {
  /** From now on the other side may send several messages in a row: they wait in the channel for their turn. */
  flow(): void
  /** The next message, a copy. @throws `deadline.exceeded`, `channel.*`, `pair.failed`, or the signal's reason. */
  next(timeoutMs: number): Promise<Uint8Array>
  /** Waits for `work` while the other side must say nothing. @throws `pair.failed` if it does, `channel.*` if it leaves. */
  quietly<T>(work: Promise<T>): Promise<T>
  /** Whichever comes first, a message or the answer. The message stays for `next`. */
  nextOr<T>(
    work: Promise<T>,
    timeoutMs: number,
  ): Promise<{ readonly message: Uint8Array } | { readonly value: T }>
}

export function createMailbox(env: Env, channel: Channel, signal: AbortSignal): Mailbox {
  const { flow, take, stir, stirred } = openSlot(env, channel, signal)
  return {
    flow,
    async next(timeoutMs) {
      for (;;) {
        const message = take()
        if (message !== undefined) return message
        await stirred(timeoutMs)
      }
    },
    async quietly(work) {
      const watched = watch(work, stir)
      for (;;) {
        if (take() !== undefined) throw new SkeinError('pair.failed', 'a message while none was due')
        if (watched.outcome !== undefined) return settled(watched.outcome)
        await stirred()
      }
    },
    async nextOr(work, timeoutMs) {
      const watched = watch(work, stir)
      for (;;) {
        const message = take()
        if (message !== undefined) return { message }
        if (watched.outcome !== undefined) return { value: settled(watched.outcome) }
        await stirred(timeoutMs)
      }
    },
  }
}

interface Slot {
  readonly flow: () => void
  /** What waits, if anything. @throws the fault, once nothing waits. */
  readonly take: () => Uint8Array | undefined
  readonly stir: () => void
  /** Resolves when anything happened; the timer ends with the wait. */
  readonly stirred: (timeoutMs?: number) => Promise<void>
}

/** Where the one message waits that was not asked for yet. */
function openSlot(env: Env, channel: Channel, signal: AbortSignal): Slot {
  let held: Uint8Array | undefined
  let fault: SkeinError | undefined
  let wake = Promise.withResolvers<void>()
  let taken: PromiseWithResolvers<void> | undefined
  const stir = (): void => {
    wake.resolve()
    wake = Promise.withResolvers<void>()
  }
  const fail = (error: SkeinError): void => {
    fault ??= error
    taken?.resolve()
    stir()
  }
  channel.receive((message) => {
    if (held === undefined && fault === undefined) {
      held = Uint8Array.from(message)
      stir()
      return taken?.promise
    }
    // What waited is not trusted either: the other side does not keep to the order
    held = undefined
    fail(new SkeinError('pair.failed', 'a message too many'))
    return undefined
  })
  // because: `closed` never rejects, and it settles with the channel
  void channel.closed.then((error) =>
    fail(error ?? new SkeinError('channel.closed', 'the other device ended the pairing')),
  )
  const stirred = async (timeoutMs?: number): Promise<void> => {
    const late = new SkeinError('deadline.exceeded', 'the other device did not answer in time')
    const timer = timeoutMs === undefined ? undefined : env.clock.setTimer(timeoutMs, () => fail(late))
    try {
      await untilAborted(wake.promise, signal)
    } finally {
      timer?.[Symbol.dispose]()
    }
  }
  const take = (): Uint8Array | undefined => {
    const message = held
    held = undefined
    if (message !== undefined && taken !== undefined) {
      taken.resolve()
      taken = Promise.withResolvers<void>()
    }
    // What was sent before a clean end still counts
    if (message === undefined && fault !== undefined) throw fault
    return message
  }
  return {
    flow: () => void (taken ??= Promise.withResolvers<void>()),
    take,
    stir,
    stirred,
  }
}

interface Watched<T> {
  outcome?: { readonly value: T } | { readonly error: unknown }
}

/** Notes how `work` ends and stirs the mailbox; a failure waits there until somebody looks. */
function watch<T>(work: Promise<T>, stir: () => void): Watched<T> {
  const watched: Watched<T> = {}
  const note = async (): Promise<void> => {
    try {
      watched.outcome = { value: await work }
    } catch (error) {
      watched.outcome = { error }
    }
    stir()
  }
  void note() // because: it catches everything itself
  return watched
}

function settled<T>(outcome: { readonly value: T } | { readonly error: unknown }): T {
  if ('error' in outcome) throw asSkeinError(outcome.error)
  return outcome.value
}
