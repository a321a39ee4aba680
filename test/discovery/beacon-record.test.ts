import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import {
  deriveBeaconKeys,
  encodeSealedPacket,
  findSealed,
  newLabel,
  openAnnouncement,
  sealAnnouncement,
  type Announcement,
  type BeaconKeys,
} from '../../src/discovery/beacon-record.ts'
import { decodePacket, encodePacket } from '../../src/discovery/mdns-packet.ts'
import { encodePlainAnswer, encodePlainQuery, readPlainAnswer } from '../../src/discovery/plain-record.ts'
import { deviceIdOf, meshKey, peerIdOf, report } from './peers.ts'

const keys = deriveBeaconKeys([meshKey(7)])
const keyOf = (all: BeaconKeys) => {
  const [key] = all
  if (key === undefined) throw new Error('no key')
  return key
}
const announcement: Announcement = {
  deviceId: deviceIdOf(1),
  peerId: peerIdOf(1),
  addresses: ['/ip4/192.168.1.20/tcp/4001', '/ip4/192.168.1.20/tcp/4002/tls'],
  incarnation: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]),
  sequence: 42,
  isLeaving: false,
}
const packetOf = (kind: 'query' | 'notice', what = announcement, seed = 1): Uint8Array => {
  const random = createSeededRandom(seed)
  return encodeSealedPacket(kind, newLabel(random), sealAnnouncement(what, keyOf(keys), random))
}
const read = (bytes: Uint8Array, by = keys): Announcement | undefined => {
  const packet = decodePacket(bytes)
  const sealed = packet === undefined ? undefined : findSealed(packet)
  return sealed === undefined ? undefined : openAnnouncement(sealed, by)
}

describe('sealed record', () => {
  test.each(['query', 'notice'] as const)('a %s brings the announcement across', (kind) => {
    const bytes = packetOf(kind)
    expect(decodePacket(bytes)?.kind).toBe(kind === 'query' ? 'query' : 'response')
    expect(read(bytes)).toEqual(announcement)
  })

  test('opens under any of the keys, and under no other', () => {
    expect(read(packetOf('query'), deriveBeaconKeys([meshKey(8), meshKey(7)]))).toEqual(announcement)
    expect(read(packetOf('query'), deriveBeaconKeys([meshKey(8)]))).toBeUndefined()
    expect(read(packetOf('query'), [])).toBeUndefined()
  })

  test('all packets of a kind are equally long, whatever is inside, and fit the least IPv6 MTU', () => {
    const addresses = Array.from(
      { length: 8 },
      (_, index) => `/ip6/fd00:1111:2222:3333:4444:5555:6666:${index}/tcp/40000`,
    )
    const variants = [
      announcement,
      { ...announcement, addresses: [], isLeaving: true },
      { ...announcement, addresses, sequence: 2 ** 40 },
    ]
    for (const kind of ['query', 'notice'] as const) {
      const sizes = new Set(variants.map((variant) => packetOf(kind, variant).byteLength))
      expect(sizes.size).toBe(1)
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1_232)
    }
  })

  test('addresses that do not fit are left out from the end', () => {
    const long = Array.from({ length: 8 }, (_, index) => `/dns4/${'x'.repeat(110)}/tcp/${index + 1}`)
    const opened = read(packetOf('query', { ...announcement, addresses: long }))
    expect(opened?.addresses.length).toBeGreaterThan(2)
    expect(long.slice(0, opened?.addresses.length)).toEqual(opened?.addresses)
  })

  test('shows strangers nothing: neither ids nor addresses, and nothing equal in two packets of two networks', () => {
    const [one, two] = [packetOf('notice', announcement, 1), packetOf('notice', announcement, 2)].map(
      (bytes) => Buffer.from(bytes),
    )
    for (const bytes of [one, two]) {
      for (const secret of [
        announcement.deviceId,
        announcement.peerId,
        '192.168',
        Buffer.from(announcement.incarnation),
      ]) {
        expect(bytes?.includes(secret)).toBe(false)
      }
    }
    const sealed = [one, two].map((bytes) =>
      Buffer.from(findSealed(decodePacket(bytes ?? Buffer.alloc(0)) ?? never()) ?? []),
    )
    const runs = new Set<string>()
    for (let at = 0; at + 6 <= 796; at++) runs.add(sealed[0]?.subarray(at, at + 6).toString('hex') ?? '')
    for (let at = 0; at + 6 <= 796; at++)
      expect(runs.has(sealed[1]?.subarray(at, at + 6).toString('hex') ?? '')).toBe(false)
  })

  test('any changed byte of the sealed part makes it nobody’s', () => {
    const sealed = sealAnnouncement(announcement, keyOf(keys), createSeededRandom(3))
    for (let at = 0; at < sealed.byteLength; at++) {
      const changed = sealed.slice()
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(openAnnouncement(changed, keys)).toBeUndefined()
    }
  })

  test('what a member seals is still checked', () => {
    // because: these are what the types forbid and a faulty member could send
    const wrong = [
      { ...announcement, peerId: 'me' },
      { ...announcement, deviceId: '../..' },
      { ...announcement, incarnation: new Uint8Array(9) },
      { ...announcement, sequence: -1 },
      { ...announcement, addresses: Array.from({ length: 9 }, () => 'x') },
    ] as unknown as readonly Announcement[]
    for (const one of wrong) {
      expect(
        openAnnouncement(sealAnnouncement(one, keyOf(keys), createSeededRandom(3)), keys),
      ).toBeUndefined()
    }
  })

  test('the bytes of version 1 stay what they are', () => {
    const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16)
    expect(hash(packetOf('query'))).toBe('19cb611d8519a129')
    expect(hash(packetOf('notice'))).toBe('8bc9f1f6a5bf4afd')
  })

  test('keys of a wrong length and those beyond the limit are left out', () => {
    expect(deriveBeaconKeys([new Uint8Array(31), meshKey(1)])).toHaveLength(1)
    expect(deriveBeaconKeys(Array.from({ length: 20 }, (_, index) => meshKey(index)))).toHaveLength(
      limits.beaconKeys,
    )
  })
})

