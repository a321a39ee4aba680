/**
 * Names of libp2p that are not public and that we rely on. When a new version drops one, this says which; without
 * these tests the windows, limits or byte counts would silently be the defaults.
 */
import type { TLSSocket } from 'node:tls'
import { createSystemEnv } from '../../src/base/env.ts'
import { limits } from '../../src/base/limits.ts'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { noise } from '@chainsafe/libp2p-noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { expect, test } from 'vitest'
import { createNoiseCrypto } from '../../src/transport/noise-crypto.ts'
import { cipherOrder } from '../../src/transport/tls-identity.ts'
import { addressKey, createAdmission } from '../../src/transport/admission.ts'
import {
  establishedState,
  lazyYamux,
  type YamuxMuxerInternals,
  type YamuxStreamInternals,
} from '../../src/transport/lazy-yamux.ts'
import { handleOf } from '../../src/transport/socket-reader.ts'
import { link } from './hosts.ts'

const has = (object: object, ...names: readonly string[]): string[] =>
  names.filter((name) => !(name in object))

/** A stock libp2p node with noise and yamux as they come, ours as the other side. */
async function stockPair(windowBytes: number) {
  const random = createSystemEnv().random
  const base = {
    transports: [tcp()],
    connectionMonitor: { enabled: false },
    connectionGater: { denyDialMultiaddr: () => false },
  }
  const stock = await createLibp2p({
    ...base,
    privateKey: await generateKeyPairFromSeed('Ed25519', random.bytes(32)),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  })
  const ours = await createLibp2p({
    ...base,
    privateKey: await generateKeyPairFromSeed('Ed25519', random.bytes(32)),
    connectionEncrypters: [noise({ crypto: createNoiseCrypto() })],
    streamMuxers: [lazyYamux(windowBytes, () => performance.now())],
  })
  return {
    stock,
    ours,
    [Symbol.asyncDispose]: async () => void (await Promise.all([stock.stop(), ours.stop()])),
  }
}

test('yamux has the names that lazy-yamux changes', async () => {
  await using pair = await stockPair(limits.bulkWindowBytes)
  const address = pair.stock.getMultiaddrs()[0] ?? multiaddr()
  await pair.stock.handle('/x/1', () => undefined)
  const connection = await pair.ours.dial(address)
  // because: the very thing under test
  const { muxer } = connection as unknown as { muxer: YamuxMuxerInternals }
  expect(
    has(
      muxer,
      'maConn',
      'maxInboundStreams',
      'onData',
      'handleFrame',
      'handleStreamMessage',
      'sendFrame',
      'send',
      'ping',
      '_newStream',
    ),
  ).toEqual([])
  expect(muxer.maxInboundStreams).toBe(limits.streamsPerPeer)
  const stream = (await connection.newStream('/x/1')) as YamuxStreamInternals // because: as above
  expect(
    has(
      stream,
      'state',
      'recvWindow',
      'recvWindowCapacity',
      'maxStreamWindowSize',
      'sendWindowUpdate',
      'onData',
    ),
  ).toEqual([])
  expect(stream.state).toBe(establishedState)
  expect(stream.recvWindow).toBe(256 * 1024)
  expect(stream.maxReadBufferLength).toBeGreaterThan(limits.bulkWindowBytes)
})

test('connections have the sockets whose bytes are counted and whose writes are batched', async () => {
  for (const lane of ['control', 'bulk'] as const) {
    await using linked = await link(lane)
    for (const side of [linked.connection, linked.inbound]) {
      // because: the very thing under test
      const { maConn } = side as unknown as { maConn: { socket: object } }
      expect(has(maConn, 'socket', 'sendData', ...(lane === 'bulk' ? ['rawSocket'] : []))).toEqual([])
      expect(has(maConn.socket, 'bytesRead', 'bytesWritten', 'writableLength', 'cork')).toEqual([])
    }
  }
})

test('noise has the decoder that is quietened', async () => {
  await using pair = await stockPair(limits.controlWindowBytes)
  const connection = await pair.ours.dial(pair.stock.getMultiaddrs()[0] ?? multiaddr())
  // because: the very thing under test
  const { muxer } = connection as unknown as { muxer: { maConn: { decoder: object } } }
  expect(has(muxer.maConn.decoder, 'lengthDecoder', 'decode')).toEqual([])
})

