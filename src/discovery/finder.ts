/**
 * Finding each other: composes the interface watcher, the beacon, the open records of pairing windows and the address
 * book. Everything it says is a hint for dialling; who somebody is, the handshake of a connection decides. Members
 * are sighted by sealed records only, so open records can name a member as often as they like.
 */
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { createEmitter, type Events } from '../base/events.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { isUnspecified, parseAddress } from './address.ts'
import { createAddressBook, type AddressBook } from './address-book.ts'
import { createBeacon, type Beacon } from './beacon.ts'
import type { AddressSource } from './endpoint.ts'
import { dropOldest } from './freshness.ts'
import {
  acceptHints,
  addressesOn,
  createInterfaceWatcher,
  type InterfaceOptions,
  type InterfaceWatcher,
} from './interfaces.ts'
import { createPlainMdns, type PlainMdns } from './mdns.ts'
import { createMulticast, mdnsPort, type Multicast } from './multicast.ts'
import type { PlainRecord } from './plain-record.ts'

export interface FinderEvents {
  /** A member announced itself. Up to three a second after changes, then one each 10 s per shared interface. */
  readonly 'peer.sighted': { readonly peerId: PeerId; readonly addresses: readonly string[] }
  /** Interfaces or addresses changed, or the machine woke up: reset back-offs. */
  readonly 'network.changed': { readonly isWake: boolean }
  /** Only while a pairing window is open. Nothing of it is proven. */
  readonly 'stranger.sighted': {
    readonly peerId: PeerId
    readonly addresses: readonly string[]
    readonly nameplate: string | undefined
  }
}

/** Says where peers may be reached. */
export interface Finder extends Events<FinderEvents>, AsyncDisposable {
  /** At most limits.addressesPerPeer, best first; for strangers of the open pairing window what they said. */
  addressesOf(peerId: PeerId): readonly string[]
  /** Result of a dial. `worked` only when the handshake proved the peer's identity. */
  learned(peerId: PeerId, address: string, outcome: 'worked' | 'failed'): void
  /** Addresses from the configuration, from the person, or from the roster. @throws `config.invalid`, and takes none. */
  addStatic(peerId: PeerId, addresses: readonly string[], source?: Exclude<AddressSource, 'beacon'>): void
  /** Text opens the pairing window to the network (an empty one without a nameplate), undefined closes it. */
  setPairing(nameplate: string | undefined): void
  /** Own addresses that others may reach, wildcards resolved for the present interfaces; at most limits.addressesPerPeer. */
  ownAddresses(): readonly string[]
  /** Tells everyone now: own addresses, identity or mesh keys changed. */
  announce(): void
  /** Strangers sighted in this pairing window, newest last, at most limits.sightings. */
  strangers(): readonly FinderEvents['stranger.sighted'][]
}

export interface FinderParts {
  readonly keep: Keep
  readonly self: () => { readonly deviceId: DeviceId; readonly peerId: PeerId }
  /** Own multiaddrs as bound, without /p2p; wildcards are resolved for each interface. */
  readonly addresses: () => readonly string[]
  /** 32 bytes each, current first; may be empty. */
  readonly meshKeys: () => readonly Uint8Array[]
  readonly isMember: (peerId: PeerId) => boolean
}

export interface FinderOptions {
  /** Speak on exactly these. Default: all that are up, without loopback if there is another. */
  readonly interfaces?: readonly string[]
  /** UDP port; default 5353. Others only meet their like. */
  readonly port?: number
  /** For tests and simulations: instead of UDP. */
  readonly multicast?: Multicast
  /** For tests and simulations: instead of the system's interfaces. */
  readonly listInterfaces?: InterfaceOptions['list']
}

type Sighting = FinderEvents['stranger.sighted']

/** Starts at once. Disposing says goodbye, writes the addresses and closes all sockets. */
export async function createFinder(
  env: Env,
  parts: FinderParts,
  options: FinderOptions = {},
): Promise<Finder> {
  const scoped = withLogScope(env, 'discovery')
  const events = createEmitter<FinderEvents>(scoped.log)
  const book = await createAddressBook(scoped, parts.keep, parts.isMember)
  const watcher = createInterfaceWatcher(scoped, {
    ...(options.interfaces === undefined ? {} : { only: options.interfaces }),
    ...(options.listInterfaces === undefined ? {} : { list: options.listInterfaces }),
  })
  const strangers = new Map<PeerId, Sighting>()
  const meet = (record: PlainRecord): void => {
    const sighting = noteStranger(strangers, record, parts.isMember)
    if (sighting !== undefined) events.emit('stranger.sighted', sighting)
  }
  const beacon = createBeacon(
    scoped,
    options.multicast ?? createMulticast(scoped, options.port ?? mdnsPort),
    {
      ...parts,
      heardMember(peerId, addresses, isLeaving) {
        if (isLeaving) return book.left(peerId)
        if (addresses.length > 0) book.named(peerId, addresses, 'beacon')
        events.emit('peer.sighted', { peerId, addresses })
      },
      heardStranger: meet,
    },
  )
  watcher.on('interfaces.changed', ({ interfaces, isWake }) => {
    beacon.use(interfaces, isWake)
    events.emit('network.changed', { isWake })
  })
  const plain = createWindow(scoped, { parts, options, watcher, meet })
  beacon.use(watcher.current())
  let disposing: Promise<void> | undefined
  return {
    on: (name, listener) => events.on(name, listener),
    ...bookMethods(book, strangers),
    setPairing(nameplate) {
      if (disposing !== undefined) return
      if (nameplate === undefined) strangers.clear()
      beacon.setPairing(nameplate)
      plain.setOpen(nameplate !== undefined)
    },
    ownAddresses() {
      const own = watcher.current().flatMap((on) => addressesOn(on, parts.addresses()))
      // Told to listen on loopback alone: for a peer on this machine, which no interface to speak on leads to
      const named = own.length > 0 ? own : parts.addresses().filter(isConcrete)
      return [...new Set(named)].slice(0, limits.addressesPerPeer)
    },
    announce: () => beacon.announce(),
    strangers: () => [...strangers.values()],
    [Symbol.asyncDispose]: () => (disposing ??= close({ watcher, plain, beacon, book })),
  }
}

