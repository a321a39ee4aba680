/** Files that a thread places: what the disk tells of them before the thread has answered, and who places while it starts. */
import { expect, test } from 'vitest'
import { createSeededRandom } from '../../src/base/random.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { type Applier, createApplier, type NewlyPlaced } from '../../src/files/apply.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { internalFolder, stagingFolder } from '../../src/files/names.ts'
import { createSmallFiles, type ThreadedFiles } from '../../src/files/small-files.ts'
import { createVersions } from '../../src/files/versions.ts'

const never = new AbortController().signal

async function diskFor(): Promise<Filesystem> {
  const disk = createMemoryFilesystem()
  await disk.makeDirectory(internalFolder)
  await disk.makeDirectory(stagingFolder)
  return disk
}

const applierOn = (disk: Filesystem, thread: ThreadedFiles): Applier =>
  createApplier(disk, createVersions(disk, createVirtualClock(), createSeededRandom(1)), thread)

const files = (count: number): readonly NewlyPlaced[] =>
  Array.from({ length: count }, (_, index) => {
    const bytes = new TextEncoder().encode(`content ${index}`)
    const place = { parentId: 'root', name: `f${index}` }
    const data = { kind: 'file', hash: hashOf(bytes), size: bytes.byteLength, mtimeNs: 5_000_000n } as const
    const rest = { nodes: [], isConflictCopy: false, executable: false, target: '', attributes: undefined }
    const entry = { ...place, ...data, ...rest, nodeId: `n${index}`, version: 'v' }
    const none = { row: undefined, stat: undefined, here: entry, versions: undefined }
    return { seen: { ...place, parentPath: '', diskName: place.name, ...none }, entry, bytes }
  })

test('an event that comes before the answer of the thread is known for our own, one of what failed is not', async () => {
  const disk = await diskFor()
  const here = createSmallFiles(disk)
  const echoes: Promise<boolean>[] = []
  const thread: ThreadedFiles = {
    ...here,
    isReady: true,
    prepare: () => Promise.resolve(),
    async place(contents, signal) {
      const [first, ...others] = contents
      const placed = await here.place(others, signal)
      for (const { path } of contents) echoes.push(applier.isEcho(path))
      // Time for whoever would not wait
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
      return first === undefined ? placed : ['blocked', ...placed]
    },
  }
  const applier = applierOn(disk, thread)
  await applier.placeNew(files(100), never)
  expect(await Promise.all(echoes)).toEqual([false, ...Array.from({ length: 99 }, () => true)])
  expect(applier.wasPlaced('f0')).toBe(false)
})

test('while the thread starts files are placed here, some at a time, the rest by the thread', async () => {
  const disk = await diskFor()
  const here = createSmallFiles(disk)
  const asked: number[] = []
  let turns = 0
  const thread: ThreadedFiles = {
    ...here,
    get isReady() {
      return turns >= 3
    },
    prepare() {
      turns++
      return Promise.resolve()
    },
    place(contents, signal) {
      asked.push(contents.length)
      return here.place(contents, signal)
    },
  }
  const outcomes = await applierOn(disk, thread).placeNew(files(100), never)
  expect(outcomes.every((outcome) => typeof outcome === 'object' && 'rows' in outcome)).toBe(true)
  expect(asked).toEqual([100 - 3 * 8])
  expect((await disk.readDirectory('')).filter(({ name }) => name.startsWith('f'))).toHaveLength(100)
})
