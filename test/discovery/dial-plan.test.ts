/** Who dials when, and which of several connections stays: as tables, and as properties over all combinations. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { newDeviceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import type { DialEvent, DialState, LineFacts } from '../../src/discovery/dial-plan.ts'
import {
  dialDueMs,
  laneNeed,
  pickLine,
  preferLine,
  roleOf,
  startDialling,
  stepDial,
} from '../../src/discovery/dial-plan.ts'

const random = createSeededRandom(1)
const first = (nowMs: number) => ({ nowMs, role: 'first' as const, random })
const second = (nowMs: number) => ({ nowMs, role: 'second' as const, random })
const good: LineFacts = {
  keyRank: 0,
  life: 'up',
  isDialledByFirst: true,
  incarnation: 'a',
  isReplacement: false,
}

describe('who dials', () => {
  test('exactly one of two devices dials first', () => {
    const [a, b] = [newDeviceId(random), newDeviceId(random)]
    expect([roleOf(a, b), roleOf(b, a)].sort()).toEqual(['first', 'second'])
  })

  test('the first dials at once, the second waits', () => {
    expect(dialDueMs(startDialling(100, 'first'), 'connection')).toBe(100)
    expect(dialDueMs(startDialling(100, 'second'), 'connection')).toBe(100 + limits.secondDialerMs)
  })

  test('nothing is due while a dial is under way or nothing is needed', () => {
    const state = stepDial(startDialling(0, 'first'), 'started', first(0))
    expect(dialDueMs(state, 'connection')).toBeUndefined()
    expect(dialDueMs(startDialling(0, 'first'), 'nothing')).toBeUndefined()
  })

  test('failures back off from 250 ms to 5 s and never stop', () => {
    let state = startDialling(0, 'first')
    let nowMs = 0
    const waits: number[] = []
    for (let attempt = 0; attempt < 200; attempt++) {
      state = stepDial(stepDial(state, 'started', first(nowMs)), 'failed', first(nowMs))
      const dueMs = dialDueMs(state, 'connection') ?? NaN
      waits.push(dueMs - nowMs)
      nowMs = dueMs
    }
    expect(waits[0]).toBeGreaterThanOrEqual(limits.redialFirstMs / 2)
    expect(waits[0]).toBeLessThanOrEqual(limits.redialFirstMs)
    expect(Math.max(...waits)).toBeLessThanOrEqual(limits.redialMaxMs)
    expect(Math.min(...waits.slice(10))).toBeGreaterThanOrEqual(limits.redialMaxMs / 2)
  })

  test('a hint resets the back-off', () => {
    let state = startDialling(0, 'first')
    for (let attempt = 0; attempt < 10; attempt++) state = stepDial(state, 'failed', first(0))
    expect(dialDueMs(stepDial(state, 'nudged', first(7)), 'connection')).toBe(7)
    expect(dialDueMs(stepDial(state, 'nudged', second(7)), 'connection')).toBe(7 + limits.secondDialerMs)
  })

  test('whoever suspects a silent connection probes at once, even the second', () => {
    expect(dialDueMs(stepDial(startDialling(0, 'second'), 'suspected', second(50)), 'connection')).toBe(50)
  })

  test('a connection that breaks as soon as it is made is not made again at full speed', () => {
    let state = startDialling(0, 'first')
    let nowMs = 0
    const dials: number[] = []
    while (nowMs < 60_000) {
      dials.push(nowMs)
      state = stepDial(
        stepDial(stepDial(state, 'started', first(nowMs)), 'ready', first(nowMs)),
        'connected',
        first(nowMs),
      )
      state = stepDial(state, 'lost', first(nowMs + 1))
      nowMs = dialDueMs(state, 'connection') ?? NaN
    }
    expect(dials.length).toBeLessThan(30)
  })

  test('after a connection that lasted, the first try is soon', () => {
    const ready = stepDial(startDialling(0, 'first'), 'ready', first(0))
    const lost = stepDial(ready, 'lost', first(60_000))
    expect((dialDueMs(lost, 'connection') ?? NaN) - 60_000).toBeLessThanOrEqual(limits.redialFirstMs)
  })

  test('property: whatever happens, a lane that lacks a connection is dialled again within 5.5 s', () => {
    const events = fc.array(
      fc.record({
        event: fc.constantFrom<DialEvent>(
          'failed',
          'connected',
          'ready',
          'wanted',
          'lost',
          'suspected',
          'nudged',
        ),
        waitMs: fc.integer({ min: 0, max: 20_000 }),
      }),
      { maxLength: 50 },
    )
    fc.assert(
      fc.property(events, fc.constantFrom('first' as const, 'second' as const), (list, role) => {
        let nowMs = 0
        let state: DialState = startDialling(0, role)
        for (const { event, waitMs } of list) {
          nowMs += waitMs
          state = stepDial(state, event, { nowMs, role, random })
        }
        const dueMs = dialDueMs(state, 'connection') ?? NaN
        expect(dueMs - nowMs).toBeLessThanOrEqual(limits.redialMaxMs + limits.secondDialerMs)
      }),
    )
  })
})

describe('which connection stays', () => {
  const cases: readonly (readonly [string, Partial<LineFacts>, Partial<LineFacts>, 'older' | 'newer'])[] = [
    [
      'two dialled at once: the one of the first side',
      { isDialledByFirst: true },
      { isDialledByFirst: false },
      'older',
    ],
    ['the same, in the other order', { isDialledByFirst: false }, { isDialledByFirst: true }, 'newer'],
    ['the same side dialled again: it had a reason', {}, {}, 'newer'],
    [
      'the second replaces what it hears nothing on',
      {},
      { isDialledByFirst: false, isReplacement: true },
      'newer',
    ],
    ['another process: the old one is gone', {}, { isDialledByFirst: false, incarnation: 'b' }, 'newer'],
    ['the older is silent', { life: 'suspect' }, { isDialledByFirst: false }, 'newer'],
    ['the newer is silent', {}, { life: 'down', isReplacement: true }, 'older'],
    ['the newer runs over newer keys', { keyRank: 1 }, { isDialledByFirst: false }, 'newer'],
    ['the newer runs over an old key', {}, { keyRank: 1 }, 'older'],
    ['an old key that works before a new one that does not', { keyRank: 1 }, { life: 'down' }, 'older'],
  ]
  for (const [name, older, newer, expected] of cases) {
    test(name, () => {
      const [a, b] = [
        { ...good, ...older },
        { ...good, ...newer },
      ]
      expect(preferLine(a, b)).toBe(expected === 'older' ? a : b)
    })
  }

  test('property: a line that works is never given up for one that does not', () => {
    const facts = fc.record({
      keyRank: fc.integer({ min: 0, max: 2 }),
      life: fc.constantFrom('up' as const, 'suspect' as const, 'down' as const),
      isDialledByFirst: fc.boolean(),
      incarnation: fc.constantFrom('a', 'b'),
      isReplacement: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(facts, { minLength: 1, maxLength: 6 }), (lines) => {
        const best = pickLine(lines)
        expect(best).toBeDefined()
        if (lines.some(({ life }) => life === 'up')) expect(best?.life).toBe('up')
      }),
    )
  })

  test('a lane needs a connection when it has none that works, and a better one while keys change', () => {
    expect(laneNeed(undefined)).toBe('connection')
    expect(laneNeed({ ...good, life: 'suspect' })).toBe('connection')
    expect(laneNeed({ ...good, keyRank: 1 })).toBe('better')
    expect(laneNeed(good)).toBe('nothing')
  })
})
