/**
 * Storage devices as verbs of a full device: which space is held where, the key of a space as text, and getting a space
 * back with it. The other side is vault-holder.ts.
 */
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { sleep } from '../base/clock.ts'
import type { Scope } from '../base/scope.ts'
import type { SpaceSetting } from '../crdt/settings.ts'
import { formatRecoveryCode, parseRecoveryCode } from '../vault/recovery-code.ts'
import { createSealer, type Sealer } from '../vault/seal.ts'
import { createVaultClient } from '../vault/vault-client.ts'
import { readSpaceInfo } from '../vault/vault-reader.ts'
import { vaultProtocol } from '../vault/vault-wire.ts'
import type { SealedCopy } from './api-vaults.ts'
import type { SpaceStatus } from './api-spaces.ts'
import type { ApiCall, PeerApi } from './api.ts'
import type { Roster } from './auth/roster.ts'
import { findDevice } from './device-verbs.ts'
import { keepChannels } from './keep-channels.ts'
import type { Mesh } from './mesh.ts'
import { roleOf, vaultDevices } from './storage-devices.ts'
import type { Trust } from './trust.ts'
import type { VaultHolder } from './vault-holder.ts'
import { notConnected, startVaultLinks, type VaultLinkParts, type VaultLinks } from './vault-links.ts'

export interface VaultParts extends VaultLinkParts {
  readonly self: DeviceId
  readonly roster: Roster
  readonly mesh: Mesh
  readonly holder: VaultHolder
  readonly note: Trust['note']
  readonly find: (wanted: string) => Promise<SpaceSetting>
  /** Puts a space that is known now into a directory, as join does. */
  readonly take: (space: SpaceSetting, directory: string, call: ApiCall) => Promise<SpaceStatus>
  readonly describe: (space: SpaceSetting) => Promise<SpaceStatus>
}

export interface Vaults {
  readonly verbs: Pick<PeerApi, 'store' | 'spaceKey' | 'recover' | 'hold' | 'held'>
  /** Who holds a space sealed, and how much of it. */
  copies(space: SpaceId): Promise<readonly SealedCopy[]>
  /** A storage device that should hold it is not within reach. */
  isOutOfReach(space: SpaceId): boolean
  /** What lies here is something else now. */
  refresh(): void
}

/** How long another full device is given to hand over its key before a new one is made. */
const askMs = 2_000
const lookMs = 100

export async function startVaults(outer: Env, scope: Scope, parts: VaultParts): Promise<Vaults> {
  const env = withLogScope(outer, 'vaults')
  const { places, roster, mesh, self, holder } = parts
  const links = startVaultLinks(env, scope, parts)
  keepChannels(env, scope, {
    mesh,
    self,
    protocol: vaultProtocol,
    lane: 'bulk',
    wanted: vaultDevices(roster),
    attach: (device, channel) =>
      roleOf(roster, device) === 'storage' ? links.attach(device, channel) : holder.attach(device, channel),
  })
  let known = await places.list()
  const isMember = (device: DeviceId): boolean => roleOf(roster, device) === 'storage'
  scope.own(
    places.onChanged(() =>
      scope.spawn('read vault places', async () => {
        known = await places.list()
      }),
    ),
  )
  const copies = async (space: SpaceId): Promise<readonly SealedCopy[]> => {
    const found = (await places.list()).filter((place) => place.space === space && isMember(place.device))
    return found.map(({ device }) => describeCopy(parts, links, { space, device }))
  }
  return {
    verbs: {
      store: createStore(env, parts, links),
      async spaceKey({ space: wanted }, { signal }) {
        const space = await parts.find(wanted)
        const key = await findKey(env, parts, space, signal)
        // Before it is shown: who has it keeps it
        await parts.note('space.key', self, { space: space.id })
        return { space: space.name, code: formatRecoveryCode(key) }
      },
      recover: createRecover(env, parts, links),
      ...holder.verbs,
    },
    copies,
    isOutOfReach: (space) =>
      known.some(
        (place) =>
          place.space === space && isMember(place.device) && !isRead(links.status(space, place.device)),
      ),
    refresh: () => links.refresh(),
  }
}

const isRead = (status: ReturnType<VaultLinks['status']>): boolean =>
  status !== undefined && status.state !== 'reading' && status.state !== 'problem'

