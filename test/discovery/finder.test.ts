import type { NetworkInterfaceInfo } from 'node:os'
import { describe, expect, test } from 'vitest'
import type { PeerId } from '../../src/base/ids.ts'
import { createMemoryKeep, type Keep } from '../../src/base/keep.ts'
import { limits } from '../../src/base/limits.ts'
import { createVirtualClock, type VirtualClock } from '../../src/base/virtual-clock.ts'
import { createFinder, type Finder, type FinderEvents } from '../../src/discovery/finder.ts'
import { createMemoryLan, type MemoryLan } from '../../src/discovery/memory-multicast.ts'
import { encodePlainAnswer } from '../../src/discovery/plain-record.ts'
import { deviceIdOf, listed, meshKey, pass, peerIdOf, settle, virtualEnv } from './peers.ts'

interface Device {
  readonly finder: Finder
  readonly heard: { readonly event: keyof FinderEvents; readonly payload: FinderEvents[keyof FinderEvents] }[]
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>
}

interface DeviceOptions {
  readonly keep?: Keep
  readonly isMember?: (peerId: PeerId) => boolean
  readonly meshKeys?: readonly Uint8Array[]
  readonly listening?: readonly string[]
}

async function createDevice(
  lan: MemoryLan,
  number: number,
  clock: VirtualClock,
  options: DeviceOptions = {},
): Promise<Device> {
  const device: Omit<Device, 'finder'> = { heard: [], interfaces: { eth0: [listed(`10.0.0.${number}/24`)] } }
  const finder = await createFinder(
    virtualEnv(clock, number),
    {
      keep: options.keep ?? createMemoryKeep(),
      self: () => ({ deviceId: deviceIdOf(number), peerId: peerIdOf(number) }),
      addresses: () => options.listening ?? ['/ip4/0.0.0.0/tcp/4001', '/ip4/0.0.0.0/tcp/4002/tls'],
      meshKeys: () => options.meshKeys ?? [meshKey()],
      isMember: options.isMember ?? ((peerId) => peerId === peerIdOf(1) || peerId === peerIdOf(2)),
    },
    { multicast: lan.createMulticast(`10.0.0.${number}`), listInterfaces: () => device.interfaces },
  )
  for (const event of ['peer.sighted', 'network.changed', 'stranger.sighted'] as const) {
    finder.on(event, (payload) => void device.heard.push({ event, payload }))
  }
  return Object.assign(device, { finder })
}

const pairOf = (host: string): readonly string[] => [`/ip4/${host}/tcp/4001`, `/ip4/${host}/tcp/4002/tls`]
const namesOf = (device: Device): readonly string[] => device.heard.map(({ event }) => event)

const forge = (lan: MemoryLan, peerId: PeerId, address: string, nameplate?: string): void =>
  lan.inject(
    'eth0',
    encodePlainAnswer('x', { peerId, addresses: [address], nameplate, isLeaving: false }) ?? new Uint8Array(),
    '10.0.0.66',
  )

