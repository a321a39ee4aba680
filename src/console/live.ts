/**
 * Live data for open pages: the peer's events with ids, kept in a ring so that a page that comes back misses none, and
 * the state of the peer, looked at once a second and soon after each event while anybody watches. A slow page loses the
 * oldest events and is told how many; of the state it only ever gets the newest. Nobody watching costs nothing.
 */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { VerbCalls } from '../peer/api-calls.ts'

export interface LiveMessage {
  readonly event: 'hello' | 'event' | 'status' | 'dropped'
  /** Of events only: given back as Last-Event-ID. */
  readonly id?: string
  readonly data: unknown
}

export interface Live {
  /** @param lastId of the newest event the page has; unknown ones get all that is kept. Ends with the signal. */
  follow(lastId: string | undefined, signal: AbortSignal): AsyncGenerator<LiveMessage>
}

interface Reader {
  readonly events: LiveMessage[]
  status: LiveMessage | undefined
  droppedCount: number
  wake: () => void
}

export function createLive(env: Env, scope: Scope, calls: VerbCalls): Live {
  // Ids of another run of the peer must not be mistaken for ours
  const run = Buffer.from(env.random.bytes(6)).toString('hex')
  const ring: LiveMessage[] = []
  const readers = new Set<Reader>()
  const looks = startLooks(env, scope, { calls, readers })
  let sequence = 0
  const take = (item: unknown): void => {
    const message: LiveMessage = { event: 'event', id: `${run}-${++sequence}`, data: item }
    ring.push(message)
    if (ring.length > limits.consoleEvents) ring.shift()
    for (const reader of readers) {
      reader.events.push(message)
      if (reader.events.length > limits.consoleBacklog) {
        reader.events.shift()
        reader.droppedCount++
      }
      reader.wake()
    }
    looks.soon()
  }
  scope.spawn('console events', async (signal) => {
    while (!signal.aborted) {
      try {
        for await (const item of calls.stream('events', {}, { signal })) take(item)
      } catch (error) {
        if (!signal.aborted) env.log.warn('console events broke off', errorFields(error))
      }
      await quietSleep(env, limits.consoleLookMs, signal)
    }
  })
  return {
    async *follow(lastId, signal) {
      const known = ring.findIndex((message) => message.id === lastId)
      const reader: Reader = {
        events: ring.slice(known + 1).slice(-limits.consoleBacklog),
        status: undefined,
        droppedCount: 0,
        wake: () => undefined,
      }
      readers.add(reader)
      const onAbort = (): void => reader.wake()
      signal.addEventListener('abort', onAbort, { once: true })
      looks.soon()
      try {
        yield { event: 'hello', data: { run, isResumed: known >= 0 } }
        while (!signal.aborted) yield* next(reader, signal)
      } finally {
        readers.delete(reader)
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}

/** Ends early, and without an error, when the signal aborts. */
const quietSleep = (env: Env, ms: number, signal: AbortSignal): Promise<void> =>
  signal.aborted ? Promise.resolve() : sleep(env.clock, ms, signal).catch(() => undefined)

interface LookParts {
  readonly calls: VerbCalls
  readonly readers: ReadonlySet<Reader>
}

/** Looks at the state while somebody watches. `soon`: something happened, or somebody came. */
function startLooks(env: Env, scope: Scope, { calls, readers }: LookParts): { soon(): void } {
  let isStale = false
  let wake = (): void => undefined
  const look = async (signal: AbortSignal): Promise<void> => {
    try {
      const data = await calls.request('status', {}, { signal })
      for (const reader of readers) {
        reader.status = { event: 'status', data }
        reader.wake()
      }
    } catch (error) {
      if (!signal.aborted) env.log.debug('console status not read', errorFields(error))
    }
  }
  /** Until `soon`, or for a second while somebody watches. */
  const pause = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        timer?.[Symbol.dispose]()
        signal.removeEventListener('abort', done)
        wake = () => undefined
        resolve()
      }
      const timer = readers.size > 0 ? env.clock.setTimer(limits.consoleLookMs, done) : undefined
      wake = done
      signal.addEventListener('abort', done, { once: true })
      if (isStale || signal.aborted) done()
    })
  scope.spawn('console looks', async (signal) => {
    while (!signal.aborted) {
      await pause(signal)
      isStale = false
      if (readers.size === 0 || signal.aborted) continue
      await look(signal)
      // Many events at once are one look
      await quietSleep(env, limits.consoleLookSoonMs, signal)
    }
  })
  return {
    soon() {
      isStale = true
      wake()
    },
  }
}

/** What waits for this reader, or after a while something. */
async function* next(reader: Reader, signal: AbortSignal): AsyncGenerator<LiveMessage> {
  if (reader.droppedCount > 0) {
    const count = reader.droppedCount
    reader.droppedCount = 0
    yield { event: 'dropped', data: { count } }
  }
  const message = reader.events.shift() ?? reader.status
  if (message === reader.status) reader.status = undefined
  if (message !== undefined) yield message
  else if (!signal.aborted) await new Promise<void>((resolve) => (reader.wake = resolve))
}
