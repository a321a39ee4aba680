/** The verbs about the past of files: earlier versions, bringing them back, and what happened to a file. */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { BlobExchange } from '../blobs/exchange.ts'
import { isWithin, joinPath } from '../files/filesystem.ts'
import type { HistoryEvent } from '../files/history.ts'
import { tellHistory } from '../files/history.ts'
import type { Restorable, RestoreParts } from '../files/restore.ts'
import {
  chooseBelow,
  recordedAt,
  findById,
  listRestorable,
  restoreAll,
  restoreOne,
} from '../files/restore.ts'
import type { FileVersion, HistoryStep, RestoreParams, RestoreReport } from './api-spaces.ts'
import type { PeerApi } from './api.ts'
import type { Roster } from './auth/roster.ts'
import type { AskVersions, RemoteVersion } from './remote-versions.ts'
import { deviceOf } from './space-conflicts.ts'
import { locate } from './space-paths.ts'
import type { Joined, Shelf } from './space-shelf.ts'

export interface VersionVerbParts {
  readonly roster: Roster
  readonly shelf: Shelf
  readonly exchange: Pick<BlobExchange, 'fetch'>
  readonly askVersions: AskVersions
}

type VersionVerbs = Pick<PeerApi, 'versions' | 'restore' | 'history'>

/** What restoring in a folder needs; without a way to other devices. */
export const restoringIn = (env: Env, { space, filesystem, versions, open }: Joined): RestoreParts => ({
  space,
  filesystem,
  versions,
  random: env.random,
  bases: open?.folder.bases,
  nowMs: () => env.clock.nowMs(),
})

export function createVersionVerbs(env: Env, parts: VersionVerbParts): VersionVerbs {
  const { roster, shelf, exchange, askVersions } = parts
  const restoring = (held: Joined, signal?: AbortSignal): RestoreParts => ({
    ...restoringIn(env, held),
    fetch: signal && ((wanted, file, from) => exchange.fetch({ ...wanted, signal }, file, [from])),
  })
  const nameOf = createNameOf(parts)
  return {
    async versions({ path: given, isHereOnly = false }, { signal }) {
      const { held, path } = await locate(shelf.joined.values(), given)
      const here = await listRestorable(restoring(held), path)
      const others = isHereOnly ? [] : await elsewhere(askVersions, held, { path, here, signal })
      const found = [...here, ...others].sort((a, b) => b.keptAtMs - a.keptAtMs)
      const stat = await held.filesystem.lstat(path)
      const current = stat && {
        kind: stat.kind,
        sizeBytes: stat.size,
        modifiedAtMs: Number(stat.mtimeNs / 1_000_000n),
      }
      return {
        spaceId: held.spaceId,
        path,
        versions: found
          .slice(0, limits.listedEntries)
          .map((version) => ({ ...describe(version, nameOf), ...keptOn(roster, version) })),
        isCut: found.length > limits.listedEntries,
        ...(current !== undefined && { current }),
        caps: { days: limits.versionDays, bytes: limits.versionBytes },
      }
    },
    async restore(params, { signal }) {
      const { held, path } = await locate(shelf.joined.values(), params.path)
      const to = params.to === undefined ? undefined : await locate(shelf.joined.values(), params.to)
      if (to !== undefined && to.held.spaceId !== held.spaceId)
        throw new SkeinError('usage', '--to must lie in the same shared folder', {
          fix: 'restore it there, then copy it',
        })
      const ask = (here: readonly Restorable[]): Promise<readonly RemoteVersion[]> =>
        elsewhere(askVersions, held, { path, here, signal })
      const restored = await restore(restoring(held, signal), { path, to: to?.path, params, ask })
      // Nothing here waits for the watcher: where there is none it would take until the next sweep
      held.open?.folder.rescan()
      return { spaceId: held.spaceId, ...restored }
    },
    history: createHistoryVerb(env, parts),
  }
}

/** What other devices keep and this one does not, one of each content. */
async function elsewhere(
  ask: AskVersions,
  { spaceId }: Joined,
  wish: { readonly path: string; readonly here: readonly Restorable[]; readonly signal: AbortSignal },
): Promise<readonly RemoteVersion[]> {
  const known = new Set(wish.here.map(({ hash }) => hash))
  const found: RemoteVersion[] = []
  for (const one of await ask(spaceId, wish.path, wish.signal)) {
    if (known.has(one.hash)) continue
    known.add(one.hash)
    found.push(one)
  }
  return found
}

type NamedBy = Pick<VersionVerbParts, 'roster'>

const createNameOf =
  ({ roster }: NamedBy): NameOf =>
  (author) =>
    author === undefined ? undefined : (deviceOf(roster, author)?.name ?? author)

function createHistoryVerb(
  env: Env,
  parts: Pick<VersionVerbParts, 'roster' | 'shelf'>,
): VersionVerbs['history'] {
  const nameOf = createNameOf(parts)
  return async ({ path: given }) => {
    const { held, path } = await locate(parts.shelf.joined.values(), given)
    const restoring = restoringIn(env, held)
    const entry = await held.space.lookup(path)
    const node = entry === undefined ? undefined : await held.space.node(entry.nodeId)
    const versions = await listRestorable(restoring, path)
    const own = versions.filter((version) => version.path === path || version.nodeId === entry?.nodeId)
    const related = entry === undefined ? versions.filter((one) => isSameFile(one, path, versions)) : own
    const steps = tellHistory({ entry, node, versions: related })
    if (steps.length === 0)
      throw new SkeinError('not.found', `nothing is known of "${path}"`, {
        fix: 'check the path: skein versions DIR',
      })
    return {
      spaceId: held.spaceId,
      path,
      isThere: entry !== undefined,
      steps: steps.slice(0, limits.listedEntries).map((step) => describeStep(step, nameOf)),
    }
  }
}

