/** What the page says of the way of a link: what its address tells and no more. */
import { expect, test } from 'vitest'
import { describeWay } from '../../src/console/web/link-way.ts'

test.each([
  [undefined, 'way not known'],
  ['/ip4/127.0.0.1/tcp/4001', 'direct, on this machine'],
  ['/ip6/::1/tcp/4001', 'direct, on this machine'],
  ['/ip4/192.168.1.7/tcp/4001', 'direct, by a private address'],
  ['/ip4/172.31.0.1/tcp/1', 'direct, by a private address'],
  ['/ip4/172.32.0.1/tcp/1', 'direct, by a public address'],
  ['/ip6/fd12:3456::1/tcp/1', 'direct, by a private address'],
  ['/ip6/fe80::1/tcp/1', 'direct, by a private address'],
  ['/ip6/2001:db8::1/tcp/1', 'direct, by a public address'],
  ['/dns4/example.org/tcp/443', 'direct, by name'],
  ['/ip4/203.0.113.9/tcp/4001/p2p/12D3/p2p-circuit', 'through a relay'],
  ['/memory/3', 'direct'],
])('%s is %s', (address, said) => {
  expect(describeWay(address)).toBe(said)
})
