/**
 * Keeps this device connected to every member of its mesh, for ever: two connections per pair (control and bulk),
 * redialled with back-off, watched by the failure detector, replaced before they are broken when keys change, cut
 * at once when a member is removed. Features ask it for RPC and channels by device and never see a connection.
 * It does not find addresses (that is the address book's work) and decides nothing about trust (the roster's).
 */
import type { Channel } from '../base/channel.ts'
import { withDeadline } from '../base/clock.ts'
import { object } from '../base/codec.ts'
import { createDeadlines } from '../base/deadlines.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import type { Emitter, Events } from '../base/events.ts'
import { createEmitter } from '../base/events.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import { encodeId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Connection, Host, Lane } from '../base/link.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Rpc } from '../base/rpc.ts'
import type { Scope } from '../base/scope.ts'
import { createScope } from '../base/scope.ts'
import type { LanePath } from './lane-paths.ts'
import { LanePaths, pathOf } from './lane-paths.ts'
import type { LinkRemote } from './line.ts'
import type { LinkStatus } from './link-status.ts'
import { statusOf } from './link-status.ts'
import { linkProtocol } from './link.ts'
import type { LinkState, LinkSurroundings, LinkView, Member } from './link-surroundings.ts'
import { goodbyeMethod, MemberLink, retireMethod } from './member-link.ts'
import type { HostUse } from './own-hosts.ts'
import { OwnHosts } from './own-hosts.ts'
import type { Datagrams } from './pulse.ts'
import { createPulses } from './pulse.ts'

/** The roster, as far as connections go. */
export interface MemberSource {
  readonly self: { readonly deviceId: DeviceId }
  /** All members with their valid keys, the newest key first. May include this device. */
  members(): readonly Member[]
  /** Called after each change, synchronously: a revocation is effective when it returns. */
  onChanged(listener: () => void): Disposable
}

export interface KeeperCollaborators {
  readonly host: Host
  readonly members: MemberSource
  /** Addresses to try, the best first. */
  addressesOf(peerId: PeerId): readonly string[]
  learned(peerId: PeerId, address: string, outcome: 'worked' | 'failed'): void
  /** What peers may call; the keeper adds its own `link.*` methods. One registry per keeper. */
  readonly methods: RpcMethods<LinkRemote>
  /** For pulses; none are sent without it. The caller owns it. */
  readonly datagrams?: Datagrams
}

export interface KeeperOptions {
  /** Name and version of the software, such as `skein/0.1.0`. */
  readonly agent: string
  /** This device's name, as a hint for people. */
  readonly name?: string
}

export type { LinkStatus } // because: it is part of the keeper's interface

export interface KeeperEvents {
  /** Also when the connection in use was replaced while up, or came back from suspect: ask for channels anew. */
  'link.up': {
    readonly deviceId: DeviceId
    readonly peerId: PeerId
    readonly address: string
    readonly encryption: Connection['encryption']
  }
  'link.suspect': { readonly deviceId: DeviceId }
  'link.down': { readonly deviceId: DeviceId; readonly reason: NonNullable<LinkState['reason']> }
  /** `path` leads over another connection: what lasts on the old one should move, it is to be closed. */
  'lane.moved': { readonly deviceId: DeviceId; readonly lane: Lane }
}

export type DeviceChannelHandler = (channel: Channel, deviceId: DeviceId) => void | Promise<void>

export interface Keeper extends AsyncDisposable {
  readonly events: Events<KeeperEvents>
  /** The calls to a device; undefined while it is down. Ask anew for each piece of work: lines are replaced. */
  rpc(deviceId: DeviceId): Rpc | undefined
  /**
   * A channel on the wanted lane; bulk goes over control while there is no bulk connection.
   * @throws `peer.unknown`, `peer.gone`, `rpc.unknown`, `auth.denied`, `deadline.exceeded` or the signal's reason.
   */
  open(deviceId: DeviceId, protocol: string, lane: Lane, signal?: AbortSignal): Promise<Channel>
  /** The connection on which a channel of this lane would start now; undefined while the device is down. */
  path(deviceId: DeviceId, lane: Lane): LanePath | undefined
  /** Serves a protocol to members on all hosts. */
  handle(protocol: string, handler: DeviceChannelHandler): Disposable
  status(): readonly LinkStatus[]
  /** This key was seen nearby: dial now. */
  hint(peerId: PeerId): void
  /** Interfaces or addresses of this machine changed, or it woke. */
  networkChanged(): void
  hosts(): readonly Host[]
  /** A host with a newer key of ours: preferred from now on. The caller owns it. */
  addHost(host: Host): void
  /** Leaves a host, moving each link to another one first. Resolves when nothing runs on it; the caller disposes it. */
  retireHost(ownPeerId: PeerId): Promise<void>
}

