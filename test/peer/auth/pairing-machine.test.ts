import { describe, expect, test } from 'vitest'
import { createSeededRandom } from '../../../src/base/random.ts'
import type {
  PairingOffer,
  PairingState,
  PairingStep,
  PairingTicket,
} from '../../../src/peer/auth/pairing-machine.ts'
import { startHost, startJoiner, stepPairing } from '../../../src/peer/auth/pairing-machine.ts'
import type { PairingMessage } from '../../../src/peer/auth/pairing-message.ts'
import { decodePairingMessage, encodePairingMessage } from '../../../src/peer/auth/pairing-message.ts'
import { commitmentTo } from '../../../src/peer/auth/pairing-proof.ts'
import { keyFrom } from './roster-world.ts'

const host = keyFrom(1).peerId
const joiner = keyFrom(2).peerId
const secret = new Uint8Array(16).fill(9)
const short = { plate: 'K7', secret: '4MQX9D' }
const offer: PairingOffer = { secret, short, mayCompare: true }
const tickets: readonly PairingTicket[] = [
  { method: 'secret', secret },
  { method: 'code', short },
  { method: 'compare' },
]
const parties = (seed: number) => ({ host, joiner, randomness: createSeededRandom(seed).bytes(64) })

const one32 = new Uint8Array(32).fill(1)
const messages: readonly PairingMessage[] = [
  { t: 'hello', v: 1, method: 'compare', code: undefined, nonce: one32 },
  { t: 'reply', nonce: one32 },
  { t: 'share', share: one32 },
  { t: 'reveal', nonce: one32 },
  { t: 'proof', tag: one32 },
  { t: 'agree' },
]

interface Moment {
  readonly state: PairingState
  /** The kind that is due here, when a message is. */
  readonly due: string | undefined
}

/** An honest run; every state each side goes through, with the message it gets there. */
function run(ticket: PairingTicket): {
  readonly moments: readonly Moment[]
  readonly ends: readonly PairingState[]
} {
  const moments: Moment[] = []
  let left = startHost(parties(1), offer)
  const first = startJoiner(parties(2), ticket)
  let right = first.state
  const toHost = [...first.send]
  const toJoiner: Uint8Array[] = []
  const apply = (step: PairingStep, isHost: boolean): void => {
    ;(isHost ? toJoiner : toHost).push(...step.send)
    if (isHost) left = step.state
    else right = step.state
    if (step.compare !== undefined) apply(stepPairing(step.state, { type: 'compared', isSame: true }), isHost)
  }
  for (;;) {
    const isHost = toHost.length > 0
    const wire = (isHost ? toHost : toJoiner).shift()
    if (wire === undefined) return { moments, ends: [left, right] }
    const state = isHost ? left : right
    moments.push({ state, due: decodePairingMessage(wire).t })
    apply(stepPairing(state, { type: 'message', wire }), isHost)
  }
}

describe.each(tickets)('the machine for $method', (ticket) => {
  test('an honest run proves equal keys on both sides', () => {
    const [left, right] = run(ticket).ends
    expect(left?.stage.at).toBe('proved')
    expect(right?.stage.at).toBe('proved')
    if (left?.stage.at === 'proved' && right?.stage.at === 'proved')
      expect(left.stage.keys).toEqual(right.stage.keys)
  })

  test('at each moment every message but the one due ends it, and nothing brings it back', () => {
    const { moments, ends } = run(ticket)
    for (const { state, due } of [...moments, ...ends.map((state) => ({ state, due: undefined }))]) {
      for (const message of messages) {
        // The due one with made-up content fails as well, except where any content may come
        const isOpen = message.t === due && ['hello', 'reply', 'agree'].includes(message.t)
        if (isOpen) continue
        const step = stepPairing(state, { type: 'message', wire: encodePairingMessage(message) })
        expect(step.state.stage.at).toBe('failed')
        expect(step.send).toEqual([])
        const again = stepPairing(step.state, { type: 'message', wire: encodePairingMessage({ t: 'agree' }) })
        expect(again.state).toBe(step.state)
        expect(stepPairing(step.state, { type: 'compared', isSame: true }).state).toBe(step.state)
      }
      for (const wire of [new Uint8Array(), Uint8Array.of(0xa0), new Uint8Array(5000)]) {
        expect(stepPairing(state, { type: 'message', wire }).state.stage.at).toBe('failed')
      }
      if (state.stage.at !== 'comparing')
        expect(stepPairing(state, { type: 'compared', isSame: true }).state.stage.at).toBe('failed')
    }
  })

  test('the joiner`s own words sent back to it, or the host`s to the host, end it', () => {
    const first = startJoiner(parties(2), ticket)
    for (const wire of first.send)
      expect(stepPairing(first.state, { type: 'message', wire }).state.stage.at).toBe('failed')
  })
})

