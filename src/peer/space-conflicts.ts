/** The verbs about conflict copies: list them, show how they differ, pick one, keep all, or merge them by hand. */
import { readFile, stat } from 'node:fs/promises'
import { sleep, withDeadline } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { isBlobHash } from '../blobs/hash.ts'
import type { SpaceSetting } from '../crdt/settings.ts'
import type { Side, StandingConflict } from '../files/conflicts.ts'
import { joinPath, nameOf, parentOf } from '../files/filesystem.ts'
import { findMarker, mergeWithMarkers } from '../files/merge-markers.ts'
import { placeOwn } from '../files/place-own.ts'
import { diffTexts, readText } from '../files/text-diff.ts'
import type {
  Conflict,
  ConflictDiff,
  ConflictList,
  ConflictOutcome,
  ConflictPickParams,
  ConflictSide,
} from './api-spaces.ts'
import type { PeerApi } from './api.ts'
import type { Roster } from './auth/roster.ts'
import { findDevice } from './device-verbs.ts'
import { locate } from './space-paths.ts'
import type { Joined, OpenFolder, Shelf } from './space-shelf.ts'

export interface ConflictVerbParts {
  readonly self: DeviceId
  readonly roster: Roster
  readonly shelf: Shelf
  readonly settings: () => Promise<readonly SpaceSetting[]>
  readonly find: (space: string) => Promise<SpaceSetting>
}

type ConflictVerbs = Pick<PeerApi, 'conflicts' | 'conflictShow' | 'conflictPick' | 'conflictMerge'>

/** Contents of other devices are waited for this long. */
const fetchMs = 10_000
const settleMs = 3_000
const lookAgainMs = 20

interface Found {
  readonly held: Joined
  readonly open: OpenFolder
  readonly conflict: StandingConflict
}

export function createConflictVerbs(env: Env, parts: ConflictVerbParts): ConflictVerbs {
  const { shelf, roster, self } = parts
  return {
    conflicts: ({ space }) => listConflicts(parts, space),
    async conflictShow({ path }, { signal }) {
      const { held, open, conflict } = await findConflict(shelf, path)
      const shown = await describe(parts, held, conflict)
      const [main, ...copies] = conflict.sides
      const diffs: ConflictDiff[] = []
      for (const copy of copies) {
        if (main === undefined) break
        const compared = await compare(env, open, { main, copy, signal })
        diffs.push({ path: copy.path, ...compared })
      }
      return { ...shown, diffs }
    },
    async conflictPick(params, { signal }) {
      const one = await findDecidable(shelf, params.path)
      const { conflict, open } = one
      let paths: readonly string[] = [conflict.path]
      if (params.choice === 'both') {
        const labels = new Map(conflict.sides.map((side) => [side, nameOfAuthor(parts, side)]))
        paths = await open.conflicts.keepAll(conflict, labels)
      } else await open.conflicts.pick(conflict, choose(roster, self, { conflict, params }))
      return await resolved(env, one, paths, signal)
    },
    async conflictMerge({ path, result }, { signal }) {
      const one = await findDecidable(shelf, path)
      if (result === undefined) return await writeDraft(env, parts, one, signal)
      const bytes = await readResult(result)
      await one.open.conflicts.replace(one.conflict, bytes)
      await dropDraft(env, one, result, shelf)
      return await resolved(env, one, [one.conflict.path], signal)
    },
  }
}

/** @throws `usage`, `not.found`. */
async function findConflict(shelf: Shelf, given: string): Promise<Found> {
  const { held, path } = await locate(shelf.joined.values(), given)
  if (held.open === undefined) throw paused()
  const conflict = await held.open.conflicts.find(path)
  if (conflict === undefined)
    throw new SkeinError('not.found', `no conflict stands at "${path}"`, {
      fix: 'skein conflicts lists them',
    })
  return { held, open: held.open, conflict }
}

/** A device that sends nothing of the space cannot decide for all. @throws as findConflict, `usage`. */
async function findDecidable(shelf: Shelf, given: string): Promise<Found> {
  const found = await findConflict(shelf, given)
  if (!found.held.rules.isReadOnly && found.held.mayWrite) return found
  throw new SkeinError('usage', 'this device only receives that space', {
    fix: 'decide it on another device, or here after skein role SPACE --full',
  })
}

async function listConflicts(parts: ConflictVerbParts, space: string | undefined): Promise<ConflictList> {
  const wanted = space === undefined ? undefined : (await parts.find(space)).id
  const conflicts: Conflict[] = []
  let isCut = false
  for (const held of parts.shelf.joined.values()) {
    if (held.open === undefined || (wanted !== undefined && held.spaceId !== wanted)) continue
    const room = limits.listedEntries - conflicts.length
    const standing = await held.open.conflicts.list(room)
    isCut ||= standing.length === room
    for (const conflict of standing) conflicts.push(await describe(parts, held, conflict))
  }
  return { conflicts, isCut }
}

