/**
 * The faults of a lab's network as data, and the packet filter that brings them about: one nft table in the
 * switch, where every frame between two hosts passes. Filtering there catches multicast too and looks like silence
 * to the hosts, where a rule inside a host would make its own `send` fail. Only address resolution (ARP, IPv6
 * neighbour discovery) always passes: its one-second retries would blur when a cut begins and when it is healed.
 * For a host that sees its link go, take the link down instead.
 */

/** What is wrong with the network right now. Hosts are numbered from 0. */
export interface Faults {
  /** `from>to` pairs whose frames are dropped. */
  readonly cuts: Set<string>
  /** Share of a host's frames that is lost, each way, in percent. */
  readonly lossPercent: Map<number, number>
  /** Hosts all of whose frames are dropped, with the number of stalls that overlap. */
  readonly stalls: Map<number, number>
}

export function noFaults(): Faults {
  return { cuts: new Set(), lossPercent: new Map(), stalls: new Map() }
}

export function cutKey(from: number, to: number): string {
  return `${from}>${to}`
}

/** The switch's port to a host. */
export function portOf(host: number): string {
  return `port${host}`
}

/** @returns nft input that replaces the whole table in one transaction. */
export function renderRules(faults: Faults): string {
  const rules: string[] = []
  for (const host of faults.stalls.keys()) {
    rules.push(`iifname "${portOf(host)}" drop`, `oifname "${portOf(host)}" drop`)
  }
  for (const cut of faults.cuts) {
    const [from, to] = cut.split('>').map(Number)
    rules.push(`iifname "${portOf(from ?? 0)}" oifname "${portOf(to ?? 0)}" drop`)
  }
  for (const [host, percent] of faults.lossPercent) {
    const share = `numgen random mod 10000 < ${Math.round(percent * 100)}`
    rules.push(`iifname "${portOf(host)}" ${share} drop`, `oifname "${portOf(host)}" ${share} drop`)
  }
  return [
    'table bridge lab',
    'delete table bridge lab',
    'table bridge lab {',
    '  chain forward {',
    '    type filter hook forward priority 0; policy accept;',
    '    ether type arp accept',
    '    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
    ...rules.map((rule) => `    ${rule}`),
    '  }',
    '}',
    '',
  ].join('\n')
}
