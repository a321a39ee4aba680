/**
 * A network lab: hosts in their own network namespaces behind one switch, which has a namespace of its own, so
 * that nothing here can reach the machine's network. Real processes run in the hosts while links are cut, lossy,
 * slow or down. Needs root (see `needs.ts`); disposing removes everything, and so does the next lab after a crash.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import {
  ipBatch,
  labPath,
  mustRun,
  removeNamespace,
  removeStaleLabs,
  runCommand,
  type CommandOptions,
  type CommandResult,
} from './netns-commands.ts'
import { cutKey, noFaults, portOf, renderRules, type Faults } from './netns-rules.ts'

export interface LabOptions {
  /** How many hosts, 1 to 250; they are numbered from 0. */
  readonly hosts: number
  /** Gives each host a default route to the switch, which answers but forwards nothing. */
  readonly withDefaultRoute?: boolean
}

/** All times are real; every command has a time limit and every change is in force when its promise resolves. */
export interface Lab extends AsyncDisposable {
  readonly hostCount: number
  /** The namespace of a host. */
  namespaceOf(host: number): string
  /** The current IPv4 address of a host, without the prefix length. */
  addressOf(host: number): string
  /** Runs a command in a host to its end. */
  exec(host: number, file: string, args?: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** Starts a process in a host; its pid is the process's own. Disposing the lab kills it if it still runs. */
  spawn(host: number, file: string, args?: readonly string[], options?: SpawnOptions): ChildProcess
  /** Drops everything between two hosts, both ways, until `heal`. */
  cut(a: number, b: number): Promise<void>
  /** Drops everything that `from` sends to `to`; the other way still works. */
  cutOneWay(from: number, to: number): Promise<void>
  /** Ends the cuts between two hosts; without arguments all cuts, losses and partitions. */
  heal(a?: number, b?: number): Promise<void>
  /** Cuts every link between groups, and heals those inside one. Hosts in no group are alone. */
  partition(groups: readonly (readonly number[])[]): Promise<void>
  /** Loses a share of what a host sends and receives; 0 ends it. */
  loss(host: number, percent: number): Promise<void>
  /** Limits what a host sends and receives, each way; null ends it. */
  squeeze(host: number, mbit: number | null): Promise<void>
  /** Drops everything from and to a host for a while; resolves when it is over. */
  stall(host: number, durationMs: number): Promise<void>
  /** Takes the host's interface down; the host sees it. */
  linkDown(host: number): Promise<void>
  linkUp(host: number): Promise<void>
  /** Gives the host another IPv4 address, with prefix length 24 and without the old one. */
  changeAddress(host: number, address: string): Promise<void>
  /** Adds an interface `vpn0` that swallows everything and takes over the default route. */
  addDummyVpn(host: number): Promise<void>
  removeDummyVpn(host: number): Promise<void>
  removeDefaultRoute(host: number): Promise<void>
}

interface Host {
  readonly namespace: string
  address: string
  hasDefaultRoute: boolean
}

interface Wiring {
  readonly switchNamespace: string
  readonly gateway: string
  readonly hosts: readonly Host[]
  readonly faults: Faults
  readonly children: Set<ChildProcess>
  readonly ending: AbortController
  /** The last change of the packet filter; the next one waits for it. */
  applying: Promise<unknown>
}

let labCount = 0
const killWaitMs = 5_000

/** Builds the lab. @throws when a command fails, having removed what it had made. */
export async function createLab({ hosts, withDefaultRoute = false }: LabOptions): Promise<Lab> {
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > 250) throw new RangeError('a lab has 1 to 250 hosts')
  await removeStaleLabs()
  const prefix = `skein-${process.pid}-${++labCount}-`
  const subnet = `10.77.${(process.pid + labCount) % 256}`
  const wiring: Wiring = {
    switchNamespace: `${prefix}switch`,
    gateway: `${subnet}.254`,
    hosts: Array.from({ length: hosts }, (_, index) => ({
      namespace: `${prefix}h${index}`,
      address: `${subnet}.${index + 1}`,
      hasDefaultRoute: withDefaultRoute,
    })),
    faults: noFaults(),
    children: new Set(),
    ending: new AbortController(),
    applying: Promise.resolve(),
  }
  try {
    await build(wiring)
  } catch (error) {
    await dispose(wiring)
    throw error
  }
  return {
    hostCount: hosts,
    namespaceOf: (host) => hostAt(wiring, host).namespace,
    addressOf: (host) => hostAt(wiring, host).address,
    ...processMethods(wiring),
    ...faultMethods(wiring),
    ...interfaceMethods(wiring),
    [Symbol.asyncDispose]: () => dispose(wiring),
  }
}

