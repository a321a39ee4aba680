/**
 * Shared folders: the list of spaces is a shared document, where a space lies on this device is kept here
 * (space-shelf.ts). Gives the verbs about them; those about their files stand in space-conflicts, -versions and -ignore.
 */
import { basename } from 'node:path'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import type { SpaceId } from '../base/ids.ts'
import { newSpaceId } from '../base/ids.ts'
import type { Scope } from '../base/scope.ts'
import type { Settings, SpaceSetting } from '../crdt/settings.ts'
import { openSettings } from '../crdt/settings.ts'
import { listRestorable } from '../files/restore.ts'
import type { SpaceStatus } from './api-spaces.ts'
import type { PeerApi } from './api.ts'
import { membersOf } from './auth/roster-state.ts'
import type { AskBusyMembers } from './busy-members.ts'
import { startBusyMembers } from './busy-members.ts'
import { createAskFirst, serveFirst } from './first-index.ts'
import { createGrantVerb } from './grant-verb.ts'
import { openGrantedSpaces } from './granted-spaces.ts'
import type { Mesh } from './mesh.ts'
import { createAskVersions, serveVersions } from './remote-versions.ts'
import { createConflictVerbs, paused } from './space-conflicts.ts'
import { createHolders, serveHolders } from './space-holders.ts'
import { createIgnoreVerbs } from './space-ignore.ts'
import { createPartVerbs, rulesOf } from './space-part.ts'
import { checkDirectory, checkSpaceName, findSpace } from './space-paths.ts'
import type { Joined, Shelf, ShelfParts } from './space-shelf.ts'
import { openShelf } from './space-shelf.ts'
import { createScrubVerbs } from './space-scrub.ts'
import { describeSpace } from './space-status.ts'
import { createVersionVerbs, restoringIn } from './space-versions.ts'
import type { Trust } from './trust.ts'
import { syncOnce } from './sync-once.ts'
import { followSync, waitForSync } from './sync-wait.ts'

export interface SpacesParts extends Omit<ShelfParts, 'holders' | 'first'> {
  readonly mesh: Pick<Mesh, 'keeper' | 'methods'>
  readonly note: Trust['note']
  /** Never shared: it holds keys. */
  readonly home: string
}

type ListVerbs = Pick<PeerApi, 'share' | 'join' | 'unshare' | 'spaces' | 'sync' | 'syncProgress' | 'syncOnce'>
type HoldVerbs = Pick<PeerApi, 'pause' | 'resume' | 'deletions'>
type FileVerbs = ReturnType<typeof createConflictVerbs> &
  ReturnType<typeof createVersionVerbs> &
  ReturnType<typeof createIgnoreVerbs> &
  ReturnType<typeof createPartVerbs> &
  ReturnType<typeof createGrantVerb> &
  ReturnType<typeof createScrubVerbs>

export interface Spaces {
  readonly verbs: ListVerbs & HoldVerbs & FileVerbs
  statuses(): Promise<readonly SpaceStatus[]>
  readonly shelf: Shelf
  readonly settings: Settings
  find(wanted: string): Promise<SpaceSetting>
}

/** A device that was just paired has the list of spaces within this. */
const searchMs = 5_000
const lookAgainMs = 50

interface VerbParts {
  readonly parts: SpacesParts
  readonly settings: Settings
  readonly shelf: Shelf
  readonly find: (wanted: string) => Promise<SpaceSetting>
  readonly statuses: () => Promise<readonly SpaceStatus[]>
  readonly busyMembers: AskBusyMembers
}

