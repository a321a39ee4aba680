/**
 * Wire format of `/skein/blobs/1`. One Channel message is one or more frames; both sides may ask and answer on the same
 * channel, request ids belong to the asking side.
 *
 *   frame   = type u8 | request u32 | length u32 | body[length]        big endian
 *   1 want    body = hash[32] | offset u64      asker: send me the content from `offset` on
 *   1 want    body = hash[32] | offset u64 | length u64      the same, but only so much of it, 1..1048576 bytes
 *   2 cancel  body = -                          asker: stop sending; frames under way are ignored
 *   3 found   body = size u64                   answer: I have it, it is this long in all
 *   4 chunk   body = 1..262144 bytes            answer: the next bytes, in order
 *   5 end     body = -                          answer: that was all of it
 *   6 gone    body = reason u8                  answer: 1 not here (or not for you), 2 changed while sending, 3 too busy
 *  16 list    body = hash[32]                   asker: send me the block list of this content (block-list.ts)
 *  17 accepts body = forms u8                   asker, once, request 0: bit 0, I can take `packed`
 *  18 packed  body = size u32 | zstd frame      answer, in place of chunks: the next 1..1048576 bytes, compressed (packing.ts)
 *
 * A frame type that is not known is skipped (newer versions may add some); anything malformed ends the channel.
 */
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type BlobHash, hashBytes, hashFromText, hashToText } from './hash.ts'

export const blobProtocol = '/skein/blobs/1'
export const frameHeaderBytes = 9

export type GoneReason = 'missing' | 'changed' | 'busy'

export type Frame =
  | {
      readonly kind: 'want'
      readonly request: number
      readonly hash: BlobHash
      readonly offset: number
      /** To the end where it is not given. */
      readonly length?: number | undefined
    }
  | { readonly kind: 'list'; readonly request: number; readonly hash: BlobHash }
  | { readonly kind: 'cancel'; readonly request: number }
  | { readonly kind: 'found'; readonly request: number; readonly sizeBytes: number }
  /** `bytes` is a view into the message. */
  | { readonly kind: 'chunk'; readonly request: number; readonly bytes: Uint8Array }
  /** `bytes` is a view into the message; `sizeBytes` is what they expand to. */
  | {
      readonly kind: 'packed'
      readonly request: number
      readonly sizeBytes: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'accepts'; readonly request: number; readonly takesPacked: boolean }
  | { readonly kind: 'end'; readonly request: number }
  | { readonly kind: 'gone'; readonly request: number; readonly reason: GoneReason }

/** Frames of the asking side. */
export type AskKind = 'want' | 'list' | 'cancel' | 'accepts'

export const isAsking = (frame: Frame): frame is Extract<Frame, { kind: AskKind }> =>
  frame.kind === 'want' || frame.kind === 'list' || frame.kind === 'cancel' || frame.kind === 'accepts'

const types = {
  want: 1,
  cancel: 2,
  found: 3,
  chunk: 4,
  end: 5,
  gone: 6,
  list: 16,
  accepts: 17,
  packed: 18,
} as const
const reasons: readonly GoneReason[] = ['missing', 'changed', 'busy']

/** @returns the parts of the frame, ready for `channel.send`; chunk bytes are not copied. */
export function encodeFrame(frame: Frame): readonly Uint8Array[] {
  switch (frame.kind) {
    case 'want': {
      const body = new Uint8Array(hashBytes + (frame.length === undefined ? 8 : 16))
      body.set(hashFromText(frame.hash))
      const view = new DataView(body.buffer)
      view.setBigUint64(hashBytes, BigInt(frame.offset))
      if (frame.length !== undefined) view.setBigUint64(hashBytes + 8, BigInt(frame.length))
      return [header(types.want, frame.request, body.byteLength), body]
    }
    case 'list':
      return [header(types.list, frame.request, hashBytes), hashFromText(frame.hash)]
    case 'found': {
      const body = new Uint8Array(8)
      new DataView(body.buffer).setBigUint64(0, BigInt(frame.sizeBytes))
      return [header(types.found, frame.request, body.byteLength), body]
    }
    case 'chunk':
      return [header(types.chunk, frame.request, frame.bytes.byteLength), frame.bytes]
    case 'packed': {
      const size = new Uint8Array(4)
      new DataView(size.buffer).setUint32(0, frame.sizeBytes)
      return [header(types.packed, frame.request, 4 + frame.bytes.byteLength), size, frame.bytes]
    }
    case 'accepts':
      return [header(types.accepts, frame.request, 1), Uint8Array.of(frame.takesPacked ? 1 : 0)]
    case 'gone':
      return [header(types.gone, frame.request, 1), Uint8Array.of(reasons.indexOf(frame.reason) + 1)]
    case 'cancel':
    case 'end':
      return [header(types[frame.kind], frame.request, 0)]
  }
}

