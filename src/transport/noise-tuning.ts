/**
 * Two things that cost noise connections more than their cryptography, mended from outside on each connection:
 * - TCP as it comes makes three system calls of each noise message (length, text, tag) and stops at the socket's own
 *   small mark: now all of one turn is written at once;
 * - the decoder throws a fresh error, with its stack, at the end of every chunk: now always the same one.
 * test/transport/internals.test.ts fails when the names are gone.
 */
import type { Socket } from 'node:net'
import type { MultiaddrConnection } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

/** Bytes the socket holds before we say stop. */
const bufferBytes = 256 * 1024

/** The connection below noise. */
export interface TcpConnectionInternals extends MultiaddrConnection {
  readonly socket: Socket
  sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean }
}

export function batchWrites(connection: TcpConnectionInternals): void {
  const { socket } = connection
  let isCorked = false
  connection.sendData = (data) => {
    if (!isCorked) {
      isCorked = true
      socket.cork()
      process.nextTick(() => {
        isCorked = false
        socket.uncork()
      })
    }
    for (const part of data) socket.write(part)
    return { sentBytes: data.byteLength, canSendMore: socket.writableLength < bufferBytes }
  }
}

/** The encrypted stream, which the muxer stands on. */
export interface NoiseStreamInternals {
  readonly decoder: { lengthDecoder: (bytes: Uint8ArrayList) => number }
}

const notEnough = new RangeError('not enough bytes for a length')

export function quietDecoder(stream: NoiseStreamInternals): void {
  stream.decoder.lengthDecoder = (bytes) => {
    // A RangeError is how the decoder is told to wait for more
    if (bytes.byteLength < 2) throw notEnough
    return bytes.get(0) * 256 + bytes.get(1)
  }
}
