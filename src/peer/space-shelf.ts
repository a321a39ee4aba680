/**
 * The spaces that lie on this device: where each one is, whether it is paused, and its open folder. A paused space has no
 * folder at all, so nothing scans, sends or receives its contents; its document goes on being synced, which moves records
 * alone.
 */
import {
  array,
  boolean,
  decodeCanonical,
  encodeCanonical,
  integer,
  object,
  optional,
  text,
  textOf,
} from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { isSpaceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
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
import { createFolder } from '../files/folder.ts'
import { createHashWorkers } from '../files/hash-workers.ts'
import { createNodeFilesystem } from '../files/node-filesystem.ts'
import { createSpaceFolderTree } from '../files/space-folder-tree.ts'
import type { Versions } from '../files/versions.ts'
import { createVersions } from '../files/versions.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'
import type { Documents } from './documents.ts'
import type { EventBus } from './event-bus.ts'
import type { TransferRate } from './transfer-rate.ts'
import { createTransferRate } from './transfer-rate.ts'

export interface ShelfParts {
  readonly keep: Keep
  readonly self: DeviceId
  readonly roster: Roster
  readonly documents: Documents
  readonly exchange: BlobExchange
  readonly bus: EventBus
}

/** What stays known while a folder is not open. */
export interface FolderCounts {
  readonly fileCount: number
  readonly sizeBytes: number
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
}

export interface Shelf {
  readonly joined: ReadonlyMap<SpaceId, Joined>
  /** Spaces that lie here but could not be opened, and why. */
  readonly broken: ReadonlyMap<SpaceId, { readonly directory: string; readonly reason: string }>
  add(spaceId: SpaceId, directory: string): Promise<void>
  remove(spaceId: SpaceId): Promise<void>
  /** Idempotent; holds after a restart. */
  pause(spaceId: SpaceId): Promise<void>
  resume(spaceId: SpaceId): Promise<void>
}

interface Place {
  readonly directory: string
  readonly isPaused: boolean
  readonly counts: FolderCounts
}

interface Held extends Place {
  readonly spaceId: SpaceId
  readonly space: SpaceTree
  readonly filesystem: Filesystem
  readonly scope: Scope
  readonly running: (OpenFolder & { readonly scope: Scope }) | undefined
}

const recordName = 'spaces'
const placesShape = array(
  object({
    id: textOf(isSpaceId, 'a space id'),
    directory: text(4096),
    paused: optional(boolean),
    files: optional(integer()),
    bytes: optional(integer()),
  }),
  limits.spaces,
)
const placesBytes = limits.spaces * 8_192
const noCounts: FolderCounts = { fileCount: 0, sizeBytes: 0 }

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

  constructor(env: Env, scope: Scope, parts: ShelfParts) {
    this.env = env
    this.scope = scope
    this.parts = parts
  }

  get joined(): ReadonlyMap<SpaceId, Joined> {
    return new Map([...this.held].map(([id, held]) => [id, this.toJoined(held)]))
  }

  async load(): Promise<void> {
    const { keep, exchange } = this.parts
    const stored = await keep.read(recordName)
    for (const one of stored === undefined ? [] : decodeCanonical(stored, placesShape, placesBytes)) {
      const { id, directory, paused: isPaused = false, files: fileCount = 0, bytes: sizeBytes = 0 } = one
      this.places.set(id, { directory, isPaused, counts: { fileCount, sizeBytes } })
    }
    // One folder that cannot be opened must not keep the peer from starting: doctor names it
    for (const id of this.places.keys()) await this.open(id).catch((error: unknown) => this.fail(id, error))
    this.scope.own(exchange.onPeer(() => this.held.forEach(({ running }) => running?.folder.retry())))
    this.scope.own(exchange.addSource((hash, remote) => this.openBlob(hash, remote)))
  }

  async add(spaceId: SpaceId, directory: string): Promise<void> {
    this.places.set(spaceId, { directory, isPaused: false, counts: noCounts })
    try {
      await this.open(spaceId)
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
    await held?.scope.close()
  }

  async pause(spaceId: SpaceId): Promise<void> {
    const held = this.held.get(spaceId)
    if (held?.running === undefined) return
    const { files: fileCount, bytes: sizeBytes } = held.running.folder.status()
    const place = { directory: held.directory, isPaused: true, counts: { fileCount, sizeBytes } }
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
    const place = { directory: held.directory, isPaused: false, counts: held.counts }
    this.places.set(spaceId, place)
    this.held.set(spaceId, { ...held, ...place, running })
    await this.save()
  }

  private async open(spaceId: SpaceId): Promise<void> {
    const place = this.places.get(spaceId)
    if (place === undefined) return
    const { documents, self } = this.parts
    const scope = this.scope.child(`space ${spaceId}`)
    try {
      const space = scope.own(await openSpace(this.env, documents.host, { id: spaceId, device: self }))
      const filesystem = createNodeFilesystem(place.directory)
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
    const scope = held.scope.child('folder')
    try {
      const tree = await createSpaceFolderTree(space)
      const folder = scope.own(
        createFolder(this.env, {
          spaceId,
          tree,
          filesystem,
          workers: createHashWorkers(directory),
          fetch: (wanted, file) => exchange.fetch(wanted, file),
          fetchSmall: (wanted) => exchange.fetchSmall(wanted),
          partial: exchange,
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

  private toJoined({ spaceId, directory, space, filesystem, counts, running }: Held): Joined {
    const { clock, random } = this.env
    const versions = running?.folder.versions ?? createVersions(filesystem, clock, random)
    return { spaceId, directory, space, filesystem, counts, open: running, versions }
  }

  private async save(): Promise<void> {
    const places = [...this.places].map(([id, { directory, isPaused, counts }]) => ({
      id,
      directory,
      ...(isPaused && { paused: true, files: counts.fileCount, bytes: counts.sizeBytes }),
    }))
    await this.parts.keep.write(recordName, encodeCanonical(places))
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
