import { describe, expect, test } from 'vitest'
import { createMemoryMetrics } from '../../src/base/metrics.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { createVirtualClock, type VirtualClock } from '../../src/base/virtual-clock.ts'
import { limits } from '../../src/base/limits.ts'
import type { PeerId } from '../../src/base/ids.ts'
import { createBeacon, type Beacon } from '../../src/discovery/beacon.ts'
import {
  deriveBeaconKeys,
  encodeSealedPacket,
  findSealed,
  sealAnnouncement,
} from '../../src/discovery/beacon-record.ts'
import type { NetworkInterface } from '../../src/discovery/interfaces.ts'
import { decodePacket } from '../../src/discovery/mdns-packet.ts'
import { createMemoryLan, type MemoryLan } from '../../src/discovery/memory-multicast.ts'
import { encodePlainAnswer, encodePlainQuery, type PlainRecord } from '../../src/discovery/plain-record.ts'
import { deviceIdOf, interfaceOf, meshKey, pass, peerIdOf, settle, virtualEnv } from './peers.ts'

interface Sighting {
  readonly peerId: PeerId
  readonly addresses: readonly string[]
  readonly isLeaving: boolean
  readonly atMs: number
}

interface Device {
  readonly beacon: Beacon
  readonly peerId: PeerId
  readonly sighted: Sighting[]
  readonly strangers: PlainRecord[]
  meshKeys: readonly Uint8Array[]
  addresses: readonly string[]
}

interface DeviceOptions {
  readonly clock?: VirtualClock
  readonly isMember?: (peerId: PeerId) => boolean
  readonly on?: readonly NetworkInterface[]
  readonly meshKeys?: readonly Uint8Array[]
}

const eth = (host: number): NetworkInterface => interfaceOf('eth0', `10.0.0.${host}/24`)

function createDevice(
  lan: MemoryLan,
  number: number,
  clock: VirtualClock,
  options: DeviceOptions = {},
): Device {
  const env = { ...virtualEnv(options.clock ?? clock, number), metrics: createMemoryMetrics() }
  const device: Omit<Device, 'beacon'> = {
    peerId: peerIdOf(number),
    sighted: [],
    strangers: [],
    meshKeys: options.meshKeys ?? [meshKey()],
    addresses: ['/ip4/0.0.0.0/tcp/4001', '/ip4/0.0.0.0/tcp/4002/tls'],
  }
  const beacon = createBeacon(env, lan.createMulticast(`10.0.0.${number}`), {
    self: () => ({ deviceId: deviceIdOf(number), peerId: device.peerId }),
    addresses: () => device.addresses,
    meshKeys: () => device.meshKeys,
    isMember: options.isMember ?? (() => true),
    heardMember: (peerId, addresses, isLeaving) =>
      device.sighted.push({ peerId, addresses, isLeaving, atMs: clock.monotonicMs() }),
    heardStranger: (record) => device.strangers.push(record),
  })
  beacon.use(options.on ?? [eth(number)])
  return Object.assign(device, { beacon })
}

const seenBy = (device: Device): Set<PeerId> => new Set(device.sighted.map(({ peerId }) => peerId))

/** Counts the packets on the wire by source. */
function countPackets(lan: MemoryLan): Map<string, number> {
  const counts = new Map<string, number>()
  lan.filter = (_, __, source) => {
    counts.set(source, (counts.get(source) ?? 0) + 1)
    return true
  }
  return counts
}

