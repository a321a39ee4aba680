/**
 * yamux frames. Reads them without holding them back: the data of a frame is handed on as it arrives, in pieces, so that
 * neither an announced length of 4 GiB nor a slow sender makes anything grow. yamux accounts for windows by the
 * bytes of each piece, which together are those of the frame. Spec: hashicorp/yamux spec.md, version 0.
 *
 *   u8 version (0) | u8 type | u16 flags | u32 stream id | u32 length, all big endian; data follows type 0 only
 */
import { SkeinError } from '../base/errors.ts'

export interface YamuxHeader {
  readonly type: number
  readonly flag: number
  readonly streamID: number
  readonly length: number
}

/** As yamux's own: `data` with type 0 only. */
export interface YamuxFrame {
  readonly header: YamuxHeader
  readonly data?: Uint8Array
}

export const yamuxHeaderBytes = 12
const dataType = 0
export const windowUpdateType = 1
export const synFlag = 1
const finFlag = 4

/** @returns a function that takes bytes and calls `emit` for each (piece of a) frame. @throws `codec.invalid`. */
export function createYamuxDecoder(emit: (frame: YamuxFrame) => void): (bytes: Uint8Array) => void {
  const partial = new Uint8Array(yamuxHeaderBytes)
  let partialBytes = 0
  let header: YamuxHeader | undefined // of the data frame being read
  let leftBytes = 0

  const startFrame = (bytes: Uint8Array, at: number): void => {
    const next = readHeader(bytes, at)
    if (next.type !== dataType) {
      emit({ header: next })
      return
    }
    header = next
    leftBytes = next.length
    if (leftBytes === 0) endFrame(next, new Uint8Array(0))
  }
  /** The end of the stream is told apart from its last bytes, or it would overtake them. */
  const endFrame = (from: YamuxHeader, data: Uint8Array): void => {
    header = undefined
    const isLast = (from.flag & finFlag) !== 0
    emit({ header: { ...from, flag: from.flag & ~finFlag, length: data.byteLength }, data })
    if (isLast)
      emit({ header: { type: windowUpdateType, flag: finFlag, streamID: from.streamID, length: 0 } })
  }
  return (bytes) => {
    let at = 0
    while (at < bytes.byteLength) {
      if (header !== undefined) {
        const count = Math.min(leftBytes, bytes.byteLength - at)
        const data = bytes.subarray(at, at + count)
        at += count
        leftBytes -= count
        if (leftBytes === 0) {
          endFrame(header, data)
        } else {
          const piece: YamuxHeader = { ...header, flag: header.flag & ~finFlag, length: count }
          // SYN and ACK count once, with the first piece
          header = { ...header, flag: header.flag & finFlag }
          emit({ header: piece, data })
        }
      } else if (partialBytes === 0 && bytes.byteLength - at >= yamuxHeaderBytes) {
        at += yamuxHeaderBytes
        startFrame(bytes, at - yamuxHeaderBytes)
      } else {
        const count = Math.min(yamuxHeaderBytes - partialBytes, bytes.byteLength - at)
        partial.set(bytes.subarray(at, at + count), partialBytes)
        partialBytes += count
        at += count
        if (partialBytes === yamuxHeaderBytes) {
          partialBytes = 0
          startFrame(partial, 0)
        }
      }
    }
  }
}

function readHeader(bytes: Uint8Array, at: number): YamuxHeader {
  const byte = (index: number): number => bytes[at + index] ?? 0
  if (byte(0) !== 0) throw new SkeinError('codec.invalid', `yamux version ${byte(0)}, expected 0`)
  return {
    type: byte(1),
    flag: (byte(2) << 8) | byte(3),
    streamID: byte(4) * 0x1000000 + ((byte(5) << 16) | (byte(6) << 8) | byte(7)),
    length: byte(8) * 0x1000000 + ((byte(9) << 16) | (byte(10) << 8) | byte(11)),
  }
}

/** Fresh bytes of a header. */
export function encodeHeader(header: YamuxHeader): Uint8Array {
  const { type, flag, streamID, length } = header
  const bytes = new Uint8Array(yamuxHeaderBytes)
  bytes[1] = type
  bytes[2] = flag >>> 8
  bytes[3] = flag
  bytes[4] = streamID >>> 24
  bytes[5] = streamID >>> 16
  bytes[6] = streamID >>> 8
  bytes[7] = streamID
  bytes[8] = length >>> 24
  bytes[9] = length >>> 16
  bytes[10] = length >>> 8
  bytes[11] = length
  return bytes
}
