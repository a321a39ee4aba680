import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAddress, isLinkLocal6, isPrivateUse, parseAddress } from '../../src/discovery/address.ts'

describe('address', () => {
  test.each([
    '/ip4/192.168.1.20/tcp/4001',
    '/ip4/127.0.0.1/tcp/1/tls',
    '/ip6/fd00::2/tcp/65535/tls',
    '/ip6zone/eth0/ip6/fe80::fc:ff:fe00:1/tcp/4001',
    '/dns4/desk.example.org/tcp/443',
    '/dns/desk/tcp/4001/tls',
  ])('keeps %s as it is', (text) => {
    const parsed = parseAddress(text)
    expect(parsed).toBeDefined()
    expect(parsed && formatAddress(parsed)).toBe(text)
  })

  test.each([
    ['/ip6/FD00:0:0::02/tcp/1', '/ip6/fd00::2/tcp/1'],
    ['/ip6/0:0:0:0:0:0:0:1/tcp/1', '/ip6/::1/tcp/1'],
    ['/dns4/DESK.Example/tcp/1', '/dns4/desk.example/tcp/1'],
  ])('brings %s into its one form', (text, canonical) => {
    const parsed = parseAddress(text)
    expect(parsed && formatAddress(parsed)).toBe(canonical)
  })

  test.each([
    '',
    '/ip4/192.168.1.20',
    '/ip4/192.168.1.256/tcp/4001',
    '/ip4/010.0.0.1/tcp/4001',
    '/ip4/1.2.3.4/tcp/0',
    '/ip4/1.2.3.4/tcp/65536',
    '/ip4/1.2.3.4/tcp/4001/ws',
    '/ip4/1.2.3.4/udp/4001/quic-v1',
    '/ip4/1.2.3.4/tcp/4001/p2p/12D3KooW',
    '/ip4/::1/tcp/4001',
    '/ip6/fe80::1%eth0/tcp/4001',
    '/ip6zone/eth0/ip4/1.2.3.4/tcp/4001',
    '/ip6zone/a b/ip6/fe80::1/tcp/4001',
    '/dns4/-x-/tcp/1',
    '/dns4/a..b/tcp/1',
    '/dns4/\u001b[31m/tcp/1',
    `/dns4/${'a'.repeat(300)}/tcp/1`,
    ' /ip4/1.2.3.4/tcp/4001',
    '/ip4/1.2.3.4/tcp/4001\n',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined()
  })

  test('what it accepts has one form: parsing and formatting it again changes nothing', () => {
    const hosts = fc.oneof(
      fc.ipV4().map((ip) => `/ip4/${ip}`),
      fc.ipV6().map((ip) => `/ip6/${ip}`),
    )
    fc.assert(
      fc.property(hosts, fc.nat(70_000), fc.boolean(), (host, port, isTls) => {
        const parsed = parseAddress(`${host}/tcp/${port}${isTls ? '/tls' : ''}`)
        expect(parsed !== undefined).toBe(port >= 1 && port <= 65_535)
        if (parsed !== undefined) expect(parseAddress(formatAddress(parsed))).toEqual(parsed)
      }),
      { numRuns: 2_000 },
    )
  })

  test('knows which addresses are link-local and of private use', () => {
    const ip = (host: string) => ({ family: host.includes(':') ? 6 : 4, host }) as const
    expect(['fe80::1', 'febf::1', 'fec0::1'].map((host) => isLinkLocal6(ip(host)))).toEqual([
      true,
      true,
      false,
    ])
    expect(['10.1.1.1', '172.31.0.1', '172.32.0.1', '8.8.8.8'].map((host) => isPrivateUse(ip(host)))).toEqual(
      [true, true, false, false],
    )
    expect(['fd12::1', '2001:db8::1'].map((host) => isPrivateUse(ip(host)))).toEqual([true, false])
  })
})