describe('beacon', () => {
  test('two devices hear each other at once, with the addresses of that interface', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    createDevice(lan, 1, clock)
    const two = createDevice(lan, 2, clock)
    await pass(clock, 50)
    expect(two.sighted[0]).toEqual({
      peerId: peerIdOf(1),
      addresses: ['/ip4/10.0.0.1/tcp/4001', '/ip4/10.0.0.1/tcp/4002/tls'],
      isLeaving: false,
      atMs: expect.any(Number),
    })
  })

  test('five devices all hear each other within 50 ms, and say little once it is quiet', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const devices = [1, 2, 3, 4, 5].map((number) => createDevice(lan, number, clock))
    await pass(clock, 50)
    for (const device of devices) expect(seenBy(device).size).toBe(4)
    await pass(clock, 5_000)
    const counts = countPackets(lan)
    await pass(clock, 60_000)
    for (const count of counts.values()) expect(count).toBeLessThanOrEqual(7)
    for (const { beacon } of devices) await beacon[Symbol.asyncDispose]()
    expect(lan.openLinks).toBe(0)
    expect(clock.nextDueMs()).toBeUndefined()
  })

  test('thirty devices switched on together stay below their packet budgets and still all meet', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const devices = Array.from({ length: 30 }, (_, index) => createDevice(lan, index + 1, clock))
    const counts = countPackets(lan)
    await pass(clock, 4_000)
    for (const device of devices) expect(seenBy(device).size).toBe(29)
    for (const count of counts.values()) expect(count).toBeLessThan(20)
  })

  test('meets across any difference of clocks', async () => {
    const clock = createVirtualClock()
    const wrong = createVirtualClock(Date.UTC(1999, 0))
    const lan = createMemoryLan()
    const right = createDevice(lan, 1, clock)
    const old = createDevice(lan, 2, clock, { clock: wrong })
    for (let step = 0; step < 5; step++) {
      clock.advance(10)
      wrong.advance(10)
      await settle()
    }
    expect(seenBy(right)).toEqual(new Set([peerIdOf(2)]))
    expect(seenBy(old)).toEqual(new Set([peerIdOf(1)]))
  })

  test('a lost first packet costs a quarter of a second, the loss of the whole burst one period', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const early = createDevice(lan, 1, clock)
    await pass(clock, 20_000)
    let lose = 1
    lan.filter = () => lose-- <= 0
    const late = createDevice(lan, 2, clock)
    await pass(clock, 300)
    expect(seenBy(early)).toEqual(new Set([peerIdOf(2)]))
    expect(seenBy(late)).toEqual(new Set([peerIdOf(1)]))
    lan.filter = () => false
    const third = createDevice(lan, 3, clock)
    await pass(clock, 4_000)
    lan.filter = () => true
    await pass(clock, limits.beaconPeriodMs * 1.1)
    expect(seenBy(early)).toContain(peerIdOf(3))
    expect(seenBy(third).size).toBe(2)
  })

  test('a changed address is told at once, from a fresh label, and a wake-up opens everything anew', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const labels = new Set<string>()
    lan.filter = (_, bytes, source) => {
      const name = decodePacket(bytes)?.texts[0]?.name
      if (source === '10.0.0.2' && name !== undefined) labels.add(name)
      return true
    }
    const one = createDevice(lan, 1, clock)
    const two = createDevice(lan, 2, clock)
    await pass(clock, 5_000)
    expect(labels.size).toBe(1)
    one.sighted.length = 0
    two.beacon.use([eth(22)])
    await pass(clock, 20)
    expect(one.sighted[0]?.addresses).toEqual(['/ip4/10.0.0.22/tcp/4001', '/ip4/10.0.0.22/tcp/4002/tls'])
    expect(labels.size).toBe(2)
    two.beacon.use([eth(22)], true)
    await pass(clock, 20)
    expect(labels.size).toBe(3)
    expect(lan.openLinks).toBe(2)
  })

  test('on two interfaces tells each only its own addresses', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const two = [eth(1), interfaceOf('wlan0', '10.5.0.1/24')]
    createDevice(lan, 1, clock, { on: two })
    const wired = createDevice(lan, 2, clock)
    const wireless = createDevice(lan, 3, clock, { on: [interfaceOf('wlan0', '10.5.0.3/24')] })
    await pass(clock, 50)
    expect(wired.sighted.flatMap(({ addresses }) => addresses).some((text) => text.includes('10.5'))).toBe(
      false,
    )
    expect(wireless.sighted.flatMap(({ addresses }) => addresses).some((text) => text.includes('10.0'))).toBe(
      false,
    )
    expect(seenBy(wireless)).toEqual(new Set([peerIdOf(1)]))
  })

  test('a goodbye is heard, once', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const one = createDevice(lan, 1, clock)
    const two = createDevice(lan, 2, clock)
    await pass(clock, 100)
    await two.beacon[Symbol.asyncDispose]()
    await two.beacon[Symbol.asyncDispose]()
    await pass(clock, 100)
    expect(one.sighted.filter(({ isLeaving }) => isLeaving)).toHaveLength(1)
  })

  test('a device with the old key is heard by those who know both, and learns nothing itself', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const current = createDevice(lan, 1, clock, { meshKeys: [meshKey(2), meshKey(1)] })
    const away = createDevice(lan, 2, clock, { meshKeys: [meshKey(1)] })
    await pass(clock, 100)
    expect(seenBy(current)).toEqual(new Set([peerIdOf(2)]))
    expect(away.sighted).toEqual([])
  })

  test('without a key and without a window it is silent', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const counts = countPackets(lan)
    createDevice(lan, 1, clock, { meshKeys: [] })
    await pass(clock, 15_000)
    expect(counts.size).toBe(0)
  })
})

