/**
 * Network interfaces as the beacon sees them, and a watcher that notices changes and wake-ups. Portable Node has no
 * change events, so it looks each limits.interfacePollMs; a wake-up shows as a jump between the wall clock and the
 * monotonic one (which stands still in suspend on Linux) or as a poll that came much too late (elsewhere).
 */
import { BlockList } from 'node:net'
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'
import type { Env } from '../base/env.ts'
import { createEmitter, type Events } from '../base/events.ts'
import { errorFields } from '../base/log.ts'
import { limits } from '../base/limits.ts'
import {
  canonicalIp,
  formatAddress,
  isLinkLocal6,
  isPrivateUse,
  isUnspecified,
  parseAddress,
  type TcpAddress,
} from './address.ts'

export interface InterfaceAddress {
  readonly family: 4 | 6
  /** Canonical, without a zone. */
  readonly address: string
  readonly prefixBits: number
  /** Interface index of a link-local IPv6 address, else 0. */
  readonly scopeId: number
}

export interface NetworkInterface {
  readonly name: string
  readonly isLoopback: boolean
  /** Sorted, so that two looks at an unchanged interface are equal as text. */
  readonly addresses: readonly InterfaceAddress[]
}

export interface InterfaceChange {
  readonly added: readonly NetworkInterface[]
  readonly removed: readonly NetworkInterface[]
  /** As they are now. */
  readonly changed: readonly NetworkInterface[]
}

export interface InterfaceEvents {
  readonly 'interfaces.changed': {
    readonly interfaces: readonly NetworkInterface[]
    readonly isWake: boolean
  }
}

export interface InterfaceWatcher extends Events<InterfaceEvents>, Disposable {
  current(): readonly NetworkInterface[]
}

export interface InterfaceOptions {
  /** Exactly these interfaces. Default: all that are up except loopback; loopback when there is nothing else. */
  readonly only?: readonly string[]
  /** What the system says; for tests. */
  readonly list?: () => NodeJS.Dict<NetworkInterfaceInfo[]>
}

/** A jump above this is a wake-up (or a set clock, for which announcing anew does no harm). */
const wakeJumpMs = 5_000

/** Looks at once, then each limits.interfacePollMs until disposed. */
export function createInterfaceWatcher(env: Env, options: InterfaceOptions = {}): InterfaceWatcher {
  const emitter = createEmitter<InterfaceEvents>(env.log)
  const list = options.list ?? networkInterfaces
  const look = (): readonly NetworkInterface[] => chooseInterfaces(list(), options.only)
  let interfaces: readonly NetworkInterface[] = []
  let monotonicMs = env.clock.monotonicMs()
  let wallMs = env.clock.nowMs()
  let timer: Disposable

  const poll = (): void => {
    const passedMs = env.clock.monotonicMs() - monotonicMs
    const wallPassedMs = env.clock.nowMs() - wallMs
    monotonicMs += passedMs
    wallMs += wallPassedMs
    const isWake = isWakeUp(passedMs, wallPassedMs)
    timer = env.clock.setTimer(limits.interfacePollMs, poll)
    try {
      const now = look()
      const isChanged = !isEmptyChange(diffInterfaces(interfaces, now))
      interfaces = now
      if (isChanged || isWake) emitter.emit('interfaces.changed', { interfaces, isWake })
    } catch (error) {
      env.log.warn('network interfaces cannot be read', errorFields(error))
    }
  }
  try {
    interfaces = look()
  } catch (error) {
    env.log.warn('network interfaces cannot be read', errorFields(error))
  }
  timer = env.clock.setTimer(limits.interfacePollMs, poll)
  return {
    current: () => interfaces,
    on: (name, listener) => emitter.on(name, listener),
    [Symbol.dispose]: () => timer[Symbol.dispose](),
  }
}

export function isWakeUp(monotonicPassedMs: number, wallPassedMs: number): boolean {
  return (
    Math.abs(wallPassedMs - monotonicPassedMs) > wakeJumpMs ||
    monotonicPassedMs > limits.interfacePollMs + wakeJumpMs
  )
}

/** The interfaces to speak on, sorted by name, those with IPv4 first, at most limits.beaconInterfaces. */
export function chooseInterfaces(
  listed: NodeJS.Dict<NetworkInterfaceInfo[]>,
  only: readonly string[] | undefined,
): readonly NetworkInterface[] {
  const all = Object.entries(listed).map(([name, infos]) => toInterface(name, infos ?? []))
  const usable = all.filter(({ addresses }) => addresses.length > 0)
  const outside = usable.filter(({ isLoopback }) => !isLoopback)
  const chosen =
    only === undefined
      ? outside.length > 0
        ? outside
        : usable
      : usable.filter(({ name }) => only.includes(name))
  return chosen
    .toSorted((a, b) => Number(hasIpv4(b)) - Number(hasIpv4(a)) || (a.name < b.name ? -1 : 1))
    .slice(0, limits.beaconInterfaces)
}

