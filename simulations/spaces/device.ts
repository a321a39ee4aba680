/**
 * One device of a simulated space: the real store, documents, sync, blob exchange and folder on a disk that can crash.
 * A crash ends the process in the middle of whatever it does; a restart finds what disk and store kept.
 */
import type { Env } from '../../src/base/env.ts'
import { hasCode, SkeinError } from '../../src/base/errors.ts'
import { type DeviceId, newDeviceId, type PeerId, type SpaceId } from '../../src/base/ids.ts'
import type { Channel } from '../../src/base/channel.ts'
import { createMemoryKeep, type Keep } from '../../src/base/keep.ts'
import type { MemoryHost } from '../../src/base/memory-host.ts'
import { noMetrics } from '../../src/base/metrics.ts'
import { createSeededRandom, type Random } from '../../src/base/random.ts'
import { type BlobExchange, createBlobExchange } from '../../src/blobs/exchange.ts'
import type { BlobHash } from '../../src/blobs/hash.ts'
import { createDocHost, type DocHost } from '../../src/crdt/doc-host.ts'
import type { MemoryDisk } from '../../src/crdt/memory-database.ts'
import { openSpace, type SpaceTree } from '../../src/crdt/space.ts'
import type { Store } from '../../src/crdt/store.ts'
import { createSync, type Sync } from '../../src/crdt/sync.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import type { FolderTree } from '../../src/files/folder-tree.ts'
import type { OtherFirst } from '../../src/files/first-index.ts'
import { createFolder, type Folder } from '../../src/files/folder.ts'
import type { PartRules } from '../../src/files/folder-part.ts'
import { wholeRules } from '../../src/files/folder-part.ts'
import type { FolderParts } from '../../src/files/folder-parts.ts'
import { createSelection, type Selection } from '../../src/files/selection.ts'
import type { AskHolders } from '../../src/files/releases.ts'
import type { FolderOptions } from '../../src/files/folder-options.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createSpaceFolderTree } from '../../src/files/space-folder-tree.ts'
import { newSimulatedPeerId } from '../mesh-peer.ts'
import { createSimulatedProcess, type SimulatedProcess } from '../process.ts'
import type { World } from '../world.ts'
import { watchPaths } from './checks/contained.ts'
import { createDeviceLog } from './device-log.ts'
import { mergesAtOnce } from './merges-at-once.ts'
import { DeviceHome } from './device-home.ts'
import { createDeviceDisk, type DeviceDisk, type DiskHealth } from './device-disk.ts'
import { createPowerJournal } from './power-journal.ts'

export interface DiskHabits {
  readonly caseInsensitive: boolean
  readonly decomposes: boolean
  readonly mtimeStepNs: bigint
  readonly slowRate: number
  readonly slowMs: number
}

export interface DeviceParts {
  readonly world: World
  readonly name: string
  readonly spaceId: SpaceId
  readonly habits: DiskHabits
  readonly options: FolderOptions
  /** Devices that share the space. */
  readonly deviceCount: number
  /** All of them, this one too. */
  readonly devices: () => readonly SpaceDevice[]
  readonly isVerbose: boolean
  /** Who writes into the store from now on. */
  readonly onIdentity: (device: SpaceDevice, clientId: number) => void
  readonly onSetBack: (device: SpaceDevice) => void
  /** A task of production code has failed: never right. */
  readonly onFault: (what: string) => void
  /** Checks may look at what the folder does to it. */
  readonly watchTree: (device: SpaceDevice, tree: FolderTree) => FolderTree
  /** Of the further family: how it takes part, and what belongs to that. */
  readonly part?: SimulatedPart | undefined
}

export interface SimulatedPart {
  readonly rules: PartRules
  /** The others refuse what it writes. */
  readonly isGranted: boolean
  readonly askHolders: (device: SpaceDevice) => AskHolders
  /** Checks may look at what it fetches. */
  readonly onFetch: (device: SpaceDevice, hash: BlobHash, selection: Selection) => void
}

/** What runs between a start and a crash. */
interface Running {
  readonly process: SimulatedProcess
  readonly disk: DeviceDisk
  readonly network: MemoryHost
  store?: Store
  host?: DocHost
  space?: SpaceTree
  sync?: Sync
  exchange?: BlobExchange
  tree?: FolderTree
  folder?: Folder
  /** Opens the folder, on a store that is open. */
  openFolder?: () => Promise<Folder>
  shelving?: Promise<void>
}

export type CrashKind = 'kill' | 'power'

