/** Who this device is and whom it trusts: identity, roster, mesh keys, tokens, and the log of what was done with them. */
import type { Env } from '../base/env.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { Audit, AuditKind } from './auth/audit.ts'
import { createAudit } from './auth/audit.ts'
import type { Identity } from './auth/keys.ts'
import { createIdentity } from './auth/keys.ts'
import type { MeshKeys } from './auth/mesh-keys.ts'
import { createMeshKeys } from './auth/mesh-keys.ts'
import type { Roster, RosterChange } from './auth/roster.ts'
import { createRoster } from './auth/roster.ts'
import type { Tokens } from './auth/tokens.ts'
import { createTokens } from './auth/tokens.ts'
import type { EventBus } from './event-bus.ts'
import type { Home } from './home.ts'
import { requireWholeHome } from './missing-parts.ts'
import type { Settings } from './settings.ts'

export interface Trust {
  readonly identity: Identity
  readonly roster: Roster
  readonly meshKeys: MeshKeys
  readonly audit: Audit
  readonly tokens: Tokens
  /** Writes into the audit log what was done to a device. */
  note(kind: AuditKind, device: string, details?: Readonly<Record<string, string>>): Promise<void>
}

export interface TrustParts {
  readonly home: Home
  readonly settings: Settings
  readonly bus: EventBus
}

/** Loads or founds everything; roster changes go to the bus and the audit log. @throws `store.corrupt`, `store.failed`. */
export async function openTrust(env: Env, scope: Scope, { home, settings, bus }: TrustParts): Promise<Trust> {
  const { keep } = home
  await requireWholeHome(keep, home.directory)
  const identity = await createIdentity(env, keep, { name: settings.name, kind: settings.kind })
  const roster = await createRoster(env, keep, identity)
  const meshKeys = await createMeshKeys(env, keep, identity, roster.state)
  const audit = scope.own(await createAudit(env, keep, identity))
  const tokens = await createTokens(env, keep, identity, roster)
  const note = async (
    kind: AuditKind,
    device: string,
    details: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    await audit.record(kind, { device, ...details })
  }
  const noteLater = (kind: AuditKind, device: string): void => {
    note(kind, device).catch((error: unknown) => env.log.error('audit not written', errorFields(error)))
  }
  scope.own(roster.events.on('roster.changed', (change) => publishRoster(bus, change, noteLater)))
  return { identity, roster, meshKeys, audit, tokens, note }
}

function publishRoster(
  bus: EventBus,
  { added, removed, changed, state }: RosterChange,
  note: (kind: AuditKind, device: string) => void,
): void {
  for (const deviceId of added) {
    const device = state.devices.get(deviceId)
    bus.publish('device.joined', { deviceId, name: device?.name ?? '', by: device?.addedBy ?? '' })
    note('add', deviceId)
  }
  for (const deviceId of removed) {
    bus.publish('device.left', { deviceId, name: state.devices.get(deviceId)?.name ?? '', reason: 'revoked' })
    note('remove', deviceId)
  }
  for (const deviceId of changed)
    bus.publish('device.renamed', { deviceId, name: state.devices.get(deviceId)?.name ?? '' })
}
