/**
 * Wire grammar of `/skein/sync/1`, one Channel message each; integers are lib0 varuints, texts length-prefixed UTF-8:
 *   1 groups     u8 1 | u8 wantsReply | count | count * (text group, 8 bytes digest)
 *   2 table      u8 2 | u8 wantsReply | text group | count | count * (text rest of the name, 8 bytes digest)
 *   3 document   u8 3 | u8 more | text name | u32 crc32c of the part | part
 *                the parts of a name together (the last has more = 0) are one y-protocols sync message: step 1 or step 2
 *   4 updates    u8 4 | u32 crc32c of what follows | count | count * (text name, length-prefixed V1 update)
 * A group is a document name up to its last slash, or the whole name. Only documents that hold something are listed.
 */
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { crc32c } from '../base/crc32.ts'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { digestBytes } from './digest.ts'
import type { ForeignUpdate } from './doc-host.ts'
import { documentNameBytes, isDocumentName } from './document-log.ts'

export const syncProtocol = '/skein/sync/1'

/** Digests by group, or by the rest of a name in one group. */
export type DigestTable = ReadonlyMap<string, Uint8Array>

export type SyncFrame =
  | { readonly kind: 'groups'; readonly wantsReply: boolean; readonly digests: DigestTable }
  | {
      readonly kind: 'table'
      readonly wantsReply: boolean
      readonly group: string
      readonly digests: DigestTable
    }
  | { readonly kind: 'document'; readonly name: string; readonly hasMore: boolean; readonly part: Uint8Array }
  | { readonly kind: 'updates'; readonly updates: readonly ForeignUpdate[] }

/** Largest part of a document frame: the message bound less room for the header. */
export const partBytes = limits.messageBytes - 1024

export function splitName(name: string): readonly [group: string, rest: string] {
  const slash = name.lastIndexOf('/')
  return slash < 0 ? [name, ''] : [name.slice(0, slash + 1), name.slice(slash + 1)]
}

export function encodeGroups(digests: DigestTable, wantsReply: boolean): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeUint8(encoder, 1)
    encoding.writeUint8(encoder, wantsReply ? 1 : 0)
    writeDigests(encoder, digests)
  })
}

export function encodeTable(group: string, digests: DigestTable, wantsReply: boolean): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeUint8(encoder, 2)
    encoding.writeUint8(encoder, wantsReply ? 1 : 0)
    encoding.writeVarString(encoder, group)
    writeDigests(encoder, digests)
  })
}

/** @returns the frames of one y-protocols message: the Channel owns them. */
export function* encodeDocument(name: string, message: Uint8Array): Generator<Uint8Array> {
  for (let offset = 0; offset === 0 || offset < message.byteLength; offset += partBytes) {
    const part = message.subarray(offset, offset + partBytes)
    yield encoding.encode((encoder) => {
      encoding.writeUint8(encoder, 3)
      encoding.writeUint8(encoder, offset + partBytes < message.byteLength ? 1 : 0)
      encoding.writeVarString(encoder, name)
      encoding.writeUint32(encoder, crc32c(part))
      encoding.writeUint8Array(encoder, part)
    })
  }
}

export function encodeUpdates(updates: readonly ForeignUpdate[]): Uint8Array {
  const body = encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, updates.length)
    for (const { name, update } of updates) {
      encoding.writeVarString(encoder, name)
      encoding.writeVarUint8Array(encoder, update)
    }
  })
  return encoding.encode((encoder) => {
    encoding.writeUint8(encoder, 4)
    encoding.writeUint32(encoder, crc32c(body))
    encoding.writeUint8Array(encoder, body)
  })
}

/** Decodes one message; bytes in the result are views into it. @throws `codec.invalid`. */
export function decodeFrame(message: Uint8Array): SyncFrame {
  try {
    return decode(message)
  } catch (error) {
    if (error instanceof SkeinError) throw error
    throw new SkeinError('codec.invalid', 'not a sync frame', { cause: error })
  }
}

function decode(message: Uint8Array): SyncFrame {
  const decoder = decoding.createDecoder(message)
  const kind = decoding.readUint8(decoder)
  switch (kind) {
    case 1:
      return {
        kind: 'groups',
        wantsReply: readFlag(decoder),
        digests: readDigests(decoder, limits.syncGroups),
      }
    case 2: {
      const wantsReply = readFlag(decoder)
      const group = readText(decoder)
      const digests = readDigests(decoder, limits.syncTableDocuments)
      for (const rest of digests.keys()) must(isDocumentName(group + rest), 'document name')
      return { kind: 'table', wantsReply, group, digests }
    }
    case 3: {
      const hasMore = readFlag(decoder)
      const name = readName(decoder)
      const sum = decoding.readUint32(decoder)
      const part = decoding.readTailAsUint8Array(decoder)
      must(crc32c(part) === sum, 'checksum')
      return { kind: 'document', name, hasMore, part }
    }
    case 4: {
      const sum = decoding.readUint32(decoder)
      must(crc32c(message.subarray(decoder.pos)) === sum, 'checksum')
      const count = decoding.readVarUint(decoder)
      must(count <= message.byteLength, 'count')
      const updates: ForeignUpdate[] = []
      for (let index = 0; index < count; index++) {
        const name = readName(decoder)
        const update = decoding.readVarUint8Array(decoder)
        must(update.byteLength <= limits.updateBytes, 'update length')
        updates.push({ name, update })
      }
      must(!decoding.hasContent(decoder), 'length')
      return { kind: 'updates', updates }
    }
    default:
      throw new SkeinError('codec.invalid', 'unknown sync frame')
  }
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new SkeinError('codec.invalid', `sync frame: bad ${what}`)
}

function writeDigests(encoder: encoding.Encoder, digests: DigestTable): void {
  encoding.writeVarUint(encoder, digests.size)
  for (const [name, digest] of digests) {
    encoding.writeVarString(encoder, name)
    encoding.writeUint8Array(encoder, digest)
  }
}

function readDigests(decoder: decoding.Decoder, countMax: number): DigestTable {
  const count = decoding.readVarUint(decoder)
  must(count <= countMax, 'count')
  const digests = new Map<string, Uint8Array>()
  for (let index = 0; index < count; index++) {
    const name = readText(decoder)
    digests.set(name, decoding.readUint8Array(decoder, digestBytes).slice())
  }
  must(!decoding.hasContent(decoder), 'length')
  return digests
}

function readFlag(decoder: decoding.Decoder): boolean {
  const flag = decoding.readUint8(decoder)
  must(flag <= 1, 'flag')
  return flag === 1
}

function readText(decoder: decoding.Decoder): string {
  const text = decoding.readVarString(decoder)
  must(text.length <= documentNameBytes, 'name')
  return text
}

function readName(decoder: decoding.Decoder): string {
  const name = readText(decoder)
  must(isDocumentName(name), 'document name')
  return name
}