function isConcrete(text: string): boolean {
  const address = parseAddress(text)
  return address !== undefined && (address.family === 4 || address.family === 6) && !isUnspecified(address)
}

interface Owned {
  readonly watcher: InterfaceWatcher
  readonly plain: Window
  readonly beacon: Beacon
  readonly book: AddressBook
}

async function close({ watcher, plain, beacon, book }: Owned): Promise<void> {
  watcher[Symbol.dispose]()
  plain.setOpen(false)
  await Promise.all([plain.settled(), beacon[Symbol.asyncDispose]()])
  await book[Symbol.asyncDispose]()
}

function bookMethods(
  book: AddressBook,
  strangers: ReadonlyMap<PeerId, Sighting>,
): Pick<Finder, 'addressesOf' | 'learned' | 'addStatic'> {
  return {
    addressesOf(peerId) {
      const known = book.addressesOf(peerId)
      return known.length > 0 ? known : (strangers.get(peerId)?.addresses ?? [])
    },
    learned: (peerId, address, outcome) => book.tried(peerId, address, outcome),
    addStatic(peerId, addresses, source = 'static') {
      const wrong = addresses.find((address) => parseAddress(address) === undefined)
      if (wrong !== undefined) {
        throw new SkeinError(
          'config.invalid',
          `not an address of a device: ${JSON.stringify(wrong.slice(0, 100))}`,
          {
            fix: 'Write addresses like /ip4/192.168.1.20/tcp/4001.',
          },
        )
      }
      book.named(peerId, addresses, source)
    },
  }
}

/** @returns what is known of the stranger now, or undefined when the record adds nothing to tell. */
function noteStranger(
  strangers: Map<PeerId, Sighting>,
  { peerId, addresses, nameplate, isLeaving }: PlainRecord,
  isMember: (peerId: PeerId) => boolean,
): Sighting | undefined {
  if (isMember(peerId)) return undefined
  const before = strangers.get(peerId)
  strangers.delete(peerId)
  if (isLeaving) return undefined
  // Newest first, and several interfaces add up
  const all = [...new Set([...addresses, ...(before?.addresses ?? [])])].slice(0, limits.addressesPerPeer)
  const sighting = { peerId, addresses: all, nameplate: nameplate ?? before?.nameplate }
  strangers.set(peerId, sighting)
  dropOldest(strangers, limits.sightings)
  const isKnown =
    before?.nameplate === sighting.nameplate &&
    before?.addresses.length === all.length &&
    all.every((address) => before.addresses.includes(address))
  return isKnown ? undefined : sighting
}

/** The named package, started and stopped with the window, one after the other. */
interface Window {
  setOpen(isOpen: boolean): void
  settled(): Promise<void>
}

interface WindowParts {
  readonly parts: FinderParts
  readonly options: FinderOptions
  readonly watcher: InterfaceWatcher
  readonly meet: (record: PlainRecord) => void
}

function createWindow(env: Env, { parts, options, watcher, meet }: WindowParts): Window {
  // The package cannot be held to given interfaces, nor run without sockets
  const isUsable = options.interfaces === undefined && options.multicast === undefined
  let plain: PlainMdns | undefined
  let turn = Promise.resolve()
  const party = {
    peerId: () => parts.self().peerId,
    addresses: () => watcher.current().flatMap((on) => addressesOn(on, parts.addresses())),
    found(peerId: PeerId, named: readonly string[]) {
      const addresses = [...new Set(watcher.current().flatMap((on) => acceptHints(on, named)))]
      if (addresses.length > 0) meet({ peerId, addresses, nameplate: undefined, isLeaving: false })
    },
  }
  return {
    setOpen(isOpen) {
      if (!isUsable || isOpen === (plain !== undefined)) return
      const next = isOpen ? createPlainMdns(env, party, options.port) : undefined
      const before = plain
      plain = next
      turn = turn
        .then(() => (next === undefined ? before?.stop() : next.start()))
        .catch((error: unknown) => env.log.warn('open discovery not available', errorFields(error)))
    },
    settled: () => turn,
  }
}