describe('open record', () => {
  const name = 'x._p2p._udp.local'
  const answer = (...texts: readonly string[]): Uint8Array =>
    encodePacket({
      type: 'response',
      answers: [
        { type: 'PTR', name: '_P2P._udp.local', data: name },
        ...texts.map((data) => ({ type: 'TXT', name, data }) as const),
      ],
    })
  const readPlain = (bytes: Uint8Array) => readPlainAnswer(decodePacket(bytes) ?? never())
  const first = `dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/${peerIdOf(1)}`

  test('is read leniently: other transports, other texts and bad nameplates are skipped', () => {
    const quic = `dnsaddr=/ip4/10.0.0.1/udp/1/quic-v1/p2p/${peerIdOf(1)}`
    expect(readPlain(answer(quic, first, 'foo=bar', 'skein-pair=a\u202eb', 'skein-pair='))).toEqual({
      peerId: peerIdOf(1),
      addresses: ['/ip4/10.0.0.1/tcp/1'],
      nameplate: undefined,
      isLeaving: true, // because: the packet was built without a lifetime
    })
    expect(readPlain(answer(first, 'skein-pair=7-küche'))?.nameplate).toBe('7-küche')
  })

  test('that names two peers, or none in the right form, is refused', () => {
    expect(readPlain(answer(first, `dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/${peerIdOf(2)}`))).toBeUndefined()
    expect(readPlain(answer('dnsaddr=/ip4/10.0.0.1/tcp/1'))).toBeUndefined()
    expect(
      readPlain(answer('dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/QmNPubsDWATVngE3d5WDSNe7eVrFLuk38q')),
    ).toBeUndefined()
    expect(
      readPlain(answer(`dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/${peerIdOf(1)}/p2p/${peerIdOf(2)}`)),
    ).toBeUndefined()
  })
})

