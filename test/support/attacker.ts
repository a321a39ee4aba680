/**
 * Somebody hostile on the network, as a process of its own: knows where a peer listens and uses libp2p, noise, TLS
 * and plain sockets as it likes. Argument: JSON of AttackerOptions. Prints what happened to it as lines of JSON.
 */
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { createSystemEnv } from '../../src/base/env.ts'
import { asSkeinError } from '../../src/base/errors.ts'
import type { PeerId } from '../../src/base/ids.ts'
import { spoofDiscovery } from './discovery-attacker.ts'
import { askAsStorage } from './storage-attacker.ts'
import { attackAsMember } from './member-attacker.ts'
import { openHost, relayPairing, replayTranscript, sendOutOfOrder } from './pairing-attacker.ts'

export type AttackMode =
  | 'knock'
  | 'protocols'
  | 'sockets'
  | 'streams'
  | 'muxer'
  | 'prefixes'
  | 'order'
  | 'replay'
  | 'relay'
  | 'mdns'
  | 'member'
  | 'storage'

export interface AttackerOptions {
  readonly mode: AttackMode
  readonly address: string
  readonly port: number
  readonly tlsPort: number
  readonly peerId: string
  readonly count?: number
  readonly longCode?: string
  /** Of a member whose key the attacker has. */
  readonly home?: string
  /** What a storage device asks for: the id of a space and the hash of a content. */
  readonly space?: string
  readonly hash?: string
  /** Whose records it forges. */
  readonly victims?: readonly string[]
}

// because: the test that starts this process wrote it
const options = JSON.parse(process.argv[2] ?? '{}') as AttackerOptions
const env = createSystemEnv()
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const peerId = options.peerId as PeerId // because: the test passes what the peer printed
const noiseAddress = `/ip4/${options.address}/tcp/${options.port}`
const tlsAddress = `/ip4/${options.address}/tcp/${options.tlsPort}/tls`
const protocols = [
  '/skein/link/1',
  '/skein/sync/1',
  '/skein/blobs/1',
  '/skein/pair/1',
  '/ipfs/id/1.0.0',
  '/nothing/1',
]

const target = { peerId, address: noiseAddress }

const modes: Readonly<Record<AttackMode, () => Promise<void>>> = {
  knock,
  protocols: tryProtocols,
  sockets: floodSockets,
  streams: floodStreams,
  muxer: breakMuxer,
  prefixes: sendPrefixes,
  order: async () => (await sendOutOfOrder(target)).forEach(say),
  replay: async () => (await replayTranscript(target, options.longCode ?? '')).forEach(say),
  relay: () => relayPairing(target, say),
  member: () => attackAsMember(target, options.home ?? '', say),
  storage: () => askAsStorage(target, options, say),
  mdns: () => spoofDiscovery(options.address, options.victims ?? [], say),
}
await modes[options.mode]()
process.exit(0)

/** Dials on both lanes and says how it ended. */
async function knock(): Promise<void> {
  await using host = await openHost(['127.0.0.1'])
  for (const [lane, address] of [
    ['control', noiseAddress],
    ['bulk', tlsAddress],
  ] as const) {
    const startMs = performance.now()
    try {
      const connection = await host.dial(peerId, [address], { lane })
      // The handshake may be over on this side before the gate on the other has spoken
      const isCut = await Promise.race([connection.closed.then(() => true), delay(3_000, false)])
      let opened: string | undefined
      if (!isCut)
        for (const protocol of protocols)
          await connection.open(protocol).then(
            () => (opened = protocol),
            () => undefined,
          )
      say({ lane, isCut, opened, elapsedMs: Math.round(performance.now() - startMs) })
    } catch (error) {
      say({
        lane,
        isCut: true,
        code: asSkeinError(error).code,
        elapsedMs: Math.round(performance.now() - startMs),
      })
    }
  }
}

/** With a pairing window open: one connection per protocol, and the pairing protocol twice on one. */
async function tryProtocols(): Promise<void> {
  await using host = await openHost(['127.0.0.1'])
  for (const protocol of protocols) {
    const connection = await host.dial(peerId, [noiseAddress], { lane: 'control' })
    const open = (): Promise<string> =>
      connection.open(protocol).then(
        () => 'opened',
        (error: unknown) => asSkeinError(error).code,
      )
    say({ protocol, first: await open(), second: await open() })
    await connection.close()
  }
}

/** Raw connections: silent, slow, half a handshake, garbage, absurd lengths. Some are held, some come again. */
async function floodSockets(): Promise<void> {
  const count = options.count ?? 1_000
  const counts = { connected: 0, refused: 0, cut: 0 }
  const sockets = new Set<Socket>()
  const openOne = (index: number): void => {
    const isTls = index % 2 === 1
    const port = isTls ? options.tlsPort : options.port
    const kind = Math.floor(index / 2) % 6
    const socket =
      isTls && kind === 5
        ? connectTls({ host: options.address, port, rejectUnauthorized: false })
        : connectTcp({ host: options.address, port })
    sockets.add(socket)
    socket.on('error', () => counts.refused++)
    socket.on('close', () => {
      counts.cut++
      sockets.delete(socket)
    })
    socket.once('connect', () => {
      counts.connected++
      sendJunk(socket, kind)
    })
  }
  for (let index = 0; index < count; index++) {
    openOne(index)
    if (index % 50 === 0) await delay(5)
  }
  await delay(2_000)
  say({ ...counts, held: sockets.size })
  // Slow ones must be gone when the handshake's time is over
  await delay(6_000)
  say({ ...counts, heldLater: sockets.size })
  for (const socket of sockets) socket.destroy()
}

