/**
 * The spaces that lie on this device: where each one is, whether it is paused, and its open folder. A paused space has no
 * folder at all, so nothing scans, sends or receives its contents; its document goes on being synced, which moves records
 * alone.
 */
import type { Env } from '../base/env.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { BlobExchange } from '../blobs/exchange.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/source.ts'
import type { SpaceTree } from '../crdt/space.ts'
import { openSpace } from '../crdt/space.ts'
import type { Conflicts } from '../files/conflicts.ts'
import { createConflicts } from '../files/conflicts.ts'
import type { Filesystem } from '../files/filesystem.ts'
import type { Folder } from '../files/folder.ts'
import type { AskFirst } from '../files/first-index.ts'
import type { PartRules } from '../files/folder-part.ts'
import { wholeRules } from '../files/folder-part.ts'
import { createFolder } from '../files/folder.ts'
import { createHashWorkers } from '../files/hash-workers.ts'
import { createNodeFilesystem } from '../files/node-filesystem.ts'
import type { AskHolders } from '../files/releases.ts'
import { forgetOtherPlace } from '../files/other-place.ts'
import { scrubNames } from '../files/scrub.ts'
import { createSpaceFolderTree } from '../files/space-folder-tree.ts'
import type { Versions } from '../files/versions.ts'
import { createVersions } from '../files/versions.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'
import { membersOf } from './auth/roster-state.ts'
import { watchPower } from './battery.ts'
import type { Documents } from './documents.ts'
import type { EventBus } from './event-bus.ts'
import type { FolderCounts, Place } from './shelf-places.ts'
import { noCounts, readPlaces, writePlaces } from './shelf-places.ts'
import type { TransferRate } from './transfer-rate.ts'
import { createTransferRate } from './transfer-rate.ts'

export interface ShelfParts {
  readonly keep: Keep
  readonly self: DeviceId
  readonly roster: Roster
  readonly documents: Documents
  readonly exchange: BlobExchange
  readonly bus: EventBus
  /** Something besides the members holds contents of the space and cannot be asked now. */
  readonly isOutOfReach?: (spaceId: SpaceId) => boolean
  /** Asks the other devices what they hold of a space. */
  readonly holders: (spaceId: SpaceId) => AskHolders
  /** Asks them whether they are about to record the files of a space. */
  readonly first: (spaceId: SpaceId) => AskFirst
}

export interface OpenFolder {
  readonly folder: Folder
  readonly conflicts: Conflicts
  readonly rate: TransferRate
}

export interface Joined {
  readonly spaceId: SpaceId
  readonly directory: string
  readonly space: SpaceTree
  readonly filesystem: Filesystem
  /** Undefined while it is paused by the person. */
  readonly open: OpenFolder | undefined
  readonly versions: Versions
  /** Of the last time that it was open. */
  readonly counts: FolderCounts
  readonly rules: PartRules
  /** The mesh gave this device no right to write: it is read-only whatever the rules say. */
  readonly mayWrite: boolean
}

export interface Shelf {
  readonly joined: ReadonlyMap<SpaceId, Joined>
  /** Spaces that lie here but could not be opened, and why. */
  readonly broken: ReadonlyMap<SpaceId, { readonly directory: string; readonly reason: string }>
  add(spaceId: SpaceId, directory: string, how?: Joining): Promise<void>
  /** What part of the space this device takes from now on; holds after a restart. @throws `not.found`. */
  setRules(spaceId: SpaceId, rules: PartRules): Promise<void>
  remove(spaceId: SpaceId): Promise<void>
  /** Idempotent; holds after a restart. */
  pause(spaceId: SpaceId): Promise<void>
  resume(spaceId: SpaceId): Promise<void>
  /** Opens a paused space by other rules until the handle ends; it is paused all the while. @throws `not.found`, `usage`. */
  openOnce(spaceId: SpaceId, rules: PartRules): Promise<AsyncDisposable>
}

export interface Joining {
  readonly rules?: PartRules
  /** It is not opened. */
  readonly isPaused?: boolean
}

interface Held extends Place {
  readonly spaceId: SpaceId
  readonly space: SpaceTree
  readonly filesystem: Filesystem
  readonly scope: Scope
  readonly running: (OpenFolder & { readonly scope: Scope }) | undefined
}

/** Opens every space that lies on this device and is not paused. */
export async function openShelf(env: Env, scope: Scope, parts: ShelfParts): Promise<Shelf> {
  const shelf = new DeviceShelf(env, scope, parts)
  await shelf.load()
  return shelf
}

class DeviceShelf implements Shelf {
  readonly broken = new Map<SpaceId, { readonly directory: string; readonly reason: string }>()
  private readonly env: Env
  private readonly scope: Scope
  private readonly parts: ShelfParts
  /** What is kept: a space that could not be opened stays in it. */
  private readonly places = new Map<SpaceId, Place>()
  private readonly held = new Map<SpaceId, Held>()
  private readonly isOnBattery: () => boolean

