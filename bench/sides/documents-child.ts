/** One measurement of the documents bench in a process of its own; prints one JSON object of numbers. */
import { cpSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as Y from 'yjs'
import type { Channel } from '../../src/base/channel.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { encodeId, type DeviceId, type SpaceId } from '../../src/base/ids.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import { createDocHost, type DocHost } from '../../src/crdt/doc-host.ts'
import { createFileWitness } from '../../src/crdt/file-witness.ts'
import { openLevelDatabase } from '../../src/crdt/level-database.ts'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { rootNodeId, type NodeId } from '../../src/crdt/node-id.ts'
import { openSpace, type SpaceTree } from '../../src/crdt/space.ts'
import { openStore, type Store } from '../../src/crdt/store.ts'
import { createSync } from '../../src/crdt/sync.ts'
import type { TreeChange } from '../../src/crdt/tree-change.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'
import { measureRest } from './documents-rest.ts'
import { measureMerge } from './merge-figures.ts'

// because: 16 bytes in the right form
const space = encodeId(new Uint8Array(16).fill(7)) as SpaceId
const deviceOf = (seed: number): DeviceId => encodeId(createSeededRandom(seed).bytes(16)) as DeviceId // because: as above
const env = createSystemEnv()

interface Opened {
  readonly store: Store
  readonly host: DocHost
  readonly tree: SpaceTree
  close(): Promise<void>
}

async function openAt(home: string | undefined, seed = 1): Promise<Opened> {
  const disk = createMemoryDisk()
  const store = await openStore(
    env,
    home === undefined
      ? { open: disk.open, witness: createMemoryWitness() }
      : {
          open: () => openLevelDatabase(join(home, 'db')),
          witness: createFileWitness(join(home, 'witness')),
        },
  )
  const host = await createDocHost(env, store, { loadedBytes: 2 ** 40 })
  const tree = await openSpace(env, host, { id: space, device: deviceOf(seed) })
  return {
    store,
    host,
    tree,
    async close() {
      tree[Symbol.dispose]()
      await host.close()
      await store.close()
    },
  }
}

const random = createSeededRandom(99)
const newHash = (): string => Buffer.from(random.bytes(32)).toString('base64url')
const fileData = () =>
  ({
    kind: 'file',
    hash: newHash(),
    sizeBytes: randomBelow(random, 100_000),
    mtimeNs: 1_700_000_000_000_000_000n,
    mode: 0o644,
  }) as const

/** Directories of 100 files, 500 changes a commit. */
async function fill(tree: SpaceTree, count: number): Promise<NodeId[]> {
  const files: NodeId[] = []
  let batch: TreeChange[] = []
  for (let index = 0; index < count; index += 100) {
    const [directory = rootNodeId, ...ids] = tree.newIds(101)
    batch.push({
      kind: 'create',
      nodeId: directory,
      parent: rootNodeId,
      name: `folder-${index}`,
      data: { kind: 'dir' },
    })
    for (const [offset, nodeId] of ids.slice(0, count - index).entries()) {
      batch.push({
        kind: 'create',
        nodeId,
        parent: directory,
        name: `file-${index + offset}.txt`,
        data: fileData(),
      })
      files.push(nodeId)
    }
    if (batch.length >= 500 || index + 100 >= count) {
      await tree.commit(batch)
      batch = []
    }
  }
  return files
}

const seconds = (sinceMs: number): number => (performance.now() - sinceMs) / 1000
const rss = (): number => process.memoryUsage().rss / 1e6
const collect = (): void => globalThis.gc?.()

interface Sizes {
  /** Documents as a snapshot in the store holds them. */
  readonly encoded: number
  /** Characters of the living lines: the least that any form would hold. */
  readonly records: number
  /** All documents in memory, freshly loaded. */
  readonly heap: number
  /** All rows of the store but the update log, which is folded into the snapshot at 64 updates. */
  readonly rows: number
}

async function sizesOf({ host, store }: Opened): Promise<Sizes> {
  const updates: Uint8Array[] = []
  let records = 0
  for (const one of host.names()) {
    await host.read([one], (document) => {
      updates.push(Y.encodeStateAsUpdateV2(document(one)))
      for (const [root, type] of document(one).share)
        if (type instanceof Y.AbstractType)
          records += document(one).getArray<string>(root).toArray().join('').length
    })
  }
  collect()
  const before = process.memoryUsage().heapUsed
  const loaded = updates.map((update) => {
    const document = new Y.Doc({ guid: 'bench' })
    Y.applyUpdateV2(document, update)
    return document
  })
  collect()
  const heap = process.memoryUsage().heapUsed - before
  let rows = 0
  for await (const [key, value] of store.scan({ from: '', to: '~' })) {
    if (!key.startsWith('u!')) rows += key.length + value.byteLength
  }
  for (const document of loaded) document.destroy()
  return { encoded: updates.reduce((sum, update) => sum + update.byteLength, 0), records, heap, rows }
}

const growthOf = (before: Sizes, after: Sizes, suffix: string): Record<string, number> =>
  Object.fromEntries(
    (['encoded', 'records', 'heap', 'rows'] as const).map((what) => [
      `${what}_${suffix}`,
      (after[what] / before[what] - 1) * 100,
    ]),
  )

/** 3,000 files on three devices, each file overwritten ten times at random places by random devices. */
async function churn(): Promise<Record<string, number>> {
  const devices = await Promise.all([1, 2, 3].map((seed) => openAt(undefined, seed)))
  const [first] = devices
  if (first === undefined) throw new Error('no device')
  for (const from of devices) {
    from.host.on('stored', ({ changes }) => {
      for (const { name, update, origin } of changes) {
        if (origin.kind !== 'local') continue
        for (const to of devices) if (to !== from) void to.host.apply([{ name, update }], 'peer')
      }
    })
  }
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) for (const one of devices) await one.host.flush()
  }
  const files = await fill(first.tree, 3_000)
  await settle()
  // What every later round is held against: each file overwritten once
  const sizes: Sizes[] = []
  for (let round = 0; round <= 10; round++) {
    for (let index = 0; index < files.length; index += 50) {
      const device = devices[randomBelow(random, devices.length)] ?? first
      const changes: TreeChange[] = []
      for (let count = 0; count < 50; count++) {
        const nodeId = files[round === 0 ? index + count : randomBelow(random, files.length)] ?? rootNodeId
        const entry = await device.tree.entry(nodeId)
        if (entry === undefined || changes.some((one) => one.nodeId === nodeId)) continue
        const { parent, name } = entry
        changes.push({ kind: 'edit', nodeId, observed: entry.data.versions, data: fileData(), parent, name })
      }
      await device.tree.commit(changes)
      await settle()
    }
    sizes.push(await sizesOf(first))
  }
  const [base, once, last] = [sizes[0], sizes[1], sizes.at(-1)]
  if (base === undefined || once === undefined || last === undefined) throw new Error('no rounds')
  const each = { base_B: base.encoded / files.length, last_B: last.encoded / files.length }
  return { ...each, ...growthOf(base, last, 'percent'), ...growthOf(once, last, 'late_percent') }
}

