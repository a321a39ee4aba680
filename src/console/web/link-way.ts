/** By what way a link goes, as far as its address tells. */

/** @param address remote multiaddr, as the link says it. */
export function describeWay(address: string | undefined): string {
  if (address === undefined) return 'way not known'
  if (address.includes('/p2p-circuit')) return 'through a relay'
  const [, family, host = ''] = /^\/(ip4|ip6|dns4|dns6|dns)\/([^/]+)/.exec(address) ?? []
  if (family === undefined) return 'direct'
  if (family.startsWith('dns')) return 'direct, by name'
  const text = host.toLowerCase().replace(/^::ffff:/, '')
  if (/^127\.|^::1$/.test(text)) return 'direct, on this machine'
  if (
    /^10\.|^192\.168\.|^172\.(1[6-9]|2\d|3[01])\.|^169\.254\.|^fe[89ab][\da-f]:|^f[cd][\da-f]{2}:/.test(text)
  )
    return 'direct, by a private address'
  return 'direct, by a public address'
}
