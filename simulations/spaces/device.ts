/**
 * One device of a simulated space: the real store, documents, sync, blob exchange and folder on a disk that can crash.
 * A crash ends the process in the middle of whatever it does; a restart finds what disk and store kept.
 */
import type { Env } from '../../src/base/env.ts'
import { hasCode } from '../../src/base/errors.ts'
import { type DeviceId, newDeviceId, type PeerId, type SpaceId } from '../../src/base/ids.ts'
import type { Channel } from '../../src/base/channel.ts'
import { limits } from '../../src/base/limits.ts'
import { createLog } from '../../src/base/log.ts'
import type { MemoryHost } from '../../src/base/memory-host.ts'
import { noMetrics } from '../../src/base/metrics.ts'
import { createSeededRandom, type Random } from '../../src/base/random.ts'
import { type BlobExchange, createBlobExchange } from '../../src/blobs/exchange.ts'
import { createDocHost, type DocHost } from '../../src/crdt/doc-host.ts'
import { createMemoryDisk, type MemoryDisk } from '../../src/crdt/memory-database.ts'
import { openSpace, type SpaceTree } from '../../src/crdt/space.ts'
import { openStore, type Store } from '../../src/crdt/store.ts'
import { createSync, type Sync } from '../../src/crdt/sync.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import type { FolderTree } from '../../src/files/folder-tree.ts'
import { createFolder, type Folder } from '../../src/files/folder.ts'
import type { FolderOptions } from '../../src/files/folder-options.ts'
import { mergeContents } from '../../src/files/merge-contents.ts'
import type { MergeWorkers } from '../../src/files/merge-workers.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createSpaceFolderTree } from '../../src/files/space-folder-tree.ts'
import { newSimulatedPeerId } from '../mesh-peer.ts'
import { createSimulatedProcess, type SimulatedProcess } from '../process.ts'
import type { World } from '../world.ts'
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
  readonly isVerbose: boolean
  /** A task of production code has failed: never right. */
  readonly onFault: (what: string) => void
  /** Checks may look at what the folder does to it. */
  readonly watchTree: (device: SpaceDevice, tree: FolderTree) => FolderTree
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
  folder?: Folder
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
  readonly storeDisk: MemoryDisk = createMemoryDisk()
  readonly random: Random
  wallOffsetMs = 0
  /** What the next crash is; set together with `health.changesLeft`. */
  crashKind: CrashKind = 'kill'
  crashes = 0
  /** Called after a crash, with what stood on the disk before. */
  onCrash: (kind: CrashKind) => void = () => undefined
  onStarted: () => void = () => undefined
  /** After a crash and after an end in good order. */
  onEnded: () => void = () => undefined
  private readonly parts: DeviceParts
  private readonly witness = createMemoryWitness()
  private boots = 0
  private running: Running | undefined

  constructor(parts: DeviceParts) {
    const { world, name, habits } = parts
    this.parts = parts
    this.name = name
    this.habits = habits
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
      journal: this.journal,
    })
  }

  get folder(): Folder | undefined {
    return this.running?.folder
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

  /** Undefined while it does not run. */
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
      this.boots++
      this.journal.cut(this.random)
      this.storeDisk.losePower()
    }
    this.onCrash(kind)
    this.onEnded()
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
    const all = { visible: () => true, mayWrite: () => true }
    this.running?.sync?.connect(remote.deviceId, channel, all)
  }

  connectBlobs(remote: SpaceDevice, channel: Channel): void {
    this.running?.exchange?.attach(remote.deviceId, channel)
  }

  private async open(env: Env, running: Running): Promise<void> {
    const { spaceId, options } = this.parts
    const { disk } = running
    const store = await openStore(env, {
      open: async () => disk.database(await this.storeDisk.open()),
      witness: this.witness,
      boot: `boot ${this.boots}`,
    })
    running.store = store
    // P6: a pair of client and clock has one content
    store.on('forked', ({ document }) => this.parts.onFault(`${this.name}: ${document} has forked`))
    running.host = await createDocHost(env, store)
    running.space = await openSpace(env, running.host, { id: spaceId, device: this.deviceId })
    const exchange = createBlobExchange(env)
    const tree = this.parts.watchTree(this, await createSpaceFolderTree(running.space))
    const folder = createFolder(
      env,
      {
        spaceId,
        tree,
        filesystem: disk.filesystem,
        fetch: (wanted, file) => exchange.fetch(wanted, file),
        fetchSmall: (wanted) => exchange.fetchSmall(wanted),
        hasEverybody: () => exchange.peers.length >= this.parts.deviceCount - 1,
        merges: mergesAtOnce,
      },
      options,
    )
    running.folder = folder
    exchange.onPeer(() => folder.retry())
    exchange.addSource((hash) => folder.openBlob(hash))
    running.sync = createSync(env, running.host)
    running.exchange = exchange
    this.onStarted()
  }

  private envOf(process: SimulatedProcess): Env {
    const { world, isVerbose, onFault } = this.parts
    const log = createLog(
      ({ message, fields }) => {
        if (isVerbose) world.note(this.name, `${message} ${text(fields)}`)
        if (message === 'task failed' || message === 'cleanup failed')
          onFault(`${this.name}: ${message} ${text(fields)}`)
      },
      isVerbose ? 'debug' : 'error',
    )
    return {
      clock: { ...process.clock, nowMs: () => world.clock.nowMs() + this.wallOffsetMs },
      random: createSeededRandom(world.random.uint32()),
      metrics: noMetrics,
      log,
    }
  }
}

/** A thread would answer in a time of its own. */
const mergesAtOnce: MergeWorkers = {
  merge: (request) => Promise.resolve(mergeContents(request, { left: limits.mergeSteps })),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

const text = (fields: unknown): string =>
  JSON.stringify(fields, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