describe('hostile packets', () => {
  test('100,000 random, mutated and malformed packets are read without a throw, each in little time', () => {
    const random = createSeededRandom(20_261)
    const plain = encodePlainAnswer('label', {
      peerId: peerIdOf(1),
      addresses: announcement.addresses,
      nameplate: 'kitchen',
      isLeaving: false,
    })
    const seeds = [
      packetOf('query'),
      packetOf('notice'),
      encodePlainQuery(7),
      plain ?? never(),
      ...pointerBombs(),
    ]
    const lasting: number[] = []
    let opened = 0
    for (let run = 0; run < 100_000; run++) {
      const bytes = run % 4 === 0 ? noise(random) : mutate(seeds[run % seeds.length] ?? never(), random)
      const started = performance.now()
      const packet = decodePacket(bytes)
      if (packet !== undefined) {
        const sealed = findSealed(packet)
        if (sealed !== undefined && openAnnouncement(sealed, keys) !== undefined) opened++
        readPlainAnswer(packet)
      }
      lasting.push(performance.now() - started)
    }
    const sorted = lasting.toSorted((a, b) => a - b)
    const p = (share: number): string =>
      `${((sorted[Math.floor(share * (sorted.length - 1))] ?? 0) * 1000).toFixed(0)} us`
    report(
      `hostile packets: p50 ${p(0.5)}, p99 ${p(0.99)}, p99.9 ${p(0.999)}, most ${p(1)}; ${opened} opened`,
    )
    // The median says what a packet costs; a single one may stand behind a garbage collection
    expect(sorted[Math.floor(0.99 * sorted.length)]).toBeLessThan(10)
    expect(sorted.at(-1)).toBeLessThan(1_000)
  })

  test('the costliest names within the bounds cost little', () => {
    for (const bomb of pointerBombs()) {
      const started = performance.now()
      for (let run = 0; run < 20; run++) decodePacket(bomb)
      expect((performance.now() - started) / 20).toBeLessThan(50)
    }
  })

  test('packets that are too long, too short or announce too much are not read', () => {
    const many = Buffer.from(encodePlainQuery(1))
    many.writeUInt16BE(limits.mdnsRecords + 1, 6)
    expect(decodePacket(many)).toBeUndefined()
    expect(decodePacket(new Uint8Array(11))).toBeUndefined()
    expect(
      decodePacket(Buffer.concat([encodePlainQuery(1), Buffer.alloc(limits.mdnsPacketBytes)])),
    ).toBeUndefined()
  })

  test('arbitrary bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const packet = decodePacket(bytes)
        if (packet !== undefined) readPlainAnswer(packet)
      }),
      { numRuns: 5_000 },
    )
  })
})

function never(): never {
  throw new Error('not there')
}

/** Random bytes, half of them behind a header that promises few records, so that they are read on. */
function noise(random: ReturnType<typeof createSeededRandom>): Uint8Array {
  const bytes = random.bytes(12 + randomBelow(random, 600))
  if (randomBelow(random, 2) === 0)
    for (let at = 4; at < 12; at++) bytes[at] = at % 2 === 0 ? 0 : randomBelow(random, 4)
  return bytes
}

function mutate(bytes: Uint8Array, random: ReturnType<typeof createSeededRandom>): Uint8Array {
  const changed = bytes.slice(
    0,
    randomBelow(random, 8) === 0 ? randomBelow(random, bytes.byteLength) : undefined,
  )
  for (let count = randomBelow(random, 8); count > 0 && changed.byteLength > 0; count--) {
    // Mostly in front, where lengths, counts and names are
    const reach = randomBelow(random, 2) === 0 ? Math.min(64, changed.byteLength) : changed.byteLength
    changed[randomBelow(random, reach)] = randomBelow(random, 256)
  }
  return changed
}

/** Names that are chains of pointers, as long as the packet allows, named by as many records as it allows. */
function pointerBombs(): readonly Uint8Array[] {
  const one = Buffer.alloc(limits.mdnsPacketBytes)
  one.writeUInt16BE(limits.mdnsRecords, 4)
  const questionBytes = 6
  const chainStart = 12 + limits.mdnsRecords * questionBytes
  for (let at = chainStart + 2; at + 2 <= one.length; at += 2) one.writeUInt16BE(0xc000 | (at - 2), at)
  for (let index = 0; index < limits.mdnsRecords; index++) {
    const at = 12 + index * questionBytes
    one.writeUInt16BE(0xc000 | (at === 12 ? 12 : at - questionBytes), at)
    one.writeUInt16BE(12, at + 2)
  }
  const two = Buffer.from(encodePacket({ type: 'query', questions: [{ type: 'PTR', name: 'a'.repeat(60) }] }))
  return [one, two]
}
