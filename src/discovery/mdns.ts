/**
 * The named package `@libp2p/mdns` in its plain form, outside a libp2p node: asks and answers `_p2p._udp.local` on
 * the interface the system chooses. Runs only while a pairing window is open, beside the beacon, which speaks the
 * same records on every interface. What it finds is a hint from a stranger.
 */
import { mdns } from '@libp2p/mdns'
import type { ComponentLogger, Logger } from '@libp2p/interface'
import type { Env } from '../base/env.ts'
import { isPeerId, type PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { formatAddress, isLinkLocal6, parseAddress } from './address.ts'
import { mdnsPort } from './multicast.ts'

export interface PlainMdns extends AsyncDisposable {
  /** Idempotent. */
  start(): Promise<void>
  /** Idempotent. */
  stop(): Promise<void>
}

export interface PlainMdnsParty {
  readonly peerId: () => PeerId
  /** Concrete own multiaddrs, without /p2p. */
  readonly addresses: () => readonly string[]
  readonly found: (peerId: PeerId, addresses: readonly string[]) => void
}

export function createPlainMdns(env: Env, party: PlainMdnsParty, port: number = mdnsPort): PlainMdns {
  const components = {
    addressManager: { getAddresses: () => toMultiaddrs(party) },
    logger: createComponentLogger(env),
  }
  // because: the package reads only getAddresses of the address manager (its query.js), and there is no node here
  const made: unknown = mdns({ port })(components as unknown as Parameters<ReturnType<typeof mdns>>[0])
  const service = made as MulticastService // because: its declared type leaves out the life cycle
  let isRunning = false
  service.addEventListener('peer', ({ detail }) => {
    if (!isRunning) return
    const peerId = detail.id.toString()
    const addresses = detail.multiaddrs
      .map((address) => parseAddress(address.toString()))
      .filter((address) => address !== undefined)
      .filter((address) => !isLinkLocal6(address)) // because: whose interface it is on is not known here
      .map(formatAddress)
      .slice(0, limits.addressesPerPeer)
    if (isPeerId(peerId) && peerId !== party.peerId() && addresses.length > 0) party.found(peerId, addresses)
  })
  const stop = async (): Promise<void> => {
    if (!isRunning) return
    isRunning = false
    // After stop the package listens no more, and an error event without a listener would end the process
    service.mdns?.on('error', (error: unknown) =>
      env.log.debug('mdns failed after its end', errorFields(error)),
    )
    await service.stop()
  }
  return {
    async start() {
      if (isRunning) return
      isRunning = true
      await service.start()
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** What `mdns()` really returns. */
interface MulticastService {
  start(): Promise<void>
  stop(): Promise<void>
  addEventListener(
    name: 'peer',
    listener: (event: {
      detail: { id: { toString(): string }; multiaddrs: readonly { toString(): string }[] }
    }) => void,
  ): void
  readonly mdns?: { on(name: 'error', listener: (error: unknown) => void): void }
}

interface Component {
  readonly code: number
  readonly name: string
  readonly value?: string
}

/** The part of a Multiaddr that the package reads. */
interface MultiaddrLike {
  getComponents(): readonly Component[]
  toString(): string
}

const codes = { ip4: 4, tcp: 6, ip6: 41, p2p: 421, tls: 448 } as const

function toMultiaddrs({ addresses, peerId }: PlainMdnsParty): readonly MultiaddrLike[] {
  return addresses().flatMap((text) => {
    const address = parseAddress(text)
    if (address === undefined || (address.family !== 4 && address.family !== 6)) return []
    const ip = address.family === 4 ? 'ip4' : 'ip6'
    const parts: Component[] = [
      { code: codes[ip], name: ip, value: address.host },
      { code: codes.tcp, name: 'tcp', value: String(address.port) },
      ...(address.isTls ? [{ code: codes.tls, name: 'tls' }] : []),
      { code: codes.p2p, name: 'p2p', value: peerId() },
    ]
    const whole = `${formatAddress({ ...address, zone: undefined })}/p2p/${peerId()}`
    return [{ getComponents: () => parts, toString: () => whole }]
  })
}

function createComponentLogger(env: Env): ComponentLogger {
  const complaints = new Set<string>()
  const failed = (format: unknown, error: unknown): void => {
    const fields = errorFields(error)
    const key = `${String(format)} ${String(fields['error'])}`
    if (complaints.has(key) || complaints.size > 100) return
    complaints.add(key)
    env.log.debug('mdns reported a failure', { what: String(format), ...fields })
  }
  const forComponent = (): Logger =>
    Object.assign(() => undefined, {
      trace: Object.assign(() => undefined, { enabled: false }),
      error: Object.assign(failed, { enabled: true }),
      enabled: false,
      newScope: forComponent,
    })
  return { forComponent }
}
