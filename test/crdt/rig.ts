/** A device's CRDT stack for tests: store on a simulated disk, host, sync and a space, on a virtual clock. */
import { join } from 'node:path'
import { createSeededRandom, type Random } from '../../src/base/random.ts'
import { silentLog, createLog, type Log } from '../../src/base/log.ts'
import { noMetrics } from '../../src/base/metrics.ts'
import type { Env } from '../../src/base/env.ts'
import { createSystemClock } from '../../src/base/system-clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { newDeviceId, newSpaceId, type DeviceId, type SpaceId } from '../../src/base/ids.ts'
import { createDocHost, type DocHost, type DocHostOptions } from '../../src/crdt/doc-host.ts'
import { createFileWitness } from '../../src/crdt/file-witness.ts'
import { openLevelDatabase } from '../../src/crdt/level-database.ts'
import { createSync } from '../../src/crdt/sync.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createMemoryDisk, type MemoryDisk } from '../../src/crdt/memory-database.ts'
import { openSpace, type SpaceTree } from '../../src/crdt/space.ts'
import { openStore, type Store } from '../../src/crdt/store.ts'
import { createMemoryWitness, type MemoryWitness } from '../../src/crdt/witness.ts'

export const testSpace: SpaceId = newSpaceId(createSeededRandom(7))

export interface TestEnvParts {
  readonly seed?: number
  readonly clock?: Clock
  readonly isLoud?: boolean
}

export function testEnv({ seed = 1, clock = createSystemClock(), isLoud = false }: TestEnvParts = {}): Env {
  const random: Random = createSeededRandom(seed)
  const log: Log = isLoud ? createLog((record) => console.log(record), 'debug') : silentLog
  return { clock, random, log, metrics: noMetrics }
}

export interface Rig extends AsyncDisposable {
  readonly env: Env
  readonly disk: MemoryDisk
  readonly witness: MemoryWitness
  readonly device: DeviceId
  readonly store: Store
  readonly host: DocHost
  readonly space: SpaceTree
  /** Ends without the clean close: what a killed process leaves. */
  kill(): void
}

export interface RigParts extends TestEnvParts {
  readonly disk?: MemoryDisk
  readonly witness?: MemoryWitness
  readonly device?: DeviceId
  readonly host?: DocHostOptions
}

export async function openRig(parts: RigParts = {}): Promise<Rig> {
  const env = testEnv(parts)
  const disk = parts.disk ?? createMemoryDisk()
  const witness = parts.witness ?? createMemoryWitness()
  const device = parts.device ?? newDeviceId(env.random)
  const store = await openStore(env, { open: disk.open, witness })
  const host = await createDocHost(env, store, parts.host)
  const space = await openSpace(env, host, { id: testSpace, device })
  let isKilled = false
  return {
    env,
    disk,
    witness,
    device,
    store,
    host,
    space,
    kill() {
      isKilled = true
      space[Symbol.dispose]()
    },
    async [Symbol.asyncDispose]() {
      space[Symbol.dispose]()
      if (isKilled) return
      await host.close()
      await store.close()
    },
  }
}

/** A BLAKE3-shaped hash for made-up content. */
export function fakeHash(content: string): string {
  return content
    .replaceAll(/[^A-Za-z0-9]/g, '_')
    .padEnd(43, '_')
    .slice(0, 43)
}

export const fileData = (content: string) =>
  ({
    kind: 'file',
    hash: fakeHash(content),
    sizeBytes: content.length,
    mtimeNs: 1_700_000_000_000_000_000n,
    mode: 0o644,
  }) as const

/** Path, kind and content of everything visible, sorted. */
export async function listing(space: SpaceTree): Promise<string[]> {
  const out: string[] = []
  for await (const entry of space.walk()) {
    out.push(`${entry.path} ${entry.kind} ${(entry.data.hash ?? entry.data.target ?? '').replace(/_+$/, '')}`)
  }
  return out.sort()
}

/** The stack on a real directory. */
export async function openOnDisk(place: string, seed: number, device: DeviceId) {
  const env = testEnv({ seed })
  const store = await openStore(env, {
    open: () => openLevelDatabase(join(place, 'db')),
    witness: createFileWitness(join(place, 'witness')),
  })
  const noticed: string[] = []
  store.on('corrupt', ({ key }) => noticed.push(key))
  const host = await createDocHost(env, store)
  const space = await openSpace(env, host, { id: testSpace, device }).catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  return {
    env,
    store,
    host,
    space,
    noticed,
    async [Symbol.asyncDispose]() {
      space[Symbol.dispose]()
      await host.close()
      await store.close()
    },
  }
}

export type OnDisk = Awaited<ReturnType<typeof openOnDisk>>

/** Connects both until their digests agree. */
export async function meet(a: Pick<OnDisk, 'env' | 'host'>, b: Pick<OnDisk, 'env' | 'host'>): Promise<void> {
  const [left, right] = createMemoryChannelPair()
  using one = createSync(a.env, a.host)
  using other = createSync(b.env, b.host)
  const refused: string[] = []
  const both = [one, other].map((sync) => {
    sync.on('refused', ({ error }) => refused.push(error.message))
    return new Promise<void>((resolve) => sync.on('inSync', ({ isInSync }) => isInSync && resolve()))
  })
  one.connect('other', left, { visible: () => true, mayWrite: () => true })
  other.connect('one', right, { visible: () => true, mayWrite: () => true })
  await Promise.all(both)
  if (refused.length > 0) throw new Error(`refused: ${refused.join()}`)
}
