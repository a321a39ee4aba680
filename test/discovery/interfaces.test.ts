import type { NetworkInterfaceInfo } from 'node:os'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import {
  acceptHints,
  addressesOn,
  chooseInterfaces,
  createInterfaceWatcher,
  createOnLinkCheck,
  diffInterfaces,
  isWakeUp,
} from '../../src/discovery/interfaces.ts'
import { interfaceOf, listed, virtualEnv } from './peers.ts'

const lo = [listed('127.0.0.1/8', true), listed('::1/128', true)]
const names = (entries: readonly { readonly name: string }[]): readonly string[] =>
  entries.map(({ name }) => name)

describe('choosing interfaces', () => {
  test('leaves out loopback unless there is nothing else', () => {
    expect(names(chooseInterfaces({ lo, eth0: [listed('10.0.0.2/24')] }, undefined))).toEqual(['eth0'])
    expect(names(chooseInterfaces({ lo }, undefined))).toEqual(['lo'])
  })

  test('takes exactly those asked for', () => {
    expect(names(chooseInterfaces({ lo, eth0: [listed('10.0.0.2/24')] }, ['lo', 'wlan0']))).toEqual(['lo'])
  })

  test('with very many, keeps those with IPv4 and stays below the limit', () => {
    const many: Record<string, NetworkInterfaceInfo[]> = { zz0: [listed('10.0.0.2/24')] }
    for (let index = 0; index < 100; index++) many[`veth${index}`] = [listed('fe80::1/64')]
    const chosen = chooseInterfaces(many, undefined)
    expect(chosen).toHaveLength(limits.beaconInterfaces)
    expect(chosen[0]?.name).toBe('zz0')
  })
})

describe('diffInterfaces', () => {
  const eth = interfaceOf('eth0', '10.0.0.2/24')
  const wlan = interfaceOf('wlan0', '10.1.0.2/24')
  const moved = interfaceOf('eth0', '10.0.0.22/24')

  test('names what came, went and changed', () => {
    expect(diffInterfaces([eth], [eth])).toEqual({ added: [], removed: [], changed: [] })
    expect(diffInterfaces([eth], [moved, wlan])).toEqual({ added: [wlan], removed: [], changed: [moved] })
    expect(diffInterfaces([eth, wlan], [wlan])).toEqual({ added: [], removed: [eth], changed: [] })
  })

  test('the order in which the system lists addresses is no change', () => {
    const one = chooseInterfaces({ eth0: [listed('10.0.0.2/24'), listed('fd00::2/64')] }, undefined)
    const other = chooseInterfaces({ eth0: [listed('fd00::2/64'), listed('10.0.0.2/24')] }, undefined)
    expect(diffInterfaces(one, other)).toEqual({ added: [], removed: [], changed: [] })
  })
})

describe('interface watcher', () => {
  test('tells of a change within one poll, once, and of a wake-up without a change', () => {
    const env = virtualEnv()
    let now: NodeJS.Dict<NetworkInterfaceInfo[]> = { lo, eth0: [listed('10.0.0.2/24')] }
    using watcher = createInterfaceWatcher(env, { list: () => now })
    const seen: { isWake: boolean; names: readonly string[] }[] = []
    using _ = watcher.on('interfaces.changed', ({ isWake, interfaces }) =>
      seen.push({ isWake, names: names(interfaces) }),
    )
    expect(names(watcher.current())).toEqual(['eth0'])
    env.clock.advance(10 * limits.interfacePollMs)
    expect(seen).toEqual([])
    now = { lo, wlan0: [listed('10.0.1.2/24')] }
    env.clock.advance(limits.interfacePollMs)
    expect(seen).toEqual([{ isWake: false, names: ['wlan0'] }])
    env.clock.jumpWall(3_600_000)
    env.clock.advance(limits.interfacePollMs)
    expect(seen.slice(1)).toEqual([{ isWake: true, names: ['wlan0'] }])
    env.clock.advance(10 * limits.interfacePollMs)
    expect(seen).toHaveLength(2)
  })

  test('a failing look is survived, and disposal leaves no timer', () => {
    const env = virtualEnv()
    let isBroken = true
    const watcher = createInterfaceWatcher(env, {
      list: () => {
        if (isBroken) throw new Error('EMFILE')
        return { lo }
      },
    })
    expect(watcher.current()).toEqual([])
    env.clock.advance(limits.interfacePollMs)
    isBroken = false
    env.clock.advance(limits.interfacePollMs)
    expect(names(watcher.current())).toEqual(['lo'])
    watcher[Symbol.dispose]()
    expect(env.clock.nextDueMs()).toBeUndefined()
  })

  test('a wake-up is a jump between the clocks or a poll much too late', () => {
    expect(isWakeUp(1_000, 1_010)).toBe(false)
    expect(isWakeUp(1_900, 1_900)).toBe(false)
    expect(isWakeUp(1_000, 61_000)).toBe(true)
    expect(isWakeUp(61_000, 61_000)).toBe(true)
    expect(isWakeUp(1_000, -3_600_000)).toBe(true)
  })
})

