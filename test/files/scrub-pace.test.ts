/** When a pass over the files runs by itself, how fast, and where it goes on: on a disk in memory and a virtual clock. */
import { expect, test } from 'vitest'
import { createMemoryKeep, type Keep } from '../../src/base/keep.ts'
import { createScope } from '../../src/base/scope.ts'
import { createVirtualClock, type VirtualClock } from '../../src/base/virtual-clock.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import type { SyncedRow } from '../../src/files/folder-tree.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { startScrub } from '../../src/files/scrub.ts'
import { testEnv } from '../crdt/rig.ts'

const dayMs = 86_400_000
const content = new Uint8Array(4_000_000).fill(7)

/** What reading a step of a file takes. */
const stepMs = 6

/** Lets time pass, and what waits for it happen. */
async function pass(clock: VirtualClock, byMs: number): Promise<void> {
  const untilMs = clock.monotonicMs() + byMs
  for (;;) {
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
    const dueMs = clock.nextDueMs()
    if (dueMs === undefined || dueMs > untilMs) break
    clock.step()
  }
  clock.advance(Math.max(0, untilMs - clock.monotonicMs()))
}

interface Folder {
  readonly filesystem: Filesystem
  readonly rows: ReadonlyMap<string, readonly SyncedRow[]>
}

/** Directories a, b and c with a file each. */
async function createFiles(): Promise<Folder> {
  const filesystem = createMemoryFilesystem()
  const rows = new Map<string, readonly SyncedRow[]>([['root', []]])
  for (const id of ['a', 'b', 'c']) {
    await filesystem.makeDirectory(id)
    await filesystem.createSmall(`${id}/x`, content, { mode: 0o644, mtimeNs: 5n })
    const stat = await filesystem.lstat(`${id}/x`)
    if (stat === undefined) throw new Error('not made')
    const where = { nodeId: `node ${id}`, parentId: id, name: 'x', diskName: 'x', version: 'v' }
    const data = { kind: 'file', hash: hashOf(content), executable: false, target: '' } as const
    rows.set(id, [{ ...where, ...data, ...stat, kind: 'file', isRacy: false, isLeftover: false }])
  }
  return { filesystem, rows }
}

function startRig({ filesystem, rows }: Folder, keep: Keep, clock = createVirtualClock()) {
  const env = testEnv({ clock })
  const scope = createScope(env, 'scrub test')
  const [read, found]: [string[], string[]] = [[], []]
  const busy = { isBusy: false, isOnBattery: false }
  const scrub = startScrub(env, scope, {
    spaceId: 'space',
    tree: {
      rootId: 'root',
      rows: (id) => Promise.resolve(rows.get(id) ?? []),
      row: (id) => Promise.resolve(rows.get(id)?.[0]),
    },
    filesystem: {
      ...filesystem,
      async open(path, mode) {
        read.push(path)
        const file = await filesystem.open(path, mode)
        const slow = (into: Uint8Array, position: number): Promise<number> => {
          clock.advance(stepMs)
          return file.read(into, position)
        }
        return { ...file, read: slow, [Symbol.asyncDispose]: () => file.close() }
      },
    },
    directories: { below: () => [...rows.keys()], pathOf: (id) => (id === 'root' ? '' : id) },
    totals: { files: 3, bytes: 3 * content.byteLength, entries: 3 },
    keep,
    isBusy: () => busy.isBusy,
    isOnBattery: () => busy.isOnBattery,
    inbox: { add: (ids) => void found.push(...ids) },
  })
  return { scrub, clock, scope, busy, read, found }
}

test('a pass begins by itself once a month, while the folder rests and the device is on power, at one per cent', async () => {
  const files = await createFiles()
  const { scrub, clock, scope, busy, read } = startRig(files, createMemoryKeep())
  await pass(clock, 29 * dayMs)
  expect(scrub.status()).toMatchObject({ state: 'idle', checkedFiles: 0 })
  busy.isOnBattery = true
  await pass(clock, 2 * dayMs)
  busy.isBusy = true
  busy.isOnBattery = false
  await pass(clock, dayMs)
  expect(read).toEqual([])
  expect(scrub.status().state).toBe('resting')
  busy.isBusy = false
  await pass(clock, 10_000)
  expect(scrub.status().state).toBe('running')
  const steps = 3 * Math.ceil(content.byteLength / (256 * 1024))
  await pass(clock, steps * stepMs * 90)
  expect(scrub.status().state).toBe('running')
  await pass(clock, steps * 1_100)
  expect(read).toEqual(['a/x', 'b/x', 'c/x'])
  expect(scrub.status()).toMatchObject({ state: 'idle', checkedFiles: 3, found: 0 })
  await scope.close()
})

test('a pass that is cut off goes on where it was after a restart; at full speed it does not rest', async () => {
  const files = await createFiles()
  const keep = createMemoryKeep()
  const clock = createVirtualClock()
  const first = startRig(files, keep, clock)
  await pass(clock, 30 * dayMs)
  while (first.read.length < 2) await pass(clock, 31_000)
  await first.scope.close()
  const second = startRig(files, keep, clock)
  await pass(clock, 1)
  expect(second.scrub.status()).toMatchObject({ checkedFiles: 1 })
  second.busy.isBusy = true
  second.scrub.start()
  await pass(clock, 1_000)
  expect(second.read).toEqual(['b/x', 'c/x'])
  expect(second.scrub.status()).toMatchObject({ state: 'idle', checkedFiles: 3 })
  await second.scope.close()
})

test('bytes that changed under the same stat are found, once, and told to the folder', async () => {
  const files = await createFiles()
  const [row] = files.rows.get('b') ?? []
  if (row === undefined) throw new Error('no row')
  const rows = new Map(files.rows).set('b', [{ ...row, hash: hashOf(Uint8Array.of(1)) }])
  const { scrub, clock, scope, found } = startRig({ ...files, rows }, createMemoryKeep())
  await pass(clock, 1)
  for (let round = 0; round < 2; round++) {
    scrub.start()
    await pass(clock, 1_000)
    expect(scrub.status()).toMatchObject({ state: 'idle', checkedFiles: 3, found: round === 0 ? 1 : 0 })
  }
  expect(found).toEqual(['b'])
  expect(scrub.damage.list()).toMatchObject([{ parentId: 'b', name: 'x', actual: hashOf(content) }])
  expect(scrub.problems()).toMatchObject([{ path: 'b/x' }])
  await scope.close()
})
