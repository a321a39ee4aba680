/**
 * In which order addresses are tried, as pure functions. Control goes over noise, bulk over TLS; each falls back
 * to the other kind only when its own kind failed. Within a kind the caller's order counts (last good first).
 */
import { CODE_P2P, multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Lane } from '../base/link.ts'
import { limits } from '../base/limits.ts'
import { isTlsAddress } from './tls-transport.ts'

/** Addresses by turns: all of one turn failed before the next begins. What is no address we speak is left out. */
export function dialTurns(addresses: readonly string[], lane: Lane): readonly (readonly Multiaddr[])[] {
  const tls: Multiaddr[] = []
  const noise: Multiaddr[] = []
  for (const text of new Set(addresses)) {
    const address = parseAddress(text)
    if (address === undefined) continue
    const kind = isTlsAddress(address) ? tls : isNoiseAddress(address) ? noise : undefined
    if (kind !== undefined && kind.length < limits.addressesPerPeer) kind.push(address)
  }
  const turns = lane === 'bulk' ? [tls, noise] : [noise, tls]
  return turns.filter((turn) => turn.length > 0)
}

/** True for `/ip4|ip6/<ip>/tcp/<port>`. */
export function isNoiseAddress(address: Multiaddr): boolean {
  const names = address.getComponents().map((component) => component.name)
  return (names[0] === 'ip4' || names[0] === 'ip6') && names[1] === 'tcp' && names.length === 2
}

/** Without a peer id: that one is pinned separately. */
function parseAddress(text: string): Multiaddr | undefined {
  if (text.length > 256) return undefined
  try {
    return multiaddr(text).decapsulateCode(CODE_P2P)
  } catch {
    return undefined // because: addresses come from the network and people; one that is none is no error
  }
}
