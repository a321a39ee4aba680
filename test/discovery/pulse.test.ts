/** Pulses between two devices over datagrams in memory: who is answered, and what is ignored. */
import { expect, test } from 'vitest'
import { createSeededRandom } from '../../src/base/random.ts'
import type { Datagrams, DatagramSource, PulseInvitation } from '../../src/discovery/pulse.ts'
import { createPulses } from '../../src/discovery/pulse.ts'

interface Sent {
  readonly bytes: Uint8Array
  readonly to: DatagramSource
}

interface Side {
  readonly sent: Sent[]
  answers(): number
  readonly invitation: PulseInvitation
  take(bytes: Uint8Array): void
  /** Ends the connection. */
  close(): void
  connect(theirs: PulseInvitation | undefined): (() => void) | undefined
}

const addresses = { a: '/ip4/10.0.0.1/tcp/4001', b: '/ip4/10.0.0.2/tcp/4001' }
const from: DatagramSource = { address: '10.0.0.9', port: 9 }

function side(seed: number, remote: string): Side {
  const sent: Sent[] = []
  let answers = 0
  let receiver: Parameters<Datagrams['receive']>[0] = () => undefined
  const { promise: closed, resolve } = Promise.withResolvers<undefined>()
  const pulses = createPulses(createSeededRandom(seed), {
    port4: 5_000 + seed,
    port6: undefined,
    send: (bytes, to) => void sent.push({ bytes: bytes.slice(), to }),
    receive: (given) => void (receiver = given),
  })
  const offer = pulses.offer()
  return {
    sent,
    answers: () => answers,
    invitation: offer.invitation,
    take: (bytes) => receiver(bytes, from),
    close: () => resolve(undefined),
    connect: (theirs) => offer.connect({ theirs, address: remote, closed, answered: () => void answers++ }),
  }
}

function pair(): { readonly a: Side; readonly b: Side; readonly ask: () => void } {
  const [a, b] = [side(1, addresses.b), side(2, addresses.a)]
  const ask = a.connect(b.invitation)
  b.connect(a.invitation)
  if (ask === undefined) throw new Error('pulses go both ways')
  return { a, b, ask }
}

const last = ({ sent }: Side): Uint8Array => sent.at(-1)?.bytes ?? new Uint8Array()

test('a question is answered to where it came from, and the answer counts', () => {
  const { a, b, ask } = pair()
  ask()
  expect(a.sent[0]?.to).toEqual({ address: '10.0.0.2', port: 5_002 })
  b.take(last(a))
  // Back to where it came from, which address translation may have changed; never longer than the question
  expect(b.sent[0]?.to).toEqual(from)
  expect(last(b).byteLength).toBe(last(a).byteLength)
  a.take(last(b))
  expect(a.answers()).toBe(1)
  expect(b.answers()).toBe(0)
})

test('what was heard before, forged, cut, of another connection or of one that has ended is ignored', async () => {
  const { a, b, ask } = pair()
  ask()
  const old = last(a)
  b.take(old)
  b.take(old)
  expect(b.sent.length).toBe(1)
  const answer = last(b)
  a.take(answer)
  a.take(answer)
  expect(a.answers()).toBe(1)
  ask()
  const fresh = last(a)
  for (let index = 0; index < fresh.byteLength; index++) {
    const forged = fresh.slice()
    forged[index] = (forged[index] ?? 0) ^ 1
    b.take(forged)
  }
  b.take(fresh.subarray(1))
  b.take(new Uint8Array())
  a.take(fresh)
  expect(b.sent.length).toBe(1)
  expect(a.answers()).toBe(1)
  b.close()
  await Promise.resolve()
  b.take(fresh)
  expect(b.sent.length).toBe(1)
})

test('an answer to what was never asked counts for nothing, though it be genuine', () => {
  const { a, b } = pair()
  const twin = side(1, addresses.b).connect(b.invitation)
  expect(twin).toBeDefined()
  const liar = side(1, addresses.b)
  liar.connect(b.invitation)?.()
  b.take(last(liar))
  a.take(last(b))
  expect(a.answers()).toBe(0)
})

test('a device that takes no datagrams is not asked', () => {
  expect(side(1, addresses.b).connect(undefined)).toBeUndefined()
  const { id, key } = side(2, addresses.a).invitation
  expect(side(1, addresses.b).connect({ id, key, port4: undefined, port6: 7 })).toBeUndefined()
  expect(side(1, '/ip6zone/eth0/ip6/fe80::1/tcp/1').connect({ id, key, port4: 7, port6: 7 })).toBeDefined()
})

test('the wire form', () => {
  const { a, ask } = pair()
  ask()
  expect(Buffer.from(last(a)).toString('hex')).toMatchInlineSnapshot(
    `"01003160159003909c4700000000000000012c5c45d08444e23e9f9ae2fa88310046"`,
  )
})
