/**
 * The few multiaddr forms that discovery handles, as text: `/ip4|ip6|dns4|dns6|dns/<host>/tcp/<port>[/tls]`, and
 * `/ip6zone/<zone>/ip6/...` for link-local IPv6. Parsing is strict and canonical (one text per address), so texts
 * can be compared. Other transports are not announced and not accepted here.
 */
import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net'
import { limits } from '../base/limits.ts'

export interface TcpAddress {
  readonly family: 4 | 6 | 'dns' | 'dns4' | 'dns6'
  readonly host: string
  /** Interface a link-local IPv6 address belongs to, on this machine. */
  readonly zone: string | undefined
  readonly port: number
  readonly isTls: boolean
}

const pattern =
  /^(?:\/ip6zone\/([A-Za-z0-9._@-]{1,32}))?\/(ip4|ip6|dns|dns4|dns6)\/([^/\s]{1,128})\/tcp\/([1-9]\d{0,4})(\/tls)?$/
const dnsPattern = /^(?=.{1,128}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?$/i

/** @returns undefined for anything else than the forms above, or when longer than limits.addressBytes. */
export function parseAddress(text: string): TcpAddress | undefined {
  if (text.length > limits.addressBytes) return undefined
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [, zone, kind, host = '', portText, tls] = match
  const port = Number(portText)
  if (port > 65_535 || (zone !== undefined && kind !== 'ip6')) return undefined
  const rest = { port, isTls: tls !== undefined }
  if (kind === 'ip4') return isIPv4(host) ? { family: 4, host, zone: undefined, ...rest } : undefined
  if (kind === 'ip6') {
    if (!isIPv6(host) || host.includes('%')) return undefined
    return { family: 6, host: canonicalIp(host), zone, ...rest }
  }
  if (!dnsPattern.test(host)) return undefined
  const family = kind === 'dns4' || kind === 'dns6' ? kind : 'dns'
  return { family, host: host.toLowerCase(), zone: undefined, ...rest }
}

export function formatAddress({ family, host, zone, port, isTls }: TcpAddress): string {
  const protocol = typeof family === 'number' ? `ip${family}` : family
  return `${zone === undefined ? '' : `/ip6zone/${zone}`}/${protocol}/${host}/tcp/${port}${isTls ? '/tls' : ''}`
}

/** The one text of an IP address (RFC 5952 for IPv6), without a zone. */
export function canonicalIp(host: string): string {
  const bare = host.split('%')[0] ?? ''
  return isIPv6(bare) ? new SocketAddress({ address: bare, family: 'ipv6' }).address : bare
}

const families = { 4: 'ipv4', 6: 'ipv6' } as const
const blockList = (...subnets: readonly (readonly [string, number])[]): BlockList => {
  const list = new BlockList()
  for (const [address, bits] of subnets) list.addSubnet(address, bits, isIPv6(address) ? 'ipv6' : 'ipv4')
  return list
}
const linkLocal6 = blockList(['fe80::', 10])
/** Addresses of private use (RFC 1918, 3927, 6598, 4193, 4291): what a LAN device may have beyond our own subnets. */
const privateUse = blockList(
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
  ['fc00::', 7],
  ['fe80::', 10],
)

type Ip = Pick<TcpAddress, 'family' | 'host'>
const isIn = (list: BlockList, { family, host }: Ip): boolean =>
  (family === 4 || family === 6) && list.check(host, families[family])

export const isLinkLocal6 = (ip: Ip): boolean => ip.family === 6 && isIn(linkLocal6, ip)
export const isPrivateUse = (ip: Ip): boolean => isIn(privateUse, ip)
export const isUnspecified = ({ host }: Ip): boolean => host === '0.0.0.0' || host === '::'
