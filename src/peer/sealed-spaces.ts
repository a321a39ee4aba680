/**
 * Shared folders together with the storage devices that hold them sealed: keys are made and asked for as spaces come to lie
 * here, and what is told of a space says who holds it. Wires spaces.ts, space-keys.ts, vaults.ts and vault-holder.ts.
 */
import { join } from 'node:path'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import type { Scope } from '../base/scope.ts'
import type { BlobExchange } from '../blobs/exchange.ts'
import type { SpaceStatus } from './api-spaces.ts'
import type { Roster } from './auth/roster.ts'
import type { Documents } from './documents.ts'
import type { EventBus } from './event-bus.ts'
import type { Home } from './home.ts'
import type { Mesh } from './mesh.ts'
import { openSpaceKeys, type SpaceKeys } from './space-keys.ts'
import { describeSpace } from './space-status.ts'
import { openSpaces, type Spaces } from './spaces.ts'
import { roleOf } from './storage-devices.ts'
import type { Trust } from './trust.ts'
import { openVaultHolder } from './vault-holder.ts'
import { openVaultPlaces } from './vault-places.ts'
import { startVaults, type Vaults } from './vaults.ts'

export interface SealedSpacesParts {
  readonly home: Home
  readonly self: DeviceId
  readonly roster: Roster
  readonly mesh: Mesh
  readonly documents: Documents
  readonly exchange: BlobExchange
  readonly bus: EventBus
  readonly note: Trust['note']
}

export interface SealedSpaces {
  readonly verbs: Spaces['verbs'] & Vaults['verbs']
  statuses(): Promise<readonly SpaceStatus[]>
}

/** Opens every space that lies on this device, and every vault that it holds. */
export async function openSealedSpaces(
  env: Env,
  scope: Scope,
  parts: SealedSpacesParts,
): Promise<SealedSpaces> {
  const { home, roster, mesh, documents } = parts
  const { keep, directory } = home
  let vaults: Vaults | undefined
  const isOutOfReach = (space: SpaceId): boolean => vaults === undefined || vaults.isOutOfReach(space)
  const spaces = await openSpaces(env, scope, { ...parts, keep, home: directory, isOutOfReach })
  const { shelf, settings } = spaces
  const keys = await openSpaceKeys(env, scope, { keep, roster, mesh, joined: () => shelf.joined.keys() })
  const holder = await openVaultHolder(env, scope, {
    keep,
    roster,
    directory: join(directory, 'data', 'vaults'),
    holdsPlain: () => keys.isAny || shelf.joined.size + shelf.broken.size > 0,
  })
  const withCopies = async (status: SpaceStatus): Promise<SpaceStatus> => {
    const sealed = (await vaults?.copies(status.id)) ?? []
    return sealed.length === 0 ? status : { ...status, sealed }
  }
  vaults = await startVaults(env, scope, {
    ...parts,
    keep,
    settings,
    shelf,
    keys,
    places: openVaultPlaces(documents.host),
    holder,
    find: (wanted) => spaces.find(wanted),
    describe: (space) => withCopies(describeSpace(space, shelf)),
    take: (space, given, call) => spaces.verbs.join({ space: space.id, directory: given }, call),
  })
  const refresh = (): void => vaults?.refresh()
  const statuses = async (): Promise<readonly SpaceStatus[]> =>
    await Promise.all((await spaces.statuses()).map(withCopies))
  return {
    statuses,
    verbs: {
      ...spaces.verbs,
      ...vaults.verbs,
      spaces: statuses,
      ...withVaults(spaces.verbs, { roster, self: parts.self, keys, refresh }),
    },
  }
}

type PlaceVerbs = Pick<Spaces['verbs'], 'share' | 'join' | 'unshare' | 'pause' | 'resume'>

/** The verbs that change what lies here: keys and vaults follow. */
function withVaults(
  verbs: PlaceVerbs,
  parts: {
    readonly roster: Roster
    readonly self: DeviceId
    readonly keys: SpaceKeys
    readonly refresh: () => void
  },
): PlaceVerbs {
  const { roster, self, keys, refresh } = parts
  const mayHoldPlain = (): void => {
    if (roleOf(roster, self) !== 'storage') return
    throw new SkeinError('auth.denied', 'a storage device holds spaces sealed alone', {
      fix: 'skein hold --quota 50G, and on another device: skein store SPACE --on THIS',
    })
  }
  return {
    async share(params, call) {
      mayHoldPlain()
      const status = await verbs.share(params, call)
      await keys.ensure(status.id)
      refresh()
      return status
    },
    async join(params, call) {
      mayHoldPlain()
      const status = await verbs.join(params, call)
      keys.ask(status.id)
      refresh()
      return status
    },
    async unshare(params, call) {
      const status = await verbs.unshare(params, call)
      refresh()
      return status
    },
    async pause(params, call) {
      const statuses = await verbs.pause(params, call)
      refresh()
      return statuses
    },
    async resume(params, call) {
      const statuses = await verbs.resume(params, call)
      refresh()
      return statuses
    },
  }
}
