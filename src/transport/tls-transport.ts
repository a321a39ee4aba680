/**
 * A libp2p transport on Node's own TLS 1.3 sockets, for bulk between Node peers: `/ip4|ip6/<ip>/tcp/<port>/tls`.
 * The kernel socket is wrapped directly (no JavaScript duplex between), the identity is that of the libp2p TLS
 * certificate, and the muxer follows without negotiation. Not interoperable with other libp2p programs by intent.
 */
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type {
  ComponentLogger,
  Connection,
  DialTransportOptions,
  PeerId,
  StreamMuxerFactory,
  Transport,
} from '@libp2p/interface'
import { serviceCapabilities, transportSymbol } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { getNetConfig } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import { abortReason, untilAborted } from '../base/clock.ts'
import { SkeinError } from '../base/errors.ts'
import type { Admission } from './admission.ts'
import { TlsConnection } from './tls-connection.ts'
import { tlsProtocol, verifyRemote } from './tls-identity.ts'
import { createTlsListener, type TlsListenerParts } from './tls-listener.ts'

export interface TlsTransportOptions {
  readonly identity: SecureContextOptions
  readonly muxerFactory: StreamMuxerFactory
  readonly admission: Admission
  readonly monotonicMs: () => number
}

export function tlsTransport(
  options: TlsTransportOptions,
): (components: { logger: ComponentLogger }) => Transport {
  return (components) => {
    const log = components.logger.forComponent('skein:tls')
    const parts: TlsListenerParts = { ...options, log }
    const filter = (addresses: Multiaddr[]): Multiaddr[] => addresses.filter(isTlsAddress)
    const transport: Transport & { [serviceCapabilities]: string[] } = {
      [transportSymbol]: true,
      [Symbol.toStringTag]: 'skein/tls',
      [serviceCapabilities]: ['@libp2p/transport'],
      dial: (address, dialOptions) => dialTls(parts, address, dialOptions),
      createListener: ({ upgrader }) => createTlsListener(parts, upgrader),
      listenFilter: filter,
      dialFilter: filter,
    }
    return transport
  }
}

/** True for `/ip4|ip6/<ip>/tcp/<port>/tls`, with or without a peer id. */
export function isTlsAddress(address: Multiaddr): boolean {
  const names = address.getComponents().map((component) => component.name)
  const [host, transport, security, peer] = names
  const isHost = host === 'ip4' || host === 'ip6'
  return (
    isHost &&
    transport === 'tcp' &&
    security === 'tls' &&
    (peer === undefined || peer === 'p2p') &&
    names.length <= 4
  )
}

async function dialTls(
  parts: TlsListenerParts,
  address: Multiaddr,
  options: DialTransportOptions,
): Promise<Connection> {
  const { signal } = options
  if (signal.aborted) throw abortReason(signal)
  const text = address.getComponents().findLast((component) => component.name === 'p2p')?.value
  const expected = text === undefined ? undefined : peerIdFromString(text)
  const rawSocket = await connectSocket(address, signal)
  let connection: TlsConnection | undefined
  const cut = (): void => void rawSocket.destroy()
  signal.addEventListener('abort', cut, { once: true })
  try {
    const { socket, remotePeer } = await secure(parts, rawSocket, expected, signal)
    connection = new TlsConnection({
      socket,
      rawSocket,
      remoteAddr: address,
      direction: 'outbound',
      log: parts.log,
    })
    return await options.upgrader.upgradeOutbound(connection, {
      signal,
      skipEncryption: true,
      skipProtection: true,
      remotePeer,
      muxerFactory: parts.muxerFactory,
    })
  } catch (error) {
    // because: everything thrown above is an Error
    connection?.abort(error as Error)
    rawSocket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', cut)
  }
}

function connectSocket(address: Multiaddr, signal: AbortSignal): Promise<Socket> {
  const { host, port } = getNetConfig(address)
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: port ?? 0, noDelay: true, keepAlive: true })
    const done = (error?: Error): void => {
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('connect', onConnect)
      socket.removeListener('error', done)
      // From here on errors are those of the layers above; a late one of this socket must not end the process
      socket.on('error', () => undefined)
      if (error === undefined) return resolve(socket)
      socket.destroy()
      reject(error)
    }
    const onConnect = (): void => done()
    const onAbort = (): void => done(abortReason(signal))
    socket.once('connect', onConnect)
    socket.once('error', done)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

async function secure(
  parts: TlsListenerParts,
  rawSocket: Socket,
  expected: PeerId | undefined,
  signal: AbortSignal,
): Promise<{ socket: TLSSocket; remotePeer: PeerId }> {
  const secured = Promise.withResolvers<void>()
  const socket = connectTls({
    ...parts.identity,
    socket: rawSocket,
    ALPNProtocols: [tlsProtocol],
    // Nobody signs these certificates; verifyRemote checks them
    rejectUnauthorized: false,
  })
  socket.once('secureConnect', () => secured.resolve())
  socket.on('error', (error) => secured.reject(error))
  socket.once('close', () => secured.reject(new SkeinError('peer.gone', 'closed during the handshake')))
  await untilAborted(secured.promise, signal)
  return { socket, remotePeer: await untilAborted(verifyRemote(socket, expected), signal) }
}