async function build(wiring: Wiring): Promise<void> {
  const { switchNamespace, hosts } = wiring
  await mustRun('ip', ['netns', 'add', switchNamespace])
  for (const host of hosts) await mustRun('ip', ['netns', 'add', host.namespace])
  await ipBatch(switchNamespace, [
    'link set lo up',
    // No snooping: without a querier it would swallow multicast after a while. No spanning tree: ports work at once.
    'link add name br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
    `address add ${wiring.gateway}/24 dev br0`,
    'link set br0 up',
    ...hosts.flatMap((host, index) => [
      `link add ${portOf(index)} type veth peer name eth0 netns ${host.namespace}`,
      `link set ${portOf(index)} master br0`,
      `link set ${portOf(index)} up`,
    ]),
  ])
  for (const host of hosts) {
    await ipBatch(host.namespace, [
      'link set lo up',
      `address add ${host.address}/24 dev eth0`,
      'link set eth0 up',
      ...(host.hasDefaultRoute ? [defaultRoute(wiring)] : []),
    ])
  }
  await applyFaults(wiring)
}

/** Stops what still runs, then removes the namespaces; the interfaces go with them. Safe to call again. */
async function dispose(wiring: Wiring): Promise<void> {
  wiring.ending.abort()
  await Promise.all([...wiring.children].map(endChild))
  for (const host of wiring.hosts) await removeNamespace(host.namespace)
  await removeNamespace(wiring.switchNamespace)
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  await Promise.race([exited, delay(killWaitMs, undefined, { ref: false })])
}

function processMethods(wiring: Wiring): Pick<Lab, 'exec' | 'spawn'> {
  return {
    exec: (host, file, args = [], options = {}) =>
      runCommand('ip', ['netns', 'exec', hostAt(wiring, host).namespace, file, ...args], options),
    spawn(host, file, args = [], options = {}) {
      // `ip netns exec` becomes the command (execvp), so the child's pid is the command's.
      const child = spawn('ip', ['netns', 'exec', hostAt(wiring, host).namespace, file, ...args], {
        ...options,
        env: { ...(options.env ?? process.env), PATH: labPath },
      })
      wiring.children.add(child)
      child.once('exit', () => wiring.children.delete(child))
      return child
    },
  }
}

function faultMethods(
  wiring: Wiring,
): Pick<Lab, 'cut' | 'cutOneWay' | 'heal' | 'partition' | 'loss' | 'squeeze' | 'stall'> {
  const { cuts, lossPercent, stalls } = wiring.faults
  return {
    async cut(a, b) {
      cuts.add(cutKey(a, b)).add(cutKey(b, a))
      await applyFaults(wiring)
    },
    async cutOneWay(from, to) {
      cuts.add(cutKey(from, to))
      await applyFaults(wiring)
    },
    async heal(a, b) {
      if (a === undefined || b === undefined) {
        cuts.clear()
        lossPercent.clear()
      } else {
        cuts.delete(cutKey(a, b))
        cuts.delete(cutKey(b, a))
      }
      await applyFaults(wiring)
    },
    async partition(groups) {
      cuts.clear()
      const groupOf = (host: number): unknown => groups.find((group) => group.includes(host)) ?? host
      for (const a of wiring.hosts.keys()) {
        for (const b of wiring.hosts.keys()) if (groupOf(a) !== groupOf(b)) cuts.add(cutKey(a, b))
      }
      await applyFaults(wiring)
    },
    async loss(host, percent) {
      if (percent <= 0) lossPercent.delete(host)
      else lossPercent.set(host, Math.min(percent, 100))
      await applyFaults(wiring)
    },
    async squeeze(host, mbit) {
      await limitRate(hostAt(wiring, host).namespace, 'eth0', mbit)
      await limitRate(wiring.switchNamespace, portOf(host), mbit)
    },
    async stall(host, durationMs) {
      stalls.set(host, (stalls.get(host) ?? 0) + 1)
      await applyFaults(wiring)
      await delay(durationMs, undefined, { signal: wiring.ending.signal }).catch(() => undefined)
      const others = (stalls.get(host) ?? 1) - 1
      if (others === 0) stalls.delete(host)
      else stalls.set(host, others)
      if (!wiring.ending.signal.aborted) await applyFaults(wiring)
    },
  }
}

