/**
 * The peer's events for people and programs: past-tense names with plain data, kept in a bounded ring so that a late
 * reader sees what just happened. A slow reader loses the oldest and is told how many; the peer never waits for one.
 */
import { abortReason } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { limits } from '../base/limits.ts'
import type { EventItem, PeerEvent } from './api.ts'

/** Every event there is, with its data. A new one is added here. */
export interface PeerEvents {
  'peer.started': { readonly version: string }
  'peer.stopping': Record<never, never>
  'device.joined': { readonly deviceId: string; readonly name: string; readonly by: string }
  'device.left': { readonly deviceId: string; readonly name: string; readonly reason: string }
  'device.renamed': { readonly deviceId: string; readonly name: string }
  /** This device left its mesh, and is a new one. */
  'mesh.left': { readonly deviceId: string; readonly wasMember: boolean }
  'device.rotated': { readonly deviceId: string }
  'link.up': { readonly deviceId: string; readonly address: string; readonly transport: string }
  'link.suspect': { readonly deviceId: string }
  'link.down': { readonly deviceId: string; readonly reason: string }
  'pair.opened': { readonly expiresAtMs: number }
  /** It has proved the code; a person has to say yes or no. */
  'pair.requested': { readonly name: string; readonly kind: string }
  'pair.failed': { readonly reason: string }
  'pair.closed': { readonly reason: string }
  'space.shared': { readonly spaceId: string; readonly name: string }
  'space.joined': { readonly spaceId: string; readonly name: string; readonly directory: string }
  'space.left': { readonly spaceId: string }
  'space.paused': { readonly spaceId: string }
  'space.resumed': { readonly spaceId: string }
  'space.role': { readonly spaceId: string; readonly role: string }
  'space.selected': {
    readonly spaceId: string
    readonly only: readonly string[]
    readonly except: readonly string[]
  }
  'space.synced': { readonly spaceId: string; readonly fileCount: number }
  'file.problem': {
    readonly spaceId: string
    readonly path: string
    readonly cause: string
    readonly fix: string
  }
  'clipboard.changed': { readonly deviceId: string; readonly sizeBytes: number }
  'clipboard.state': { readonly state: string }
  'store.problem': { readonly code: string; readonly message: string }
}

export interface EventBus {
  publish<N extends keyof PeerEvents>(name: N, data: PeerEvents[N]): void
  /** Events from now on, until the signal aborts. */
  subscribe(signal: AbortSignal): AsyncIterable<EventItem>
  /** What happened last, oldest first. */
  recent(): readonly PeerEvent[]
}

export function createEventBus(env: Env): EventBus {
  const ring: PeerEvent[] = []
  const readers = new Set<(event: PeerEvent) => void>()
  return {
    publish(name, data) {
      const event: PeerEvent = { name, atMs: env.clock.nowMs(), data: { ...data } }
      ring.push(event)
      if (ring.length > limits.eventBacklog) ring.shift()
      env.metrics.count('events_total', 1, { name })
      for (const reader of readers) reader(event)
    },
    recent: () => [...ring],
    async *subscribe(signal) {
      const waiting: PeerEvent[] = []
      let dropped = 0
      let wake: (() => void) | undefined
      const reader = (event: PeerEvent): void => {
        waiting.push(event)
        if (waiting.length > limits.eventBacklog) {
          waiting.shift()
          dropped++
        }
        wake?.()
      }
      const onAbort = (): void => wake?.()
      readers.add(reader)
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        for (;;) {
          if (dropped > 0) {
            const count = dropped
            dropped = 0
            yield { name: 'events.dropped', atMs: env.clock.nowMs(), data: { count } }
          }
          const event = waiting.shift()
          if (event !== undefined) yield event
          else if (signal.aborted) throw abortReason(signal)
          else
            await new Promise<void>((resolve) => {
              wake = resolve
            })
        }
      } finally {
        readers.delete(reader)
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}