function createStore(env: Env, parts: VaultParts, links: VaultLinks): PeerApi['store'] {
  const { roster, places, shelf } = parts
  return async ({ space: wanted, device: reference, isStopped = false }, { signal }) => {
    const space = await parts.find(wanted)
    const { deviceId, name, role } = findDevice(roster, reference)
    if (isStopped) {
      const rpc = links.connected.get(deviceId)
      const key = parts.keys.get(space.id)
      if (rpc === undefined) throw notConnected(name)
      await places.remove(space.id, deviceId)
      await parts.note('store.stopped', deviceId, { space: space.id })
      if (key !== undefined) await createVaultClient(rpc, createSealer(key).vault).forget(signal)
      return await parts.describe(space)
    }
    if (role !== 'storage')
      throw new SkeinError('auth.denied', `${name} is no storage device: it may read everything`, {
        fix: 'pair it anew as one: skein pair --role storage',
      })
    if (!shelf.joined.has(space.id))
      throw new SkeinError('not.found', `the space ${space.name} does not lie on this device`, {
        fix: `skein join ${space.name} DIR`,
      })
    const rpc = links.connected.get(deviceId)
    if (rpc === undefined) throw notConnected(name)
    const key = await findKey(env, parts, space, signal)
    const { quotaBytes } = await createVaultClient(rpc, createSealer(key).vault).open(signal)
    if (quotaBytes === undefined)
      throw new SkeinError('auth.denied', `${name} holds nothing for others yet`, {
        fix: `on ${name}: skein hold --quota 50G`,
      })
    await parts.note('store', deviceId, { space: space.id })
    await places.put({ space: space.id, device: deviceId, sinceMs: env.clock.nowMs() })
    links.refresh()
    return await parts.describe(space)
  }
}

/** The key of a space that lies here; asks the others before it makes one. */
async function findKey(
  env: Env,
  { keys, shelf, self }: VaultParts,
  { id, name, createdBy }: SpaceSetting,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const held = keys.get(id)
  if (held !== undefined) return held
  if (!shelf.joined.has(id))
    throw new SkeinError('not.found', `this device does not know the key of ${name}`, {
      fix: `skein join ${name} DIR, or ask on a device that holds it`,
    })
  const untilMs = env.clock.monotonicMs() + (createdBy === self ? 0 : askMs)
  keys.ask(id)
  while (keys.get(id) === undefined && env.clock.monotonicMs() < untilMs)
    await sleep(env.clock, lookMs, signal)
  return await keys.ensure(id)
}

function createRecover(env: Env, parts: VaultParts, links: VaultLinks): PeerApi['recover'] {
  const { roster, settings, keys, places } = parts
  return async ({ code, directory, device }, call) => {
    const { signal } = call
    if (roster.self()?.role !== 'full')
      throw new SkeinError('auth.denied', 'only a full device may hold a space in plain')
    const key = parseRecoveryCode(code)
    const sealer = createSealer(key)
    const only = device === undefined ? undefined : findDevice(roster, device).deviceId
    const { holder, info } = await findHolder(env, links, { sealer, only, signal })
    const held = (await settings.spaces()).find(({ id }) => id === info.id)
    await keys.offer(info.id, key)
    if (Buffer.compare(keys.get(info.id) ?? new Uint8Array(), key) !== 0)
      throw new SkeinError('usage', 'the space has got another key since this code was printed', {
        fix: `skein join ${info.name} DIR`,
      })
    const space: SpaceSetting = held ?? info
    if (held === undefined) await settings.putSpace(space)
    await places.put({ space: info.id, device: holder, sinceMs: env.clock.nowMs() })
    const status = await parts.take(space, directory, call)
    links.refresh()
    return status
  }
}

async function findHolder(
  env: Env,
  links: VaultLinks,
  ask: { readonly sealer: Sealer; readonly only: DeviceId | undefined; readonly signal: AbortSignal },
): Promise<{
  readonly holder: DeviceId
  readonly info: NonNullable<Awaited<ReturnType<typeof readSpaceInfo>>>
}> {
  let asked = 0
  for (const [holder, rpc] of links.connected) {
    if (ask.only !== undefined && ask.only !== holder) continue
    asked++
    try {
      const client = createVaultClient(rpc, ask.sealer.vault)
      const info = await readSpaceInfo(client, ask.sealer, ask.signal)
      if (info !== undefined) return { holder, info }
    } catch (error) {
      // because: the next one may have it
      if (!hasCode(error, 'peer.gone', 'blob.corrupt', 'not.found', 'vault.overtaken', 'auth.denied'))
        throw error
      env.log.info('a storage device could not be asked', { deviceId: holder, code: error.code })
    }
  }
  throw new SkeinError(
    'not.found',
    asked === 0 ? 'no storage device is connected' : 'no connected storage device holds this space',
    { fix: 'pair the storage device with this one: skein pair --role storage' },
  )
}

function describeCopy(
  { roster }: VaultParts,
  links: VaultLinks,
  { space, device }: { readonly space: SpaceId; readonly device: DeviceId },
): SealedCopy {
  const status = links.status(space, device)
  const known = roster.state.devices.get(device)
  const base = { deviceId: device, device: known?.name ?? device.slice(0, 8) }
  if (status === undefined)
    return { ...base, state: 'away', fileCount: 0, heldCount: 0, sizeBytes: 0, damageCount: 0 }
  const { state, fileCount, heldCount, sizeBytes, progress, problem, damageCount } = status
  return {
    ...base,
    state,
    fileCount,
    heldCount,
    sizeBytes,
    damageCount,
    ...(progress !== undefined && { doneBytes: progress.doneBytes, totalBytes: progress.totalBytes }),
    ...(problem !== undefined && { problem: problem.message }),
    ...(problem?.fix !== undefined && { fix: problem.fix }),
  }
}