export function createKeeper(env: Env, collaborators: KeeperCollaborators, options: KeeperOptions): Keeper {
  const core = new KeeperCore(env, collaborators, options)
  core.start(collaborators.host)
  return {
    events: core.events,
    rpc: (deviceId) => core.rpc(deviceId),
    open: (deviceId, protocol, lane, signal) =>
      core.open(deviceId, protocol, { lane, ...(signal && { signal }) }),
    path: (deviceId, lane) => core.path(deviceId, lane),
    handle: (protocol, handler) => core.handle(protocol, handler),
    status: () => core.status(),
    hint: (peerId) => core.linkOf(peerId)?.nudge(),
    networkChanged: () => core.networkChanged(),
    hosts: () => core.hosts(),
    addHost: (host) => core.addHost(host),
    retireHost: (ownPeerId) => core.retireHost(ownPeerId),
    [Symbol.asyncDispose]: () => core.leave(),
  }
}

class KeeperCore {
  readonly events: Emitter<KeeperEvents>
  readonly #env: Env
  readonly #with: KeeperCollaborators
  readonly #scope: Scope
  readonly #around: LinkSurroundings
  readonly #timer: ReturnType<typeof createDeadlines>
  readonly #links = new Map<DeviceId, MemberLink>()
  #byKey = new Map<PeerId, MemberLink>()
  readonly #hosts = new OwnHosts((connection) => this.#arrived(connection))
  /** Accepted connections of members on which no hello came yet, until when they are tolerated. */
  readonly #ungreeted = new Map<Connection, number>()
  readonly #paths = new LanePaths()
  readonly #cleanups: Disposable[] = []
  #wallAheadMs: number
  #leaving: Promise<void> | undefined

  constructor(env: Env, collaborators: KeeperCollaborators, options: KeeperOptions) {
    this.#env = { ...env, log: env.log.child('keeper') }
    this.#with = collaborators
    this.events = createEmitter<KeeperEvents>(this.#env.log)
    this.#scope = createScope(this.#env, 'keeper')
    this.#timer = createDeadlines(env.clock, () => this.#tick())
    this.#wallAheadMs = env.clock.nowMs() - env.clock.monotonicMs()
    this.#around = {
      env: this.#env,
      own: {
        deviceId: collaborators.members.self.deviceId,
        incarnation: encodeId(env.random.bytes(16)),
        agent: options.agent,
        name: options.name,
      },
      methods: collaborators.methods,
      pulses: collaborators.datagrams && createPulses(env.random, collaborators.datagrams),
      hosts: () => this.hosts(),
      isRetiring: (peerId) => this.#hosts.isRetiring(peerId),
      addressesOf: (peerId) => collaborators.addressesOf(peerId),
      learned: (peerId, address, outcome) => collaborators.learned(peerId, address, outcome),
      changed: (link, previous) => this.#report(link, previous),
      wakeAt: (atMs) => this.#timer.arm(atMs),
    }
  }

