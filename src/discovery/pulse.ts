/**
 * Pulses: datagrams that ask "are you there?" about one connection while nothing comes over it. A connection on a
 * lossy network falls silent for seconds, because its kernel waits longer and longer before it sends again; each
 * pulse stands alone. Where UDP is blocked there are none, and the connection speaks for itself.
 *
 *   pulse = u8 1 | u8 kind (0 question, 1 answer) | id 8 | u64 number | mac 16        34 bytes
 *
 * `id` and the key of `mac` (HMAC-SHA256, cut) are what the receiver drew for this connection and told in its hello,
 * so they come over the authenticated channel. Numbers of questions grow and old ones are ignored; an answer repeats
 * the number, in as many bytes as the question has. Nothing is decided by a pulse but that somebody lives.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { bytes, integer, object, optional } from '../base/codec.ts'
import type { Random } from '../base/random.ts'
import { parseAddress } from './address.ts'

const version = 1
const question = 0
const answer = 1
const idBytes = 8
const keyBytes = 32
const macBytes = 16
const headBytes = 2 + idBytes + 8
const pulseBytes = headBytes + macBytes

const port = integer(65_535, 1)
export const pulseInvitationShape = object({
  id: bytes(idBytes, idBytes),
  key: bytes(keyBytes, keyBytes),
  port4: optional(port),
  port6: optional(port),
})
/** Told to the other side, for one connection. The key is secret to the two. */
export type PulseInvitation = ReturnType<typeof pulseInvitationShape>

export interface DatagramSource {
  /** IP literal, with a zone where the system gave one. */
  readonly address: string
  readonly port: number
}

/** Sends and receives single datagrams; loses some. */
export interface Datagrams {
  readonly port4: number | undefined
  readonly port6: number | undefined
  send(bytes: Uint8Array, to: DatagramSource): void
  /** One receiver. */
  receive(receiver: (bytes: Uint8Array, from: DatagramSource) => void): void
}

export interface PulseLine {
  readonly theirs: PulseInvitation | undefined
  /** Remote multiaddr of the connection. */
  readonly address: string
  /** Ends it. */
  readonly closed: Promise<unknown>
  /** A round trip: a one-way network has none. */
  answered(): void
}

/** Made for one handshake: first told, then connected or thrown away. */
export interface PulseOffer {
  readonly invitation: PulseInvitation
  /** @returns what sends one pulse; undefined when the other side takes none. */
  connect(line: PulseLine): (() => void) | undefined
}

export interface Pulses {
  offer(): PulseOffer
}

interface Listening {
  readonly key: Uint8Array
  readonly line: PulseLine
  /** The last number of ours, and of theirs: of questions and of answers. */
  sent: number
  asked: number
  answered: number
}

export function createPulses(random: Random, datagrams: Datagrams): Pulses {
  const open = new Map<string, Listening>()
  datagrams.receive((packet, from) => {
    const read = readPulse(packet)
    const listening = read && open.get(read.id)
    if (listening === undefined || !isGenuine(packet, listening.key)) return
    const { line } = listening
    if (read?.kind === question && read.number > listening.asked) {
      listening.asked = read.number
      if (line.theirs !== undefined) datagrams.send(writePulse(line.theirs, answer, read.number), from)
    } else if (read?.kind === answer && read.number > listening.answered && read.number <= listening.sent) {
      listening.answered = read.number
      line.answered()
    }
  })
  return {
    offer() {
      const { port4, port6 } = datagrams
      const [id, key] = [random.bytes(idBytes), random.bytes(keyBytes)]
      return {
        invitation: { id, key, port4, port6 },
        connect(line) {
          const name = Buffer.from(id).toString('hex')
          const listening: Listening = { key, line, sent: 0, asked: 0, answered: 0 }
          open.set(name, listening)
          void line.closed.then(() => open.delete(name))
          const { theirs } = line
          const to = theirs && destination(line.address, theirs)
          if (theirs === undefined || to === undefined) return undefined
          return () => datagrams.send(writePulse(theirs, question, ++listening.sent), to)
        },
      }
    },
  }
}

/** Where the connection leads, at the port for datagrams. */
function destination(address: string, { port4, port6 }: PulseInvitation): DatagramSource | undefined {
  const parsed = parseAddress(address)
  const to = parsed?.family === 4 ? port4 : parsed?.family === 6 ? port6 : undefined
  if (parsed === undefined || to === undefined) return undefined
  return { address: parsed.zone === undefined ? parsed.host : `${parsed.host}%${parsed.zone}`, port: to }
}

function writePulse({ id, key }: PulseInvitation, kind: number, number: number): Uint8Array {
  const packet = Buffer.alloc(pulseBytes)
  packet[0] = version
  packet[1] = kind
  packet.set(id, 2)
  packet.writeBigUInt64BE(BigInt(number), 2 + idBytes)
  packet.set(macOf(packet, key), headBytes)
  return packet
}

function readPulse(
  packet: Uint8Array,
): { readonly kind: number; readonly id: string; readonly number: number } | undefined {
  if (packet.byteLength !== pulseBytes || packet[0] !== version) return undefined
  const buffer = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength)
  return {
    kind: packet[1] ?? 0,
    id: buffer.toString('hex', 2, 2 + idBytes),
    number: Number(buffer.readBigUInt64BE(2 + idBytes)),
  }
}

const isGenuine = (packet: Uint8Array, key: Uint8Array): boolean =>
  timingSafeEqual(packet.subarray(headBytes), macOf(packet, key))

const macOf = (packet: Uint8Array, key: Uint8Array): Uint8Array =>
  createHmac('sha256', key).update(packet.subarray(0, headBytes)).digest().subarray(0, macBytes)
