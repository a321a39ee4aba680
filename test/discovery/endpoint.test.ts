import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import {
  addressesInOrder,
  forgetHints,
  nameEndpoints,
  recordOutcome,
  type Endpoints,
} from '../../src/discovery/endpoint.ts'

const noise = (host: number, port = 1): string => `/ip4/10.0.${host >> 8}.${host & 255}/tcp/${port}`
const tls = (host: number, port = 1001): string => `${noise(host, port)}/tls`
const pair = (host: number): readonly string[] => [noise(host), tls(host)]

describe('addresses of a peer', () => {
  test('the noise and tls address of a host stay together, hosts in the order named', () => {
    const known = nameEndpoints([], [noise(1), noise(2), tls(2), tls(1)], 'beacon', 1)
    expect(addressesInOrder(known)).toEqual([...pair(1), ...pair(2)])
    const worked = recordOutcome(known, tls(2), 'worked', 2)
    expect(addressesInOrder(worked)).toEqual([...pair(2), ...pair(1)])
  })

  test('most recently good first, untried next, failed last', () => {
    let known = nameEndpoints([], [...pair(1), ...pair(2), ...pair(3)], 'beacon', 1)
    known = recordOutcome(known, noise(1), 'worked', 2)
    known = recordOutcome(known, noise(3), 'worked', 3)
    expect(addressesInOrder(known)).toEqual([...pair(3), ...pair(1), ...pair(2)])
    known = recordOutcome(known, noise(3), 'failed', 4)
    expect(addressesInOrder(known)).toEqual([...pair(1), ...pair(2), ...pair(3)])
  })

  test('a new port after a restart comes before the old one as soon as the old one failed', () => {
    let known = recordOutcome(nameEndpoints([], pair(1), 'beacon', 1), noise(1), 'worked', 2)
    known = nameEndpoints(known, [noise(1, 7), tls(1, 8)], 'beacon', 3)
    known = recordOutcome(known, noise(1), 'failed', 4)
    expect(addressesInOrder(known).slice(0, 2)).toEqual([noise(1, 7), tls(1, 8)])
    expect(addressesInOrder(known)).toContain(noise(1))
  })

  test('being sighted again forgives a failure', () => {
    let known = recordOutcome(nameEndpoints([], pair(1), 'beacon', 1), noise(1), 'worked', 2)
    known = nameEndpoints(recordOutcome(known, noise(1), 'failed', 3), pair(2), 'beacon', 4)
    expect(addressesInOrder(known)[0]).toBe(noise(2))
    expect(addressesInOrder(nameEndpoints(known, pair(1), 'beacon', 5))[0]).toBe(noise(1))
  })

  test('an address that worked and was never named is kept; one that failed and was never named is not', () => {
    expect(addressesInOrder(recordOutcome([], noise(1), 'worked', 1))).toEqual([noise(1)])
    expect(recordOutcome([], noise(1), 'failed', 1)).toEqual([])
    expect(recordOutcome([], 'nonsense', 'worked', 1)).toEqual([])
  })

  test('a goodbye forgets hints, not what worked or was given', () => {
    let known = nameEndpoints([], pair(1), 'beacon', 1)
    known = nameEndpoints(recordOutcome(known, noise(1), 'worked', 2), pair(2), 'beacon', 3)
    known = nameEndpoints(known, [noise(3)], 'typed', 4)
    expect(addressesInOrder(forgetHints(known))).toEqual([...pair(1), noise(3)])
  })

  test('when one port of a pair changed, the old pair stays whole and only the new address is added', () => {
    const known = recordOutcome(nameEndpoints([], pair(1), 'beacon', 1), tls(1), 'worked', 2)
    const changed = nameEndpoints(known, [noise(1), tls(1, 9)], 'beacon', 3)
    expect(addressesInOrder(changed)).toEqual([noise(1), tls(1), tls(1, 9)])
    expect(changed.find(({ addresses }) => addresses.includes(tls(1)))?.workedAt).toBe(2)
    expect(addressesInOrder(nameEndpoints(known, [noise(1)], 'beacon', 3))).toEqual(pair(1))
  })

  test('what the person gave stays given when a beacon says it too', () => {
    const known = nameEndpoints(nameEndpoints([], [noise(1)], 'static', 1), pair(1), 'beacon', 2)
    expect(known.map(({ source }) => source)).toEqual(['static'])
  })

  test('1,000 false addresses of a member push out nothing that worked or was given', () => {
    let known = recordOutcome(nameEndpoints([], pair(1), 'beacon', 1), noise(1), 'worked', 2)
    known = nameEndpoints(known, [noise(2)], 'static', 3)
    for (let fake = 0; fake < 1_000; fake += 8) {
      const texts = Array.from({ length: 8 }, (_, index) => noise(5_000 + fake + index))
      known = nameEndpoints(known, texts, 'beacon', 10 + fake)
    }
    const addresses = addressesInOrder(known)
    expect(addresses.slice(0, 2)).toEqual(pair(1))
    expect(addresses).toContain(noise(2))
    expect(addresses).toHaveLength(limits.addressesPerPeer)
  })

  test('and the newest true hint still has room, however much worked or was given before', () => {
    let known: Endpoints = []
    for (let host = 0; host < 8; host++) known = recordOutcome(known, noise(host), 'worked', host + 1)
    known = nameEndpoints(
      known,
      Array.from({ length: 8 }, (_, index) => noise(100 + index)),
      'static',
      20,
    )
    known = nameEndpoints(known, pair(50), 'beacon', 21)
    expect(addressesInOrder(known)).toEqual(expect.arrayContaining([...pair(50)]))
  })
})

describe('properties of the address list', () => {
  const text = fc
    .tuple(fc.nat(40), fc.nat(3), fc.boolean())
    .map(([host, port, isTls]) => (isTls ? tls : noise)(host, port + 1))
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('beacon' as const),
        texts: fc.array(text, { maxLength: 10 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('static' as const), texts: fc.array(text, { maxLength: 3 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom('worked' as const, 'failed' as const), text }),
    },
  )

  test('bounded, without repeats, last success kept, newest hint kept, and the same for the same history', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (history) => {
        const run = (): Endpoints => {
          let known: Endpoints = []
          let lastGood: string | undefined
          history.forEach((event, index) => {
            if (event.kind === 'beacon' || event.kind === 'static') {
              known = nameEndpoints(known, event.texts, event.kind, index + 1)
              const [newest] = event.texts
              if (newest !== undefined) expect(addressesInOrder(known)).toContain(newest)
            } else {
              known = recordOutcome(known, event.text, event.kind, index + 1)
              if (event.kind === 'worked') lastGood = event.text
            }
            const addresses = addressesInOrder(known)
            expect(addresses.length).toBeLessThanOrEqual(limits.addressesPerPeer)
            expect(new Set(addresses).size).toBe(addresses.length)
            if (lastGood !== undefined) expect(addresses).toContain(lastGood)
          })
          return known
        }
        expect(run()).toEqual(run())
      }),
      { numRuns: 2_000 },
    )
  })
})