  start(host: Host): void {
    const { methods, members } = this.#with
    const nothing = object({})
    this.#cleanups.push(
      methods.request(retireMethod, nothing, (_, { remote }) => {
        this.#links.get(remote.deviceId)?.retiredByOther(remote.line.id)
        return {}
      }),
      methods.request(goodbyeMethod, nothing, (_, { remote }) => {
        this.#links.get(remote.deviceId)?.goodbye(remote.line.id)
        return {}
      }),
      members.onChanged(() => this.#reconcile()),
    )
    this.#hosts.handle(
      linkProtocol,
      ({ peerId }) =>
        (channel, connection) =>
          this.#accept(channel, connection, peerId),
    )
    this.addHost(host)
    this.#reconcile()
  }

  linkOf(peerId: PeerId): MemberLink | undefined {
    return this.#byKey.get(peerId)
  }

  rpc(deviceId: DeviceId): Rpc | undefined {
    const link = this.#links.get(deviceId)
    return link === undefined || link.state.life === 'down' ? undefined : link.best('control')?.rpc
  }

  async open(
    deviceId: DeviceId,
    protocol: string,
    { lane, signal }: { readonly lane: Lane; readonly signal?: AbortSignal },
  ): Promise<Channel> {
    const link = this.#links.get(deviceId)
    if (link === undefined) throw new SkeinError('peer.unknown', 'this device is not a member of the mesh')
    let failure = new SkeinError('peer.gone', 'the other device is not connected')
    for (const line of link.linesFor(lane)) {
      try {
        const open = (inner: AbortSignal): Promise<Channel> => line.connection.open(protocol, inner)
        const channel = await withDeadline(
          this.#env.clock,
          { timeoutMs: limits.helloMs, what: `opening ${protocol}`, signal },
          open,
        )
        line.track(channel)
        return channel
      } catch (error) {
        if (!hasCode(error, 'peer.gone', 'channel.closed', 'channel.aborted')) throw error
        failure = error
      }
    }
    throw failure
  }

  path(deviceId: DeviceId, lane: Lane): LanePath | undefined {
    const link = this.#links.get(deviceId)
    return link === undefined ? undefined : pathOf(link, lane)
  }

  handle(protocol: string, handler: DeviceChannelHandler): Disposable {
    return this.#hosts.handle(
      protocol,
      () => (channel, connection) => this.#serve(channel, connection, handler),
    )
  }

  status(): readonly LinkStatus[] {
    const members = this.#with.members.members()
    return [...this.#links.values()].flatMap((link) => {
      const newest = members.find(({ deviceId }) => deviceId === link.deviceId)?.peerIds[0]
      return newest === undefined ? [] : [statusOf(link, newest)]
    })
  }

  networkChanged(): void {
    for (const link of this.#links.values()) link.nudge()
  }

  hosts(): readonly Host[] {
    return this.#hosts.hosts
  }

  addHost(host: Host): void {
    this.#hosts.add(host)
    this.networkChanged()
  }

  retireHost(ownPeerId: PeerId): Promise<void> {
    const retired = this.#hosts.retire(ownPeerId, this.#env.clock.monotonicMs() + limits.drainMs)
    this.networkChanged()
    // With nobody to talk to no link would ever wake us to see that nothing runs on it
    this.#timer.arm(this.#env.clock.monotonicMs())
    return retired
  }

  leave(): Promise<void> {
    this.#leaving ??= (async () => {
      // First no new ones, then goodbye to those there are
      for (const cleanup of this.#cleanups) cleanup[Symbol.dispose]()
      this.#hosts.release()
      for (const connection of this.#ungreeted.keys())
        connection.abort(new SkeinError('peer.gone', 'closing'))
      this.#timer[Symbol.dispose]()
      await Promise.all([...this.#links.values()].map((link) => link.leave()))
      await this.#scope.close()
      this.#links.clear()
    })()
    return this.#leaving
  }

  #tick(): number {
    this.#noticeSleep()
    const nowMs = this.#env.clock.monotonicMs()
    let nextMs = Infinity
    for (const link of this.#links.values()) {
      nextMs = Math.min(nextMs, link.tick())
      // A link asks for a tick whenever a connection came or went, so this is as good as at once
      for (const lane of this.#paths.moved(link))
        this.events.emit('lane.moved', { deviceId: link.deviceId, lane })
    }
    for (const [connection, untilMs] of this.#ungreeted) {
      if (untilMs > nowMs) nextMs = Math.min(nextMs, untilMs)
      else connection.abort(new SkeinError('deadline.exceeded', 'no hello came'))
    }
    const links = [...this.#links.values()]
    const use: HostUse = {
      isUsed: (peerId) => links.some((link) => link.lines.some((line) => line.ownPeerId === peerId)),
      cut: (peerId) => links.forEach((link) => link.cutOwnKey(peerId)),
    }
    return Math.min(nextMs, this.#hosts.tend(nowMs, use))
  }

  /** A sleeping machine's monotonic clock stands still, its wall clock does not. A hint only: a wrong one costs a heartbeat. */
  #noticeSleep(): void {
    const aheadMs = this.#env.clock.nowMs() - this.#env.clock.monotonicMs()
    if (aheadMs - this.#wallAheadMs > limits.sleepMs) this.networkChanged()
    this.#wallAheadMs = aheadMs
  }

  #reconcile(): void {
    const members = this.#with.members
      .members()
      .filter(({ deviceId }) => deviceId !== this.#around.own.deviceId)
    const present = new Set(members.map(({ deviceId }) => deviceId))
    for (const [deviceId, link] of this.#links) {
      if (present.has(deviceId)) continue
      this.#links.delete(deviceId)
      this.#paths.forget(deviceId)
      const revoked = link.revoke() // because: its connections are to be cut before this function returns
      this.#scope.spawn('revoke', () => revoked)
    }
    const byKey = new Map<PeerId, MemberLink>()
    for (const member of members) {
      const link = this.#links.get(member.deviceId)
      link?.update(member)
      const linked = link ?? new MemberLink(member, this.#around, this.#scope.child('link'))
      this.#links.set(member.deviceId, linked)
      for (const peerId of member.peerIds) byKey.set(peerId, linked)
    }
    this.#byKey = byKey
    for (const connection of this.#ungreeted.keys()) {
      if (!byKey.has(connection.peerId)) connection.abort(notMember())
    }
  }

  #arrived(connection: Connection): void {
    const link = this.#byKey.get(connection.peerId)
    // Not ours to judge: the gate let it in, so somebody else expects it (pairing)
    if (link === undefined) return
    const untilMs = this.#env.clock.monotonicMs() + limits.helloMs
    this.#ungreeted.set(connection, untilMs)
    this.#timer.arm(untilMs)
    void connection.closed.then(() => this.#ungreeted.delete(connection))
    link.nudge()
  }

  #accept(channel: Channel, connection: Connection, ownPeerId: PeerId): void {
    for (const waiting of this.#ungreeted.keys())
      if (waiting.id === connection.id) this.#ungreeted.delete(waiting)
    const link = this.#byKey.get(connection.peerId)
    if (link === undefined || this.#leaving !== undefined) {
      channel.abort(notMember())
      connection.abort(notMember())
      return
    }
    this.#scope.spawn('accept', () => link.accept(channel, connection, ownPeerId))
  }

  async #serve(channel: Channel, connection: Connection, handler: DeviceChannelHandler): Promise<void> {
    const link = this.#byKey.get(connection.peerId)
    if (link === undefined) return channel.abort(notMember())
    link.lines.find((line) => line.connection.id === connection.id)?.track(channel)
    try {
      await handler(channel, link.deviceId)
    } catch (error) {
      const fields = { channel: channel.label, deviceId: link.deviceId, ...errorFields(error) }
      this.#env.log.error('channel handler failed', fields)
      channel.abort(asSkeinError(error))
    }
    return undefined
  }

  #report(link: LinkView, previous: LinkState): void {
    const { life, line, reason } = link.state
    const { deviceId } = link
    this.#env.log.info('link changed', {
      deviceId,
      state: life,
      reason: reason ?? '',
      address: line?.connection.address ?? '',
    })
    if (life === 'up' && line !== undefined) {
      const { peerId, address, encryption } = line.connection
      this.events.emit('link.up', { deviceId, peerId, address, encryption })
    } else if (life !== previous.life) {
      if (life === 'suspect') this.events.emit('link.suspect', { deviceId })
      if (life === 'down') this.events.emit('link.down', { deviceId, reason: reason ?? 'lost' })
    }
  }
}

const notMember = (): SkeinError => new SkeinError('auth.denied', 'not a member of this mesh')
