/**
 * Reads a TLS socket into one buffer that is used again. By itself Node makes a buffer for each record of 16 KiB, outside the
 * heap: a third of the work of receiving, and garbage that makes V8 mark the whole heap, up to 55 times a GiB where the heap is
 * as small as it is after a rest. Node gives such a buffer (`onread`) to sockets that it connects itself, not to those that
 * TLS wraps around another: so this does what net.Socket does, with names of the handle that are not public.
 * test/transport/internals.test.ts fails when they change; where they are missing the socket's events are used.
 */
import type { TLSSocket } from 'node:tls'
import { createSocketGarbage } from './socket-garbage.ts'

/** What of a socket's handle is used. */
interface StreamHandle {
  /** Bytes read so far, the ones that `onread` is called for included. */
  readonly bytesRead: number
  /** Called for bytes in the buffer, and for the end and errors; another buffer would be returned. */
  onread: (this: StreamHandle, arrayBuffer?: ArrayBuffer) => unknown
  /** From now on bytes are read into this, which must live as long as the handle. */
  useUserBuffer(buffer: Uint8Array): void
  readStart(): number
  readStop(): number
}

export interface SocketReader {
  /** A few records may still come. */
  pause(): void
  resume(): void
  /** Whether the bytes are valid during the call only. */
  readonly isReused: boolean
}

/** One record: Node hands over no more at once. */
const bufferBytes = 16 * 1024

/** @param take gets all bytes from here on, those that the socket holds already first, during the call. */
export function readSocket(socket: TLSSocket, take: (bytes: Uint8Array) => void): SocketReader {
  const handle = handleOf(socket)
  return handle === undefined ? readByEvents(socket, take) : readIntoBuffer(socket, handle, take)
}

/** @returns undefined for a socket that has ended, and where the names are others. */
export function handleOf(socket: TLSSocket): StreamHandle | undefined {
  // because: looked at in the next line
  const { _handle: handle } = socket as TLSSocket & { readonly _handle?: Partial<StreamHandle> | null }
  if (handle === undefined || handle === null || typeof handle.bytesRead !== 'number') return undefined
  const functions = [handle.useUserBuffer, handle.onread, handle.readStart, handle.readStop]
  // because: it has all that is used of it
  return functions.every((one) => typeof one === 'function') ? (handle as StreamHandle) : undefined
}

function readIntoBuffer(
  socket: TLSSocket,
  handle: StreamHandle,
  take: (bytes: Uint8Array) => void,
): SocketReader {
  // because: a socket without an encoding reads Buffers
  for (let held = socket.read() as Buffer | null; held !== null; held = socket.read() as Buffer | null)
    take(held)
  const buffer = new Uint8Array(bufferBytes)
  const { onread } = handle
  let { bytesRead } = handle
  handle.useUserBuffer(buffer)
  // It holds the buffer as long as the handle lives
  handle.onread = (arrayBuffer) => {
    const length = handle.bytesRead - bytesRead
    bytesRead = handle.bytesRead
    if (length === 0) void onread.call(handle, arrayBuffer)
    else if (!socket.destroyed) take(buffer.subarray(0, length))
  }
  // The end comes as an event, once the socket flows
  socket.resume()
  return {
    isReused: true,
    pause: () => void (socket.destroyed || handle.readStop()),
    resume: () => void (socket.destroyed || handle.readStart()),
  }
}

function readByEvents(socket: TLSSocket, take: (bytes: Uint8Array) => void): SocketReader {
  const noteGarbage = createSocketGarbage()
  socket.on('data', (bytes: Buffer) => {
    noteGarbage(bytes.byteLength)
    take(bytes)
  })
  return { isReused: false, pause: () => void socket.pause(), resume: () => void socket.resume() }
}
