/**
 * The wire form of RPC frames, one Channel message each: u8 type | u32 call id (big endian) | rest. Either side calls;
 * a call id belongs to its caller. Head = CBOR of at most limits.rpcEnvelopeBytes; body = raw bytes that never pass
 * through the codec.
 *   1 request  u32 head length | head [method, params, timeout ms, 1 when a stream is wanted] | body
 *   2 response u32 head length | head value | body        3 error  {code, message, fix?}
 *   4 item     value                                      5 end
 *   6 cancel                                              7 credit u32 more items allowed
 *   8 heartbeat (id = sequence)                           9 heartbeat answer
 *   10 sign of life, not answered (id 0)
 */
import type { Channel } from './channel.ts'
import type { Validator } from './codec.ts'
import { array, integer, object, optional, text } from './codec.ts'
import { hasCode, SkeinError } from './errors.ts'
import { limits } from './limits.ts'

export const frameType = {
  request: 1,
  response: 2,
  error: 3,
  item: 4,
  end: 5,
  cancel: 6,
  credit: 7,
  heartbeat: 8,
  pong: 9,
  beat: 10,
} as const

/** Bytes before the rest. */
export const frameHeaderBytes = 5

/** A frame's header with room for `extraBytes` of the rest. */
export function newFrame(kind: number, id: number, extraBytes = 0): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes + extraBytes)
  bytes[0] = kind
  writeUint32(bytes, 1, id)
  return bytes
}

/** Sends a request or response. @param start its header with 4 extra bytes, filled here. @throws `limit.exceeded` for a head too long, and what `Channel.send` throws. */
export function sendWithHead(channel: Channel, start: Uint8Array, head: Uint8Array, body: Uint8Array): void {
  if (head.byteLength > limits.rpcEnvelopeBytes) {
    throw new SkeinError(
      'limit.exceeded',
      `envelope of ${head.byteLength} bytes, at most ${limits.rpcEnvelopeBytes}`,
    )
  }
  writeUint32(start, frameHeaderBytes, head.byteLength)
  if (body.byteLength === 0) channel.send(start, head)
  else channel.send(start, head, body)
}

/** Sends a frame whose loss is of no interest once the channel has ended: the end itself reaches every call. */
export function sendUnlessEnded(channel: Channel, ...parts: readonly Uint8Array[]): void {
  try {
    channel.send(...parts)
  } catch (error) {
    if (!hasCode(error, 'channel.closed', 'channel.aborted', 'channel.stalled')) throw error
  }
}

/** Takes the rest of a request or response apart. Both are views into it. @throws `codec.invalid`. */
export function splitHead(rest: Uint8Array): { readonly head: Uint8Array; readonly body: Uint8Array } {
  if (rest.byteLength < 4) throw new SkeinError('codec.invalid', 'rpc frame without a head')
  const length = readUint32(rest, 0)
  if (length > rest.byteLength - 4) throw new SkeinError('codec.invalid', 'rpc head longer than its frame')
  return { head: rest.subarray(4, 4 + length), body: rest.subarray(4 + length) }
}

export const wireErrorShape = object({ code: text(64), message: text(4000), fix: optional(text(2000)) })

/** [method, params (unchecked), timeout ms (0 = none), wants a stream]. */
export const requestHeadShape: Validator<readonly [string, unknown, number, boolean]> = (value, path) => {
  const [method, params, timeoutMs, wantsStream] = array((entry) => entry, 8)(value, path)
  return [
    text(64)(method, `${path}.method`),
    params,
    integer(86_400_000)(timeoutMs, `${path}.timeoutMs`),
    wantsStream === 1,
  ]
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  )
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
