/**
 * Failure detector of one connection, as a pure function: (state, event, nowMs) -> (state, effects).
 * Any byte counts as life. Silence is `suspect` (worth a probe on a fresh connection), then `down` (soft: nothing
 * is closed, the first byte brings it back), then `dead` (cut). Bytes that come in while none of our heartbeats is
 * answered mean a one-way network: that is `down` too, until an answer comes.
 * On a lossy network a connection is silent for seconds while its kernel backs off; pulses (pulse.ts) are not. Their
 * answers count as life too, for a bounded time, but only bytes of the connection itself end a suspicion.
 * It does not accrue probabilities (phi, Hayashibara et al. 2004): with a fixed heartbeat period a fixed bound is
 * as good, and its detection time can be promised. The shell asks again at `wakeMs` and after every event.
 */
import { limits } from '../base/limits.ts'

export interface DetectorOptions {
  readonly heartbeatMs: number
  /** The shell looks at the byte counter at least so often. */
  readonly pollMs: number
  readonly suspectMs: number
  readonly downMs: number
  readonly abortMs: number
  /** Heartbeats without an answer for so long, while bytes do come in: one-way. */
  readonly unansweredMs: number
  /** Silence after which pulses are sent. */
  readonly pulseAfterMs: number
}

/** Control: what a person sees as "online". */
export const controlDetector: DetectorOptions = {
  heartbeatMs: limits.heartbeatMs,
  pollMs: limits.heartbeatMs,
  suspectMs: limits.suspectMs,
  downMs: limits.downMs,
  abortMs: limits.abortMs,
  unansweredMs: limits.unansweredMs,
  pulseAfterMs: limits.pulseAfterMs,
}

/** Bulk: an answer may wait behind megabytes of data, and nobody's status hangs on it. */
export const bulkDetector: DetectorOptions = {
  heartbeatMs: limits.bulkHeartbeatMs,
  pollMs: limits.bulkHeartbeatMs / 2,
  suspectMs: limits.bulkSuspectMs,
  downMs: limits.bulkSuspectMs,
  abortMs: limits.abortMs,
  unansweredMs: limits.channelStallMs,
  pulseAfterMs: Infinity,
}

export type Life = 'up' | 'suspect' | 'down' | 'dead'

export interface DetectorState {
  readonly life: Life
  /** When the last byte came, moved forward by the time this process itself stood still. */
  readonly heardMs: number
  /** When the last answer to a heartbeat came, moved likewise. */
  readonly answeredMs: number
  readonly nextBeatMs: number
  /** When the last answer to a pulse came, moved likewise; and when the next pulse may go. */
  readonly pulsedMs: number
  readonly nextPulseMs: number
  /** When the shell is to send the next `tick`. A tick much later than that means that we stood still. */
  readonly wakeMs: number
}

export type DetectorEvent =
  /** The time asked for by `wakeMs`, or any other; `heardMs`: when something was received since the last tick, if it was. */
  | { readonly kind: 'tick'; readonly heardMs: number | undefined }
  /** A heartbeat of ours was answered. */
  | { readonly kind: 'answered' }
  /** A pulse of ours was answered. */
  | { readonly kind: 'pulsed' }
  /** The machine woke or its network changed: find out now instead of at the next beat. */
  | { readonly kind: 'nudged' }

export type DetectorEffect = 'heartbeat' | 'pulse' | 'suspected' | 'downed' | 'revived' | 'abort'

export interface DetectorStep {
  readonly state: DetectorState
  readonly effects: readonly DetectorEffect[]
}

export function startDetector(nowMs: number): DetectorState {
  return {
    life: 'up',
    heardMs: nowMs,
    answeredMs: nowMs,
    nextBeatMs: nowMs,
    pulsedMs: nowMs,
    nextPulseMs: nowMs,
    wakeMs: nowMs,
  }
}