export class SpaceDevice {
  readonly name: string
  readonly deviceId: DeviceId
  readonly peerId: PeerId
  readonly habits: DiskHabits
  /** The disk itself, as its person sees it. */
  readonly disk: Filesystem
  readonly health: DiskHealth
  readonly journal = createPowerJournal()
  readonly random: Random
  wallOffsetMs = 0
  /** What part of the space it takes; holds from the next opening of the folder on. */
  rules: PartRules
  /** The folder is closed until a person opens it again. */
  isShelved = false
  /** What the next crash is; set together with `health.changesLeft`. */
  crashKind: CrashKind = 'kill'
  crashes = 0
  /** Called after a crash, with what stood on the disk before. */
  onCrash: (kind: CrashKind) => void = () => undefined
  onStarted: () => void = () => undefined
  /** After a crash and after an end in good order. */
  onEnded: () => void = () => undefined
  private readonly parts: DeviceParts
  private readonly keep: Keep = createMemoryKeep()
  private readonly home = new DeviceHome()
  private running: Running | undefined

  constructor(parts: DeviceParts) {
    const { world, name, habits } = parts
    this.parts = parts
    this.name = name
    this.habits = habits
    this.rules = parts.part?.rules ?? wholeRules
    this.random = createSeededRandom(world.random.uint32())
    this.deviceId = newDeviceId(this.random)
    this.peerId = newSimulatedPeerId(this.random)
    this.health = {
      slowRate: habits.slowRate,
      slowMs: habits.slowMs,
      errorRate: 0,
      errorCode: 'disk.failed',
      isDeaf: false,
      isUnmounted: false,
      changesLeft: Number.POSITIVE_INFINITY,
      changes: 0,
    }
    this.disk = createMemoryFilesystem({
      clock: { ...world.clock, nowMs: () => world.clock.nowMs() + this.wallOffsetMs },
      caseInsensitive: habits.caseInsensitive,
      decomposes: habits.decomposes,
      mtimeStepNs: habits.mtimeStepNs,
      // What keeps whole seconds has no extended attributes either, as FAT
      attributes: habits.mtimeStepNs > 1n ? 'refused' : 'held',
      journal: this.journal,
    })
  }

  get storeDisk(): MemoryDisk {
    return this.home.disk
  }

  get folder(): Folder | undefined {
    return this.running?.folder
  }

  get tree(): FolderTree | undefined {
    return this.running?.tree
  }

  get isGranted(): boolean {
    return this.parts.part?.isGranted === true
  }

  /** Nothing of this device enters the document. */
  get isReadOnly(): boolean {
    return this.rules.isReadOnly || this.isGranted
  }

  get isWhole(): boolean {
    const { only, except } = this.rules.selection
    return !this.isReadOnly && only.length + except.length === 0
  }

  get space(): SpaceTree | undefined {
    return this.running?.space
  }

  get host(): DocHost | undefined {
    return this.running?.host
  }

  get sync(): Sync | undefined {
    return this.running?.sync
  }

  get exchange(): BlobExchange | undefined {
    return this.running?.exchange
  }

  get network(): MemoryHost | undefined {
    return this.running?.network
  }

  get process(): SimulatedProcess | undefined {
    return this.running?.process
  }

  start(): void {
    if (this.running !== undefined) return
    const { world } = this.parts
    const process = createSimulatedProcess(world.clock)
    const env = this.envOf(process)
    const network = world.network.createHost({
      peerId: this.peerId,
      address: `/memory/${this.name}`,
      machine: this.name,
      run: (work) => process.run(work),
    })
    const disk = createDeviceDisk({
      inner: this.disk,
      health: this.health,
      clock: process.clock,
      random: createSeededRandom(world.random.uint32()),
      onCrash: () => this.crash(this.crashKind),
    })
    const running: Running = { process, disk, network }
    this.running = running
    void this.open(env, running).catch((error: unknown) => {
      if (this.running !== running) return
      // A store that fails while it is opened ends the process, and its supervisor starts it again
      if (hasCode(error, 'store.failed')) this.crash('kill')
      else this.parts.onFault(`${this.name} did not start: ${String(error)}`)
    })
  }

  /** The process ends now, in the middle of whatever it does. */
  crash(kind: CrashKind): void {
    const { running } = this
    if (running === undefined) return
    this.parts.world.note(this.name, `crash ${kind}`)
    this.running = undefined
    this.crashes++
    this.health.changesLeft = Number.POSITIVE_INFINITY
    running.disk.die()
    running.process.kill()
    running.network.kill()
    if (kind === 'power') {
      this.journal.cut(this.random)
      this.home.losePower()
    }
    this.onCrash(kind)
    this.onEnded()
  }

  backUp(): void {
    this.home.backUp()
  }

  /** The home becomes what the last backup holds, the folder stays; who runs is ended. */
  restoreHome(): void {
    if (!this.home.hasBackup) return
    this.crash('kill')
    this.home.restore(this.random)
    this.parts.onSetBack(this)
  }

