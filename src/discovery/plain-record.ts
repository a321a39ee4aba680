/**
 * The open records of libp2p's mDNS discovery (github.com/libp2p/specs, discovery/mdns.md), as `@libp2p/mdns` writes
 * and reads them: PTR `_p2p._udp.local` and one TXT `dnsaddr=<multiaddr>/p2p/<peer id>` per address. They tell the
 * permanent peer id to everyone, so they are spoken only while a pairing window is open. A pairing nameplate stands
 * in one more TXT, `skein-pair=<nameplate>`, which other implementations skip.
 */
import { isPeerId, type PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { formatAddress, parseAddress } from './address.ts'
import { encodePacket, type MdnsPacket } from './mdns-packet.ts'

export interface PlainRecord {
  readonly peerId: PeerId
  /** Parsed and canonical, without /p2p, at most limits.addressesPerPeer. */
  readonly addresses: readonly string[]
  readonly nameplate: string | undefined
  readonly isLeaving: boolean
}

export const plainService = '_p2p._udp.local'
const addressPrefix = 'dnsaddr='
const nameplatePrefix = 'skein-pair='
const txtStringBytes = 255
const ttlSeconds = 120
const authoritative = 1 << 10

/** True for 1 to limits.nameBytes bytes of text without control, format or separator characters. */
export function isNameplate(nameplate: string): boolean {
  const bytes = Buffer.byteLength(nameplate)
  return bytes > 0 && bytes <= limits.nameBytes && /^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(nameplate)
}

/** @param id marks our own queries when they come back to us; others ignore it. */
export function encodePlainQuery(id: number): Uint8Array {
  return encodePacket({ type: 'query', id, questions: [{ type: 'PTR', name: plainService }] })
}

/** @param instanceLabel random, 1-63 characters. @returns one packet below 1,232 bytes, or undefined without addresses. */
export function encodePlainAnswer(instanceLabel: string, record: PlainRecord): Uint8Array | undefined {
  if (record.addresses.length === 0) return undefined
  const name = `${instanceLabel}.${plainService}`
  const ttl = record.isLeaving ? 0 : ttlSeconds
  // The address with /p2p first: readers take the peer id from the first one
  const texts = record.addresses.map((address) => `${addressPrefix}${address}/p2p/${record.peerId}`)
  if (record.nameplate !== undefined) texts.push(`${nameplatePrefix}${record.nameplate}`)
  const answers = texts
    .filter((text) => Buffer.byteLength(text) <= txtStringBytes)
    .map((text) => ({ type: 'TXT', name, ttl, data: text }) as const)
  const pointer = { type: 'PTR', name: plainService, ttl, data: name } as const
  return encodePacket({ type: 'response', flags: authoritative, answers: [pointer, ...answers] })
}

export const isPlainQuery = (packet: MdnsPacket): boolean =>
  packet.kind === 'query' && packet.questions.includes(plainService)

/** @returns undefined unless it is an answer that names one Ed25519 peer and a usable address. Never throws. */
export function readPlainAnswer(packet: MdnsPacket): PlainRecord | undefined {
  if (packet.kind !== 'response' || !packet.pointers.some(({ name }) => name === plainService))
    return undefined
  const addresses = new Set<string>()
  let peerId: PeerId | undefined
  let nameplate: string | undefined
  let isLeaving = false
  for (const { strings, ttlSeconds: ttl } of packet.texts) {
    for (const string of strings) {
      const text = Buffer.from(string).toString('utf8')
      if (text.startsWith(nameplatePrefix)) {
        const found = text.slice(nameplatePrefix.length)
        if (isNameplate(found)) nameplate = found
        continue
      }
      const found = readAddress(text)
      if (found === undefined) continue
      // One packet speaks for one peer: a second name in it is a mistake or an attempt
      if (peerId !== undefined && found.peerId !== peerId) return undefined
      peerId = found.peerId
      isLeaving ||= ttl === 0
      if (addresses.size < limits.addressesPerPeer) addresses.add(found.address)
    }
  }
  return peerId === undefined ? undefined : { peerId, addresses: [...addresses], nameplate, isLeaving }
}

function readAddress(text: string): { readonly peerId: PeerId; readonly address: string } | undefined {
  if (!text.startsWith(addressPrefix)) return undefined
  const [address = '', peerId = '', ...more] = text.slice(addressPrefix.length).split('/p2p/')
  const parsed = parseAddress(address)
  if (parsed === undefined || more.length > 0 || !isPeerId(peerId)) return undefined
  return { peerId, address: formatAddress(parsed) }
}