  constructor(env: Env, scope: Scope, parts: ShelfParts) {
    this.env = env
    this.scope = scope
    this.parts = parts
    this.isOnBattery = watchPower(env, scope)
  }

  get joined(): ReadonlyMap<SpaceId, Joined> {
    return new Map([...this.held].map(([id, held]) => [id, this.toJoined(held)]))
  }

  async load(): Promise<void> {
    const { keep, exchange } = this.parts
    for (const [id, place] of await readPlaces(keep)) this.places.set(id, place)
    // One folder that cannot be opened must not keep the peer from starting: doctor names it
    for (const id of this.places.keys()) await this.open(id).catch((error: unknown) => this.fail(id, error))
    this.scope.own(
      this.parts.roster.events.on('roster.changed', () =>
        this.scope.spawn('follow rights', () => this.followRights()),
      ),
    )
    this.scope.own(exchange.onPeer(() => this.held.forEach(({ running }) => running?.folder.retry())))
    this.scope.own(exchange.addSource((hash, remote) => this.openBlob(hash, remote)))
  }

  async add(spaceId: SpaceId, directory: string, how: Joining = {}): Promise<void> {
    const { rules = wholeRules, isPaused = false } = how
    this.places.set(spaceId, { directory, isPaused, counts: noCounts, rules })
    try {
      await this.open(spaceId, true)
    } catch (error) {
      this.places.delete(spaceId)
      throw error
    }
    await this.save()
  }

  async remove(spaceId: SpaceId): Promise<void> {
    const held = this.held.get(spaceId)
    this.held.delete(spaceId)
    this.broken.delete(spaceId)
    this.places.delete(spaceId)
    await this.save()
    // What comes while it is not open here is noted nowhere
    await held?.space.settle('')
    await held?.scope.close()
    for (const name of scrubNames(spaceId)) await this.parts.keep.remove(name)
  }

  async pause(spaceId: SpaceId): Promise<void> {
    const held = this.held.get(spaceId)
    if (held?.running === undefined) return
    const { files: fileCount, bytes: sizeBytes } = held.running.folder.status()
    const { directory, rules } = held
    const place = { directory, isPaused: true, counts: { fileCount, sizeBytes }, rules }
    // Kept first: a crash in between leaves it paused, as was asked
    this.places.set(spaceId, place)
    await this.save()
    this.held.set(spaceId, { ...held, ...place, running: undefined })
    await held.running.scope.close()
  }

  async resume(spaceId: SpaceId): Promise<void> {
    const held = this.held.get(spaceId)
    if (held === undefined || held.running !== undefined) return
    const running = await this.run(held)
    const { directory, counts, rules } = held
    const place = { directory, isPaused: false, counts, rules }
    this.places.set(spaceId, place)
    this.held.set(spaceId, { ...held, ...place, running })
    await this.save()
  }

  async openOnce(spaceId: SpaceId, rules: PartRules): Promise<AsyncDisposable> {
    const held = this.held.get(spaceId)
    if (held === undefined) throw new SkeinError('not.found', 'this space is not open on this device')
    if (held.running !== undefined)
      throw new SkeinError('usage', 'this space is kept in sync here all the time', { fix: 'skein sync' })
    const running = await this.run({ ...held, rules })
    this.held.set(spaceId, { ...held, running })
    return {
      [Symbol.asyncDispose]: async () => {
        if (this.held.get(spaceId)?.running === running) await this.pause(spaceId)
      },
    }
  }

  async setRules(spaceId: SpaceId, rules: PartRules): Promise<void> {
    const held = this.held.get(spaceId)
    if (held === undefined) throw new SkeinError('not.found', 'this space is not open on this device')
    const { directory, isPaused, counts, running } = held
    const place = { directory, isPaused, counts, rules }
    // Kept first: whoever was told that it sends nothing must not send after a crash
    this.places.set(spaceId, place)
    await this.save()
    const next = { ...held, ...place, running: undefined }
    this.held.set(spaceId, next)
    if (running === undefined) return
    await running.scope.close()
    this.held.set(spaceId, { ...next, running: await this.run(next) })
  }

  /** @param isChosen a person says just now that it lies in this directory. */
  private async open(spaceId: SpaceId, isChosen = false): Promise<void> {
    const place = this.places.get(spaceId)
    if (place === undefined) return
    const { documents, self } = this.parts
    const scope = this.scope.child(`space ${spaceId}`)
    try {
      const space = scope.own(await openSpace(this.env, documents.host, { id: spaceId, device: self }))
      const filesystem = createNodeFilesystem(place.directory)
      if (isChosen) await forgetOtherPlace(await createSpaceFolderTree(space), filesystem)
      const held: Held = { ...place, spaceId, space, filesystem, scope, running: undefined }
      this.held.set(spaceId, place.isPaused ? held : { ...held, running: await this.run(held) })
    } catch (error) {
      this.held.delete(spaceId)
      await scope.close()
      throw error
    }
  }

