/** Strangers and members that ask for too much: memory stays bounded and an honest peer notices nothing. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { Connection, Lane } from '../../src/base/link.ts'
import type { HostConnection } from '../../src/transport/libp2p-connection.ts'
import { startHost } from './hosts.ts'

const portOf = (addresses: readonly string[], isTls: boolean): number =>
  Number(/\/tcp\/(\d+)/.exec(addresses.find((address) => address.endsWith('/tls') === isTls) ?? '')?.[1])

/** Opens raw sockets from an address of its own and keeps what it got open. */
function floodFrom(
  localAddress: string,
  port: number,
  count: number,
): { readonly sockets: Socket[]; readonly settled: () => Promise<void> } {
  const garbage = Buffer.alloc(500, 0x5a)
  const settled: Promise<void>[] = []
  const sockets = Array.from({ length: count }, (_, index) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress })
    const done = Promise.withResolvers<void>()
    settled.push(done.promise)
    socket.once('connect', () => {
      // A third says nothing at all, a third talks nonsense, a third begins a real negotiation and stops
      if (index % 3 === 1) socket.write(garbage)
      if (index % 3 === 2) socket.write(Buffer.from('\x13/multistream/1.0.0\n', 'latin1'))
      done.resolve()
    })
    socket.on('error', () => done.resolve())
    socket.on('close', () => done.resolve())
    return socket
  })
  return { sockets, settled: async () => void (await Promise.all(settled)) }
}

async function echo(connection: Connection): Promise<() => Promise<void>> {
  const channel = await connection.open('/test/echo/1')
  let answered: (() => void) | undefined
  channel.receive(() => answered?.())
  return () =>
    new Promise((resolve) => {
      answered = resolve
      channel.send(new Uint8Array(100))
    })
}

for (const [lane, isTls] of [
  ['control', false],
  ['bulk', true],
] as const satisfies readonly (readonly [Lane, boolean])[]) {
  test(`1,000 raw connections to the ${isTls ? 'TLS' : 'noise'} port do not disturb an honest peer`, async () => {
    await using server = await startHost()
    server.handle('/test/echo/1', 'member', (channel) =>
      channel.receive((message) => void channel.send(message.slice())),
    )
    await using honest = await startHost({ addresses: [] })
    const before = await honest.dial(server.peerId, server.addresses(), { lane })
    const call = await echo(before)
    await call()
    const residentBefore = process.memoryUsage.rss()
    const { sockets, settled } = floodFrom('127.0.0.2', portOf(server.addresses(), isTls), 1000)
    for (let round = 0; round < 20; round++) await call()
    await settled()
    // A newcomer from elsewhere still gets in, while all places are held by the flood
    const newcomer = await honest.dial(server.peerId, server.addresses(), { lane })
    await (
      await echo(newcomer)
    )()
    await call()
    expect(process.memoryUsage.rss() - residentBefore).toBeLessThan(200 * 1024 * 1024)
    for (const socket of sockets) socket.destroy()
  })
}

test('a TLS client without a device certificate, or with another protocol, is not let in', async () => {
  await using server = await startHost()
  const inbound: unknown[] = []
  server.onConnection((connection) => inbound.push(connection))
  const port = portOf(server.addresses(), true)
  for (const ALPNProtocols of [['skein-yamux/1'], ['http/1.1'], []]) {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols })
    socket.on('error', () => undefined)
    socket.on('data', () => undefined)
    await new Promise((resolve) => socket.once('close', resolve))
  }
  expect(inbound).toHaveLength(0)
})

test('10,000 streams from one member leave at most its share open, and others unaffected', async () => {
  await using server = await startHost()
  server.handle('/test/echo/1', 'member', (channel) =>
    channel.receive((message) => void channel.send(message.slice())),
  )
  const inbound: Connection[] = []
  server.onConnection((connection) => inbound.push(connection))
  const attacker = await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', createSystemEnv().random.bytes(32)),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ maxOutboundStreams: 20_000 })],
    connectionMonitor: { enabled: false },
    connectionGater: { denyDialMultiaddr: () => false },
  })
  await using honest = await startHost({ addresses: [] })
  const call = await echo(await honest.dial(server.peerId, server.addresses(), { lane: 'control' }))
  const residentBefore = process.memoryUsage.rss()
  const noiseAddress = server.addresses().find((address) => !address.endsWith('/tls')) ?? ''
  const connection = await attacker.dial(multiaddr(noiseAddress))
  // because: opens streams without negotiating anything on them
  const { muxer } = connection as unknown as {
    muxer: { createStream(): Promise<{ addEventListener(name: string, listener: () => void): void }> }
  }
  let mostOpen = 0
  for (let index = 0; index < 10_000; index++) {
    const stream = await muxer.createStream()
    stream.addEventListener('close', () => undefined)
    if (index % 500 === 0) {
      await call()
      // because: the tests of this folder look inside
      const [theirs] = inbound.filter(
        (each) => each.peerId === attacker.peerId.toString(),
      ) as HostConnection[]
      mostOpen = Math.max(mostOpen, theirs?.streamCount() ?? 0)
    }
  }
  await call()
  expect(mostOpen).toBeGreaterThan(0)
  expect(mostOpen).toBeLessThanOrEqual(limits.streamsPerPeer)
  expect(process.memoryUsage.rss() - residentBefore).toBeLessThan(250 * 1024 * 1024)
  await attacker.stop()
}, 60_000)

test('a reader that never reads costs its sender at most 16 MiB', async () => {
  for (const lane of ['control', 'bulk'] as const) {
    await using server = await startHost()
    server.handle('/test/stuck/1', 'member', (channel) => channel.receive(() => new Promise(() => undefined)))
    await using honest = await startHost({ addresses: [] })
    const connection = await honest.dial(server.peerId, server.addresses(), { lane })
    const channel = await connection.open('/test/stuck/1')
    let takenBytes = 0
    const block = new Uint8Array(64 * 1024)
    // As fast as it says yes, with turns of the event loop between for everything to flow that can
    for (let quiet = 0; quiet < 200; quiet++) {
      while (channel.send(block)) {
        takenBytes += block.byteLength
        quiet = 0
        await new Promise((resolve) => setImmediate(resolve))
        expect(takenBytes).toBeLessThan(16 * 1024 * 1024)
      }
      takenBytes += block.byteLength
      if (await waitABit(channel)) break
    }
    expect(takenBytes).toBeGreaterThan(limits.channelSendBufferBytes / 2)
    expect(takenBytes).toBeLessThan(16 * 1024 * 1024)
    channel.abort(new SkeinError('cancelled', 'enough'))
  }
})

/** @returns true when the channel stays full. */
async function waitABit(channel: { drained(signal: AbortSignal): Promise<void> }): Promise<boolean> {
  try {
    await channel.drained(AbortSignal.timeout(200))
    return false
  } catch {
    return true // because: that is the answer
  }
}
