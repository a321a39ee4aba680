/**
 * What is known about the addresses of one peer, as pure functions over a small list. An endpoint is a host with its
 * noise address, its tls address, or both: they are learnt, kept and forgotten together. Endpoints that have worked
 * are kept apart from mere hints, so that no number of false hints can push them out. Order is by counting events,
 * never by a clock.
 */
import { limits } from '../base/limits.ts'
import { formatAddress, isLinkLocal6, parseAddress, type TcpAddress } from './address.ts'

/** Who said so: the person or the configuration, the roster, a beacon (or another discovery), or a connection. */
export type AddressSource = 'static' | 'typed' | 'roster' | 'beacon' | 'seen-inbound'

export interface Endpoint {
  /** One or two texts, noise first. */
  readonly addresses: readonly string[]
  readonly source: AddressSource
  /** Event count when it was last named by its source. */
  readonly namedAt: number
  /** Event count when a dial to it last reached the peer; 0 = never. */
  readonly workedAt: number
  /** Event count when a dial to it last failed; 0 = never since it was last named or worked. */
  readonly failedAt: number
}

export type Endpoints = readonly Endpoint[]

/** Addresses kept because they worked; the rest of limits.addressesPerPeer is for given ones and hints. */
const provenAddresses = 4
/** Addresses given by a person or the roster that hints must leave room for. */
const givenAddresses = 2

/**
 * Takes in what a source says now. Texts that are no addresses are left out. Each address stands in one endpoint:
 * a pair that overlaps an old one (one of its two ports changed) leaves the old one whole and adds what is new.
 * @param at event count, growing.
 */
export function nameEndpoints(
  known: Endpoints,
  texts: readonly string[],
  source: AddressSource,
  at: number,
): Endpoints {
  let endpoints = known
  for (const pair of pairUp(texts)) {
    const owners = endpoints.filter((entry) => entry.addresses.some((address) => pair.includes(address)))
    const parts = owners.filter((entry) => entry.addresses.every((address) => pair.includes(address)))
    const others = owners.filter((entry) => !parts.includes(entry))
    const addresses = pair.filter((address) => !others.some((entry) => entry.addresses.includes(address)))
    const refreshed = others.map((entry) => ({
      ...entry,
      source: giverOf([entry], source),
      namedAt: at,
      failedAt: 0,
    }))
    const workedAt = Math.max(0, ...parts.map((entry) => entry.workedAt))
    const fresh: Endpoint = { addresses, source: giverOf(parts, source), namedAt: at, workedAt, failedAt: 0 }
    const rest = endpoints.filter((entry) => !owners.includes(entry))
    endpoints = [...rest, ...refreshed, ...(addresses.length > 0 ? [fresh] : [])]
  }
  return keepBest(endpoints)
}

/** What the person gave stays given, even when a beacon says it as well. */
function giverOf(entries: Endpoints, source: AddressSource): AddressSource {
  return entries.find(isGiven)?.source ?? source
}

/** A dial to this address reached the peer (its identity was proven) or did not. */
export function recordOutcome(
  known: Endpoints,
  text: string,
  outcome: 'worked' | 'failed',
  at: number,
): Endpoints {
  const parsed = parseAddress(text)
  if (parsed === undefined) return known
  const address = formatAddress(parsed)
  const update = (entry: Endpoint): Endpoint =>
    outcome === 'worked' ? { ...entry, workedAt: at, failedAt: 0 } : { ...entry, failedAt: at }
  if (known.some(({ addresses }) => addresses.includes(address))) {
    return keepBest(known.map((entry) => (entry.addresses.includes(address) ? update(entry) : entry)))
  }
  if (outcome === 'failed') return known
  const entry: Endpoint = {
    addresses: [address],
    source: 'seen-inbound',
    namedAt: at,
    workedAt: at,
    failedAt: 0,
  }
  return keepBest([...known, entry])
}

/** A device said goodbye: what only its beacon named and never worked is forgotten. */
export function forgetHints(known: Endpoints): Endpoints {
  return known.filter((entry) => isProven(entry) || isGiven(entry))
}

/** Addresses to dial, best first: worked and not failed since, then untried, then failed. */
export function addressesInOrder(known: Endpoints): readonly string[] {
  return known
    .toSorted(compareEndpoints)
    .flatMap(({ addresses }) => addresses)
    .slice(0, limits.addressesPerPeer)
}

export const isProven = ({ workedAt }: Endpoint): boolean => workedAt > 0
export const isGiven = ({ source }: Endpoint): boolean => source !== 'beacon' && source !== 'seen-inbound'

function compareEndpoints(a: Endpoint, b: Endpoint): number {
  return (
    rank(a) - rank(b) ||
    b.workedAt - a.workedAt ||
    Number(isGiven(b)) - Number(isGiven(a)) ||
    compareHints(a, b)
  )
}

const rank = (entry: Endpoint): number => (isProven(entry) ? 0 : 1) + (entry.failedAt > 0 ? 2 : 0)

/** Newest first; of one sighting the link-local ones last, else in the order they were named. */
function compareHints(a: Endpoint, b: Endpoint): number {
  return b.namedAt - a.namedAt || Number(isLinkLocal(a)) - Number(isLinkLocal(b))
}

function isLinkLocal({ addresses: [first = ''] }: Endpoint): boolean {
  const address = parseAddress(first)
  return address !== undefined && isLinkLocal6(address)
}

/**
 * At most limits.addressesPerPeer addresses: up to 4 that worked (latest first), then given ones, then the newest
 * hints, which always have room for one pair; what room is left goes to the others in that order.
 */
function keepBest(all: Endpoints): Endpoints {
  const proven = all.filter(isProven).toSorted((a, b) => b.workedAt - a.workedAt)
  const given = all.filter((entry) => !isProven(entry) && isGiven(entry)).toSorted(compareEndpoints)
  const hints = all.filter((entry) => !isProven(entry) && !isGiven(entry)).toSorted(compareEndpoints)
  const kept = new Set<Endpoint>()
  let room: number = limits.addressesPerPeer
  const keep = (entries: Endpoints, share: number): void => {
    let left = Math.min(share, room)
    for (const entry of entries) {
      const size = entry.addresses.length
      if (kept.has(entry) || size > left) continue
      kept.add(entry)
      left -= size
      room -= size
    }
  }
  keep(proven, provenAddresses)
  keep(given, givenAddresses)
  keep(hints, givenAddresses)
  for (const rest of [given, hints, proven]) keep(rest, room)
  // In the order they came, so that equal ranks keep their order
  return all.filter((entry) => kept.has(entry))
}

/** Puts the noise and the tls address of each host together, in the order in which hosts were named. */
function pairUp(texts: readonly string[]): readonly (readonly string[])[] {
  const hosts = new Map<string, { readonly noise: string[]; readonly tls: string[] }>()
  for (const address of texts.slice(0, limits.addressesPerPeer).map(parseAddress)) {
    if (address === undefined) continue
    const entry = hosts.get(hostOf(address)) ?? { noise: [], tls: [] }
    hosts.set(hostOf(address), entry)
    const list = address.isTls ? entry.tls : entry.noise
    const text = formatAddress(address)
    if (!list.includes(text)) list.push(text)
  }
  return [...hosts.values()].flatMap(({ noise, tls }) =>
    Array.from({ length: Math.max(noise.length, tls.length) }, (_, index) =>
      [noise[index], tls[index]].filter((text) => text !== undefined),
    ),
  )
}

const hostOf = ({ family, host, zone }: TcpAddress): string => `${family} ${host} ${zone ?? ''}`
