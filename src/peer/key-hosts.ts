/**
 * The hosts of this device: one for the key in use, and one for each former key that somebody still needs (see
 * retired-keys.ts). On rotation the new key gets a host of its own and links move over one by one; the former host goes
 * when every member has been met under a newer key.
 */
import { untilAborted } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import type { Host, Membership } from '../base/link.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { Keeper } from '../discovery/keeper.ts'
import { createLibp2pHost } from '../transport/host.ts'
import type { ListenOptions } from '../transport/listeners.ts'
import { createDeviceKey } from './auth/device-key.ts'
import type { Identity } from './auth/keys.ts'
import { membersOf } from './auth/roster-state.ts'
import type { Roster } from './auth/roster.ts'
import type { RetiredKeys } from './retired-keys.ts'

export interface KeyHostParts {
  readonly identity: Identity
  readonly roster: Roster
  readonly retired: RetiredKeys
  readonly membership: Membership
  readonly listen: ListenOptions
}

export interface KeyHosts {
  /** The host of the key in use. */
  current(): Host
  /** Hosts of former keys, the oldest first. */
  former(): readonly Host[]
  /** Serves a protocol on whatever host is in use. */
  onCurrent(serve: (host: Host) => Disposable): Disposable
  /** Follows the keeper: lets go of former hosts when nobody needs them. */
  follow(keeper: Keeper): void
  /** Rotates by `perform` and moves every link to the new key, none of them broken. @throws what `perform` throws. */
  rotate(keeper: Keeper, perform: () => Promise<void>): Promise<void>
}

/** Protocols that only the host in use serves. */
interface Servers {
  add(serve: (host: Host) => Disposable): Disposable
  moveTo(host: Host): void
}

interface Server {
  readonly serve: (host: Host) => Disposable
  handle: Disposable
}

/** @throws `port.busy`. */
export async function openKeyHosts(env: Env, scope: Scope, parts: KeyHostParts): Promise<KeyHosts> {
  const { identity, roster, retired, membership } = parts
  const open = async (privateKey: Uint8Array, listen: ListenOptions): Promise<Host> =>
    scope.own(await createLibp2pHost(env, { privateKey, membership }, { listen }))
  // The ports that were asked for belong to the key in use; a former one is found by what it dials
  const anyPort = { addresses: parts.listen.addresses }
  const former = new Map<PeerId, Host>()
  for (const { seed } of retired.list()) {
    const host = await open(seed, anyPort)
    former.set(host.peerId, host)
  }
  let current = await open(identity.key.seed(), parts.listen)
  const servers = createServers(current)

  const release = async (keeper: Keeper, peerId: PeerId, signal: AbortSignal): Promise<void> => {
    const host = former.get(peerId)
    if (host === undefined) return
    former.delete(peerId)
    await untilAborted(keeper.retireHost(peerId), signal)
    await host[Symbol.asyncDispose]()
  }
  /** Looks who has been met under the key in use. */
  const review = async (keeper: Keeper): Promise<void> => {
    const members = new Set(membersOf(roster.state).map((device) => device.deviceId))
    const met = new Set<DeviceId>()
    for (const { deviceId, state, ownPeerId } of keeper.status()) {
      if (state === 'up' && ownPeerId === current.peerId) met.add(deviceId)
    }
    await retired.keepOnly((deviceId) => members.has(deviceId) && !met.has(deviceId))
    const needed = new Set(retired.list().map(({ seed }) => createDeviceKey(seed).peerId))
    for (const peerId of former.keys()) {
      if (needed.has(peerId)) continue
      scope.spawn('retire host', (signal) =>
        release(keeper, peerId, signal).catch((error: unknown) => {
          // because: at the end of the peer every host is disposed anyway
          if (!hasCode(error, 'cancelled')) env.log.warn('former host not retired', errorFields(error))
        }),
      )
    }
  }
  return {
    current: () => current,
    former: () => [...former.values()],
    onCurrent: (serve) => servers.add(serve),
    follow(keeper) {
      const look = (): void => {
        if (former.size > 0) scope.spawn('review former keys', () => review(keeper))
      }
      scope.own(keeper.events.on('link.up', look))
      scope.own(roster.events.on('roster.changed', look))
    },
    async rotate(keeper, perform) {
      const members = membersOf(roster.state).map((device) => device.deviceId)
      const seed = identity.key.seed()
      // Before it is announced: a crash in between must not leave members that know only a key nobody has
      await retired.add({ seed, unaware: members.filter((deviceId) => deviceId !== identity.deviceId) })
      await perform()
      const old = current
      current = await open(identity.key.seed(), anyPort)
      former.set(old.peerId, old)
      servers.moveTo(current)
      keeper.addHost(current)
      await review(keeper)
    },
  }
}

function createServers(first: Host): Servers {
  const servers = new Set<Server>()
  let current = first
  return {
    add(serve) {
      const server = { serve, handle: serve(current) }
      servers.add(server)
      return {
        [Symbol.dispose]: () => {
          servers.delete(server)
          server.handle[Symbol.dispose]()
        },
      }
    },
    moveTo(host) {
      current = host
      for (const server of servers) {
        server.handle[Symbol.dispose]()
        server.handle = server.serve(host)
      }
    },
  }
}
