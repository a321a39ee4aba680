/**
 * Somebody else on the network, as a process of its own. Mode `mdns`: a stock `@libp2p/mdns`, with real multiaddrs,
 * that prints whom it finds. Mode `gone`: our own multicast on an interface that does not exist. Mode `flood`: forges packets as fast as the socket takes them, then prints `done`.
 */
import { createSocket } from 'node:dgram'
import { setTimeout as delay } from 'node:timers/promises'
import { mdns } from '@libp2p/mdns'
import { multiaddr } from '@multiformats/multiaddr'
import { createSystemEnv } from '../../src/base/env.ts'
import { createLog } from '../../src/base/log.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { createMulticast } from '../../src/discovery/multicast.ts'
import { encodePlainAnswer } from '../../src/discovery/plain-record.ts'
import { interfaceOf, peerIdOf } from './peers.ts'

interface StrangerOptions {
  readonly mode: 'mdns' | 'flood' | 'gone'
  readonly number: number
  readonly address: string
  readonly victim: number
}

interface Text {
  toString(): string
}

// because: the test that starts this process wrote it
const options = JSON.parse(process.argv[2] ?? '{}') as StrangerOptions
const say = (line: object): void =>
  void process.stdout.write(`${JSON.stringify({ ...line, atMs: Date.now() })}\n`)

const random = createSystemRandom()
const modes = { mdns: useMdns, flood, gone: useGoneInterface }
await modes[options.mode]()

async function useMdns(): Promise<void> {
  const logger = Object.assign(() => undefined, {
    error: (...parts: unknown[]) => say({ event: 'log', message: parts.map(String).join(' ') }),
    trace: () => undefined,
    enabled: false,
    newScope: () => logger,
  })
  const own = multiaddr(`${options.address}/p2p/${peerIdOf(options.number)}`)
  const components = { addressManager: { getAddresses: () => [own] }, logger: { forComponent: () => logger } }
  // because: the package reads no more of its components, and declares no life cycle
  const service = mdns()(components as never) as unknown as EventTarget & { start(): Promise<void> }
  service.addEventListener('peer', (event) => {
    // because: what the package documents for its event
    const { id, multiaddrs } = (event as CustomEvent<{ id: Text; multiaddrs: readonly Text[] }>).detail
    say({ event: 'found', peerId: id.toString(), addresses: multiaddrs.map((address) => address.toString()) })
  })
  await service.start()
  say({ event: 'ready' })
}

async function flood(): Promise<void> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  await new Promise<void>((resolve) => socket.bind(5353, '0.0.0.0', resolve))
  const recorded: Uint8Array[] = []
  socket.on('message', (bytes) => void (recorded.length < 100 && recorded.push(bytes)))
  const { networkInterfaces } = await import('node:os')
  const address = networkInterfaces()['eth0']?.find(({ family }) => family === 'IPv4')?.address ?? ''
  socket.addMembership('224.0.0.251', address)
  socket.setMulticastInterface(address)
  const send = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve) => socket.send(bytes, 5353, '224.0.0.251', () => resolve()))
  for (let fake = 0; fake < 1_000; fake++) {
    const forge = (peer: number): Uint8Array =>
      encodePlainAnswer('x', {
        peerId: peerIdOf(peer),
        addresses: [`/ip4/10.66.${fake >> 8}.${fake & 255}/tcp/666`],
        nameplate: 'kitchen',
        isLeaving: false,
      }) ?? new Uint8Array()
    await send(forge(1_000 + fake))
    await send(forge(options.victim))
    await send(random.bytes(900))
    const old = recorded[fake % Math.max(1, recorded.length)]
    if (old !== undefined) await send(old)
    if (fake % 20 === 0) await delay(20)
  }
  await delay(500)
  say({ event: 'done' })
  socket.close()
}

async function useGoneInterface(): Promise<void> {
  const env = createSystemEnv({ log: createLog((record) => say({ event: 'log', ...record }), 'info') })
  const link = createMulticast(env).open(
    interfaceOf('gone0', '10.255.254.253/32', 'fe80::99/64'),
    () => undefined,
  )
  for (let index = 0; index < 3; index++) await link.send(random.bytes(100))
  await link[Symbol.asyncDispose]()
  say({ event: 'done' })
}