/** Of what is gone: the same path, or the same node under a former name. */
const isSameFile = (one: Restorable, path: string, all: readonly Restorable[]): boolean =>
  one.path === path ||
  (one.nodeId !== undefined && all.some((other) => other.path === path && other.nodeId === one.nodeId))

interface Wish {
  readonly path: string
  readonly to: string | undefined
  readonly params: RestoreParams
  /** What other devices keep besides these. */
  readonly ask: (here: readonly Restorable[]) => Promise<readonly RemoteVersion[]>
}

function keptOn(roster: Roster, { remote }: Restorable): { readonly keptOn?: string } {
  return remote === undefined ? {} : { keptOn: roster.state.devices.get(remote)?.name ?? remote }
}

async function restore(
  parts: RestoreParts,
  { path, to, params, ask }: Wish,
): Promise<Omit<RestoreReport, 'spaceId'>> {
  const here = await listRestorable(parts, path)
  const { version: id, atMs } = params
  const nothing = (): SkeinError =>
    new SkeinError('not.found', `no earlier version of "${path}" is kept here, nor on a device in reach`, {
      fix: 'try again when the other devices are up',
    })
  // Another device's times say nothing about when something was so here
  const isAsked =
    id === undefined ? atMs === undefined && here.length === 0 : !here.some((one) => one.id.startsWith(id))
  const all = isAsked ? [...here, ...(await ask(here))] : here
  if (id !== undefined) {
    const version = findById(all, id)
    const isReplaced = await restoreOne(parts, version, to ?? (path === '' ? version.path : path))
    return {
      restored: [to ?? (path === '' ? version.path : path)],
      replacedCount: isReplaced ? 1 : 0,
      problems: [],
    }
  }
  const ofFile = all.filter((version) => version.path === path || !isWithin(version.path, path))
  const below = all.filter((version) => version.path !== path && isWithin(version.path, path))
  const stat = await parts.filesystem.lstat(path)
  // The path may have been a file and a directory in turn: what stands there decides, else what was there last
  const newestFile = ofFile[0]?.keptAtMs ?? -1
  const isDirectory = stat === undefined ? (below[0]?.keptAtMs ?? -1) > newestFile : stat.kind === 'directory'
  if (!isDirectory) return await restoreFile(parts, { path, to, atMs, versions: ofFile, nothing })
  const there = new Set<string>()
  for (const { path: one } of below) if ((await parts.filesystem.lstat(one)) !== undefined) there.add(one)
  const chosen = chooseBelow(below, atMs, (one) => there.has(one))
  if (chosen.length === 0 && (atMs === undefined || stat === undefined)) throw nothing()
  const placeOf = (one: string): string =>
    to === undefined ? one : joinPath(to, path === '' ? one : one.slice(path.length + 1))
  return await restoreAll(parts, chosen, placeOf)
}

interface FileWish {
  readonly path: string
  readonly to: string | undefined
  readonly atMs: number | undefined
  /** Newest first. */
  readonly versions: readonly Restorable[]
  readonly nothing: () => SkeinError
}

async function restoreFile(
  parts: RestoreParts,
  { path, to, atMs, versions, nothing }: FileWish,
): Promise<Omit<RestoreReport, 'spaceId'>> {
  const current = (await recordedAt(parts, path))?.hash
  const differing = versions.filter(
    ({ hash, cause }) => cause !== 'damaged' && (hash === undefined || hash !== current),
  )
  const found = atMs === undefined ? differing[0] : versions.findLast((version) => version.keptAtMs > atMs)
  // What stands there has stood there since before that time
  if (found === undefined && atMs !== undefined && to === undefined && current !== undefined)
    return { restored: [], replacedCount: 0, problems: [] }
  if (found === undefined) throw nothing()
  const isReplaced = await restoreOne(parts, found, to ?? path)
  return { restored: [to ?? path], replacedCount: isReplaced ? 1 : 0, problems: [] }
}

type NameOf = (author: string | undefined) => string | undefined

function describe(version: Restorable, nameOf: NameOf): FileVersion {
  const { id, path, keptAtMs, cause, sizeBytes, hash } = version
  const device = nameOf(newestWriter(version.version))
  const replacedBy = nameOf(newestWriter(version.by))
  return {
    id,
    path,
    keptAtMs,
    cause,
    sizeBytes,
    ...(hash !== undefined && { hash }),
    ...(device !== undefined && { device }),
    ...(replacedBy !== undefined && { replacedBy }),
  }
}

/** The device of the newest event in a version vector's text (crdt/version-vector.ts). */
function newestWriter(version: string | undefined): string | undefined {
  const events = (version ?? '').split(',').flatMap((part) => {
    const lamport = Number.parseInt(part.slice(15), 36)
    return part.charAt(14) === ':' && Number.isSafeInteger(lamport)
      ? [{ author: part.slice(0, 8), lamport }]
      : []
  })
  const [first, ...others] = events
  return others.reduce((a, b) => (a !== undefined && a.lamport >= b.lamport ? a : b), first)?.author
}

function describeStep(step: HistoryEvent, nameOf: NameOf): HistoryStep {
  const { author, ...fields } = step
  const device = nameOf(author)
  const known = Object.entries({ ...fields, device }).filter(([, value]) => value !== undefined)
  // because: only absent fields were taken out, and kind is never absent
  return Object.fromEntries(known) as unknown as HistoryStep
}