/** Opens every space that lies on this device. */
export async function openSpaces(outer: Env, scope: Scope, parts: SpacesParts): Promise<Spaces> {
  const env = withLogScope(outer, 'spaces')
  const holding = { ...parts.mesh, roster: parts.roster }
  const all = openSettings(parts.documents.host)
  const settings = await openGrantedSpaces(env, scope, { ...parts, ...parts.mesh }, all)
  const first = createAskFirst(env, { ...holding, self: parts.self, sync: parts.documents.sync })
  const shelf = await openShelf(env, scope, { ...parts, holders: createHolders(env, holding), first })
  serveFirst(scope, holding, (id) => shelf.joined.get(id)?.open?.folder.first)
  serveHolders(
    scope,
    holding,
    async (id, hash) => (await shelf.joined.get(id)?.open?.folder.part.holds(hash)) === true,
  )
  serveVersions(scope, holding, async (id, path) => {
    const held = shelf.joined.get(id)
    return held?.open === undefined ? undefined : await listRestorable(restoringIn(env, held), path)
  })
  const statuses = async (): Promise<readonly SpaceStatus[]> =>
    (await settings.spaces()).map((space) => describeSpace(space, shelf))
  const find = async (wanted: string): Promise<SpaceSetting> => findSpace(await settings.spaces(), wanted)
  const isBusy = (id: SpaceId): boolean => {
    const state = shelf.joined.get(id)?.open?.folder.status().state
    return state === 'starting' || state === 'working'
  }
  const busyMembers = startBusyMembers(env, scope, { roster: parts.roster, ...parts.mesh, isBusy })
  const shared = { parts, settings, shelf, find, statuses, busyMembers }
  const { self, roster } = parts
  return {
    verbs: {
      ...createListVerbs(env, shared),
      ...createHoldVerbs(shared),
      ...createConflictVerbs(env, { self, roster, shelf, find, settings: () => settings.spaces() }),
      ...createVersionVerbs(env, {
        roster,
        shelf,
        exchange: parts.exchange,
        askVersions: createAskVersions(env, holding),
      }),
      ...createIgnoreVerbs(env, { shelf, find }),
      ...createPartVerbs({ shelf, find, bus: parts.bus }),
      ...createGrantVerb({ ...parts, find }),
      ...createScrubVerbs({ shelf, find, settings: () => settings.spaces() }),
    },
    statuses,
    shelf,
    settings,
    find,
  }
}

function createListVerbs(env: Env, shared: VerbParts): ListVerbs {
  const { parts, settings, shelf, find, statuses, busyMembers } = shared
  const { home, self, bus, documents } = parts
  const findSoon = createFindSoon(env, shared)
  const directories = (): readonly string[] =>
    [...shelf.joined.values(), ...shelf.broken.values()].map(({ directory }) => directory)
  const nameOf = (peer: string): string =>
    membersOf(parts.roster.state).find(({ deviceId }) => deviceId === peer)?.name ?? peer
  const view = { sync: documents.sync, statuses, busyMembers, nameOf }
  return {
    spaces: statuses,
    async share({ directory, name }) {
      const path = await checkDirectory(home, directory, directories(), 'must exist')
      const space: SpaceSetting = {
        id: newSpaceId(env.random),
        name: checkSpaceName(name ?? basename(path)),
        createdBy: self,
        createdAtMs: env.clock.nowMs(),
      }
      await settings.putSpace(space)
      await shelf.add(space.id, path)
      bus.publish('space.shared', { spaceId: space.id, name: space.name })
      return describeSpace(space, shelf)
    },
    async join({ space: wanted, directory, role, only, except }, { signal }) {
      const rules = rulesOf({
        isReadOnly: role === 'read-only',
        selection: { only: only ?? [], except: except ?? [] },
      })
      const space = await findSoon(wanted, signal)
      const held = shelf.joined.get(space.id) ?? shelf.broken.get(space.id)
      if (held !== undefined)
        throw new SkeinError('usage', `this space is here already, in ${held.directory}`, {
          fix: `to keep it elsewhere, first: skein unshare '${space.name}'`,
        })
      const path = await checkDirectory(home, directory, directories(), 'may be made')
      await shelf.add(space.id, path, { rules })
      bus.publish('space.joined', { spaceId: space.id, name: space.name, directory: path })
      return describeSpace(space, shelf)
    },
    async unshare({ space: wanted }) {
      const space = await find(wanted)
      if (!shelf.joined.has(space.id) && !shelf.broken.has(space.id)) throw notHere(space)
      const { directory } = describeSpace(space, shelf)
      await shelf.remove(space.id)
      bus.publish('space.left', { spaceId: space.id })
      return { ...describeSpace(space, shelf), ...(directory !== undefined && { directory }) }
    },
    async sync({ space: wanted, timeoutMs }, { signal }) {
      const spaceId = wanted === undefined ? undefined : (await find(wanted)).id
      return await waitForSync(env, view, { spaceId, timeoutMs, signal })
    },
    async *syncOnce({ space: wanted, ...wish }, { signal }) {
      const place = (directory: string): Promise<string> =>
        checkDirectory(home, directory, directories(), 'may be made')
      yield* syncOnce(env, { shelf, view, place }, await findSoon(wanted, signal), { ...wish, signal })
    },
    async *syncProgress({ space: wanted, timeoutMs }, { signal }) {
      const spaceId = wanted === undefined ? undefined : (await find(wanted)).id
      yield* followSync(env, view, { spaceId, timeoutMs, signal })
    },
  }
}