  /** Ends in good order. */
  async stop(): Promise<void> {
    const { running } = this
    if (running === undefined) return
    await running.folder?.[Symbol.asyncDispose]()
    running.sync?.[Symbol.dispose]()
    await running.exchange?.[Symbol.asyncDispose]()
    running.space?.[Symbol.dispose]()
    await running.host?.close()
    await running.store?.close()
    await running.network[Symbol.asyncDispose]()
    running.disk.die()
    running.process.kill()
    this.running = undefined
    this.onEnded()
  }

  connectSync(remote: SpaceDevice, channel: Channel): void {
    const mayWrite = !remote.isGranted
    this.running?.sync?.connect(remote.deviceId, channel, { visible: () => true, mayWrite: () => mayWrite })
  }

  connectBlobs(remote: SpaceDevice, channel: Channel): void {
    this.running?.exchange?.attach(remote.deviceId, channel)
  }

  private firstOfOthers({ sync }: Running): readonly OtherFirst[] {
    return this.parts.devices().flatMap(({ folder, deviceId }) => {
      if (folder === undefined || sync === undefined || !sync.peers().includes(deviceId)) return []
      const { state, hasFiles } = folder.first
      return [{ state, hasFiles, goesFirst: deviceId < this.deviceId, isInStep: sync.inSync(deviceId) }]
    })
  }

  /** Closes the folder, if it is open, and opens it by the rules that hold now unless it is put aside. */
  reopen(): void {
    const { running } = this
    const { openFolder } = running ?? {}
    if (running === undefined || openFolder === undefined) return
    const before = running.shelving ?? Promise.resolve()
    running.shelving = before
      .then(async () => {
        const { folder } = running
        delete running.folder
        await folder?.[Symbol.asyncDispose]()
        if (!this.isShelved) await openFolder()
      })
      .catch((error: unknown) => {
        if (this.running === running && !hasCode(error, 'store.failed'))
          this.parts.onFault(`${this.name} did not open its folder: ${String(error)}`)
        else if (this.running === running) this.crash('kill')
      })
  }

  private async openFolder(env: Env, running: Running, exchange: BlobExchange): Promise<Folder> {
    const { spaceId, options, part, deviceCount, watchTree, onFault } = this.parts
    const { space, disk } = running
    if (space === undefined) throw new SkeinError('internal', 'the space is open by now')
    const tree = watchTree(this, await createSpaceFolderTree(space))
    const selection = createSelection(this.rules.selection)
    const folder = createFolder(
      env,
      {
        spaceId,
        tree,
        filesystem: watchPaths(disk.filesystem, onFault),
        fetch: (wanted, file) => {
          part?.onFetch(this, wanted.hash, selection)
          return exchange.fetch(wanted, file)
        },
        fetchSmall: (wanted) => {
          part?.onFetch(this, wanted.hash, selection)
          return exchange.fetchSmall(wanted)
        },
        askFirst: () => Promise.resolve(this.firstOfOthers(running)),
        hasEverybody: () => exchange.peers.length >= deviceCount - 1,
        merges: mergesAtOnce,
        ...(part !== undefined && this.partsOf(part)),
      },
      options,
    )
    running.tree = tree
    running.folder = folder
    return folder
  }

  private partsOf(part: SimulatedPart): Pick<FolderParts, 'keep' | 'rules' | 'askHolders'> {
    return {
      keep: this.keep,
      rules: { ...this.rules, isReadOnly: this.isReadOnly },
      askHolders: part.askHolders(this),
    }
  }

  private async open(env: Env, running: Running): Promise<void> {
    const { disk } = running
    const store = await this.home.openStore(env, (database) => disk.database(database))
    running.store = store
    this.parts.onIdentity(this, store.identity.clientId)
    store.on('identified', ({ identity }) => this.parts.onIdentity(this, identity.clientId))
    // P6: a pair of client and clock has one content
    store.on('forked', ({ document }) => this.parts.onFault(`${this.name}: ${document} has forked`))
    running.host = await createDocHost(env, store)
    running.space = await openSpace(env, running.host, { id: this.parts.spaceId, device: this.deviceId })
    const exchange = createBlobExchange(env)
    running.openFolder = () => this.openFolder(env, running, exchange)
    if (!this.isShelved) await running.openFolder()
    exchange.onPeer(() => running.folder?.retry())
    exchange.addSource((hash) => {
      // Put aside: "not now" is no "I have none"
      if (running.folder === undefined)
        throw new SkeinError('limit.exceeded', 'a space that is paused here serves nothing')
      return running.folder.openBlob(hash)
    })
    running.sync = createSync(env, running.host)
    running.exchange = exchange
    this.onStarted()
  }

  private envOf(process: SimulatedProcess): Env {
    const { world } = this.parts
    return {
      clock: { ...process.clock, nowMs: () => world.clock.nowMs() + this.wallOffsetMs },
      random: createSeededRandom(world.random.uint32()),
      metrics: noMetrics,
      log: createDeviceLog(this.parts),
    }
  }
}