function interfaceMethods(
  wiring: Wiring,
): Pick<
  Lab,
  'linkDown' | 'linkUp' | 'changeAddress' | 'addDummyVpn' | 'removeDummyVpn' | 'removeDefaultRoute'
> {
  return {
    linkDown: (host) => ipBatch(hostAt(wiring, host).namespace, ['link set eth0 down']),
    async linkUp(host) {
      const { namespace, hasDefaultRoute } = hostAt(wiring, host)
      // The kernel forgot the route when the link went down.
      await ipBatch(namespace, ['link set eth0 up', ...(hasDefaultRoute ? [defaultRoute(wiring)] : [])])
    },
    async changeAddress(host, address) {
      const changed = hostAt(wiring, host)
      if (address === changed.address) return
      await ipBatch(changed.namespace, [
        `address add ${address}/24 dev eth0`,
        `address delete ${changed.address}/24 dev eth0`,
      ])
      // Removing the first address of a subnet can take others and the routes with it.
      await ipBatch(changed.namespace, [
        `address replace ${address}/24 dev eth0`,
        ...(changed.hasDefaultRoute ? [defaultRoute(wiring)] : []),
      ])
      changed.address = address
    },
    async addDummyVpn(host) {
      const { namespace } = hostAt(wiring, host)
      await ipBatch(namespace, [
        // A veth that ends in the switch's namespace, outside the bridge: not every kernel has the dummy type.
        `link add name vpn0 type veth peer name vpn${host} netns ${wiring.switchNamespace}`,
        `address add 10.78.0.${host + 1}/24 dev vpn0`,
        'link set vpn0 arp off',
        'link set vpn0 up',
      ])
      await ipBatch(wiring.switchNamespace, [`link set vpn${host} up`])
      await ipBatch(namespace, ['route replace default dev vpn0 metric 5'])
    },
    removeDummyVpn: (host) => ipBatch(hostAt(wiring, host).namespace, ['link delete vpn0']),
    async removeDefaultRoute(host) {
      const changed = hostAt(wiring, host)
      const routes = await mustRun('ip', ['-n', changed.namespace, 'route', 'show', 'default'])
      const lines = routes.split('\n').filter((line) => line.trim() !== '')
      if (lines.length > 0) {
        await ipBatch(
          changed.namespace,
          lines.map((line) => `route delete ${line.replace(/\b(linkdown|dead|onlink)\b/g, '').trim()}`),
        )
      }
      changed.hasDefaultRoute = false
    },
  }
}

/** One after the other, each with the faults of its own moment: else an older table could land on a newer one. */
function applyFaults(wiring: Wiring): Promise<void> {
  const apply = async (): Promise<void> => {
    const nft = ['netns', 'exec', wiring.switchNamespace, 'nft', '-f', '-']
    await mustRun('ip', nft, renderRules(wiring.faults))
  }
  const applied = wiring.applying.then(apply)
  // The caller gets the error; the queue goes on.
  wiring.applying = applied.catch(() => undefined)
  return applied
}

/** A token bucket that holds about 10 ms, and half a second of queue before it drops. */
async function limitRate(namespace: string, device: string, mbit: number | null): Promise<void> {
  if (mbit === null) {
    // Fails when there was no limit, which is what was asked for.
    await runCommand('tc', ['-n', namespace, 'qdisc', 'delete', 'dev', device, 'root'])
    return
  }
  const burstBytes = Math.max(5_000, Math.round((mbit * 1e6) / 8 / 100))
  const qdisc = ['root', 'tbf', 'rate', `${Math.round(mbit * 1000)}kbit`]
  const bounds = ['burst', `${burstBytes}b`, 'latency', '500ms']
  await mustRun('tc', ['-n', namespace, 'qdisc', 'replace', 'dev', device, ...qdisc, ...bounds])
}

function defaultRoute(wiring: Wiring): string {
  return `route replace default via ${wiring.gateway} dev eth0 metric 100`
}

function hostAt(wiring: Wiring, index: number): Host {
  const host = wiring.hosts[index]
  if (host === undefined)
    throw new RangeError(`the lab has hosts 0 to ${wiring.hosts.length - 1}, not ${index}`)
  return host
}
