/** Dialling: pinned identity, falling back between lanes and addresses, errors that say what was wrong. */
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { isPeerId } from '../../src/base/ids.ts'
import type { Lane } from '../../src/base/link.ts'
import { dialTurns } from '../../src/transport/dial-plan.ts'
import { link, startHost } from './hosts.ts'

const lanes: readonly Lane[] = ['control', 'bulk']

for (const lane of lanes) {
  test(`another device at the address is auth.denied (${lane})`, async () => {
    await using wanted = await startHost()
    await using other = await startHost()
    await using dialler = await startHost({ addresses: [] })
    const inbound: unknown[] = []
    other.onConnection((connection) => inbound.push(connection))
    const only = other.addresses().filter((address) => address.endsWith('/tls') === (lane === 'bulk'))
    await expect(dialler.dial(wanted.peerId, only, { lane })).rejects.toMatchObject({ code: 'auth.denied' })
    // The right one among wrong ones is found all the same
    const connection = await dialler.dial(wanted.peerId, [...only, ...wanted.addresses()], { lane })
    expect(connection.peerId).toBe(wanted.peerId)
    expect(inbound).toHaveLength(0)
  })

  test(`nobody there is peer.gone (${lane})`, async () => {
    await using dialler = await startHost({ addresses: [] })
    const gone = await startHost()
    const addresses = gone.addresses()
    await gone[Symbol.asyncDispose]()
    await expect(dialler.dial(gone.peerId, addresses, { lane })).rejects.toMatchObject({ code: 'peer.gone' })
    await expect(dialler.dial(gone.peerId, [], { lane })).rejects.toMatchObject({ code: 'peer.gone' })
  })

  test(`one that accepts and says nothing does not hold up the others (${lane})`, async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const bound = silent.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    const suffix = lane === 'bulk' ? '/tls' : ''
    await using linked = await link('control')
    const start = performance.now()
    const connection = await linked.dialler.dial(
      linked.listener.peerId,
      [`/ip4/127.0.0.1/tcp/${port}${suffix}`, ...linked.listener.addresses()],
      { lane },
    )
    expect(connection.address).not.toContain(`/${port}`)
    expect(performance.now() - start).toBeLessThan(1400)
    silent.close()
  })

  test(`a dial can be cancelled (${lane})`, async () => {
    await using linked = await link('control')
    const controller = new AbortController()
    const dialling = linked.dialler.dial(linked.listener.peerId, linked.listener.addresses(), {
      lane,
      signal: controller.signal,
    })
    controller.abort()
    await expect(dialling).rejects.toMatchObject({ code: 'cancelled' })
  })
}

test('bulk falls back to noise where there is no TLS, control to TLS where there is no noise', async () => {
  await using linked = await link('control')
  const { dialler, listener } = linked
  const noise = listener.addresses().filter((address) => !address.endsWith('/tls'))
  const tls = listener.addresses().filter((address) => address.endsWith('/tls'))
  const bulk = await dialler.dial(listener.peerId, noise, { lane: 'bulk' })
  expect(bulk.encryption).toBe('noise')
  const control = await dialler.dial(listener.peerId, tls, { lane: 'control' })
  expect(control.encryption).toBe('tls')
  const dead = ['/ip4/127.0.0.1/tcp/9/tls', ...noise]
  expect((await dialler.dial(listener.peerId, dead, { lane: 'bulk' })).encryption).toBe('noise')
})

test('each dial makes its own connection, even at the same time', async () => {
  await using linked = await link('control')
  const { dialler, listener } = linked
  const dial = (lane: Lane): Promise<{ id: string }> =>
    dialler.dial(listener.peerId, listener.addresses(), { lane })
  const connections = await Promise.all([dial('control'), dial('bulk'), dial('control'), dial('bulk')])
  expect(new Set(connections.map((connection) => connection.id)).size).toBe(4)
})

