/**
 * Whom to dial and when, and which of two connections to keep, as pure functions.
 * One side of each pair dials first: the one with the lower device id (it stays the same when keys are rotated,
 * the PeerId does not); the other waits limits.secondDialerMs and then dials as well, for the one may be unable to.
 * The same side decides alone which of several connections is kept; the other never closes a duplicate. So the
 * two can not close one each, whatever each of them believes (see `preferLine`).
 */
import { backoffMs } from '../base/backoff.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { Life } from './detector.ts'

/** `first` dials at once and decides about duplicates, `second` waits and follows. */
export type Role = 'first' | 'second'

export function roleOf(own: DeviceId, other: DeviceId): Role {
  return own < other ? 'first' : 'second'
}

/** Dialling of one lane to one member. There is no last attempt: it goes on for ever. */
export interface DialState {
  /** Failures in a row, or connections in a row that did not last. */
  readonly attempt: number
  readonly notBeforeMs: number
  readonly isDialling: boolean
  /** When the last connection of this lane became ready. */
  readonly readyMs: number | undefined
}

export type DialEvent =
  | 'started'
  | 'failed'
  /** Our dial came through; `ready` follows or went before. */
  | 'connected'
  /** A connection of this lane is ready, dialled by either side. */
  | 'ready'
  /** The lane came to be wanted just now: bulk, once control is up. */
  | 'wanted'
  /** The last one has ended. */
  | 'lost'
  /** The one there is went silent: the probe is a fresh connection, at once, by whoever noticed. */
  | 'suspected'
  /** A reason to hope: discovery hint, network change, wake from sleep, new keys. */
  | 'nudged'

export interface DialContext {
  readonly nowMs: number
  readonly role: Role
  readonly random: Random
}

const redial = { firstMs: limits.redialFirstMs, maxMs: limits.redialMaxMs }
const patience = (role: Role): number => (role === 'first' ? 0 : limits.secondDialerMs)

export function startDialling(nowMs: number, role: Role): DialState {
  return { attempt: 0, notBeforeMs: nowMs + patience(role), isDialling: false, readyMs: undefined }
}

export function stepDial(state: DialState, event: DialEvent, context: DialContext): DialState {
  const { nowMs, role, random } = context
  const wait = (attempt: number): number => nowMs + backoffMs(attempt, redial, random) + patience(role)
  switch (event) {
    case 'started':
      return { ...state, isDialling: true }
    case 'failed':
      return { ...state, isDialling: false, attempt: state.attempt + 1, notBeforeMs: wait(state.attempt) }
    case 'connected':
      return { ...state, isDialling: false }
    case 'ready':
      return { ...state, readyMs: nowMs }
    case 'wanted':
      return { ...state, notBeforeMs: Math.max(state.notBeforeMs, nowMs + patience(role)) }
    case 'lost': {
      // A connection that breaks as soon as it is made must not be made again at full speed
      const lasted = state.readyMs === undefined || nowMs - state.readyMs >= limits.redialMaxMs
      const attempt = lasted ? 0 : state.attempt + 1
      return { ...state, attempt, notBeforeMs: wait(attempt) }
    }
    case 'suspected':
      return { ...state, attempt: 0, notBeforeMs: nowMs }
    case 'nudged':
      // Connections that break as they are made bring such news themselves: it must not undo their back-off
      if (state.readyMs !== undefined && nowMs - state.readyMs < limits.redialMaxMs) return state
      return { ...state, attempt: 0, notBeforeMs: Math.min(state.notBeforeMs, nowMs + patience(role)) }
  }
}

/** What a lane lacks. `better`: it works, but over keys that are being replaced. */
export type LaneNeed = 'nothing' | 'connection' | 'better'

/** When to dial; undefined while there is nothing to do or a dial is under way. */
export function dialDueMs(state: DialState, need: LaneNeed): number | undefined {
  return need === 'nothing' || state.isDialling ? undefined : state.notBeforeMs
}

/** What the choice between connections of one lane depends on. */
export interface LineFacts {
  /** 0 = over the newest key of both sides. */
  readonly keyRank: number
  readonly life: Life
  readonly isDialledByFirst: boolean
  /** Random per process start of the other side. */
  readonly incarnation: string
  /** Its dialler had found the present one silent. */
  readonly isReplacement: boolean
}

/**
 * The line to keep; `older` became ready before `newer`. Only the `first` side acts on it.
 * The order of the rules: a line that works, then the newest keys, then the word of somebody who knows that the
 * older one is dead (silent to the dialler, or of a process that is gone, or dialled anew by the same side), and
 * between two good ones dialled at once by both sides the one that the first side dialled.
 */
export function preferLine<T extends LineFacts>(older: T, newer: T): T {
  const works = (line: LineFacts): boolean => line.life === 'up'
  if (works(older) !== works(newer)) return works(older) ? older : newer
  if (older.keyRank !== newer.keyRank) return older.keyRank < newer.keyRank ? older : newer
  if (newer.isReplacement || newer.incarnation !== older.incarnation) return newer
  if (newer.isDialledByFirst === older.isDialledByFirst) return newer
  return older.isDialledByFirst ? older : newer
}

/** @param lines in the order in which they became ready. */
export function pickLine<T extends LineFacts>(lines: readonly T[]): T | undefined {
  let best: T | undefined
  for (const line of lines) best = best === undefined ? line : preferLine(best, line)
  return best
}

/** @param best the line in use, if any. */
export function laneNeed(best: LineFacts | undefined): LaneNeed {
  if (best === undefined || best.life !== 'up') return 'connection'
  return best.keyRank > 0 ? 'better' : 'nothing'
}
