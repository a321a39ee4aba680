/**
 * Devices with one space each way: real documents and index over a disk in memory, real folders in real temporary
 * directories, contents over memory channels. The link between two devices can be cut and healed.
 */
import { mkdtemp, readdir, readFile, readlink, rm, lstat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as Y from 'yjs'
import { createSystemEnv } from '../../src/base/env.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { createLog } from '../../src/base/log.ts'
import { type DeviceId, newDeviceId, newSpaceId, type SpaceId } from '../../src/base/ids.ts'
import { createMemoryKeep } from '../../src/base/keep.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import type { BlobHash } from '../../src/blobs/hash.ts'
import { type BlobExchange, createBlobExchange } from '../../src/blobs/exchange.ts'
import { createDocHost, type DocHost, type ForeignUpdate } from '../../src/crdt/doc-host.ts'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { openSpace, type SpaceTree } from '../../src/crdt/space.ts'
import { openStore, type Store } from '../../src/crdt/store.ts'
import { formatVector } from '../../src/crdt/version-vector.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import { type PartRules, wholeRules } from '../../src/files/folder-part.ts'
import { createFolder, type Folder } from '../../src/files/folder.ts'
import type { FolderOptions } from '../../src/files/folder-options.ts'
import type { FolderStatus } from '../../src/files/folder-status.ts'
import { createHashWorkers } from '../../src/files/hash-workers.ts'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'
import { createSpaceFolderTree } from '../../src/files/space-folder-tree.ts'

export interface Device {
  readonly id: DeviceId
  readonly root: string
  readonly space: SpaceTree
  readonly host: DocHost
  readonly exchange: BlobExchange
  folder: Folder
  /** What part of the space it takes, from the next `restart` on. */
  rules: PartRules
  /** Whom it can ask what they hold. */
  readonly reached: Set<Device>
  /** Ends the folder, as a crash would leave it, and starts another one on the same disk and store. */
  restart(wrap?: (filesystem: Filesystem) => Filesystem): Promise<void>
  stop(): Promise<void>
  close(): Promise<void>
}

/** @param place directory that the root is made in. */
export async function createDevice(
  spaceId: SpaceId,
  options: FolderOptions = {},
  wrap?: (filesystem: Filesystem) => Filesystem,
  place = tmpdir(),
): Promise<Device> {
  const problems: unknown[] = []
  const env = createSystemEnv({ log: createLog((record) => problems.push(record), 'error') })
  const id = newDeviceId(createSystemRandom())
  const root = await mkdtemp(join(place, 'skein-folder-'))
  const disk = createMemoryDisk()
  const store: Store = await openStore(env, { open: () => disk.open(), witness: createMemoryWitness() })
  const host = await createDocHost(env, store)
  const space = await openSpace(env, host, { id: spaceId, device: id })
  const exchange = createBlobExchange(env)
  const keep = createMemoryKeep()
  const start = async (around: (filesystem: Filesystem) => Filesystem = (disk) => disk): Promise<Folder> => {
    const plain = createNodeFilesystem(root)
    const folder = createFolder(
      env,
      {
        spaceId,
        tree: await createSpaceFolderTree(space),
        filesystem: around(plain),
        fetch: (wanted, file) => exchange.fetch(wanted, file),
        fetchSmall: (wanted) => exchange.fetchSmall(wanted),
        partial: exchange,
        push: exchange.push.open(spaceId, { mayRead: () => true, mayWrite: () => true }),
        workers: createHashWorkers(root, plain),
        keep,
        rules: device.rules,
        askFirst: () =>
          Promise.resolve(
            [...device.reached].map((other) => ({
              state: other.folder.first.state,
              hasFiles: other.folder.first.hasFiles,
              goesFirst: other.id < id,
              isInStep: true,
            })),
          ),
        askHolders: async (hashes) => {
          const held = new Set<BlobHash>()
          for (const other of device.reached)
            for (const hash of hashes) if (await other.folder.part.holds(hash)) held.add(hash)
          return held
        },
      },
      { deleteGraceMs: 100, ...options },
    )
    exchange.onPeer(() => folder.retry())
    return folder
  }
  const device: Device = {
    id,
    root,
    space,
    host,
    exchange,
    rules: wholeRules,
    reached: new Set(),
    // because: it is started right below, before anybody has the device
    folder: undefined as unknown as Folder,
    async restart(around) {
      await device.folder[Symbol.asyncDispose]()
      device.folder = await start(around)
    },
    async stop() {
      await device.folder[Symbol.asyncDispose]()
    },
    async close() {
      await device.folder[Symbol.asyncDispose]()
      await exchange[Symbol.asyncDispose]()
      space[Symbol.dispose]()
      await host.close()
      await store.close()
      await rm(root, { recursive: true })
    },
  }
  device.folder = await start(wrap)
  exchange.addSource((hash) => device.folder.openBlob(hash))
  return device
}

export interface Link {
  cut(): Promise<void>
  heal(): Promise<void>
}

/** Document updates and contents between two devices; what was written before, and while cut, travels when healed. */
export async function linkDevices(a: Device, b: Device): Promise<Link> {
  let up = false
  let ends: readonly AsyncDisposable[] = []
  const oneWay = async (from: Device, to: Device): Promise<() => Promise<void>> => {
    const waiting: ForeignUpdate[] = []
    let running: Promise<void> = Promise.resolve(undefined)
    const send = async (): Promise<void> => {
      while (up && waiting.length > 0) {
        // With three devices an update may build on what the third wrote: then all that is missing goes along
        for (const name of await to.host.apply(waiting.splice(0, 200), from.id)) {
          const vector = await to.host.read([name], (document) => Y.encodeStateVector(document(name)))
          const update = await from.host.read([name], (document) =>
            Y.encodeStateAsUpdate(document(name), vector),
          )
          const refused = await to.host.apply([{ name, update }], from.id)
          if (refused.length > 0) throw new SkeinError('internal', 'a difference with gaps')
        }
      }
    }
    const flush = (): Promise<void> => {
      running = running.then(send)
      return running
    }
    from.host.on('stored', ({ changes }) => {
      for (const { name, update, origin } of changes)
        if (origin.kind === 'local') waiting.push({ name, update })
      void flush()
    })
    // Its folder may have been faster than whoever links it
    for (const name of from.host.names()) {
      const update = await from.host.read([name], (document) => Y.encodeStateAsUpdate(document(name)))
      waiting.push({ name, update })
    }
    return flush
  }
  const flushes = [await oneWay(a, b), await oneWay(b, a)]
  const link: Link = {
    async cut() {
      up = false
      a.reached.delete(b)
      b.reached.delete(a)
      for (const end of ends) await end[Symbol.asyncDispose]()
      ends = []
    },
    async heal() {
      up = true
      const [left, right] = createMemoryChannelPair('blobs')
      a.exchange.attach(b.id, left)
      b.exchange.attach(a.id, right)
      const [pushLeft, pushRight] = createMemoryChannelPair('push')
      a.exchange.push.attach(b.id, pushLeft)
      b.exchange.push.attach(a.id, pushRight)
      ends = [left, right, pushLeft, pushRight]
      a.reached.add(b)
      b.reached.add(a)
      for (const flush of flushes) await flush()
    },
  }
  await link.heal()
  return link
}

/** All that a person sees below a root: path to content, `-> target`, or `dir`. Our own folder is left out. */
export async function picture(root: string): Promise<Readonly<Record<string, string>>> {
  for (;;) {
    try {
      return await takePicture(root)
    } catch (error) {
      // Something went while it was looked at: once more
      if (
        !(
          error instanceof Error &&
          'code' in error &&
          ['ENOENT', 'EINVAL', 'ENOTDIR', 'EISDIR'].includes(String(error.code))
        )
      )
        throw error
    }
  }
}

async function takePicture(root: string): Promise<Readonly<Record<string, string>>> {
  const out: Record<string, string> = {}
  const walk = async (path: string): Promise<void> => {
    for (const entry of (await readdir(join(root, path), { withFileTypes: true })).sort((x, y) =>
      x.name < y.name ? -1 : 1,
    )) {
      const below = path === '' ? entry.name : `${path}/${entry.name}`
      if (below === '.skein') continue
      if (entry.isDirectory()) {
        out[`${below}/`] = 'dir'
        await walk(below)
      } else if (entry.isSymbolicLink()) out[below] = `-> ${await readlink(join(root, below))}`
      else {
        const content = await readFile(join(root, below))
        const mode = (await lstat(join(root, below))).mode & 0o100 ? '*' : ''
        out[below] =
          mode +
          (content.byteLength > 100
            ? `${content.byteLength}:${content.toString('base64').slice(0, 40)}${content.toString('base64').slice(-40)}`
            : content.toString('latin1'))
      }
    }
  }
  await walk('')
  return out
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function describeEntries(space: SpaceTree): Promise<readonly string[]> {
  const out: string[] = []
  for await (const entry of space.walk()) {
    out.push(
      `${entry.path} ${entry.nodes.join('+')} in ${entry.parent} ${formatVector(entry.data.versions)} ${entry.data.hash?.slice(0, 4)}`,
    )
  }
  return out
}

async function describeRows(space: SpaceTree): Promise<readonly string[]> {
  const out: string[] = []
  for await (const row of space.index.iterate()) {
    out.push(
      `${row.path} ${row.nodeId} ${formatVector(row.versions)} ${row.hash?.slice(0, 4)} ${row.diskPath ?? ''} ${[...row.flags].join()}`,
    )
  }
  return out
}

/** Waits until `check` holds; the statuses are told when it does not in time. */
export async function until(
  check: () => Promise<boolean> | boolean,
  devices: readonly Device[],
  timeoutMs = 8_000,
): Promise<void> {
  const endMs = Date.now() + timeoutMs
  for (;;) {
    if (await check()) return
    if (Date.now() > endMs) {
      const pictures = await Promise.all(
        devices.map(async ({ root, folder, space }) => ({
          entries: await describeEntries(space),
          rows: await describeRows(space),
          picture: await picture(root),
          status: folder.status(),
        })),
      )
      throw new Error(
        `not in time: ${JSON.stringify(pictures, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value), 1)}`,
      )
    }
    await pause(10)
  }
}

/** Same picture everywhere, every folder in sync (or in `states`), and it stays so. */
export async function converged(
  devices: readonly Device[],
  states: readonly FolderStatus['state'][] = ['in-sync'],
): Promise<Readonly<Record<string, string>>> {
  let steadySince = 0
  let last = ''
  await until(async () => {
    const pictures = await Promise.all(devices.map((device) => picture(device.root)))
    const texts = pictures.map((one) => JSON.stringify(one))
    const rounds = devices.map((device) => device.folder.status().rounds).join()
    const isGood =
      texts.every((text) => text === texts[0]) &&
      devices.every((device) => states.includes(device.folder.status().state))
    const now = `${texts[0]} ${rounds}`
    if (!isGood || now !== last) steadySince = Date.now()
    last = now
    return isGood && Date.now() - steadySince > 250
  }, devices)
  const [first] = devices
  return first === undefined ? {} : picture(first.root)
}

export interface Pair extends AsyncDisposable {
  readonly a: Device
  readonly b: Device
  readonly link: Link
}

export async function createPair(
  options: FolderOptions = {},
  wrap?: (filesystem: Filesystem) => Filesystem,
): Promise<Pair> {
  const spaceId = newSpaceId(createSystemRandom())
  const a = await createDevice(spaceId, options, wrap)
  const b = await createDevice(spaceId, options, wrap)
  const link = await linkDevices(a, b)
  return {
    a,
    b,
    link,
    async [Symbol.asyncDispose]() {
      await a.close()
      await b.close()
    },
  }
}