/** Right after pairing the list of spaces is still on its way: what is not there is waited for a moment. */
function createFindSoon(
  env: Env,
  { parts, find }: Pick<VerbParts, 'parts' | 'find'>,
): (wanted: string, signal: AbortSignal) => Promise<SpaceSetting> {
  const { documents, roster } = parts
  return async (wanted, signal) => {
    const untilMs = env.clock.monotonicMs() + searchMs
    for (;;) {
      try {
        return await find(wanted)
      } catch (error) {
        const { sync } = documents
        const isComplete = sync.peers().length > 0 && sync.peers().every((peer) => sync.inSync(peer))
        const isAlone = membersOf(roster.state).length <= 1
        if (!hasCode(error, 'not.found') || isComplete || isAlone || env.clock.monotonicMs() > untilMs)
          throw error
        await sleep(env.clock, lookAgainMs, signal)
      }
    }
  }
}

function createHoldVerbs({ parts, shelf, find, statuses }: VerbParts): HoldVerbs {
  /** The spaces on this device that are meant, all by default. */
  const each = async (
    wanted: string | undefined,
    act: (held: Joined, space: SpaceSetting) => Promise<void>,
  ): Promise<readonly SpaceStatus[]> => {
    const only = wanted === undefined ? undefined : await find(wanted)
    if (only !== undefined && !shelf.joined.has(only.id)) throw notHere(only)
    for (const status of await statuses()) {
      const held = shelf.joined.get(status.id)
      if (held === undefined || (only !== undefined && only.id !== status.id)) continue
      await act(held, await find(status.id))
    }
    const now = await statuses()
    return now.filter(({ id, directory }) => (only === undefined ? directory !== undefined : id === only.id))
  }
  return {
    pause: ({ space }) =>
      each(space, async ({ spaceId, open }) => {
        if (open === undefined) return
        await shelf.pause(spaceId)
        parts.bus.publish('space.paused', { spaceId })
      }),
    resume: ({ space }) =>
      each(space, async ({ spaceId, open }) => {
        if (open !== undefined) return
        await shelf.resume(spaceId)
        parts.bus.publish('space.resumed', { spaceId })
      }),
    async deletions({ space, verdict }) {
      const found = await find(space)
      const held = shelf.joined.get(found.id)
      if (held === undefined) throw notHere(found)
      if (held.open === undefined) throw paused()
      const { folder } = held.open
      if (folder.status().heldDeletions === 0)
        throw new SkeinError('not.found', `no deletions wait in ${found.name}`, {
          fix: 'skein spaces shows them',
        })
      if (verdict === 'allow') folder.allowDeletions()
      else await folder.undoDeletions()
      return describeSpace(found, shelf)
    },
  }
}

const notHere = ({ name }: SpaceSetting): SkeinError =>
  new SkeinError('not.found', `the space ${name} does not lie on this device`, {
    fix: `skein join ${name} DIR`,
  })
