/**
 * The mesh core of one peer: identity and roster, the libp2p host behind the gate, finding and keeping the other
 * members. Wires them to each other; holds no rule of its own. Key rotation lives here because it is about owning
 * hosts: the new key gets a host of its own, links move over one by one, the old host goes when nothing runs on it.
 */
import { createEmitter } from '../base/events.ts'
import type { Emitter } from '../base/events.ts'
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import type { Host, Membership } from '../base/link.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import { createRpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import { openDatagramSockets } from '../discovery/datagram-sockets.ts'
import type { Finder } from '../discovery/finder.ts'
import { createFinder } from '../discovery/finder.ts'
import type { Keeper, MemberSource } from '../discovery/keeper.ts'
import { createKeeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import { createLibp2pHost } from '../transport/host.ts'
import type { Identity } from './auth/keys.ts'
import type { Roster } from './auth/roster.ts'
import type { RosterDevice } from './auth/roster-state.ts'
import { membersOf } from './auth/roster-state.ts'
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
  /** Brings up a host for the identity's present key and moves every link to it. */
  moveToNewKey(): Promise<void>
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
  const openHost = async (): Promise<Host> => {
    const seed = identity.key.seed()
    return createLibp2pHost(
      outer,
      { privateKey: seed, membership },
      { listen: listenOf(parts.settings.listen) },
    )
  }
  let host = scope.own(await openHost())
  const servers = new Set<{ serve: (host: Host) => Disposable; handle: Disposable }>()
  const finder = scope.own(
    await createFinder(
      outer,
      {
        keep: parts.keep,
        self: () => ({ deviceId: identity.deviceId, peerId: host.peerId }),
        addresses: () => host.addresses(),
        meshKeys: parts.meshKeys,
        isMember: (peerId) => roster.deviceOf(peerId) !== undefined,
      },
      parts.settings.interfaces === undefined ? {} : { interfaces: parts.settings.interfaces },
    ),
  )
  const listen = parts.settings.listen.map((address) => address.host)
  const datagrams = scope.own(await openDatagramSockets(env, listen))
  const changes = createEmitter<{ changed: undefined }>(env.log)
  const methods = createRpcMethods<LinkRemote>()
  const keeper = scope.own(
    createKeeper(
      outer,
      {
        host,
        members: memberSource(roster, identity.deviceId, changes),
        addressesOf: (peerId) => finder.addressesOf(peerId),
        learned: (peerId, address, outcome) => finder.learned(peerId, address, outcome),
        methods,
        datagrams,
      },
      { agent: parts.agent, name: identity.name },
    ),
  )
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

  const retire = async (old: Host): Promise<void> => {
    await keeper.retireHost(old.peerId)
    await old[Symbol.asyncDispose]()
  }
  return {
    keeper,
    finder,
    methods,
    host: () => host,
    refresh,
    onHost(serve) {
      const server = { serve, handle: serve(host) }
      servers.add(server)
      return {
        [Symbol.dispose]: () => {
          servers.delete(server)
          server.handle[Symbol.dispose]()
        },
      }
    },
    async moveToNewKey() {
      const old = host
      host = scope.own(await openHost())
      for (const server of servers) {
        server.handle[Symbol.dispose]()
        server.handle = server.serve(host)
      }
      keeper.addHost(host)
      refresh()
      scope.spawn('retire host', () =>
        retire(old).catch((error: unknown) => {
          // because: at the end of the peer every host is disposed anyway
          if (!hasCode(error, 'cancelled')) env.log.warn('old host not retired', errorFields(error))
        }),
      )
    },
  }
}

/** Ports are chosen per family; the same number serves both, and the next one TLS when it is given. */
function listenOf(listen: readonly ListenAddress[]): {
  addresses: readonly string[]
  port: number
  tlsPort: number
} {
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