describe('addresses on an interface', () => {
  const eth = interfaceOf('eth0', '10.0.0.2/24', 'fd00::2/64', 'fe80::2/64')

  test('wildcards become its own addresses, noise beside tls, link-local last', () => {
    expect(addressesOn(eth, ['/ip4/0.0.0.0/tcp/1', '/ip4/0.0.0.0/tcp/2/tls', '/ip6/::/tcp/1'])).toEqual([
      '/ip4/10.0.0.2/tcp/1',
      '/ip4/10.0.0.2/tcp/2/tls',
      '/ip6/fd00::2/tcp/1',
      '/ip6/fe80::2/tcp/1',
    ])
  })

  test('addresses of other interfaces are not told here', () => {
    const listening = [
      '/ip4/10.9.9.9/tcp/1',
      '/ip4/127.0.0.1/tcp/1',
      '/ip4/10.0.0.2/tcp/1',
      '/ip6/fd99::1/tcp/1',
    ]
    expect(addressesOn(eth, listening)).toEqual(['/ip4/10.0.0.2/tcp/1'])
  })

  test('are at most the limit', () => {
    const listening = Array.from({ length: 40 }, (_, index) => `/ip4/0.0.0.0/tcp/${index + 1}`)
    expect(addressesOn(eth, listening)).toHaveLength(limits.addressesPerPeer)
  })
})

describe('hints heard on an interface', () => {
  const eth = interfaceOf('eth0', '10.0.0.2/24', '203.0.113.5/28', '2001:db8::2/64', 'fe80::2/64')

  test('may be on its subnets or of private use, and link-local ones get its zone', () => {
    const good = ['/ip4/203.0.113.6/tcp/1', '/ip4/192.168.7.7/tcp/1', '/ip6/2001:db8::9/tcp/1']
    expect(acceptHints(eth, [...good, '/ip6/fe80::9/tcp/1'])).toEqual([
      ...good,
      '/ip6zone/eth0/ip6/fe80::9/tcp/1',
    ])
  })

  test.each([
    '/ip4/127.0.0.1/tcp/22',
    '/ip6/::1/tcp/22',
    '/ip4/0.0.0.0/tcp/22',
    '/ip6/::/tcp/22',
    '/ip4/8.8.8.8/tcp/53',
    '/ip4/203.0.113.17/tcp/1',
    '/ip4/224.0.0.251/tcp/5353',
    '/ip4/255.255.255.255/tcp/1',
    '/ip6/2001:db8:1::9/tcp/1',
    '/ip6/::ffff:127.0.0.1/tcp/22',
    '/ip6/ff02::1/tcp/1',
    '/dns4/evil.example/tcp/1',
    'nonsense',
  ])('never send us to %s', (hint) => {
    expect(acceptHints(eth, [hint])).toEqual([])
  })

  test('may be loopback on loopback', () => {
    expect(acceptHints(interfaceOf('lo', '127.0.0.1/8'), ['/ip4/127.0.0.1/tcp/9'])).toEqual([
      '/ip4/127.0.0.1/tcp/9',
    ])
  })

  test('a zone sent along does not count, ours does', () => {
    expect(acceptHints(eth, ['/ip6zone/lo/ip6/fe80::9/tcp/1'])).toEqual(['/ip6zone/eth0/ip6/fe80::9/tcp/1'])
  })
})

describe('on-link check', () => {
  const isOnLink = createOnLinkCheck(interfaceOf('eth0', '10.0.0.2/24', 'fd00::2/64', 'fe80::2/64'))

  test.each([
    ['10.0.0.77', 4, true],
    ['10.0.1.77', 4, false],
    ['fd00::77', 6, true],
    ['fd01::77', 6, false],
    ['fe80::77%eth0', 6, true],
    ['fe80::77%3', 6, true],
    ['fe80::77%wlan0', 6, false],
    ['fe80::77', 6, false],
  ] as const)('%s (IPv%d): %s', (source, family, expected) => {
    expect(isOnLink(source, family)).toBe(expected)
  })
})
