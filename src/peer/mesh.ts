/**
 * The mesh core of one peer: the hosts behind the gate, finding and keeping the other members. Wires them to each other
 * and to the roster; holds no rule of its own.
 */
import { createEmitter } from '../base/events.ts'
import type { Emitter } from '../base/events.ts'
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import type { Host, Membership } from '../base/link.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import { createRpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import { openDatagramSockets } from '../discovery/datagram-sockets.ts'
import type { Finder } from '../discovery/finder.ts'
import { createFinder } from '../discovery/finder.ts'
import type { Keeper, MemberSource } from '../discovery/keeper.ts'
import { createKeeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import type { ListenOptions } from '../transport/listeners.ts'
import type { Identity } from './auth/keys.ts'
import type { Roster } from './auth/roster.ts'
import type { RosterDevice } from './auth/roster-state.ts'
import { membersOf } from './auth/roster-state.ts'
import type { KeyHosts } from './key-hosts.ts'
import { openKeyHosts } from './key-hosts.ts'
import { openRetiredKeys } from './retired-keys.ts'
import type { ListenAddress, Settings } from './settings.ts'

export interface MeshParts {
  readonly keep: Keep
  readonly identity: Identity
  readonly roster: Roster
  /** 32 bytes each, current first. */
  readonly meshKeys: () => readonly Uint8Array[]
  readonly isPairingOpen: () => boolean
  readonly settings: Settings
  readonly agent: string
}

export interface Mesh {
  readonly keeper: Keeper
  readonly finder: Finder
  readonly methods: RpcMethods<LinkRemote>
  /** The host of the key in use. */
  host(): Host
  /** Serves a pairing protocol on whatever host is in use. */
  onHost(serve: (host: Host) => Disposable): Disposable
  /** To be called when the roster, the mesh keys or the pairing window changed. */
  refresh(): void
  /** Rotates this device's key by `perform` and moves every link to the new one. */
  rotate(perform: () => Promise<void>): Promise<void>
}

/** For the removal to arrive at the removed: a round trip, far below the second in which it must be cut off. */
const removalNewsMs = 200

/** Starts listening, announcing and dialling. @throws `port.busy`, `store.*`. */
export async function startMesh(outer: Env, scope: Scope, parts: MeshParts): Promise<Mesh> {
  const env = withLogScope(outer, 'mesh')
  const { roster, identity } = parts
  const membership: Membership = {
    deviceOf: (peerId) => roster.deviceOf(peerId),
    isPairingOpen: parts.isPairingOpen,
  }
  const retired = await openRetiredKeys(parts.keep)
  const listen = listenOf(parts.settings.listen)
  const hosts = await openKeyHosts(outer, scope, { identity, roster, retired, membership, listen })
  const finder = scope.own(await openFinder(outer, parts, hosts))
  const changes = createEmitter<{ changed: undefined }>(env.log)
  const methods = createRpcMethods<LinkRemote>()
  const [oldest, ...newer] = [...hosts.former(), hosts.current()] as const
  const keeper = scope.own(
    createKeeper(
      outer,
      {
        host: oldest,
        members: memberSource(roster, identity.deviceId, changes),
        addressesOf: (peerId) => finder.addressesOf(peerId),
        learned: (peerId, address, outcome) => finder.learned(peerId, address, outcome),
        methods,
        datagrams: scope.own(await openDatagramSockets(env, listen.addresses)),
      },
      { agent: parts.agent, name: identity.name },
    ),
  )
  for (const host of newer) keeper.addHost(host)
  hosts.follow(keeper)
  scope.own(finder.on('peer.sighted', ({ peerId }) => keeper.hint(peerId)))
  scope.own(finder.on('network.changed', () => keeper.networkChanged()))
  const refresh = (): void => {
    changes.emit('changed', undefined)
    for (const open of keeper.hosts()) open.recheck()
    finder.announce()
  }
  scope.own(
    roster.events.on('roster.changed', ({ removed }) => {
      // A removed device has no right any more from here on; its links stay just long enough to tell it so
      if (removed.length === 0) refresh()
      else scope.own(env.clock.setTimer(removalNewsMs, refresh))
    }),
  )
  return {
    keeper,
    finder,
    methods,
    host: () => hosts.current(),
    onHost: (serve) => hosts.onCurrent(serve),
    refresh,
    async rotate(perform) {
      await hosts.rotate(keeper, perform)
      refresh()
    },
  }
}

function openFinder(env: Env, parts: MeshParts, hosts: KeyHosts): Promise<Finder> {
  const { identity, roster, settings } = parts
  return createFinder(
    env,
    {
      keep: parts.keep,
      self: () => ({ deviceId: identity.deviceId, peerId: hosts.current().peerId }),
      addresses: () => hosts.current().addresses(),
      meshKeys: parts.meshKeys,
      isMember: (peerId) => roster.deviceOf(peerId) !== undefined,
    },
    settings.interfaces === undefined ? {} : { interfaces: settings.interfaces },
  )
}

/** Ports are chosen per family; the same number serves both, and the next one TLS when it is given. */
function listenOf(listen: readonly ListenAddress[]): ListenOptions {
  const port = listen.find((address) => address.port !== 0)?.port ?? 0
  return { addresses: listen.map((address) => address.host), port, tlsPort: port === 0 ? 0 : port + 1 }
}

function memberSource(
  roster: Roster,
  self: DeviceId,
  changes: Emitter<{ changed: undefined }>,
): MemberSource {
  return {
    self: { deviceId: self },
    members: () =>
      membersOf(roster.state)
        .map((device) => ({ deviceId: device.deviceId, peerIds: validKeys(roster, device) }))
        .filter((member) => member.peerIds.length > 0),
    onChanged: (listener) => changes.on('changed', listener),
  }
}

/** The key in use first, then those still let in from before it. */
function validKeys(roster: Roster, device: RosterDevice): readonly PeerId[] {
  const keys = [device.key, ...device.retired.map((retired) => retired.key)].filter(
    (key) => key !== undefined,
  )
  return [...new Set(keys)].filter((key) => roster.deviceOf(key) === device.deviceId)
}
