/**
 * A TLS socket as the connection that libp2p's muxer stands on. Writes of one turn leave as one; what the socket
 * cannot take is reported to the muxer at once, so that data waits in the channels and not here.
 */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { AbortOptions, Logger } from '@libp2p/interface'
import { StreamStateError } from '@libp2p/interface'
import { AbstractMultiaddrConnection } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { DirectSource } from './lazy-yamux.ts'
import { readSocket, type SocketReader } from './socket-reader.ts'

/** Bytes the socket holds before we say stop: one large frame, while the kernel sends the one before. */
const tlsBufferBytes = 256 * 1024

export interface TlsConnectionInit {
  readonly socket: TLSSocket
  /** The socket below: it counts what really went over the network. */
  readonly rawSocket: Socket
  readonly remoteAddr: Multiaddr
  readonly direction: 'inbound' | 'outbound'
  readonly log: Logger
}

export class TlsConnection extends AbstractMultiaddrConnection implements DirectSource {
  readonly socket: TLSSocket
  readonly rawSocket: Socket
  #sink: ((bytes: Uint8Array) => void) | undefined
  #isCorked = false
  readonly #reader: SocketReader

  constructor(init: TlsConnectionInit) {
    super({ remoteAddr: init.remoteAddr, direction: init.direction, log: init.log })
    const { socket } = init
    this.socket = socket
    this.rawSocket = init.rawSocket
    socket.on('error', (error) => this.abort(error))
    socket.on('drain', () => this.safeDispatchEvent('drain'))
    socket.once('end', () => this.onTransportClosed())
    socket.once('close', () => this.onTransportClosed())
    this.#reader = readSocket(socket, (bytes) => this.onData(bytes))
  }

  setSink(sink: (bytes: Uint8Array) => void): void {
    this.#sink = sink
  }

  override get writeBufferLength(): number {
    return this.socket.writableLength
  }

  /** @param data valid during the call only. */
  override onData(data: Uint8Array): void {
    if (this.#sink === undefined || this.readBufferLength > 0) super.onData(new Uint8Array(data))
    else if (this.status === 'open') this.#sink(data)
  }

  override send(data: Uint8Array | Uint8ArrayList): boolean {
    if (this.writeStatus !== 'writable') throw new StreamStateError(`cannot write: ${this.writeStatus}`)
    this.#cork()
    if (data instanceof Uint8Array) this.socket.write(data)
    else for (const part of data) this.socket.write(part)
    const isRoomLeft = this.socket.writableLength < tlsBufferBytes
    // The socket's own mark is lower, so it will say when it has drained; the base class clears this then
    if (!isRoomLeft) this.writableNeedsDrain = true
    return isRoomLeft
  }

  sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean } {
    const sentBytes = data.byteLength
    return { sentBytes, canSendMore: this.send(data) }
  }

  async sendClose(options?: AbortOptions): Promise<void> {
    if (this.socket.closed) return
    const ended = Promise.withResolvers<void>()
    const stop = (): void => {
      this.socket.destroy()
    }
    this.socket.once('close', () => ended.resolve())
    options?.signal?.addEventListener('abort', stop, { once: true })
    if (options?.signal?.aborted === true) stop()
    else this.socket.destroySoon()
    await ended.promise
    options?.signal?.removeEventListener('abort', stop)
  }

  sendReset(): void {
    this.socket.destroy()
  }

  sendPause(): void {
    this.#reader.pause()
  }

  sendResume(): void {
    this.#reader.resume()
  }

  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.socket.cork()
    process.nextTick(() => {
      this.#isCorked = false
      this.socket.uncork()
    })
  }
}