test('an unknown protocol is rpc.unknown and leaves the connection alone', async () => {
  await using linked = await link('bulk')
  await expect(linked.connection.open('/test/nothing/1')).rejects.toMatchObject({ code: 'rpc.unknown' })
  await (await linked.connection.open('/test/link/1')).close()
})

test('bytes are counted on the wire, both ways', async () => {
  for (const lane of lanes) {
    await using linked = await link(lane)
    linked.b.receive(() => undefined)
    const before = linked.connection.bytesWritten()
    const readBefore = linked.inbound.bytesRead()
    const sentBytes = 5_000_000
    for (let sent = 0; sent < sentBytes; sent += 100_000) {
      if (!linked.a.send(new Uint8Array(100_000))) await linked.a.drained()
    }
    await linked.a.close()
    for (const counted of [
      linked.connection.bytesWritten() - before,
      linked.inbound.bytesRead() - readBefore,
    ]) {
      expect(counted).toBeGreaterThan(sentBytes)
      expect(counted).toBeLessThan(sentBytes * 1.05)
    }
  }
})

test('a connection that closes ends in good order, one whose process dies does not', async () => {
  await using linked = await link('bulk')
  expect(isPeerId(linked.connection.peerId)).toBe(true)
  await linked.connection.close()
  expect(await linked.connection.closed).toBeUndefined()
  await linked.inbound.closed
  await expect(linked.connection.open('/test/link/1')).rejects.toMatchObject({ code: 'peer.gone' })
})

test('a port that is taken says so, and how to mend it', async () => {
  await using first = await startHost()
  const port = Number(
    /\/tcp\/(\d+)$/.exec(first.addresses().find((address) => !address.endsWith('/tls')) ?? '')?.[1],
  )
  await expect(startHost({ port })).rejects.toMatchObject({
    code: 'port.busy',
    fix: expect.stringContaining('skein up --listen'),
  })
  await expect(startHost({ tlsPort: port })).rejects.toMatchObject({ code: 'port.busy' })
})

test('an address the machine does not have is left out', async () => {
  await using host = await startHost({ addresses: ['127.0.0.1', '192.0.2.1', '2001:db8::1'] })
  expect(host.addresses()).toHaveLength(2)
  await using none = await startHost({ addresses: ['192.0.2.1'] })
  expect(none.addresses()).toEqual([])
  const connection = await none.dial(host.peerId, host.addresses(), { lane: 'bulk' })
  expect(connection.encryption).toBe('tls')
})

test('the plan tries the own kind of a lane first and drops what is no address', () => {
  const addresses = [
    '/ip4/10.0.0.1/tcp/1',
    '/ip4/10.0.0.1/tcp/2/tls',
    'nonsense',
    '/ip4/10.0.0.1/udp/3/quic-v1',
    '/ip6/fd00::1/tcp/4/tls/p2p/12D3KooWGzBAqdF1Z3o7gq4uNEM3qzJ7pLCnVgm2Bn1H9mVpHzwM',
    '/dns4/example.org/tcp/4',
    '/ip4/10.0.0.1/tcp/1',
  ]
  const plan = (lane: Lane): string[][] => dialTurns(addresses, lane).map((turn) => turn.map(String))
  expect(plan('control')).toEqual([
    ['/ip4/10.0.0.1/tcp/1'],
    ['/ip4/10.0.0.1/tcp/2/tls', '/ip6/fd00::1/tcp/4/tls'],
  ])
  expect(plan('bulk')).toEqual([
    ['/ip4/10.0.0.1/tcp/2/tls', '/ip6/fd00::1/tcp/4/tls'],
    ['/ip4/10.0.0.1/tcp/1'],
  ])
  expect(
    dialTurns(
      Array.from({ length: 50 }, (_, index) => `/ip4/10.0.0.${index}/tcp/1`),
      'bulk',
    ).flat(),
  ).toHaveLength(8)
})