export function stepDetector(
  state: DetectorState,
  event: DetectorEvent,
  nowMs: number,
  options: DetectorOptions,
): DetectorStep {
  if (state.life === 'dead') return { state, effects: [] }
  switch (event.kind) {
    case 'answered':
      return settle({ ...state, heardMs: nowMs, answeredMs: nowMs }, nowMs, options)
    case 'pulsed':
      return settle({ ...state, pulsedMs: nowMs }, nowMs, options)
    case 'nudged':
      return { state: { ...state, nextBeatMs: nowMs, wakeMs: Math.min(state.wakeMs, nowMs) }, effects: [] }
    case 'tick': {
      const awake = graceForOwnStall(state, nowMs)
      const heardMs = Math.min(nowMs, Math.max(awake.heardMs, event.heardMs ?? -Infinity))
      return settle({ ...awake, heardMs }, nowMs, options)
    }
  }
}

/**
 * Time in which this process did not run is not the other's silence: its bytes may wait unread in our kernel.
 * Both stamps move by the lateness, so that silence before the stall still counts.
 */
function graceForOwnStall(state: DetectorState, nowMs: number): DetectorState {
  const lateMs = nowMs - state.wakeMs
  if (lateMs <= limits.detectorLateMs) return state
  return {
    ...state,
    heardMs: Math.min(nowMs, state.heardMs + lateMs),
    answeredMs: Math.min(nowMs, state.answeredMs + lateMs),
    pulsedMs: Math.min(nowMs, state.pulsedMs + lateMs),
    nextBeatMs: Math.min(state.nextBeatMs, nowMs),
  }
}

function settle(state: DetectorState, nowMs: number, options: DetectorOptions): DetectorStep {
  const effects: DetectorEffect[] = []
  const life = judge(state, nowMs, options)
  const rank: Record<Life, number> = { up: 0, suspect: 1, down: 2, dead: 3 }
  if (life === 'up' && state.life !== 'up') effects.push('revived')
  // A step may be skipped when ticks are rare; each is still reported, in order
  if (rank[life] >= 1 && rank[state.life] < 1) effects.push('suspected')
  if (rank[life] >= 2 && rank[state.life] < 2) effects.push('downed')
  if (life === 'dead') effects.push('abort')
  let nextBeatMs = state.nextBeatMs
  if (nowMs >= nextBeatMs && life !== 'dead') {
    effects.push('heartbeat')
    nextBeatMs = nowMs + options.heartbeatMs
  }
  let { nextPulseMs } = state
  if (nowMs >= pulseDueMs(state, options) && life !== 'dead') {
    effects.push('pulse')
    nextPulseMs = nowMs + limits.pulseEveryMs
  }
  const next: DetectorState = { ...state, life, nextBeatMs, nextPulseMs }
  return { state: { ...next, wakeMs: wakeAt(next, nowMs, options) }, effects }
}

/** Bytes may come in while what we send waits in our kernel: then the answers are what is missing. */
const pulseDueMs = ({ heardMs, answeredMs, nextPulseMs }: DetectorState, options: DetectorOptions): number =>
  Math.max(nextPulseMs, Math.min(heardMs, answeredMs + options.downMs) + options.pulseAfterMs)

/** @param provenMs when the connection itself showed it last. @returns when anything did that still counts. */
const lastMs = (provenMs: number, { pulsedMs }: DetectorState): number =>
  Math.max(provenMs, Math.min(pulsedMs, provenMs + limits.pulseTrustMs))

function judge(state: DetectorState, nowMs: number, options: DetectorOptions): Life {
  const silentMs = nowMs - state.heardMs
  const lifelessMs = nowMs - lastMs(state.heardMs, state)
  if (lifelessMs >= options.abortMs) return 'dead'
  const unanswered = nowMs - lastMs(state.answeredMs, state) >= options.unansweredMs
  if (lifelessMs >= options.downMs || unanswered) return 'down'
  if (silentMs < options.suspectMs) return 'up'
  // From down only a byte leads out, and that byte makes silence short again: no way back to merely suspect
  return state.life === 'down' ? 'down' : 'suspect'
}

/** The earliest moment at which something can change without an event: never later than the poll of the byte counter. */
function wakeAt(state: DetectorState, nowMs: number, options: DetectorOptions): number {
  let atMs = Math.min(nowMs + options.pollMs, state.nextBeatMs, pulseDueMs(state, options))
  const livedMs = lastMs(state.heardMs, state)
  const bounds = [state.heardMs + options.suspectMs, livedMs + options.downMs, livedMs + options.abortMs]
  for (const boundMs of bounds) if (boundMs > nowMs) atMs = Math.min(atMs, boundMs)
  return Math.max(atMs, nowMs)
}