const hasIpv4 = ({ addresses }: NetworkInterface): boolean => addresses.some(({ family }) => family === 4)

function toInterface(name: string, infos: readonly NetworkInterfaceInfo[]): NetworkInterface {
  const addresses = infos.map((info): InterfaceAddress => {
    const family = info.family === 'IPv4' ? 4 : 6
    const prefixBits = Number(info.cidr?.split('/')[1] ?? (family === 4 ? 32 : 128))
    return { family, address: canonicalIp(info.address), prefixBits, scopeId: info.scopeid ?? 0 }
  })
  return {
    name,
    isLoopback: infos.some(({ internal }) => internal),
    addresses: addresses.toSorted((a, b) => a.family - b.family || (a.address < b.address ? -1 : 1)),
  }
}

/** What is different between two looks. Interfaces are the same one when they have the same name. */
export function diffInterfaces(
  before: readonly NetworkInterface[],
  after: readonly NetworkInterface[],
): InterfaceChange {
  const old = new Map(before.map((entry) => [entry.name, entry]))
  const names = new Set(after.map(({ name }) => name))
  return {
    added: after.filter(({ name }) => !old.has(name)),
    removed: before.filter(({ name }) => !names.has(name)),
    changed: after.filter((entry) => {
      const was = old.get(entry.name)
      return was !== undefined && !isSameInterface(was, entry)
    }),
  }
}

export const isSameInterface = (a: NetworkInterface, b: NetworkInterface): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

const isEmptyChange = ({ added, removed, changed }: InterfaceChange): boolean =>
  added.length + removed.length + changed.length === 0

/** True for addresses in a subnet of this interface; link-local IPv6 must carry its name or index as zone. */
export function createOnLinkCheck({
  name,
  addresses,
}: NetworkInterface): (source: string, family: 4 | 6) => boolean {
  const subnets = new BlockList()
  const scopes = new Set([name])
  for (const { family, address, prefixBits, scopeId } of addresses) {
    if (family === 6 && isLinkLocal6({ family, host: address })) scopes.add(String(scopeId))
    else subnets.addSubnet(address, prefixBits, family === 4 ? 'ipv4' : 'ipv6')
  }
  return (source, family) => {
    const [host = '', zone] = source.split('%')
    if (family === 6 && isLinkLocal6({ family, host })) return zone !== undefined && scopes.has(zone)
    return subnets.check(host, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/**
 * Own addresses that make sense on this interface: wildcards become its addresses, others stay only if they are
 * its own. Sorted IPv4, IPv6, link-local (announced without zone: the receiver knows its own), noise beside tls.
 * @param listening own multiaddrs as bound. @returns at most limits.addressesPerPeer.
 */
export function addressesOn(
  { addresses }: NetworkInterface,
  listening: readonly string[],
): readonly string[] {
  const rank = (ip: InterfaceAddress): number =>
    ip.family === 4 ? 0 : isLinkLocal6({ ...ip, host: ip.address }) ? 2 : 1
  const bound = listening.map(parseAddress).filter((address) => address !== undefined)
  const here = addresses
    .toSorted((a, b) => rank(a) - rank(b))
    .flatMap(({ family, address }) =>
      bound
        .filter((own) => own.family === family && (isUnspecified(own) || own.host === address))
        .map((own) => formatAddress({ ...own, host: address, zone: undefined })),
    )
  return [...new Set(here)].slice(0, limits.addressesPerPeer)
}

/**
 * The announced addresses that a device on this interface can really have: in its subnets or of private use,
 * loopback only on loopback, so that no announcement makes us dial into the wide internet or into ourselves.
 */
export function acceptHints(on: NetworkInterface, announced: readonly string[]): readonly string[] {
  const isOnLink = createOnLinkCheck(on)
  const isAcceptable = (address: TcpAddress): boolean => {
    const { family, host } = address
    if ((family !== 4 && family !== 6) || isUnspecified(address)) return false
    return isPrivateUse(address) || isOnLink(host, family)
  }
  const accepted = announced
    .map(parseAddress)
    .filter((address) => address !== undefined)
    .filter(isAcceptable)
    .map((address) => formatAddress(isLinkLocal6(address) ? { ...address, zone: on.name } : address))
  return [...new Set(accepted)].slice(0, limits.addressesPerPeer)
}
