/**
 * Hosts on a network in memory, for tests and simulations: TCP-like connections with latency from the clock, cuts in
 * one or both directions (bytes wait, as TCP retransmits them), resets, kills, and a gate as the real one has.
 * Everything happens by timers of the given clock and microtasks; a seed decides it all. No bandwidth is modelled.
 */
import { assert } from './assert.ts'
import type { Clock } from './clock.ts'
import { abortReason } from './clock.ts'
import { asSkeinError, SkeinError } from './errors.ts'
import type { PeerId } from './ids.ts'
import { limits } from './limits.ts'
import type { Access, ChannelHandler, Connection, DialOptions, Host, Membership } from './link.ts'
import type { HostSide, MemoryCore } from './memory-connection.ts'
import { createPipe, MemoryConnection } from './memory-connection.ts'

export interface MemoryNetworkOptions {
  readonly clock: Clock
  /** One-way delay of each message, loss being a longer one. Order is kept per connection whatever it says. */
  readonly delayMs: (from: string, to: string) => number
}

export interface MemoryHostOptions {
  readonly peerId: PeerId
  /** Where it listens, such as `/memory/1`. */
  readonly address: string
  /** What cuts and resets name; the address by default. Several hosts may be on one machine. */
  readonly machine?: string
  /** Who may connect; everybody without it. */
  readonly membership?: Membership
  /** Runs what the network brings in this host's process; a frozen process runs it later, a killed one never. */
  readonly run?: (work: () => void) => void
}

export interface MemoryHost extends Host {
  /** The process is gone without a word; others learn it by a reset, once one gets through. */
  kill(): void
  /** The machine got another address: connections over the old one hear nothing any more. */
  moveTo(address: string): void
}

export interface MemoryNetwork {
  createHost(options: MemoryHostOptions): MemoryHost
  /** Bytes from one machine to the other wait from now on. */
  cut(from: string, to: string): void
  heal(from: string, to: string): void
  healAll(): void
  /** Breaks all connections between two machines, as a reset by a middlebox does. */
  reset(a: string, b: string): void
  /** Connections that are open on both sides or on one, for leak checks. */
  openEnds(): readonly {
    readonly owner: PeerId
    readonly remote: PeerId
    readonly id: string
    readonly channels: number
  }[]
}

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  const cuts = new Set<string>()
  const waiting = new Map<string, (() => void)[]>()
  const way = (from: string, to: string): string => `${from} -> ${to}`
  let lastId = 0
  const core: MemoryCore = {
    clock: options.clock,
    delayMs: options.delayMs,
    hosts: new Map(),
    machines: new Map(),
    ends: new Set(),
    isCut: (from, to) => cuts.has(way(from, to)),
    whenHealed(from, to, resume) {
      const key = way(from, to)
      waiting.set(key, [...(waiting.get(key) ?? []), resume])
    },
    nextId: () => ++lastId,
  }
  const heal = (key: string): void => {
    cuts.delete(key)
    const resumes = waiting.get(key) ?? []
    waiting.delete(key)
    for (const resume of resumes) resume()
  }
  return {
    createHost: (hostOptions) => createMemoryHost(core, hostOptions),
    cut: (from, to) => void cuts.add(way(from, to)),
    heal: (from, to) => heal(way(from, to)),
    healAll: () => [...cuts].forEach(heal),
    reset(a, b) {
      const between = [...core.ends].filter(
        (end) => (end.local === a && end.remote === b) || (end.local === b && end.remote === a),
      )
      for (const end of between)
        end.host.run(() => end.finish(new SkeinError('peer.gone', 'connection reset')))
    },
    openEnds: () =>
      [...core.ends].map((end) => ({
        owner: end.host.peerId,
        remote: end.peerId,
        id: end.id,
        channels: end.channels,
      })),
  }
}

