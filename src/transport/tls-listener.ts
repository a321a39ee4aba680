/**
 * The accepting side of the TLS transport. A socket passes admission before the handshake, has a deadline for it,
 * and its place is free again once the remote is known; then the gate decides as for every other transport.
 */
import { createServer, type Server, type Socket } from 'node:net'
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls'
import type { Listener, ListenerEvents, Logger, StreamMuxerFactory, Upgrader } from '@libp2p/interface'
import { TypedEventEmitter } from '@libp2p/interface'
import { getNetConfig, getThinWaistAddresses, ipPortToMultiaddr } from '@libp2p/utils'
import { CODE_TLS, type Multiaddr } from '@multiformats/multiaddr'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Admission } from './admission.ts'
import { TlsConnection } from './tls-connection.ts'
import { tlsProtocol, verifyRemote } from './tls-identity.ts'

export interface TlsListenerParts {
  readonly identity: SecureContextOptions
  readonly muxerFactory: StreamMuxerFactory
  readonly admission: Admission
  readonly monotonicMs: () => number
  readonly log: Logger
}

export const createTlsListener = (parts: TlsListenerParts, upgrader: Upgrader): Listener =>
  new TlsListener(parts, upgrader)

class TlsListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #parts: TlsListenerParts
  readonly #upgrader: Upgrader
  readonly #server: Server
  readonly #tls: TlsServer
  readonly #closing = new AbortController()
  readonly #sockets = new Set<Socket>()
  /** Raw sockets in the handshake by remote address and port: the TLS server does not say which one it secured. */
  readonly #pending = new Map<string, Socket>()
  #address: Multiaddr | undefined

  constructor(parts: TlsListenerParts, upgrader: Upgrader) {
    super()
    this.#parts = parts
    this.#upgrader = upgrader
    this.#server = createServer({ noDelay: true, keepAlive: true, pauseOnConnect: false })
    this.#tls = createTlsServer({
      ...parts.identity,
      ALPNProtocols: [tlsProtocol],
      requestCert: true,
      // Nobody signs these certificates; verifyRemote checks them
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeMs,
    })
    this.#server.on('connection', (socket) => this.#onSocket(socket))
    this.#tls.on('secureConnection', (socket) => {
      this.#onSecured(socket).catch((error: unknown) => {
        this.#parts.log('inbound connection refused: %s', asSkeinError(error).message)
        socket.destroy()
      })
    })
    this.#tls.on('tlsClientError', (_error, socket) => socket.destroy())
  }

  async listen(address: Multiaddr): Promise<void> {
    const { host, port, type } = getNetConfig(address)
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port: port ?? 0, ipv6Only: type === 'ip6' }, () => {
        this.#server.removeListener('error', reject)
        resolve()
      })
    })
    this.#server.on('error', (error) => this.safeDispatchEvent('error', { detail: error }))
    this.#address = address
    this.safeDispatchEvent('listening')
  }

  getAddrs(): Multiaddr[] {
    const bound = this.#server.address()
    if (this.#address === undefined || bound === null || typeof bound === 'string') return []
    return getThinWaistAddresses(this.#address.decapsulateCode(CODE_TLS), bound.port).map((address) =>
      address.encapsulate('/tls'),
    )
  }

  updateAnnounceAddrs(): void {
    // because: nothing is announced from here
  }

  async close(): Promise<void> {
    this.#closing.abort(new SkeinError('cancelled', 'the listener closed'))
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
    this.safeDispatchEvent('close')
  }

  #onSocket(socket: Socket): void {
    const { admission, monotonicMs } = this.#parts
    const { isAdmitted, evicted } = admission.admit(socket, socket.remoteAddress ?? '', monotonicMs())
    evicted?.destroy()
    socket.on('error', () => socket.destroy())
    if (!isAdmitted) {
      socket.destroy()
      return
    }
    const key = socketKey(socket)
    this.#sockets.add(socket)
    this.#pending.set(key, socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (this.#pending.get(key) === socket) this.#pending.delete(key)
      admission.release(socket)
    })
    this.#tls.emit('connection', socket)
  }

  async #onSecured(socket: TLSSocket): Promise<void> {
    socket.on('error', () => socket.destroy())
    const key = socketKey(socket)
    const rawSocket = this.#pending.get(key)
    this.#pending.delete(key)
    if (rawSocket === undefined || rawSocket.destroyed)
      throw new SkeinError('peer.gone', 'gone during the handshake')
    const remotePeer = await verifyRemote(socket, undefined)
    this.#parts.admission.release(rawSocket)
    if (socket.destroyed || socket.remoteAddress === undefined) throw new SkeinError('peer.gone', 'gone')
    const remoteAddr = ipPortToMultiaddr(socket.remoteAddress, socket.remotePort ?? 0).encapsulate('/tls')
    const connection = new TlsConnection({
      socket,
      rawSocket,
      remoteAddr,
      direction: 'inbound',
      log: this.#parts.log,
    })
    try {
      await this.#upgrader.upgradeInbound(connection, {
        signal: this.#closing.signal,
        skipEncryption: true,
        skipProtection: true,
        remotePeer,
        muxerFactory: this.#parts.muxerFactory,
      })
    } catch (error) {
      // because: the upgrader throws Errors
      connection.abort(error as Error)
    }
  }
}

const socketKey = (socket: Socket): string => `${socket.remoteAddress ?? ''}|${socket.remotePort ?? 0}`
