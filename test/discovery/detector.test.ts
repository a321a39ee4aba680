/** The failure detector against modelled networks: it never cries wolf, always notices in time, never flutters. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import type { DetectorEffect, DetectorState } from '../../src/discovery/detector.ts'
import { bulkDetector, controlDetector, startDetector, stepDetector } from '../../src/discovery/detector.ts'

interface Happening {
  readonly atMs: number
  readonly effect: DetectorEffect
}

interface Run {
  readonly happenings: readonly Happening[]
  readonly state: DetectorState
}

interface Feed {
  /** Times at which bytes arrive, ascending. */
  readonly bytesMs: readonly number[]
  /** Which of them are answers to our heartbeats; all by default. */
  readonly isAnswer?: (atMs: number) => boolean
  readonly untilMs: number
  /** Times in which our own process does not run. */
  readonly stalls?: readonly { readonly fromMs: number; readonly toMs: number }[]
}

/** Drives the detector as the shell does: ticks at `wakeMs` (late in a stall), polls the byte counter at ticks. */
function drive(
  { bytesMs, isAnswer = () => true, untilMs, stalls = [] }: Feed,
  options = controlDetector,
): Run {
  let state = startDetector(0)
  const happenings: Happening[] = []
  const awake = (atMs: number): number =>
    stalls.find(({ fromMs, toMs }) => atMs >= fromMs && atMs < toMs)?.toMs ?? atMs
  let next = 0
  let heardMs: number | undefined
  for (;;) {
    const byteMs = bytesMs[next]
    const tickMs = awake(state.wakeMs)
    // After a stall timers run before the network is read
    const isByte = byteMs !== undefined && awake(byteMs) < tickMs
    const nowMs = isByte ? awake(byteMs) : tickMs
    if (nowMs > untilMs) break
    if (isByte) {
      next++
      if (!isAnswer(byteMs)) {
        heardMs = nowMs
        continue
      }
    }
    const event = isByte ? { kind: 'answered' as const } : { kind: 'tick' as const, heardMs }
    if (!isByte) heardMs = undefined
    const step = stepDetector(state, event, nowMs, options)
    // A shell that is asked for a tick now and does not get further would spin
    if (!isByte && step.state.wakeMs <= nowMs && step.state.life !== 'dead')
      throw new Error(`spins at ${nowMs}`)
    state = step.state
    for (const effect of step.effects) happenings.push({ atMs: nowMs, effect })
    if (state.life === 'dead') break
  }
  return { happenings, state }
}

const of = (run: Run, effect: DetectorEffect): readonly number[] =>
  run.happenings.filter((happening) => happening.effect === effect).map(({ atMs }) => atMs)

/** Arrival times of heartbeats over TCP: a lost segment comes again after 200, 400, 800 ms and holds up those behind. */
function overTcp(seed: number, lossRate: number, untilMs: number): readonly number[] {
  const random = createSeededRandom(seed)
  const arrivals: number[] = []
  let behindMs = 0
  for (let sentMs = 0; sentMs < untilMs; sentMs += limits.heartbeatMs) {
    let atMs = sentMs + 20
    // Both directions: the segment and the answer that the sender waits for
    for (let losses = 0, againMs = 200; losses < 3 && random.float() < lossRate; losses++, againMs *= 2)
      atMs += againMs
    behindMs = Math.max(behindMs, atMs)
    arrivals.push(behindMs)
  }
  return arrivals
}