async function reconnect(home: string): Promise<Record<string, number>> {
  const copy = `${home}-copy`
  cpSync(home, copy, { recursive: true })
  const [left, right] = await Promise.all([openAt(home, 1), openAt(copy, 2)])
  const [mine, theirs] = createMemoryChannelPair()
  let bytes = 0
  const access = { visible: () => true, mayWrite: () => true }
  const syncs = [[left, mine] as const, [right, theirs] as const].map(([side, channel]) => {
    const sync = createSync(env, side.host)
    const counted: Channel = {
      label: channel.label,
      closed: channel.closed,
      send: (...parts) => {
        for (const part of parts) bytes += part.byteLength
        return channel.send(...parts)
      },
      drained: (signal) => channel.drained(signal),
      receive: (receiver) => channel.receive(receiver),
      close: () => channel.close(),
      abort: (error) => channel.abort(error),
      [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
    }
    const equal = new Promise<void>((resolve) => {
      sync.on('inSync', ({ isInSync }) => (isInSync ? resolve() : undefined))
    })
    sync.connect('peer', counted, access)
    return { sync, equal }
  })
  for (const { equal } of syncs) await equal
  const total = bytes
  for (const { sync } of syncs) sync[Symbol.dispose]()
  await left.close()
  await right.close()
  return { reconnect_kB: total / 1000 }
}

async function measure(what: string, home: string, count: number): Promise<Record<string, number>> {
  const startedMs = performance.now()
  if (what === 'merge') return measureMerge()
  if (what === 'rest') return await measureRest(count)
  if (what === 'churn') return await churn()
  if (what === 'reconnect') return await reconnect(home)
  if (what === 'fill') {
    mkdirSync(home, { recursive: true })
    const opened = await openAt(home)
    await fill(opened.tree, count)
    await opened.close()
    const disk = readdirSync(join(home, 'db')).reduce(
      (sum, file) => sum + statSync(join(home, 'db', file)).size,
      0,
    )
    return { fill_s: seconds(startedMs), disk_MB: disk / 1e6, rss_MB: rss() }
  }
  const opened = await openAt(home)
  if (what === 'ready') {
    const top = await opened.tree.lookup('folder-0')
    for (const one of opened.host.names()) await opened.host.digest(one)
    const result = { ready_s: seconds(startedMs), rss_MB: rss(), found: top === undefined ? 0 : 1 }
    await opened.close()
    return result
  }
  await opened.host.read(opened.host.names(), () => undefined)
  const loadSeconds = seconds(startedMs)
  collect()
  const result = { load_s: loadSeconds, rss_MB: rss() }
  await opened.close()
  return result
}

const [, , what = '', home = '', count = '0'] = process.argv
process.stdout.write(JSON.stringify(await measure(what, home, Number(count))))