describe('finder', () => {
  test('a peer told to listen on loopback alone names that, any other only what a network leads to', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const inside = await createDevice(lan, 1, clock, {
      listening: ['/ip4/127.0.0.1/tcp/4001', '/ip4/127.0.0.1/tcp/4002/tls'],
    })
    const outside = await createDevice(lan, 2, clock)
    expect(inside.finder.ownAddresses()).toEqual(pairOf('127.0.0.1'))
    expect(outside.finder.ownAddresses()).toEqual(pairOf('10.0.0.2'))
    outside.interfaces = {}
    await pass(clock, limits.interfacePollMs + 1)
    expect(outside.finder.ownAddresses()).toEqual([])
    await inside.finder[Symbol.asyncDispose]()
    await outside.finder[Symbol.asyncDispose]()
  })

  test('a member is sighted and its addresses known; its goodbye forgets what never worked', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const one = await createDevice(lan, 1, clock)
    const two = await createDevice(lan, 2, clock)
    await pass(clock, 100)
    expect(one.heard[0]).toEqual({
      event: 'peer.sighted',
      payload: { peerId: peerIdOf(2), addresses: pairOf('10.0.0.2') },
    })
    expect(one.finder.addressesOf(peerIdOf(2))).toEqual(pairOf('10.0.0.2'))
    two.finder.learned(peerIdOf(1), '/ip4/10.0.0.1/tcp/4001', 'worked')
    await two.finder[Symbol.asyncDispose]()
    await one.finder[Symbol.asyncDispose]()
    await settle()
    expect(one.finder.addressesOf(peerIdOf(2))).toEqual([])
    expect(two.finder.addressesOf(peerIdOf(1))).toEqual(pairOf('10.0.0.1'))
    expect(lan.openLinks).toBe(0)
    expect(clock.nextDueMs()).toBeUndefined()
  })

  test('a network change is told, and the new address reaches the others within a poll', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const one = await createDevice(lan, 1, clock)
    const two = await createDevice(lan, 2, clock)
    await pass(clock, 5_000)
    one.heard.length = 0
    two.interfaces = { eth0: [listed('10.0.0.22/24')] }
    await pass(clock, limits.interfacePollMs + 50)
    expect(namesOf(two)).toContain('network.changed')
    expect(one.finder.addressesOf(peerIdOf(2))).toEqual(expect.arrayContaining([...pairOf('10.0.0.22')]))
    expect(one.finder.addressesOf(peerIdOf(2)).slice(0, 2)).toEqual(pairOf('10.0.0.22'))
  })

  test('a wake-up is told and announced', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const one = await createDevice(lan, 1, clock)
    await createDevice(lan, 2, clock)
    await pass(clock, 5_000)
    one.heard.length = 0
    clock.jumpWall(7_200_000)
    await pass(clock, limits.interfacePollMs + 100)
    expect(one.heard).toContainEqual({ event: 'network.changed', payload: { isWake: true } })
    expect(namesOf(one)).toContain('peer.sighted')
  })

  test('last good and typed addresses work without any multicast, also after a restart', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    lan.filter = () => false
    const keep = createMemoryKeep()
    const first = await createDevice(lan, 1, clock, { keep })
    first.finder.addStatic(peerIdOf(2), ['/dns4/desk.home/tcp/4001'], 'typed')
    first.finder.learned(peerIdOf(3), '/ip4/10.0.0.3/tcp/4001', 'worked')
    await first.finder[Symbol.asyncDispose]()
    const { finder } = await createDevice(lan, 1, clock, { keep })
    expect(finder.addressesOf(peerIdOf(2))).toEqual(['/dns4/desk.home/tcp/4001'])
    expect(finder.addressesOf(peerIdOf(3))).toEqual(['/ip4/10.0.0.3/tcp/4001'])
  })

  test('a wrong typed address is refused with the form it should have', async () => {
    const { finder } = await createDevice(createMemoryLan(), 1, createVirtualClock())
    expect(() => finder.addStatic(peerIdOf(2), ['/ip4/10.0.0.2/tcp/4001', '10.0.0.2:4001'])).toThrow(
      expect.objectContaining({ code: 'config.invalid', fix: expect.stringContaining('/tcp/') }),
    )
    expect(finder.addressesOf(peerIdOf(2))).toEqual([])
  })

  test('strangers are sighted only while the window is open, once unless something is new, and then forgotten', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const { finder, heard } = await createDevice(lan, 1, clock)
    forge(lan, peerIdOf(50), '/ip4/10.0.0.50/tcp/1')
    await pass(clock, 50)
    expect(heard).toEqual([])
    finder.setPairing('kitchen')
    for (let copy = 0; copy < 5; copy++) forge(lan, peerIdOf(50), '/ip4/10.0.0.50/tcp/1')
    forge(lan, peerIdOf(50), '/ip4/10.0.0.50/tcp/1', '7-desk')
    await pass(clock, 50)
    const sighting = { peerId: peerIdOf(50), addresses: ['/ip4/10.0.0.50/tcp/1'] }
    expect(heard.map(({ payload }) => payload)).toEqual([
      { ...sighting, nameplate: undefined },
      { ...sighting, nameplate: '7-desk' },
    ])
    expect(finder.addressesOf(peerIdOf(50))).toEqual(sighting.addresses)
    finder.setPairing(undefined)
    expect(finder.strangers()).toEqual([])
    expect(finder.addressesOf(peerIdOf(50))).toEqual([])
  })

  test('forged sightings of 10,000 strangers and of a member leave the members’ addresses alone', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const one = await createDevice(lan, 1, clock)
    await createDevice(lan, 2, clock)
    await pass(clock, 5_000)
    one.finder.learned(peerIdOf(2), '/ip4/10.0.0.2/tcp/4001', 'worked')
    one.finder.setPairing('kitchen')
    const before = one.finder.addressesOf(peerIdOf(2))
    one.heard.length = 0
    for (let fake = 0; fake < 10_000; fake++) {
      forge(lan, peerIdOf(1_000 + fake), '/ip4/10.0.0.66/tcp/666')
      forge(lan, peerIdOf(2), `/ip4/10.0.0.66/tcp/${(fake % 60_000) + 1}`)
      if (fake % 40 === 0) await pass(clock, 1_000)
    }
    expect(one.finder.strangers()).toHaveLength(limits.sightings)
    expect(one.finder.addressesOf(peerIdOf(2))).toEqual(before)
    const sighted = one.heard.filter(({ event }) => event === 'peer.sighted').map(({ payload }) => payload)
    expect(JSON.stringify(sighted)).not.toContain('10.0.0.66')
    const strangers = one.heard
      .filter(({ event }) => event === 'stranger.sighted')
      .map(({ payload }) => payload)
    expect(strangers.length).toBeGreaterThan(limits.sightings)
    expect(JSON.stringify(strangers)).not.toContain(peerIdOf(2))
  })

  test('a member with the mesh key that announces 1,000 false addresses of itself cannot hide where it worked', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const one = await createDevice(lan, 1, clock)
    const listening = ['/ip4/0.0.0.0/tcp/4001']
    const two = await createDevice(lan, 2, clock, { listening })
    await pass(clock, 100)
    one.finder.learned(peerIdOf(2), '/ip4/10.0.0.2/tcp/4001', 'worked')
    for (let fake = 0; fake < 1_000; fake++) {
      listening[0] = `/ip4/0.0.0.0/tcp/${10_000 + fake}`
      two.finder.announce()
      await pass(clock, 40)
    }
    const addresses = one.finder.addressesOf(peerIdOf(2))
    expect(addresses[0]).toBe('/ip4/10.0.0.2/tcp/4001')
    expect(addresses).toHaveLength(limits.addressesPerPeer)
  })

  test('a listener that throws and one that comes late disturb nothing', async () => {
    const clock = createVirtualClock()
    const lan = createMemoryLan()
    const one = await createDevice(lan, 1, clock)
    one.finder.on('peer.sighted', () => {
      throw new Error('listener')
    })
    await createDevice(lan, 2, clock)
    await pass(clock, 100)
    expect(namesOf(one)).toContain('peer.sighted')
    await one.finder[Symbol.asyncDispose]()
    await one.finder[Symbol.asyncDispose]()
    one.finder.setPairing('kitchen')
    one.finder.announce()
    expect(lan.openLinks).toBe(1)
  })
})
