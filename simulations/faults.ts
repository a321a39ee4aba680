/** What is broken in a simulated mesh right now and since when: applied to the network, and the truth for checkers. */
import type { Clock } from '../src/base/clock.ts'
import type { MemoryNetwork } from '../src/base/memory-host.ts'
import type { MeshPeer } from './mesh-peer.ts'

export type ProcessFault = 'running' | 'frozen' | 'dead'

export interface FaultRecord {
  cut(from: MeshPeer, to: MeshPeer): void
  heal(from: MeshPeer, to: MeshPeer): void
  healAll(): void
  process(peer: MeshPeer, state: ProcessFault): void
  /** Something short happened between the two, or to one of them. */
  touch(a: MeshPeer, b: MeshPeer): void
  touchAll(peer: MeshPeer): void
  /** Since when `observer` has been running while not a byte could reach it from `target`; undefined when some can. */
  silentSinceMs(observer: MeshPeer, target: MeshPeer): number | undefined
  /**
   * Start or end of the last fault between the two or of the target, now if one is going on; undefined for never.
   * That the observer itself stood still excuses no report of silence, only a connection that others gave up.
   */
  lastFaultMs(observer: MeshPeer, target: MeshPeer, isSilence: boolean): number | undefined
}

interface ProcessRecord {
  readonly state: ProcessFault
  readonly sinceMs: number
}

export function createFaultRecord(clock: Clock, network: MemoryNetwork): FaultRecord {
  /** Cuts may overlap: a way is open again when the last of them has healed. */
  const cuts = new Map<string, { count: number; sinceMs: number }>()
  /** What waited in a cut arrives when it heals, even if its sender stands still by then. */
  const healed = new Map<string, number>()
  const processes = new Map<MeshPeer, ProcessRecord>()
  const touched = new Map<string, number>()
  const touchedAll = new Map<MeshPeer, number>()
  const way = (from: MeshPeer, to: MeshPeer): string => `${from.name} ${to.name}`
  const pair = (a: MeshPeer, b: MeshPeer): string => (a.name < b.name ? way(a, b) : way(b, a))
  const touch = (a: MeshPeer, b: MeshPeer): void => void touched.set(pair(a, b), clock.monotonicMs())
  const processOf = (peer: MeshPeer): ProcessRecord => processes.get(peer) ?? { state: 'running', sinceMs: 0 }
  const froze = new Map<MeshPeer, number>()
  const touchAll = (peer: MeshPeer): void => void touchedAll.set(peer, clock.monotonicMs())
  return {
    cut(from, to) {
      touch(from, to)
      const present = cuts.get(way(from, to))
      if (present !== undefined) present.count++
      else {
        cuts.set(way(from, to), { count: 1, sinceMs: clock.monotonicMs() })
        network.cut(from.name, to.name)
      }
    },
    heal(from, to) {
      const present = cuts.get(way(from, to))
      if (present === undefined) return
      touch(from, to)
      if (--present.count > 0) return
      cuts.delete(way(from, to))
      healed.set(way(from, to), clock.monotonicMs())
      network.heal(from.name, to.name)
    },
    healAll() {
      for (const key of cuts.keys()) {
        touched.set(key.split(' ').sort().join(' '), clock.monotonicMs())
        healed.set(key, clock.monotonicMs())
      }
      cuts.clear()
      network.healAll()
    },
    process(peer, state) {
      const before = processOf(peer).state
      if (before === 'dead' || state === 'dead') touchAll(peer)
      else froze.set(peer, clock.monotonicMs())
      if (before !== state) processes.set(peer, { state, sinceMs: clock.monotonicMs() })
    },
    touch,
    touchAll,
    silentSinceMs(observer, target) {
      const cut = cuts.get(way(target, observer))?.sinceMs
      const there = processOf(target)
      const here = processOf(observer)
      if (here.state !== 'running' || (cut === undefined && there.state === 'running')) return undefined
      const gone =
        there.state === 'running' ? Infinity : Math.max(there.sinceMs, healed.get(way(target, observer)) ?? 0)
      return Math.max(Math.min(cut ?? Infinity, gone), here.sinceMs)
    },
    lastFaultMs(observer, target, isSilence) {
      const isCut = cuts.has(way(observer, target)) || cuts.has(way(target, observer))
      if (isCut || processOf(target).state !== 'running') return clock.monotonicMs()
      const times = [
        touched.get(pair(observer, target)),
        touchedAll.get(observer),
        touchedAll.get(target),
        froze.get(target),
      ]
      const own = isSilence ? undefined : froze.get(observer)
      return latest([...times, own])
    },
  }
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}
