/**
 * Shared folders: the list of spaces is a shared document, where a space lies on this device is kept here. Opens a
 * folder per joined space and gives the verbs about them.
 */
import { mkdir, stat } from 'node:fs/promises'
import { basename, isAbsolute, resolve, sep } from 'node:path'
import { sleep } from '../base/clock.ts'
import { array, decodeCanonical, encodeCanonical, object, text, textOf } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { isSpaceId, newSpaceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { BlobExchange } from '../blobs/exchange.ts'
import type { Settings, SpaceSetting } from '../crdt/settings.ts'
import { openSettings } from '../crdt/settings.ts'
import { openSpace } from '../crdt/space.ts'
import type { Folder } from '../files/folder.ts'
import { createFolder } from '../files/folder.ts'
import { createHashWorkers } from '../files/hash-workers.ts'
import { createNodeFilesystem } from '../files/node-filesystem.ts'
import { createSpaceFolderTree } from '../files/space-folder-tree.ts'
import type { PeerApi, SpaceStatus } from './api.ts'
import { may } from './auth/access.ts'
import { membersOf } from './auth/roster-state.ts'
import type { Roster } from './auth/roster.ts'
import type { Documents } from './documents.ts'
import type { EventBus } from './event-bus.ts'
import { waitForSync } from './sync-wait.ts'

export interface SpacesParts {
  readonly keep: Keep
  readonly self: DeviceId
  readonly roster: Roster
  readonly documents: Documents
  readonly exchange: BlobExchange
  readonly bus: EventBus
  /** Never shared: it holds keys. */
  readonly home: string
}

type SpaceVerbs = Pick<PeerApi, 'share' | 'join' | 'unshare' | 'spaces' | 'sync'>

export interface Spaces {
  readonly verbs: SpaceVerbs
  statuses(): Promise<readonly SpaceStatus[]>
}

interface Joined {
  readonly spaceId: SpaceId
  readonly directory: string
  readonly scope: Scope
  readonly folder: Folder
}

const recordName = 'spaces'
/** A device that was just paired has the list of spaces within this. */
const searchMs = 5_000
const lookAgainMs = 50
const placesShape = array(
  object({ id: textOf(isSpaceId, 'a space id'), directory: text(4096) }),
  limits.spaces,
)
const placesBytes = limits.spaces * 8_192

/** Opens every space that lies on this device. */
export async function openSpaces(outer: Env, scope: Scope, parts: SpacesParts): Promise<Spaces> {
  const env = withLogScope(outer, 'spaces')
  const settings = openSettings(parts.documents.host)
  const shelf = await openShelf(env, scope, parts)
  const statuses = async (): Promise<readonly SpaceStatus[]> => {
    const known = await settings.spaces()
    return known.map((space) => describe(space, shelf.joined.get(space.id)))
  }
  return { verbs: createVerbs(env, parts, { settings, shelf, statuses }), statuses }
}

/** The spaces that lie on this device. */
interface Shelf {
  readonly joined: ReadonlyMap<SpaceId, Joined>
  /** Opens the folder and remembers its place. */
  add(spaceId: SpaceId, directory: string): Promise<void>
  /** Closes the folder and forgets its place; the files stay. */
  remove(held: Joined): Promise<void>
}

async function openShelf(env: Env, scope: Scope, parts: SpacesParts): Promise<Shelf> {
  const { keep, bus } = parts
  const joined = new Map<SpaceId, Joined>()
  const save = (): Promise<void> => {
    const places = [...joined.values()].map(({ spaceId: id, directory }) => ({ id, directory }))
    return keep.write(recordName, encodeCanonical(places))
  }
  const open = async (spaceId: SpaceId, directory: string): Promise<void> => {
    const own = scope.child(`space ${spaceId}`)
    try {
      const folder = await openFolder(env, own, parts, { spaceId, directory })
      joined.set(spaceId, { spaceId, directory, scope: own, folder })
      publishProgress(own, bus, folder)
    } catch (error) {
      await own.close()
      throw error
    }
  }
  const stored = await keep.read(recordName)
  for (const place of stored === undefined ? [] : decodeCanonical(stored, placesShape, placesBytes)) {
    // One folder that cannot be opened must not keep the peer from starting: doctor names it
    await open(place.id, place.directory).catch((error: unknown) => {
      env.log.error('space not opened', { spaceId: place.id, ...errorFields(error) })
      const message = `the space in ${place.directory} could not be opened`
      bus.publish('store.problem', { code: asSkeinError(error).code, message })
    })
  }
  scope.own(parts.exchange.onPeer(() => joined.forEach(({ folder }) => folder.retry())))
  return {
    joined,
    async add(spaceId, directory) {
      await open(spaceId, directory)
      await save()
    },
    async remove(held) {
      joined.delete(held.spaceId)
      await save()
      await held.scope.close()
    },
  }
}

interface VerbParts {
  readonly settings: Settings
  readonly shelf: Shelf
  readonly statuses: () => Promise<readonly SpaceStatus[]>
}

function createVerbs(env: Env, parts: SpacesParts, { settings, shelf, statuses }: VerbParts): SpaceVerbs {
  const { home, self, bus, documents } = parts
  const find = async (wanted: string): Promise<SpaceSetting> => findSpace(await settings.spaces(), wanted)
  /** Right after pairing the list of spaces is still on its way: what is not there is waited for a moment. */
  const findSoon = async (wanted: string, signal: AbortSignal): Promise<SpaceSetting> => {
    const untilMs = env.clock.monotonicMs() + searchMs
    for (;;) {
      try {
        return await find(wanted)
      } catch (error) {
        const { sync } = documents
        const isComplete = sync.peers().length > 0 && sync.peers().every((peer) => sync.inSync(peer))
        const isAlone = membersOf(parts.roster.state).length <= 1
        if (!hasCode(error, 'not.found') || isComplete || isAlone || env.clock.monotonicMs() > untilMs)
          throw error
        await sleep(env.clock, lookAgainMs, signal)
      }
    }
  }
  return {
    spaces: statuses,
    async share({ directory, name }) {
      const path = await checkDirectory(home, directory, shelf.joined, 'must exist')
      const space: SpaceSetting = {
        id: newSpaceId(env.random),
        name: checkName(name ?? basename(path)),
        createdBy: self,
        createdAtMs: env.clock.nowMs(),
      }
      await settings.putSpace(space)
      await shelf.add(space.id, path)
      bus.publish('space.shared', { spaceId: space.id, name: space.name })
      return describe(space, shelf.joined.get(space.id))
    },
    async join({ space: wanted, directory }, { signal }) {
      const space = await findSoon(wanted, signal)
      const held = shelf.joined.get(space.id)
      if (held !== undefined)
        throw new SkeinError('usage', `this space is here already, in ${held.directory}`)
      const path = await checkDirectory(home, directory, shelf.joined, 'may be made')
      await shelf.add(space.id, path)
      bus.publish('space.joined', { spaceId: space.id, name: space.name, directory: path })
      return describe(space, shelf.joined.get(space.id))
    },
    async unshare({ space: wanted }) {
      const space = await find(wanted)
      const held = shelf.joined.get(space.id)
      if (held === undefined)
        throw new SkeinError('not.found', `the space ${space.name} does not lie on this device`)
      await shelf.remove(held)
      bus.publish('space.left', { spaceId: space.id })
      return describe(space, undefined)
    },
    async sync({ space: wanted, timeoutMs }, { signal }) {
      const spaceId = wanted === undefined ? undefined : (await find(wanted)).id
      return await waitForSync(env, { sync: documents.sync, statuses }, { spaceId, timeoutMs, signal })
    },
  }
}

async function openFolder(
  env: Env,
  scope: Scope,
  parts: SpacesParts,
  place: { spaceId: SpaceId; directory: string },
): Promise<Folder> {
  const { spaceId, directory } = place
  const { documents, exchange, roster, self } = parts
  const tree = scope.own(await openSpace(env, documents.host, { id: spaceId, device: self }))
  const folder = scope.own(
    createFolder(env, {
      spaceId,
      tree: await createSpaceFolderTree(tree),
      filesystem: createNodeFilesystem(directory),
      workers: createHashWorkers(directory),
      fetch: (wanted, file) => exchange.fetch(wanted, file),
      fetchSmall: (wanted) => exchange.fetchSmall(wanted),
    }),
  )
  scope.own(
    exchange.addSource((hash, remote) =>
      may(roster.state, remote, 'blob.read', spaceId).allowed
        ? folder.openBlob(hash)
        : Promise.resolve(undefined),
    ),
  )
  return folder
}

function publishProgress(scope: Scope, bus: EventBus, folder: Folder): void {
  let wasInSync = false
  const told = new Set<string>()
  scope.own(
    folder.on('statusChanged', (status) => {
      const isInSync = status.state === 'in-sync'
      if (isInSync && !wasInSync)
        bus.publish('space.synced', { spaceId: folder.spaceId, fileCount: status.files })
      wasInSync = isInSync
      const paths = new Set(status.problems.map((problem) => problem.path))
      for (const path of told) if (!paths.has(path)) told.delete(path)
      for (const { path, cause, fix } of status.problems) {
        if (told.has(path)) continue
        told.add(path)
        bus.publish('file.problem', { spaceId: folder.spaceId, path, cause, fix })
      }
    }),
  )
}

const states = {
  starting: 'syncing',
  working: 'syncing',
  'in-sync': 'in-sync',
  waiting: 'waiting',
  paused: 'paused',
  stopped: 'error',
} as const

function describe(space: SpaceSetting, held: Joined | undefined): SpaceStatus {
  const base = { id: space.id, name: space.name }
  if (held === undefined) {
    return { ...base, state: 'not-joined', fileCount: 0, sizeBytes: 0, conflictCount: 0, pendingCount: 0 }
  }
  const status = held.folder.status()
  const [problem] = status.problems
  const reason =
    status.stoppedBy?.cause ??
    (status.heldDeletions > 0
      ? `${status.heldDeletions} deletions wait for you`
      : problem && `${problem.path}: ${problem.cause}`)
  return {
    ...base,
    directory: held.directory,
    state: states[status.state],
    fileCount: status.files,
    sizeBytes: status.bytes,
    conflictCount: 0,
    pendingCount: status.transfers.waiting,
    ...(reason !== undefined && { reason }),
  }
}

function checkName(name: string): string {
  if (/\S/.test(name) && new TextEncoder().encode(name).byteLength <= limits.nameBytes) return name
  throw new SkeinError('usage', 'this is not a usable name for a space', {
    fix: `--name with 1 to ${limits.nameBytes} bytes`,
  })
}

/** @throws `usage`, `not.found` for a directory that cannot be a space. */
async function checkDirectory(
  home: string,
  given: string,
  joined: ReadonlyMap<SpaceId, Joined>,
  rule: 'must exist' | 'may be made',
): Promise<string> {
  if (!isAbsolute(given)) throw new SkeinError('usage', `${given} is not an absolute path`)
  const path = resolve(given)
  const overlaps = (other: string): boolean =>
    path === other || path.startsWith(other + sep) || other.startsWith(path + sep)
  if (overlaps(home))
    throw new SkeinError('usage', 'the home of Skein itself cannot be shared', {
      fix: 'choose another directory',
    })
  for (const { directory } of joined.values()) {
    if (overlaps(directory))
      throw new SkeinError('usage', `it overlaps with the space in ${directory}`, {
        fix: 'choose another directory',
      })
  }
  if (rule === 'may be made') await mkdir(path, { recursive: true })
  const found = await stat(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new SkeinError('usage', `${path} cannot be used`, { cause: error, fix: 'check its permissions' })
  })
  if (found === undefined)
    throw new SkeinError('not.found', `there is no ${path}`, { fix: `mkdir -p '${path}'` })
  if (!found.isDirectory()) throw new SkeinError('usage', `${path} is not a directory`)
  return path
}

/** By id, an unambiguous start of one, or an exact name. @throws `not.found`, `usage`. */
function findSpace(spaces: readonly SpaceSetting[], wanted: string): SpaceSetting {
  const exact = spaces.filter((space) => space.id === wanted || space.name === wanted)
  const found =
    exact.length > 0 ? exact : spaces.filter((space) => wanted.length >= 4 && space.id.startsWith(wanted))
  const [first, second] = found
  if (first === undefined)
    throw new SkeinError('not.found', `no space is called ${JSON.stringify(wanted)}`, {
      fix: 'skein spaces lists them',
    })
  if (second !== undefined)
    throw new SkeinError('usage', `${JSON.stringify(wanted)} names ${found.length} spaces`, {
      fix: 'use the id: skein spaces shows it',
    })
  return first
}