function sendJunk(socket: Socket, kind: number): void {
  const huge = Buffer.from('ffffffffffffff1f', 'hex')
  if (kind === 1) socket.write(Buffer.from('\x13/multistream/1.0.0\n', 'latin1'))
  if (kind === 2) socket.write(Buffer.concat([huge, Buffer.alloc(2_000, 0x41)]))
  if (kind === 3) socket.write(Buffer.alloc(60_000, 0x5a))
  // The head of a TLS record of 16 KiB, or of a noise message of 64 KiB: the rest comes a byte a second
  if (kind === 4) {
    socket.write(Buffer.from(socket.remotePort === options.tlsPort ? '1603014000' : 'ffff', 'hex'))
    const timer = setInterval(() => socket.write(Buffer.of(1)), 1_000)
    socket.on('close', () => clearInterval(timer))
  }
}

/** A stock libp2p node of a stranger in a pairing window, asking for one stream after the other. */
async function floodStreams(): Promise<void> {
  const node = await stockNode(yamux({ maxOutboundStreams: 1e6 } as never)) // because: an option of some versions only
  const connection = await node.dial(multiaddr(`${noiseAddress}/p2p/${peerId}`))
  let [opened, refused] = [0, 0]
  const count = options.count ?? 10_000
  for (let done = 0; done < count; done += 200) {
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        connection
          .newStream(protocols[index % protocols.length] ?? '', {
            signal: AbortSignal.timeout(4_000),
            maxOutboundStreams: 1e6,
          })
          .then(
            () => opened++,
            () => refused++,
          ),
      ),
    )
    if (connection.status !== 'open') break
  }
  say({ opened, refused, status: connection.status })
}

/** After a good handshake, a muxer that says what it likes. */
async function breakMuxer(): Promise<void> {
  const header = (type: number, flags: number, id: number, length: number): Buffer => {
    const bytes = Buffer.alloc(12)
    bytes.writeUInt8(type, 1)
    bytes.writeUInt16BE(flags, 2)
    bytes.writeUInt32BE(id, 4)
    bytes.writeUInt32BE(length, 8)
    return bytes
  }
  const junk: Readonly<Record<string, () => Uint8Array>> = {
    'data frame of 4 GiB': () => Buffer.concat([header(0, 1, 1, 0xffff_ffff), Buffer.alloc(150_000_000, 1)]),
    'window of 4 GiB, again and again': () =>
      Buffer.concat(Array.from({ length: 2_000 }, () => header(1, 1, 1, 0xffff_ffff))),
    garbage: () => Buffer.from(env.random.bytes(60_000)),
    '5,000 new streams': () =>
      Buffer.concat(Array.from({ length: 5_000 }, (_, index) => header(1, 1, index * 2 + 1, 0))),
    '5,000 pings': () => Buffer.concat(Array.from({ length: 5_000 }, (_, index) => header(2, 1, 0, index))),
    'a stream whose protocol name is 2^53 bytes long': () => {
      const body = Buffer.from('ffffffffffffff1f', 'hex')
      return Buffer.concat([header(1, 1, 1, 0), header(0, 0, 1, body.byteLength), body])
    },
  }
  for (const [what, make] of Object.entries(junk)) {
    const node = await stockNode(rawMuxer(make()))
    let isRefused = false
    const connection = await node
      .dial(multiaddr(`${noiseAddress}/p2p/${peerId}`), { signal: AbortSignal.timeout(5_000) })
      .catch(() => undefined)
    if (connection === undefined) isRefused = true
    const closed = await Promise.race([
      new Promise<boolean>((resolve) => connection?.addEventListener('close', () => resolve(true))),
      delay(4_000, isRefused || connection?.status !== 'open'),
    ])
    say({ what, isRefused, closed })
    await node.stop()
  }
}

/** Opens the pairing protocol and sends message lengths that nobody could keep. */
async function sendPrefixes(): Promise<void> {
  const node = await stockNode(yamux())
  for (const hex of [
    'ffffffffffffffffffff',
    'ffffffff',
    '7fffffff',
    '00100001',
    'ffffffffffffff1f',
    '00000000',
    '',
  ]) {
    const connection = await node.dial(multiaddr(`${noiseAddress}/p2p/${peerId}`))
    const stream = await connection.newStream('/skein/pair/1')
    stream.send(
      Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from(env.random.bytes(hex === '' ? 100_000 : 3_000))]),
    )
    const isClosed = await Promise.race([
      new Promise<boolean>((resolve) => stream.addEventListener('close', () => resolve(true))),
      delay(12_000, stream.status !== 'open'),
    ])
    say({ hex, isClosed })
    await connection.close()
  }
}

type Muxer = ReturnType<typeof yamux>

async function stockNode(muxer: Muxer): Promise<Awaited<ReturnType<typeof createLibp2p>>> {
  return createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', env.random.bytes(32)),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [muxer],
    connectionMonitor: { enabled: false },
  })
}

/** Negotiated as yamux; once the connection is up it says `bytes` and listens to nobody. */
function rawMuxer(bytes: Uint8Array): Muxer {
  const factory = {
    protocol: '/yamux/1.0.0',
    createStreamMuxer(connection: {
      send(bytes: Uint8Array): boolean
      addEventListener: EventTarget['addEventListener']
    }) {
      setImmediate(() => {
        for (let start = 0; start < bytes.byteLength; start += 30_000)
          connection.send(bytes.subarray(start, start + 30_000))
      })
      const nothing = (): Promise<void> => Promise.resolve()
      return Object.assign(new EventTarget(), {
        protocol: '/yamux/1.0.0',
        status: 'open',
        streams: [],
        safeDispatchEvent: () => true,
        createStream: nothing,
        close: nothing,
        abort: () => undefined,
      })
    },
  }
  return (() => factory) as unknown as Muxer // because: as much of a muxer as the upgrader touches
}
