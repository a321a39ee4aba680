/**
 * Wire format of `/skein/push/1`: small contents on their way to who will ask for them anyway. One message each:
 *
 *   1 hold   u8 1 | space[26]*               I hold these spaces and no others: push me their contents
 *   2 push   u8 2 | space[26] | (length u32 | content[length])+    big endian; contents are named by their hash alone
 *
 * Spaces are ids in text form. A type that is not known is skipped; anything malformed ends the channel. Nothing is
 * answered: what is not taken is asked for by `/skein/blobs/1` like any other content.
 */
import { SkeinError } from '../base/errors.ts'
import { isSpaceId, type SpaceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'

export const pushProtocol = '/skein/push/1'

export type PushMessage =
  | { readonly kind: 'hold'; readonly spaces: readonly SpaceId[] }
  /** Contents are views into the message. */
  | { readonly kind: 'push'; readonly space: SpaceId; readonly contents: readonly Uint8Array[] }

const types = { hold: 1, push: 2 } as const
const spaceBytes = 26
const lengthBytes = 4
export const pushHeaderBytes = 1 + spaceBytes

/** @param spaces limits.spaces at most. */
export function encodeHold(spaces: readonly SpaceId[]): Uint8Array {
  const text = new TextEncoder().encode(spaces.join(''))
  const message = new Uint8Array(1 + text.byteLength)
  message[0] = types.hold
  message.set(text, 1)
  return message
}

/** @returns the parts of one message; contents are not copied. */
export function encodePush(space: SpaceId, contents: readonly Uint8Array[]): readonly Uint8Array[] {
  const head = new Uint8Array(pushHeaderBytes)
  head[0] = types.push
  head.set(new TextEncoder().encode(space), 1)
  const parts: Uint8Array[] = [head]
  for (const content of contents) {
    const length = new Uint8Array(lengthBytes)
    new DataView(length.buffer).setUint32(0, content.byteLength)
    parts.push(length, content)
  }
  return parts
}

/** @returns undefined for a type of a later version. @throws `codec.invalid`, `limit.exceeded`. */
export function decodePushMessage(message: Uint8Array): PushMessage | undefined {
  if (message[0] === types.hold) return decodeHold(message)
  if (message[0] === types.push) return decodePush(message)
  if (message.byteLength === 0) throw new SkeinError('codec.invalid', 'an empty push message')
  return undefined
}

function decodeHold(message: Uint8Array): PushMessage {
  const count = (message.byteLength - 1) / spaceBytes
  if (count > limits.spaces) throw new SkeinError('limit.exceeded', 'too many spaces')
  if (!Number.isInteger(count)) throw new SkeinError('codec.invalid', 'a list of spaces of a wrong length')
  const spaces = Array.from({ length: count }, (_, index) => spaceAt(message, 1 + index * spaceBytes))
  return { kind: 'hold', spaces }
}

function decodePush(message: Uint8Array): PushMessage {
  if (message.byteLength < pushHeaderBytes) throw new SkeinError('codec.invalid', 'a push cut short')
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  const contents: Uint8Array[] = []
  for (let at = pushHeaderBytes; at < message.byteLength;) {
    const left = message.byteLength - at - lengthBytes
    const length = left < 0 ? Number.NaN : view.getUint32(at)
    if (length > limits.pushedContentBytes)
      throw new SkeinError('limit.exceeded', 'a pushed content too long')
    if (!(length <= left)) throw new SkeinError('codec.invalid', 'a pushed content cut short')
    at += lengthBytes
    contents.push(message.subarray(at, at + length))
    at += length
  }
  return { kind: 'push', space: spaceAt(message, 1), contents }
}

function spaceAt(message: Uint8Array, at: number): SpaceId {
  const text = String.fromCharCode(...message.subarray(at, at + spaceBytes))
  if (!isSpaceId(text)) throw new SkeinError('codec.invalid', 'not a space id')
  return text
}