test('a host that offers nothing of the kind takes no hello', () => {
  for (const ticket of tickets) {
    const { send } = startJoiner(parties(2), ticket)
    const state = startHost(parties(1), { secret: undefined, short: undefined, mayCompare: false })
    for (const wire of send)
      expect(stepPairing(state, { type: 'message', wire }).state.stage.at).toBe('failed')
  }
})

test('who reveals another nonce than the one committed to gets no digits shown', () => {
  const nonce = new Uint8Array(32).fill(5)
  const hello = encodePairingMessage({
    t: 'hello',
    v: 1,
    method: 'compare',
    code: undefined,
    nonce: commitmentTo(host, joiner, nonce),
  })
  const replied = stepPairing(startHost(parties(1), offer), { type: 'message', wire: hello })
  for (const [revealed, isKept] of [
    [nonce, true],
    [new Uint8Array(32).fill(6), false],
  ] as const) {
    const step = stepPairing(replied.state, {
      type: 'message',
      wire: encodePairingMessage({ t: 'reveal', nonce: revealed }),
    })
    expect(step.compare !== undefined).toBe(isKept)
    expect(step.state.stage.at).toBe(isKept ? 'comparing' : 'failed')
  }
})

test('one in the middle with two sessions of its own gets other digits on the two screens', () => {
  const middle = keyFrom(3).peerId
  let same = 0
  for (let seed = 0; seed < 200; seed++) {
    // Joiner to middle, middle to host, each an honest run of its own: the best that a commitment leaves
    const shown = [
      { host: middle, joiner },
      { host, joiner: middle },
    ].map((pair, index) => {
      const right = startJoiner(
        { ...pair, randomness: createSeededRandom(seed * 4 + index).bytes(64) },
        { method: 'compare' },
      )
      const left = startHost(
        { ...pair, randomness: createSeededRandom(seed * 4 + 2 + index).bytes(64) },
        offer,
      )
      const reply = stepPairing(left, { type: 'message', wire: right.send[0] ?? new Uint8Array() })
      const revealed = stepPairing(right.state, { type: 'message', wire: reply.send[0] ?? new Uint8Array() })
      const end = stepPairing(reply.state, { type: 'message', wire: revealed.send[0] ?? new Uint8Array() })
      expect(end.compare).toBe(revealed.compare)
      return end.compare
    })
    if (shown[0] === shown[1]) same++
  }
  expect(same).toBe(0)
})

test('messages have one byte form: with a field more, in another order or of another version they are refused', () => {
  const hello = encodePairingMessage({
    t: 'hello',
    v: 1,
    method: 'code',
    code: Uint8Array.of(75, 55),
    nonce: new Uint8Array(32),
  })
  expect(Buffer.from(hello).toString('hex')).toBe(
    'a561746568656c6c6f61760164636f6465424b37656e6f6e636558200000000000000000000000000000000000000000000000000000000000000000666d6574686f6464636f6465',
  )
  expect(decodePairingMessage(hello)).toMatchObject({ t: 'hello', method: 'code' })
  // a1 61 74 65 'agree', then the same with one unknown field
  const agree = Buffer.from('a16174656167726565', 'hex')
  expect(decodePairingMessage(agree)).toEqual({ t: 'agree' })
  expect(() => decodePairingMessage(Buffer.from('a26174656167726565617801', 'hex'))).toThrow(
    expect.objectContaining({ code: 'codec.invalid' }),
  )
  const newer = encodePairingMessage({
    t: 'hello',
    v: 2,
    method: 'code',
    code: undefined,
    nonce: new Uint8Array(32),
  })
  expect(() => decodePairingMessage(newer)).toThrow(expect.objectContaining({ code: 'codec.version' }))
})
