/**
 * Bounded decoding of mDNS packets (RFC 6762) from anybody on the network: length and record counts are checked
 * before `dns-packet` reads them, because names may point backwards and cost time per record. Only the parts that
 * discovery uses come out: PTR questions, PTR and TXT records.
 */
import { decode, encode, type Answer, type Packet } from 'dns-packet'
import { limits } from '../base/limits.ts'

export interface TextRecord {
  readonly name: string
  readonly strings: readonly Uint8Array[]
  readonly ttlSeconds: number
}

export interface PointerRecord {
  readonly name: string
  readonly target: string
}

export interface MdnsPacket {
  readonly id: number
  readonly kind: 'query' | 'response'
  /** Names asked for by PTR questions, lower case. */
  readonly questions: readonly string[]
  readonly pointers: readonly PointerRecord[]
  readonly texts: readonly TextRecord[]
}

const headerBytes = 12

/** @returns undefined for whatever is not a packet within the bounds. Never throws. */
export function decodePacket(bytes: Uint8Array): MdnsPacket | undefined {
  if (bytes.byteLength < headerBytes || bytes.byteLength > limits.mdnsPacketBytes) return undefined
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const records = [4, 6, 8, 10].reduce((sum, offset) => sum + buffer.readUInt16BE(offset), 0)
  if (records === 0 || records > limits.mdnsRecords) return undefined
  let packet: Packet
  try {
    packet = decode(buffer)
  } catch {
    return undefined // because: anyone can send anything; what cannot be read is not for us and not worth a log line
  }
  const answers = [...(packet.answers ?? []), ...(packet.additionals ?? [])]
  return {
    id: packet.id ?? 0,
    kind: packet.type === 'response' ? 'response' : 'query',
    questions: (packet.questions ?? [])
      .filter(({ type }) => type === 'PTR')
      .map(({ name }) => name.toLowerCase()),
    pointers: answers.flatMap((answer) =>
      answer.type === 'PTR' ? [{ name: answer.name.toLowerCase(), target: answer.data }] : [],
    ),
    texts: answers.flatMap((answer) => (answer.type === 'TXT' ? [toText(answer)] : [])),
  }
}

function toText({ name, data, ttl }: Extract<Answer, { type: 'TXT' }>): TextRecord {
  const parts = Array.isArray(data) ? data : [data]
  const strings = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))
  return { name: name.toLowerCase(), strings, ttlSeconds: ttl ?? 0 }
}

/** @param packet ours, well within the bounds. @returns fresh bytes (no Buffer: its `slice` would not copy). */
export function encodePacket(packet: Packet): Uint8Array {
  return new Uint8Array(encode(packet))
}