function createMemoryHost(core: MemoryCore, options: MemoryHostOptions): MemoryHost {
  const handlers = new Map<string, { readonly access: Access; readonly handler: ChannelHandler }>()
  const listeners = new Set<(connection: Connection) => void>()
  const { membership, peerId } = options
  const side: HostSide = {
    peerId,
    machine: options.machine ?? options.address,
    address: options.address,
    isAlive: true,
    run: options.run ?? ((work) => work()),
    admits: (remote) =>
      membership === undefined || membership.deviceOf(remote) !== undefined || membership.isPairingOpen(),
    arrived: (end) => listeners.forEach((listener) => listener(end)),
    handlerOf(protocol, end) {
      const served = handlers.get(protocol)
      const isMember = membership === undefined || membership.deviceOf(end.peerId) !== undefined
      return served === undefined || (served.access === 'member' && !isMember) ? undefined : served.handler
    },
  }
  const ownEnds = (): readonly MemoryConnection[] => [...core.ends].filter((end) => end.host === side)
  const leaveAddress = (): void => {
    if (core.hosts.get(side.address) === side) core.hosts.delete(side.address)
  }
  const takeAddress = (address: string): void => {
    side.address = address
    core.hosts.set(address, side)
    core.machines.set(address, side.machine)
  }
  takeAddress(options.address)
  return {
    peerId,
    addresses: () => [side.address],
    handle(protocol, access, handler) {
      assert(!handlers.has(protocol), `protocol ${protocol} handled once`)
      handlers.set(protocol, { access, handler })
      return { [Symbol.dispose]: () => void handlers.delete(protocol) }
    },
    onConnection(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    recheck() {
      for (const end of ownEnds()) {
        if (!side.admits(end.peerId))
          end.abort(new SkeinError('auth.denied', 'not a member of this mesh any more'))
      }
    },
    dial: (remote, addresses, dialOptions) => dial(core, side, { remote, addresses, ...dialOptions }),
    kill() {
      side.isAlive = false
      leaveAddress()
      for (const end of ownEnds()) end.vanish()
    },
    moveTo(address) {
      leaveAddress()
      for (const end of ownEnds()) end.strand()
      takeAddress(address)
    },
    async [Symbol.asyncDispose]() {
      side.isAlive = false
      leaveAddress()
      await Promise.all(ownEnds().map((end) => end.close()))
    },
  }
}

interface Dialled extends DialOptions {
  readonly remote: PeerId | undefined
  readonly addresses: readonly string[]
}

async function dial(
  core: MemoryCore,
  from: HostSide,
  { remote, addresses, signal }: Dialled,
): Promise<Connection> {
  let failure = new SkeinError('peer.gone', 'no address answered')
  for (const address of addresses.slice(0, limits.addressesPerPeer)) {
    try {
      return await dialAddress(core, from, { remote, address, signal })
    } catch (error) {
      if (signal?.aborted) throw error
      failure = asSkeinError(error)
    }
  }
  throw failure
}

/** A packet outside any connection; lost in a cut until it heals. */
function carry(core: MemoryCore, from: string, to: string, arrive: () => void): void {
  core.clock.setTimer(core.delayMs(from, to), () => {
    if (core.isCut(from, to)) core.whenHealed(from, to, () => carry(core, from, to, arrive))
    else arrive()
  })
}

function dialAddress(
  core: MemoryCore,
  from: HostSide,
  {
    remote,
    address,
    signal,
  }: {
    readonly remote: PeerId | undefined
    readonly address: string
    readonly signal: AbortSignal | undefined
  },
): Promise<Connection> {
  const settled = Promise.withResolvers<Connection>()
  let isOver = false
  const over = (finish: () => void): void => {
    if (isOver) return
    isOver = true
    timer[Symbol.dispose]()
    signal?.removeEventListener('abort', onAbort)
    finish()
  }
  const fail = (error: SkeinError): void => over(() => settled.reject(error))
  const onAbort = (): void =>
    fail(signal === undefined ? new SkeinError('cancelled', 'dial cancelled') : abortReason(signal))
  const timer = core.clock.setTimer(limits.dialAddressMs, () =>
    from.run(() => fail(new SkeinError('peer.gone', `${address} did not answer`))),
  )
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted) onAbort()
  const there = core.machines.get(address) ?? address
  const answer = (deliver: () => void): void => carry(core, there, from.machine, () => from.run(deliver))
  carry(core, from.machine, there, () => {
    const to = core.hosts.get(address)
    if (to === undefined || !to.isAlive)
      return answer(() => fail(new SkeinError('peer.gone', `${address} refused`)))
    // The handshake is the process's work: a frozen one does not answer
    to.run(() => {
      if (remote !== undefined && to.peerId !== remote)
        return answer(() => fail(new SkeinError('auth.denied', `${address} has another key`)))
      if (isOver || !from.isAlive) return undefined
      return answer(() => {
        if (isOver || !from.isAlive || !to.isAlive)
          return fail(new SkeinError('peer.gone', 'connection reset'))
        return over(() => settled.resolve(join(core, from, to)))
      })
    })
    return undefined
  })
  return settled.promise
}

/** Both ends of a new connection. A gate that refuses cuts it right after, as the real one does. */
function join(core: MemoryCore, from: HostSide, to: HostSide): Connection {
  const outbound = new MemoryConnection(core, from, to, 'outbound')
  const inbound = new MemoryConnection(core, to, from, 'inbound')
  outbound.other = inbound
  inbound.other = outbound
  const count =
    (end: MemoryConnection) =>
    (sizeBytes: number): void =>
      void (end.bytesIn += sizeBytes)
  outbound.pipe = createPipe(core, { from: outbound.local, to: outbound.remote }, to, count(inbound))
  inbound.pipe = createPipe(core, { from: outbound.remote, to: outbound.local }, from, count(outbound))
  outbound.send(() => {
    if (!inbound.isOpen) return
    if (to.admits(from.peerId)) to.arrived(inbound)
    else inbound.abort(new SkeinError('auth.denied', 'not a member'))
  })
  return outbound
}