  private async run(held: Held): Promise<OpenFolder & { readonly scope: Scope }> {
    const { exchange, bus, roster } = this.parts
    const { spaceId, directory, space, filesystem } = held
    const rules = { ...held.rules, isReadOnly: held.rules.isReadOnly || !this.mayWrite() }
    const scope = held.scope.child('folder')
    try {
      const tree = await createSpaceFolderTree(space)
      const folder = scope.own(
        createFolder(this.env, {
          spaceId,
          tree,
          filesystem,
          workers: createHashWorkers(directory, filesystem, this.env.clock),
          keep: this.parts.keep,
          isOnBattery: this.isOnBattery,
          fetch: (wanted, file) => exchange.fetch(wanted, file),
          fetchSmall: (wanted) => exchange.fetchSmall(wanted),
          partial: exchange,
          rules,
          askHolders: this.parts.holders(spaceId),
          askFirst: this.parts.first(spaceId),
          hasEverybody: () => this.hasEverybody(spaceId),
          push: exchange.push.open(spaceId, {
            mayRead: (remote) => may(roster.state, remote, 'blob.read', spaceId).allowed,
            mayWrite: (remote) => may(roster.state, remote, 'doc.write', spaceId).allowed,
          }),
        }),
      )
      publishProgress(scope, bus, folder)
      const rate = measureRate(this.env, scope, folder)
      return {
        scope,
        folder,
        rate,
        conflicts: createConflicts(this.env, { space, tree, folder }),
      }
    } catch (error) {
      await scope.close()
      throw error
    }
  }

  private mayWrite(): boolean {
    const { roster, self } = this.parts
    return may(roster.state, self, 'doc.write').allowed
  }

  /** Folders opened by a right that is another one now are opened anew. */
  private async followRights(): Promise<void> {
    const isForced = !this.mayWrite()
    for (const { spaceId, rules, running } of this.held.values()) {
      if (running === undefined || rules.isReadOnly) continue
      if (running.folder.part.isReadOnly !== isForced) await this.setRules(spaceId, rules)
    }
  }

  /** Every member that may hold contents of the space is within reach. */
  private hasEverybody(spaceId: SpaceId): boolean {
    const { exchange, roster, self, isOutOfReach } = this.parts
    if (isOutOfReach?.(spaceId) === true) return false
    const reached = new Set(exchange.peers)
    return membersOf(roster.state).every(
      ({ deviceId }) =>
        deviceId === self ||
        reached.has(deviceId) ||
        !may(roster.state, deviceId, 'blob.read', spaceId).allowed,
    )
  }

  /** @throws `limit.exceeded` when what is paused might have it: "not now" is no "I have none". */
  private async openBlob(hash: BlobHash, remote: DeviceId): Promise<OpenBlob | undefined> {
    let isPaused = false
    for (const { spaceId, running } of this.held.values()) {
      if (!may(this.parts.roster.state, remote, 'blob.read', spaceId).allowed) continue
      isPaused ||= running === undefined
      const blob = await running?.folder.openBlob(hash)
      if (blob !== undefined) return blob
    }
    if (isPaused) throw new SkeinError('limit.exceeded', 'a space that is paused here serves nothing')
    return undefined
  }

  private fail(spaceId: SpaceId, error: unknown): void {
    const { directory = '' } = this.places.get(spaceId) ?? {}
    this.env.log.error('space not opened', { spaceId, ...errorFields(error) })
    const { code, message } = asSkeinError(error)
    this.broken.set(spaceId, { directory, reason: `it could not be opened: ${message}` })
    this.parts.bus.publish('store.problem', {
      code,
      message: `the space in ${directory} could not be opened`,
    })
  }

  private toJoined({ spaceId, directory, space, filesystem, counts, rules, running }: Held): Joined {
    const { clock, random } = this.env
    const versions = running?.folder.versions ?? createVersions(filesystem, clock, random)
    const mayWrite = this.mayWrite()
    return { spaceId, directory, space, filesystem, counts, rules, mayWrite, open: running, versions }
  }

  private save(): Promise<void> {
    return writePlaces(this.parts.keep, this.places)
  }
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

const sampleMs = 250

/** Looks at the progress while contents are on their way, and rests with the folder. */
function measureRate(env: Env, scope: Scope, folder: Folder): TransferRate {
  const rate = createTransferRate()
  let timer: Disposable | undefined
  const sample = (): void => {
    timer = undefined
    const { waiting, doneBytes } = folder.status().transfers
    if (waiting === 0) {
      rate.rest()
      return
    }
    rate.sample(doneBytes, env.clock.monotonicMs())
    timer = env.clock.setTimer(sampleMs, sample)
  }
  scope.own(
    folder.on('statusChanged', ({ transfers }) =>
      timer === undefined && transfers.waiting > 0 ? sample() : undefined,
    ),
  )
  scope.defer(() => timer?.[Symbol.dispose]())
  return rate
}