describe('what a stranger on the network can do', () => {
  test('gets no answer to anything outside a pairing window', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const device = createDevice(lan, 1, clock)
    await pass(clock, 5_000)
    const counts = countPackets(lan)
    const wrongKey = deriveBeaconKeys([meshKey(99)])[0]
    if (wrongKey === undefined) throw new Error('no key')
    const announcement = {
      deviceId: deviceIdOf(9),
      peerId: peerIdOf(9),
      addresses: [],
      sequence: 1,
      isLeaving: false,
    }
    const random = createSeededRandom(1)
    const sealed = sealAnnouncement({ ...announcement, incarnation: random.bytes(8) }, wrongKey, random)
    lan.inject('eth0', encodeSealedPacket('query', 'abc', sealed), '10.0.0.66')
    lan.inject('eth0', encodePlainQuery(1), '10.0.0.66')
    await pass(clock, 1_000)
    expect(counts.get('10.0.0.1')).toBeUndefined()
    expect(device.sighted).toEqual([])
  })

  test('a removed device that knows the key is neither heard nor answered', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const device = createDevice(lan, 1, clock, { isMember: (peerId) => peerId !== peerIdOf(2) })
    await pass(clock, 5_000)
    const counts = countPackets(lan)
    createDevice(lan, 2, clock)
    await pass(clock, 1_000)
    expect(device.sighted).toEqual([])
    expect(counts.get('10.0.0.1')).toBeUndefined()
  })

  test('playing recordings again changes nothing', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const recorded: Uint8Array[] = []
    lan.filter = (_, bytes) => recorded.push(new Uint8Array(bytes)) > 0
    const device = createDevice(lan, 1, clock)
    const other = createDevice(lan, 2, clock)
    await pass(clock, 12_000)
    await other.beacon[Symbol.asyncDispose]()
    await settle()
    const before = device.sighted.length
    lan.filter = () => true
    const played = recorded.slice()
    for (const bytes of played) {
      lan.inject('eth0', bytes, '10.0.0.66')
      await pass(clock, 100)
    }
    expect(played.length).toBeGreaterThan(8)
    expect(device.sighted).toHaveLength(before)
  })

  test('a flood from one address is cut off before it is read, and others are still heard', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const device = createDevice(lan, 1, clock)
    device.beacon.setPairing('kitchen')
    await pass(clock, 5_000)
    for (let fake = 0; fake < 5_000; fake++) {
      const addresses = [`/ip4/10.0.0.${(fake % 250) + 1}/tcp/1`]
      const record = { peerId: peerIdOf(100 + fake), addresses, nameplate: undefined, isLeaving: false }
      lan.inject('eth0', encodePlainAnswer('x', record) ?? new Uint8Array(), '10.0.0.66')
    }
    await settle()
    expect(device.strangers.length).toBeLessThanOrEqual(limits.beaconSourcePacketsPerSecond * 2)
    createDevice(lan, 2, clock)
    await pass(clock, 100)
    expect(seenBy(device)).toEqual(new Set([peerIdOf(2)]))
  })
})

describe('pairing window', () => {
  test('open on both sides: each finds the other and the nameplate, in the open', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const old = createDevice(lan, 1, clock)
    const fresh = createDevice(lan, 2, clock, { meshKeys: [] })
    await pass(clock, 1_000)
    expect(fresh.strangers).toEqual([])
    old.beacon.setPairing('kitchen')
    fresh.beacon.setPairing('')
    await pass(clock, 50)
    expect(fresh.strangers[0]).toEqual({
      peerId: peerIdOf(1),
      addresses: ['/ip4/10.0.0.1/tcp/4001', '/ip4/10.0.0.1/tcp/4002/tls'],
      nameplate: 'kitchen',
      isLeaving: false,
    })
    expect(old.strangers[0]).toMatchObject({ peerId: peerIdOf(2), nameplate: undefined })
    old.beacon.setPairing(undefined)
    await pass(clock, 50)
    expect(fresh.strangers.at(-1)).toMatchObject({ peerId: peerIdOf(1), isLeaving: true })
    let open = 0
    lan.filter = (_, bytes, source) => {
      const packet = decodePacket(bytes)
      if (source === '10.0.0.1' && packet !== undefined && findSealed(packet) === undefined) open++
      return true
    }
    await pass(clock, 12_000)
    lan.inject('eth0', encodePlainQuery(77), '10.0.0.2')
    await pass(clock, 1_000)
    expect(open).toBe(0)
  })

  test('alone in an open window it does not answer itself', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const device = createDevice(lan, 1, clock, { meshKeys: [] })
    const counts = countPackets(lan)
    device.beacon.setPairing('kitchen')
    await pass(clock, 3_500)
    expect(counts.get('10.0.0.1')).toBe(2 * 4)
  })

  test('a text that is no nameplate is not sent along', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const old = createDevice(lan, 1, clock)
    const fresh = createDevice(lan, 2, clock, { meshKeys: [] })
    old.beacon.setPairing('\u001b[2J')
    fresh.beacon.setPairing('x'.repeat(65))
    await pass(clock, 50)
    expect(fresh.strangers[0]?.nameplate).toBeUndefined()
    expect(old.strangers[0]?.nameplate).toBeUndefined()
  })

  test('sealed packets never carry the open form, nor the other way round', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const open: Uint8Array[] = []
    lan.filter = (_, bytes) => {
      const packet = decodePacket(bytes)
      if (packet !== undefined && findSealed(packet) === undefined) open.push(new Uint8Array(bytes))
      return true
    }
    createDevice(lan, 1, clock)
    await pass(clock, 15_000)
    expect(open).toEqual([])
  })
})
