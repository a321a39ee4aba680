/**
 * What the page knows, fed by the live stream: the state of the peer, the latest events, and samples for the plots. It
 * comes back by itself when the peer does; while it is away the page says so and shows what it last knew.
 */
import { useEffect, useState } from 'preact/hooks'
import type { EventItem, Status } from '../../peer/api.ts'
import { ConsoleError, hasSession, redeemLaunch, stream } from './session.ts'

export type Connection = 'opening' | 'live' | 'away' | 'no-session'

/** One moment for the plots. */
export interface Sample {
  readonly atMs: number
  readonly rssBytes: number
  readonly rttMs: ReadonlyMap<string, number>
  readonly bytesPerSecond: number
  /** Received and sent so far, by device. */
  readonly traffic: ReadonlyMap<string, readonly [number, number]>
}

export interface PageState {
  readonly connection: Connection
  /** Why there is no session, when a link was tried. */
  readonly refusal?: string
  readonly status?: Status
  /** Newest first. */
  readonly events: readonly EventItem[]
  readonly droppedCount: number
  readonly samples: readonly Sample[]
}

const keptEvents = 500
const keptSamples = 600
const rateSamples = 4
const firstWaitMs = 250
const longestWaitMs = 2_000

let state: PageState = { connection: 'opening', events: [], droppedCount: 0, samples: [] }
const listeners = new Set<() => void>()

function change(part: Partial<PageState>): void {
  state = { ...state, ...part }
  for (const listener of listeners) listener()
}

/** The state, for a component that shows it. */
export function usePage(): PageState {
  const [, redraw] = useState(0)
  useEffect(() => {
    const listener = (): void => redraw((count) => count + 1)
    listeners.add(listener)
    // What changed between the first drawing and now was told to nobody
    listener()
    return () => void listeners.delete(listener)
  }, [])
  return state
}

/** Runs for the life of the page. */
export async function runLive(): Promise<void> {
  try {
    await redeemLaunch()
  } catch (error) {
    return change({
      connection: 'no-session',
      refusal: error instanceof Error ? error.message : String(error),
    })
  }
  let waitMs = firstWaitMs
  let lastId: string | undefined
  while (hasSession()) {
    try {
      const signal = new AbortController().signal
      for await (const message of stream('/events', { signal, ...(lastId !== undefined && { lastId }) })) {
        lastId = message.id ?? lastId
        take(message.event, message.data)
        waitMs = firstWaitMs
      }
    } catch (error) {
      if (error instanceof ConsoleError && error.code.startsWith('auth.'))
        return change({ connection: 'no-session' })
    }
    change({ connection: 'away' })
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    waitMs = Math.min(longestWaitMs, waitMs * 2)
  }
  change({ connection: 'no-session' })
}

function take(event: string, data: unknown): void {
  switch (event) {
    case 'hello': {
      const { isResumed } = data as { readonly isResumed: boolean } // because: the console's own message
      return change({ connection: 'live', ...(!isResumed && { events: [] }) })
    }
    case 'event':
      // because: as above
      return change({ events: [data as EventItem, ...state.events].slice(0, keptEvents) })
    case 'status': {
      const status = data as Status // because: as above
      return change({ status, samples: [...state.samples, sampleOf(status)].slice(-keptSamples) })
    }
    case 'dropped': {
      const { count } = data as { readonly count: number } // because: as above
      return change({ droppedCount: state.droppedCount + count })
    }
  }
}

export interface LinkRate {
  readonly receivedPerSecond: number
  readonly sentPerSecond: number
}

/** Over the last few looks. @returns undefined while that cannot be said: too early, or a connection was replaced. */
export function rateOf(samples: readonly Sample[], deviceId: string): LinkRate | undefined {
  const [first, last] = [samples.at(-rateSamples) ?? samples[0], samples.at(-1)]
  const [from, to] = [first?.traffic.get(deviceId), last?.traffic.get(deviceId)]
  if (first === undefined || last === undefined || from === undefined || to === undefined) return undefined
  const seconds = (last.atMs - first.atMs) / 1000
  if (seconds <= 0 || to[0] < from[0] || to[1] < from[1]) return undefined
  return { receivedPerSecond: (to[0] - from[0]) / seconds, sentPerSecond: (to[1] - from[1]) / seconds }
}

function sampleOf(status: Status): Sample {
  const up = status.links.filter((link) => link.state === 'up' && link.rttMs !== undefined)
  return {
    atMs: Date.now(),
    rssBytes: status.rssBytes,
    rttMs: new Map(up.map((link) => [link.deviceId, link.rttMs ?? 0])),
    traffic: new Map(
      status.links.map((link) => [link.deviceId, [link.receivedBytes ?? 0, link.sentBytes ?? 0]] as const),
    ),
    bytesPerSecond: status.spaces.reduce((sum, space) => sum + (space.transfer?.bytesPerSecond ?? 0), 0),
  }
}