test('a stock peer and ours exchange data of every size both ways', async () => {
  await using pair = await stockPair(limits.bulkWindowBytes)
  await pair.stock.handle('/echo/1', (stream) => {
    stream.addEventListener('message', (event) => {
      stream.send(event.data)
    })
  })
  const connection = await pair.ours.dial(pair.stock.getMultiaddrs()[0] ?? multiaddr())
  const stream = await connection.newStream('/echo/1')
  let received = 0
  let wrong = 0
  const sizes = [1, 100, 583, 584, 585, 600, 616, 1200, 65_519, 65_520, 200_000, 3_000_000]
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const done = Promise.withResolvers<void>()
  stream.addEventListener('message', (event) => {
    for (const byte of event.data.subarray()) if (byte !== (received++ & 0xff)) wrong++
    if (received === total) done.resolve()
  })
  let sent = 0
  for (const size of sizes) {
    const block = Uint8Array.from({ length: size }, () => sent++ & 0xff)
    if (!stream.send(block))
      await new Promise((resolve) => stream.addEventListener('drain', resolve, { once: true }))
  }
  await done.promise
  expect(wrong).toBe(0)
})

test('window updates come at half a window, not with every frame', async () => {
  await using linked = await link('bulk')
  // because: the very thing under test
  const wrapped = linked.inbound as unknown as { maConn: { socket: { bytesWritten: number } } }
  linked.b.receive(() => undefined)
  const before = wrapped.maConn.socket.bytesWritten
  const total = 64 * 1024 * 1024
  const block = new Uint8Array(64 * 1024)
  for (let sent = 0; sent < total; sent += block.byteLength)
    if (!linked.a.send(block)) await linked.a.drained()
  await linked.a.close()
  const updates = (wrapped.maConn.socket.bytesWritten - before) / 12
  expect(updates).toBeLessThan((total / limits.bulkWindowBytes) * 2 + 10)
  expect(updates).toBeGreaterThan((total / limits.bulkWindowBytes) * 0.9)
})

test('a TLS socket has the names by which it is read into one buffer', async () => {
  await using linked = await link('bulk')
  // because: the very thing under test
  const { maConn } = linked.inbound as unknown as { maConn: { socket: TLSSocket } }
  expect(handleOf(maConn.socket)).toBeDefined()
  const got = Promise.withResolvers<Uint8Array>()
  linked.b.receive((message) => got.resolve(message.slice()))
  const events = maConn.socket.listenerCount('data')
  linked.a.send(new Uint8Array(100_000).fill(3))
  expect(await got.promise).toEqual(new Uint8Array(100_000).fill(3))
  // Not by events, each with a buffer of its own
  expect(events).toBe(0)
})

test('a damaged noise message does not decrypt', () => {
  const crypto = createNoiseCrypto()
  const key = new Uint8Array(32).fill(7)
  const nonce = new Uint8Array(12)
  const none = new Uint8Array(0)
  for (const size of [10, 599, 600, 5000]) {
    const sealed = crypto
      .chaCha20Poly1305Encrypt(new Uint8Array(size).fill(1), nonce, none, key)
      .subarray()
      .slice()
    const opened = crypto.chaCha20Poly1305Decrypt(sealed.slice(), nonce, none, key).subarray()
    expect([...opened.subarray(0, 3), opened.byteLength]).toEqual([1, 1, 1, size])
    sealed[size >> 1] = (sealed[size >> 1] ?? 0) ^ 1
    expect(() => crypto.chaCha20Poly1305Decrypt(sealed, nonce, none, key)).toThrow()
  }
})

test('ciphers: AES first with instructions for it, ChaCha20 first without', () => {
  expect(cipherOrder(true)).toMatch(/^TLS_AES_128_GCM/)
  expect(cipherOrder(false)).toMatch(/^TLS_CHACHA20/)
})

test('admission: a flooding address loses its own places, others get in', () => {
  const admission = createAdmission(10, 1000)
  const closed: number[] = []
  const newcomer = (id: number) => ({ destroy: () => closed.push(id) })
  const flood = Array.from({ length: 100 }, (_, index) => newcomer(index))
  expect(flood.filter((each) => admission.admit(each, '10.0.0.1', 0).isAdmitted)).toHaveLength(10)
  const honest = admission.admit(newcomer(1000), '10.0.0.2', 0)
  expect(honest.isAdmitted).toBe(true)
  honest.evicted?.destroy()
  expect(closed).toEqual([0])
  expect(admission.size).toBe(10)
  for (const each of flood) admission.release(each)
  expect(admission.size).toBe(1)
})

test('admission: so many a second from one address, then no more', () => {
  const admission = createAdmission(1000, 100)
  const admit = (nowMs: number): number =>
    Array.from({ length: 150 }, () =>
      admission.admit({ destroy: () => undefined }, '10.0.0.1', nowMs),
    ).filter((each) => each.isAdmitted).length
  expect(admit(0)).toBe(100)
  expect(admit(500)).toBe(50)
})

test('admission counts an IPv6 network as one address', () => {
  expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe(addressKey('2001:db8:1:2::9'))
  expect(addressKey('2001:db8:1:2::9')).not.toBe(addressKey('2001:db8:1:3::9'))
  expect(addressKey('::ffff:10.0.0.1')).toBe('10.0.0.1')
  expect(addressKey('fe80::1%eth0')).toBe('fe80:0:0:0')
})