function header(type: number, request: number, length: number): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, type)
  view.setUint32(1, request)
  view.setUint32(5, length)
  return bytes
}

/** @throws `codec.invalid` for anything that is not frames to the last byte. */
export function decodeFrames(message: Uint8Array): readonly Frame[] {
  const frames: Frame[] = []
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  let at = 0
  while (at < message.byteLength) {
    if (message.byteLength - at < frameHeaderBytes)
      throw new SkeinError('codec.invalid', 'blob frame cut short')
    const type = view.getUint8(at)
    const request = view.getUint32(at + 1)
    const length = view.getUint32(at + 5)
    at += frameHeaderBytes
    if (length > message.byteLength - at)
      throw new SkeinError('codec.invalid', 'blob frame longer than its message')
    const frame = decodeBody(type, request, message.subarray(at, at + length))
    if (frame !== undefined) frames.push(frame)
    at += length
  }
  return frames
}

function decodeBody(type: number, request: number, body: Uint8Array): Frame | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const need = (lengthBytes: number): void => {
    if (body.byteLength !== lengthBytes)
      throw new SkeinError('codec.invalid', 'blob frame body of a wrong length')
  }
  switch (type) {
    case types.want:
      if (body.byteLength !== hashBytes + 16) need(hashBytes + 8)
      return {
        kind: 'want',
        request,
        hash: hashToText(body.subarray(0, hashBytes)),
        offset: length64(view, hashBytes),
        length: body.byteLength === hashBytes + 16 ? rangeLength(view, hashBytes + 8) : undefined,
      }
    case types.list:
      need(hashBytes)
      return { kind: 'list', request, hash: hashToText(body) }
    case types.cancel:
      need(0)
      return { kind: 'cancel', request }
    case types.found:
      need(8)
      return { kind: 'found', request, sizeBytes: length64(view, 0) }
    case types.chunk:
      if (body.byteLength === 0 || body.byteLength > limits.blobChunkBytes) {
        throw new SkeinError('codec.invalid', 'blob chunk of a wrong length')
      }
      return { kind: 'chunk', request, bytes: body }
    case types.packed: {
      const sizeBytes = body.byteLength > 4 ? view.getUint32(0) : 0
      if (sizeBytes === 0 || sizeBytes > limits.blobRangeBytes)
        throw new SkeinError('codec.invalid', 'packed blob bytes of a wrong length')
      return { kind: 'packed', request, sizeBytes, bytes: body.subarray(4) }
    }
    case types.accepts:
      // Newer versions may say more
      if (body.byteLength === 0) need(1)
      return { kind: 'accepts', request, takesPacked: (view.getUint8(0) & 1) === 1 }
    case types.end:
      need(0)
      return { kind: 'end', request }
    case types.gone: {
      need(1)
      return { kind: 'gone', request, reason: reasons[view.getUint8(0) - 1] ?? 'missing' }
    }
    default:
      return undefined
  }
}

function rangeLength(view: DataView, at: number): number {
  const value = view.getBigUint64(at)
  if (value === 0n || value > BigInt(limits.blobRangeBytes))
    throw new SkeinError('limit.exceeded', 'a blob range of a wrong length')
  return Number(value)
}

function length64(view: DataView, at: number): number {
  const value = view.getBigUint64(at)
  if (value > BigInt(limits.blobBytes))
    throw new SkeinError('limit.exceeded', 'a blob length beyond any file')
  return Number(value)
}
