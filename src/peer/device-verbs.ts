/** The verbs about devices: who is in the mesh, how the links are, rename, revoke and rotate. */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { LinkStatus as KeeperLink } from '../discovery/keeper.ts'
import type { Device, LinkStatus, PeerApi } from './api.ts'
import { rightsOf } from './auth/access.ts'
import type { AuditKind } from './auth/audit.ts'
import type { Identity } from './auth/keys.ts'
import type { RosterDevice } from './auth/roster-state.ts'
import { membersOf } from './auth/roster-state.ts'
import type { Roster } from './auth/roster.ts'
import type { Mesh } from './mesh.ts'

export interface DeviceParts {
  readonly identity: Identity
  readonly roster: Roster
  readonly mesh: Mesh
  /** Notes a person's act in the audit log. */
  readonly note: (
    kind: AuditKind,
    device: string,
    details?: Readonly<Record<string, string>>,
  ) => Promise<void>
}

type DeviceVerbs = Pick<PeerApi, 'devices' | 'revoke' | 'rename' | 'rotate'>

export function createDeviceVerbs(env: Env, parts: DeviceParts): DeviceVerbs {
  const { identity, roster, mesh, note } = parts
  const describe = (entry: RosterDevice): Device =>
    describeDevice(env, entry, identity.deviceId, linkOf(mesh, entry.deviceId))
  const entryOf = (deviceId: DeviceId): RosterDevice => {
    const entry = roster.state.devices.get(deviceId)
    if (entry === undefined) throw new SkeinError('internal', 'a device left the roster while it was changed')
    return entry
  }
  return {
    devices: () => Promise.resolve([...roster.state.devices.values()].map(describe)),
    async revoke({ device }) {
      const entry = findDevice(roster, device)
      if (entry.deviceId === identity.deviceId) {
        throw new SkeinError('usage', 'a device cannot revoke itself', {
          fix: 'to take this device out: skein leave',
        })
      }
      await roster.remove(entry.deviceId)
      await note('remove', entry.deviceId, { name: entry.name })
      return describe(entryOf(entry.deviceId))
    },
    async rename({ name, device }) {
      const entry = device === undefined ? entryOf(identity.deviceId) : findDevice(roster, device)
      await roster.rename(entry.deviceId, name)
      await note('rename', entry.deviceId, { name })
      return describe(entryOf(entry.deviceId))
    },
    async rotate() {
      await mesh.rotate(() => roster.rotate())
      await note('rotate', identity.deviceId, { peerId: identity.key.peerId })
      return { peerId: identity.key.peerId, overlapUntilMs: env.clock.nowMs() + limits.rotationOverlapMs }
    },
  }
}

/** By id, an unambiguous start of one, a PeerId or an exact name. @throws `not.found`, `usage` when ambiguous. */
export function findDevice(roster: Roster, text: string): RosterDevice {
  const members = membersOf(roster.state)
  const exact = members.filter(
    (entry) => entry.deviceId === text || entry.key === text || entry.name === text,
  )
  const found =
    exact.length > 0 ? exact : members.filter((entry) => text.length >= 4 && entry.deviceId.startsWith(text))
  const [first, second] = found
  if (first === undefined) {
    throw new SkeinError('not.found', `no device is called ${JSON.stringify(text)}`, {
      fix: 'skein devices lists them',
    })
  }
  if (second !== undefined) {
    throw new SkeinError('usage', `${JSON.stringify(text)} names ${found.length} devices`, {
      fix: 'use the device id: skein devices shows it',
    })
  }
  return first
}

const linkOf = (mesh: Mesh, deviceId: DeviceId): KeeperLink | undefined =>
  mesh.keeper.status().find((status) => status.deviceId === deviceId)

function describeDevice(env: Env, entry: RosterDevice, self: DeviceId, link: KeeperLink | undefined): Device {
  const address = link?.control?.address
  return {
    deviceId: entry.deviceId,
    name: entry.name,
    kind: entry.kind,
    // because: every device was admitted with a key
    peerId: entry.key ?? (entry.keys.at(-1) as PeerId),
    role: entry.role,
    rights: entry.removed === undefined ? rightsOf(entry.role) : [],
    grants: entry.removed === undefined ? entry.grants : [],
    isSelf: entry.deviceId === self,
    state: stateOf(entry, self, link),
    addedBy: entry.addedBy,
    ...(link?.rttMs !== undefined && { rttMs: link.rttMs }),
    ...(address !== undefined && { address }),
    ...(link?.state === 'down' && { lastSeenMs: wallTime(env, link.sinceMs) }),
  }
}

function stateOf(entry: RosterDevice, self: DeviceId, link: KeeperLink | undefined): Device['state'] {
  if (entry.deviceId === self) return 'self'
  if (entry.removed !== undefined) return 'revoked'
  return link === undefined || link.state === 'never' ? 'down' : link.state
}

/** A moment of the monotonic clock as wall time. */
const wallTime = (env: Env, monotonicMs: number): number =>
  Math.round(env.clock.nowMs() - (env.clock.monotonicMs() - monotonicMs))

/** The links as people see them. */
export function describeLinks(
  env: Env,
  { roster, mesh, identity }: Omit<DeviceParts, 'note'>,
): readonly LinkStatus[] {
  const links = new Map(mesh.keeper.status().map((status) => [status.deviceId, status]))
  return membersOf(roster.state)
    .filter((entry) => entry.deviceId !== identity.deviceId)
    .map((entry) => describeLink(env, entry, links.get(entry.deviceId)))
}

function describeLink(env: Env, entry: RosterDevice, link: KeeperLink | undefined): LinkStatus {
  const base = { deviceId: entry.deviceId, name: entry.name }
  if (link === undefined || link.state === 'never') {
    return {
      ...base,
      state: 'connecting',
      reason: 'not reached yet: it may be off, asleep or on another network',
    }
  }
  const { control, bulk } = link
  const transport =
    control === undefined
      ? undefined
      : bulk === undefined
        ? control.encryption
        : `${control.encryption} + ${bulk.encryption}`
  return {
    ...base,
    state: link.state,
    sinceMs: wallTime(env, link.sinceMs),
    connectionCount: link.connectionCount,
    receivedBytes: link.receivedBytes,
    sentBytes: link.sentBytes,
    ...(link.rttMs !== undefined && { rttMs: link.rttMs }),
    ...(transport !== undefined && { transport }),
    ...(control !== undefined && { address: control.address }),
    ...(link.state !== 'up' && {
      reason: reasons[link.reason ?? 'lost'],
      lastSeenMs: wallTime(env, link.sinceMs),
    }),
  }
}

const reasons: Readonly<Record<NonNullable<KeeperLink['reason']>, string>> = {
  lost: 'the connection broke: it may have crashed, or the network is gone',
  silent: 'nothing is heard from it: it may sleep, be frozen or out of reach',
  left: 'it was stopped there in good order',
  revoked: 'it was removed from the mesh',
  replaced: 'the connection was replaced by another one',
  'one-way': 'it is heard but does not hear us: a firewall or network drops one direction',
}