async function describe(
  parts: ConflictVerbParts,
  held: Joined,
  conflict: StandingConflict,
): Promise<Conflict> {
  const { spaceId, directory } = held
  const name = (await parts.settings()).find((space) => space.id === spaceId)?.name ?? spaceId
  const sides = conflict.sides.map((side) => describeSide(parts, side))
  const { path, waitsFor } = conflict
  const found = { spaceId, spaceName: name, directory, path, sides }
  return waitsFor === undefined ? found : { ...found, waitsFor: waitsFor === 'origin' ? 'origin' : 'content' }
}

/** The disk follows by itself; whoever looks at it next should find it done. */
async function resolved(
  env: Env,
  { held, open, conflict }: Found,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<ConflictOutcome> {
  const { path } = conflict
  const untilMs = env.clock.monotonicMs() + settleMs
  let isSettled = false
  while (!isSettled && env.clock.monotonicMs() < untilMs) {
    await sleep(env.clock, lookAgainMs, signal)
    const isAtRest = ['in-sync', 'waiting'].includes(open.folder.status().state)
    isSettled = isAtRest && (await open.conflicts.find(path)) === undefined
  }
  return { path, spaceId: held.spaceId, kind: 'resolved', paths, isSettled }
}

export const paused = (): SkeinError =>
  new SkeinError('usage', 'this space is paused', { fix: 'skein resume' })

function describeSide(parts: ConflictVerbParts, side: Side): ConflictSide {
  const { sizeBytes = 0, hash, mtimeNs = 0n } = side.data
  const device = deviceOf(parts.roster, side.author)
  return {
    path: side.path,
    isMain: side.isMain,
    kind: side.kind === 'dir' ? 'directory' : side.kind === 'link' ? 'symlink' : 'file',
    sizeBytes,
    ...(hash !== undefined && { hash }),
    device: nameOfAuthor(parts, side),
    ...(device !== undefined && { deviceId: device.deviceId }),
    isMine: parts.self.startsWith(side.author),
    modifiedAtMs: Number(mtimeNs / 1_000_000n),
  }
}

/** Of this or any earlier member. @param author the first 8 characters of a device id. */
export const deviceOf = (
  roster: Roster,
  author: string,
): { readonly deviceId: DeviceId; readonly name: string } | undefined =>
  [...roster.state.devices.values()].find(({ deviceId }) => deviceId.startsWith(author))

const nameOfAuthor = ({ roster }: Pick<ConflictVerbParts, 'roster'>, { author }: Side): string =>
  deviceOf(roster, author)?.name ?? author

interface Choice {
  readonly conflict: StandingConflict
  readonly params: ConflictPickParams
}

/** @throws `usage`, `not.found`. */
function choose(roster: Roster, self: DeviceId, { conflict, params }: Choice): Side {
  const { sides } = conflict
  const names = [...new Set(sides.map((side) => JSON.stringify(nameOfAuthor({ roster }, side))))].join(', ')
  const fix = `skein conflicts pick PATH --device with one of ${names}`
  const isMine = (side: Side): boolean => self.startsWith(side.author)
  if (params.choice === 'device') {
    const { deviceId } = findDevice(roster, params.device ?? '')
    const wanted = sides.filter((side) => deviceId.startsWith(side.author))
    const [only] = wanted
    if (only === undefined)
      throw new SkeinError('not.found', 'none of the versions is by this device', { fix })
    return only
  }
  const wanted = sides.filter((side) => isMine(side) === (params.choice === 'mine'))
  const [first, second] = wanted
  if (first === undefined) {
    const which = params.choice === 'mine' ? 'none of the versions was written here' : 'all were written here'
    throw new SkeinError('usage', which, { fix })
  }
  // Of several by one author the one that has the name is meant, else it would be a guess
  if (second !== undefined && !(first.isMain && params.choice === 'mine'))
    throw new SkeinError('usage', `${wanted.length} versions could be meant`, { fix })
  return first
}

interface Compared {
  readonly main: Side
  readonly copy: Side
  readonly signal: AbortSignal
}

async function compare(
  env: Env,
  open: OpenFolder,
  { main, copy, signal }: Compared,
): Promise<Omit<ConflictDiff, 'path'>> {
  const nothing = { hunks: [], isCut: false }
  if (main.kind !== 'file' || copy.kind !== 'file') return { kind: 'binary', ...nothing }
  if (Math.max(main.data.sizeBytes ?? 0, copy.data.sizeBytes ?? 0) > limits.mergeBytes)
    return { kind: 'large', ...nothing }
  const [before, after] = [await read(env, open, main, signal), await read(env, open, copy, signal)]
  if (before === undefined || after === undefined) return { kind: 'missing', ...nothing }
  const [old, next] = [readText(before), readText(after)]
  if (old === undefined || next === undefined) return { kind: 'binary', ...nothing }
  const diff = diffTexts(old, next)
  return diff === undefined ? { kind: 'large', ...nothing } : { kind: 'text', ...diff }
}

/** @returns undefined when nobody within reach has it. */
async function read(
  env: Env,
  { folder }: OpenFolder,
  { data }: Pick<Side, 'data'>,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const { hash, sizeBytes } = data
  if (hash === undefined || !isBlobHash(hash)) return undefined
  try {
    const deadline = { timeoutMs: fetchMs, what: 'fetching a version', signal }
    return await withDeadline(env.clock, deadline, (until) => folder.readContent(hash, sizeBytes, until))
  } catch (error) {
    if (hasCode(error, 'blob.missing', 'blob.corrupt', 'deadline.exceeded', 'limit.exceeded'))
      return undefined
    throw error
  }
}

async function writeDraft(
  env: Env,
  parts: ConflictVerbParts,
  { held, open, conflict }: Found,
  signal: AbortSignal,
): Promise<ConflictOutcome> {
  const noText = new SkeinError('file.unsupported', 'these versions cannot be merged as text', {
    fix: 'skein conflicts pick PATH, or give the merged file: --result FILE',
  })
  const sides: { readonly label: string; readonly text: string }[] = []
  for (const side of conflict.sides) {
    if (side.kind !== 'file' || (side.data.sizeBytes ?? 0) > limits.mergeBytes) throw noText
    const bytes = await read(env, open, side, signal)
    if (bytes === undefined)
      throw new SkeinError('blob.missing', `the version of ${nameOfAuthor(parts, side)} is not here`, {
        fix: 'try again when that device is within reach',
      })
    const text = readText(bytes)
    if (text === undefined) throw noText
    sides.push({ label: nameOfAuthor(parts, side).replaceAll(/\p{C}/gu, '_'), text })
  }
  const baseHash = await open.conflicts.baseOf(conflict)
  const base = await read(env, open, { data: { kind: 'file', hash: baseHash } }, signal)
  const merged = mergeWithMarkers(base && readText(base), sides, { left: limits.mergeSteps })
  if (merged === undefined) throw noText
  const path = draftPath(conflict.path)
  const bytes = new TextEncoder().encode(merged.text)
  const { filesystem, versions } = held
  const place = { path, cause: 'restored', mustBeFree: true } as const
  await placeOwn({ filesystem, versions, random: env.random }, place, async (staged) => {
    const mtimeNs = BigInt(Math.round(env.clock.nowMs())) * 1_000_000n
    await filesystem.createSmall(staged, bytes, { mode: 0o644, mtimeNs })
    await filesystem.syncAll([staged], [])
  }).catch((error: unknown) => {
    if (!hasCode(error, 'file.exists')) throw error
    throw new SkeinError('file.exists', `there is a draft already: "${path}"`, {
      cause: error,
      fix: `finish it and give it with --result '${path}', or remove it`,
    })
  })
  const { markerCount } = merged
  const { spaceId } = held
  return { path: conflict.path, spaceId, kind: 'draft', paths: [path], markerCount, isSettled: true }
}

/** `notes.txt` gives `notes.merge.txt`, beside it. */
function draftPath(path: string): string {
  const name = nameOf(path)
  const dot = name.lastIndexOf('.')
  const draft = dot > 0 ? `${name.slice(0, dot)}.merge${name.slice(dot)}` : `${name}.merge`
  return joinPath(parentOf(path), draft)
}

/** @throws `limit.exceeded`, `not.found`, `usage` for what a person has not finished. */
async function readResult(file: string): Promise<Uint8Array> {
  const fail = (error: unknown): never => {
    throw new SkeinError('not.found', `${file} cannot be read`, { cause: error, fix: 'check the path' })
  }
  const { size } = await stat(file).catch(fail)
  if (size > limits.mergeBytes)
    throw new SkeinError('limit.exceeded', `a merged file of more than ${limits.mergeBytes} bytes`, {
      fix: 'copy it over the file that has the name, then pick that one: skein conflicts pick PATH --device NAME',
    })
  const bytes = new Uint8Array(await readFile(file).catch(fail))
  const line = findMarker(readText(bytes) ?? '')
  if (line !== undefined)
    throw new SkeinError('usage', `${file} still has a conflict marker in line ${line}`, {
      fix: 'edit it, then run this again',
    })
  return bytes
}

/** The draft that this verb wrote has served; it goes to versions. Any other file stays. */
async function dropDraft(env: Env, { held, conflict }: Found, result: string, shelf: Shelf): Promise<void> {
  const place = await locate(shelf.joined.values(), result).catch(() => undefined)
  const path = draftPath(conflict.path)
  if (place?.held.spaceId !== held.spaceId || place.path !== path) return
  const there = await held.filesystem.lstat(path)
  if (there === undefined) return
  const kept = await held.versions.keepMoved(path, there, { hash: undefined, about: { cause: 'merged' } })
  if (kept === undefined) env.log.warn('the draft of a merge changed while it was taken away', { path })
}