describe('detector', () => {
  test('sends a heartbeat every period and stays up while it is answered', () => {
    const bytesMs = Array.from({ length: 100 }, (_, index) => index * 500 + 10)
    const run = drive({ bytesMs, untilMs: 50_000 })
    expect(run.state.life).toBe('up')
    expect(run.happenings.every(({ effect }) => effect === 'heartbeat')).toBe(true)
    expect(of(run, 'heartbeat').length).toBe(101)
  })

  test('goes through suspect, down and cut at 1.5, 2.5 and 10 s of silence', () => {
    const run = drive({ bytesMs: [1_000], untilMs: 20_000 })
    expect(of(run, 'suspected')).toEqual([1_000 + limits.suspectMs])
    expect(of(run, 'downed')).toEqual([1_000 + limits.downMs])
    expect(of(run, 'abort')).toEqual([1_000 + limits.abortMs])
    expect(run.state.life).toBe('dead')
  })

  test('comes back with the first byte, without ceremony', () => {
    const run = drive({ bytesMs: [1_000, 6_000], untilMs: 6_500 })
    expect(of(run, 'revived')).toEqual([6_000])
    expect(run.state.life).toBe('up')
  })

  test('counts bytes of any kind as life, not only answers', () => {
    const bytesMs = Array.from({ length: 16 }, (_, index) => index * 300)
    const run = drive({ bytesMs, isAnswer: () => false, untilMs: 4_800 })
    expect(of(run, 'suspected')).toEqual([])
  })

  test('sees a one-way network by heartbeats without an answer, and does not revive on mere bytes', () => {
    const bytesMs = Array.from({ length: 100 }, (_, index) => index * 300)
    const run = drive({ bytesMs, isAnswer: (atMs) => atMs === 0 || atMs > 20_000, untilMs: 29_000 })
    expect(of(run, 'downed').length).toBe(1)
    expect(of(run, 'downed')[0]).toBeLessThanOrEqual(limits.unansweredMs + controlDetector.pollMs)
    expect(of(run, 'revived')).toEqual([20_100])
    expect(of(run, 'abort')).toEqual([])
  })

  test('property: no alarm at 30% loss in both directions', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const run = drive({ bytesMs: overTcp(seed, 0.3, 60_000), untilMs: 60_000 })
        expect(of(run, 'downed')).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('property: no alarm when the other process stalls for 1 s at any moment', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 9_000 }),
        fc.integer({ min: 0, max: 1_000 }),
        (fromMs, forMs) => {
          const bytesMs = Array.from({ length: 30 }, (_, index) => index * 500)
            .map((atMs) => (atMs >= fromMs && atMs < fromMs + forMs ? fromMs + forMs : atMs))
            .sort((a, b) => a - b)
          const run = drive({ bytesMs, untilMs: 14_000 })
          expect(of(run, 'downed')).toEqual([])
          expect(of(run, 'suspected').length).toBeLessThanOrEqual(1)
        },
      ),
    )
  })

  test('property: our own stall of any length raises no alarm about a living peer', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 9_000 }),
        fc.integer({ min: 0, max: 60_000 }),
        (fromMs, forMs) => {
          const untilMs = fromMs + forMs + 5_000
          const bytesMs = Array.from({ length: untilMs / 500 }, (_, index) => index * 500)
          const run = drive({ bytesMs, untilMs, stalls: [{ fromMs, toMs: fromMs + forMs }] })
          const isAlarm = (effect: DetectorEffect): boolean => effect !== 'heartbeat' && effect !== 'pulse'
          expect(run.happenings.filter(({ effect }) => isAlarm(effect))).toEqual([])
        },
      ),
    )
  })

  test('a peer that died during our own stall is still noticed within 3 s of our waking', () => {
    const bytesMs = Array.from({ length: 11 }, (_, index) => index * 500)
    const run = drive({ bytesMs, untilMs: 60_000, stalls: [{ fromMs: 6_000, toMs: 36_000 }] })
    expect(of(run, 'downed')[0]).toBeLessThanOrEqual(36_000 + 3_000)
    expect(of(run, 'abort').length).toBe(1)
  })

  test('property: silence is noticed in less than 3 s, whatever came before it', () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 1_400 }), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(gaps, fc.boolean(), (waits, isAnswer) => {
        let atMs = 0
        const bytesMs = waits
          .map((wait) => (atMs += wait))
          .filter((byteMs) => isAnswer || byteMs < limits.unansweredMs - limits.downMs)
        const faultMs = bytesMs.at(-1) ?? 0
        const run = drive({ bytesMs, isAnswer: () => isAnswer, untilMs: faultMs + 20_000 })
        const downs = of(run, 'downed')
        expect(downs.length).toBe(1)
        expect((downs[0] ?? Infinity) - faultMs).toBeLessThan(3_000)
        expect((downs[0] ?? 0) - faultMs).toBeGreaterThanOrEqual(limits.downMs)
      }),
      { numRuns: 500 },
    )
  })

  test('property: reports of down are never closer together than the silence that one of them takes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9_000 }), { maxLength: 80 }), (waits) => {
        let atMs = 0
        const bytesMs = waits.map((wait) => (atMs += wait))
        const downs = of(drive({ bytesMs, untilMs: atMs }), 'downed')
        downs.forEach((downMs, index) => {
          const before = downs[index - 1]
          if (before !== undefined) expect(downMs - before).toBeGreaterThanOrEqual(limits.downMs)
        })
      }),
    )
  })

  test('property: downed and revived alternate, and nothing follows the abort', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 12_000 }), { maxLength: 60 }), (waits) => {
        let atMs = 0
        const bytesMs = waits.map((wait) => (atMs += wait))
        const run = drive({ bytesMs, untilMs: atMs + 20_000 })
        const kinds = run.happenings
          .map(({ effect }) => effect)
          .filter((effect) => effect !== 'heartbeat' && effect !== 'pulse')
        let life = 'up'
        for (const kind of kinds) {
          if (kind === 'suspected') expect(life).toBe('up')
          if (kind === 'downed') expect(life).toBe('suspected')
          if (kind === 'revived') expect(['suspected', 'downed']).toContain(life)
          expect(life).not.toBe('abort')
          life = kind === 'revived' ? 'up' : kind
        }
        expect(life).toBe('abort')
      }),
    )
  })

  test('asks by pulses while nothing comes, and what answers is suspect but not down, for a bounded time', () => {
    let state = startDetector(0)
    const seen: Happening[] = []
    for (let nowMs = 0; nowMs < 40_000; nowMs += 25) {
      // The connection is stuck from the start; every other pulse is answered
      const step = stepDetector(state, { kind: 'tick', heardMs: undefined }, nowMs, controlDetector)
      for (const effect of step.effects) seen.push({ atMs: nowMs, effect })
      const isAnswered = step.effects.includes('pulse') && seen.length % 2 === 0
      state = isAnswered
        ? stepDetector(step.state, { kind: 'pulsed' }, nowMs, controlDetector).state
        : step.state
    }
    const first = (effect: DetectorEffect): number =>
      seen.find((happening) => happening.effect === effect)?.atMs ?? Infinity
    expect(first('pulse')).toBe(limits.pulseAfterMs)
    expect(first('suspected')).toBe(limits.suspectMs)
    expect(first('downed')).toBeGreaterThan(limits.pulseTrustMs)
    expect(first('downed')).toBeLessThanOrEqual(limits.pulseTrustMs + limits.downMs)
    expect(first('abort')).toBe(limits.pulseTrustMs + limits.abortMs)
  })

  test('a connection that dies right after pulses were answered is noticed in time', () => {
    let state = startDetector(0)
    const tick = (nowMs: number): readonly DetectorEffect[] => {
      const step = stepDetector(state, { kind: 'tick', heardMs: undefined }, nowMs, controlDetector)
      state = step.state
      return step.effects
    }
    for (let nowMs = 0; nowMs <= 2_000; nowMs += 100) tick(nowMs)
    state = stepDetector(state, { kind: 'pulsed' }, 2_000, controlDetector).state
    let downMs = 0
    for (let nowMs = 2_000; downMs === 0 && nowMs < 9_000; nowMs += 50)
      if (tick(nowMs).includes('downed')) downMs = nowMs
    expect(downMs).toBe(2_000 + limits.downMs)
  })

  test('bulk is only suspected after 5 s, since its answers queue behind data', () => {
    const run = drive({ bytesMs: [0], untilMs: 20_000 }, bulkDetector)
    expect(of(run, 'suspected')).toEqual([limits.bulkSuspectMs])
    expect(of(run, 'abort')).toEqual([limits.abortMs])
  })
})
