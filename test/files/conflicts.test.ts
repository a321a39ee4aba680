/** What a person decides about conflicts, and brings back, on two devices with real folders. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createLog } from '../../src/base/log.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { createConflicts, type Conflicts, type StandingConflict } from '../../src/files/conflicts.ts'
import { tellHistory } from '../../src/files/history.ts'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'
import {
  chooseBelow,
  findById,
  listRestorable,
  restoreAll,
  restoreOne,
  type RestoreParts,
} from '../../src/files/restore.ts'
import { createSpaceFolderTree } from '../../src/files/space-folder-tree.ts'
import { converged, createPair, type Device, type Pair, until } from '../support/two-folders.ts'

const env = createSystemEnv({ log: createLog(() => undefined, 'error') })

async function conflictsOf({ space, folder }: Device): Promise<Conflicts> {
  return createConflicts(env, { space, tree: await createSpaceFolderTree(space), folder })
}

const restoringOf = ({ space, folder, root }: Device): RestoreParts => ({
  space,
  filesystem: createNodeFilesystem(root),
  versions: folder.versions,
  random: createSystemRandom(),
  bases: folder.bases,
  nowMs: () => env.clock.nowMs(),
})

const write = (device: Device, path: string, text: string): Promise<void> =>
  writeFile(join(device.root, path), text)
const read = (device: Device, path: string): Promise<string> => readFile(join(device.root, path), 'latin1')
const keptTexts = async (device: Device): Promise<readonly string[]> =>
  await Promise.all((await device.folder.versions.list()).map(({ kept }) => read(device, kept)))

/** Both edit `x.bin` while apart. */
async function disagree({ a, b, link }: Pair): Promise<void> {
  await write(a, 'x.bin', 'base\0')
  await converged([a, b])
  await link.cut()
  await write(a, 'x.bin', 'by a\0')
  await write(b, 'x.bin', 'by b\0')
  await until(() => a.folder.status().rounds > 0 && b.folder.status().state === 'in-sync', [a, b])
  await new Promise((resolve) => setTimeout(resolve, 300))
  await link.heal()
  await converged([a, b])
}

async function standing(conflicts: Conflicts): Promise<StandingConflict> {
  const [found] = await conflicts.list(10)
  if (found === undefined) throw new Error('no conflict stands')
  return found
}

describe('a conflict', () => {
  test('is listed with its authors, on both devices alike', async () => {
    await using pair = await createPair()
    await disagree(pair)
    const { a, b } = pair
    const [ofA, ofB] = [await standing(await conflictsOf(a)), await standing(await conflictsOf(b))]
    expect(ofA.sides.map(({ path, author }) => [path, author])).toEqual(
      ofB.sides.map(({ path, author }) => [path, author]),
    )
    expect(new Set(ofA.sides.map(({ author }) => author))).toEqual(
      new Set([a.id.slice(0, 8), b.id.slice(0, 8)]),
    )
    expect((await conflictsOf(a)).count).toBe(1)
    expect(ofA).toMatchObject({ path: 'x.bin' })
    expect(await (await conflictsOf(a)).find(ofA.sides[1]?.path ?? '')).toEqual(ofA)
  })

  test.each(['main', 'copy'] as const)(
    'picking the %s decides it everywhere, and the other is kept',
    async (which) => {
      await using pair = await createPair()
      await disagree(pair)
      const { a, b } = pair
      const conflicts = await conflictsOf(a)
      const conflict = await standing(conflicts)
      const side = conflict.sides[which === 'main' ? 0 : 1]
      const loser = conflict.sides[which === 'main' ? 1 : 0]
      if (side === undefined || loser === undefined) throw new Error('two sides')
      const [wanted, lost] = [await read(a, side.path), await read(a, loser.path)]
      await conflicts.pick(conflict, side)
      await until(async () => Object.keys(await converged([a, b])).length === 1, [a, b])
      expect(await converged([a, b])).toEqual({ 'x.bin': wanted })
      for (const device of [a, b]) expect(await keptTexts(device)).toContain(lost)
      await write(b, 'x.bin', 'later\0')
      await until(async () => (await read(a, 'x.bin')) === 'later\0', [a, b])
      expect(await converged([a, b])).toEqual({ 'x.bin': 'later\0' })
    },
  )

  test.each([0, 1])(
    'ends when its copy gets a name of its own: each file stays under its name',
    async (by) => {
      await using pair = await createPair()
      await disagree(pair)
      const { a, b } = pair
      const device = by === 0 ? a : b
      const [main, copy] = (await standing(await conflictsOf(device))).sides
      if (main === undefined || copy === undefined) throw new Error('two sides')
      const [kept, renamed] = [await read(device, main.path), await read(device, copy.path)]
      await rename(join(device.root, copy.path), join(device.root, 'mine.bin'))
      await until(async () => (await (by === 0 ? b : a).space.lookup('mine.bin')) !== undefined, [a, b])
      expect(await converged([a, b])).toEqual({ 'x.bin': kept, 'mine.bin': renamed })
      expect((await conflictsOf(device)).count).toBe(0)
      // Two files from now on
      await write(device, 'x.bin', 'later\0')
      await until(async () => (await read(by === 0 ? b : a, 'x.bin')) === 'later\0', [a, b])
      expect(await converged([a, b])).toEqual({ 'x.bin': 'later\0', 'mine.bin': renamed })
    },
  )

  test('an edit that nobody saw when it was decided stays beside the decision', async () => {
    await using pair = await createPair()
    await disagree(pair)
    const { a, b, link } = pair
    const conflicts = await conflictsOf(a)
    const conflict = await standing(conflicts)
    const [main, copy] = conflict.sides
    if (main === undefined || copy === undefined) throw new Error('two sides')
    await link.cut()
    await write(b, copy.path, 'unseen\0')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await conflicts.pick(conflict, main)
    await link.heal()
    const texts = Object.values(await converged([a, b]))
    expect(texts).toContain('unseen\0')
  })

  test('keeping all gives each copy a name of its own', async () => {
    await using pair = await createPair()
    await disagree(pair)
    const { a, b } = pair
    const conflicts = await conflictsOf(b)
    const conflict = await standing(conflicts)
    const labels = new Map(conflict.sides.map((side) => [side, 'lap/top']))
    expect(await conflicts.keepAll(conflict, labels)).toEqual(['x (from lap_top).bin'])
    await until(async () => 'x (from lap_top).bin' in (await converged([a, b])), [a, b])
    expect(Object.values(await converged([a, b])).sort()).toEqual(['by a\0', 'by b\0'])
    expect((await conflictsOf(a)).count).toBe(0)
  })

  test('made by two files of one name is decided the same way; a merged content takes the place of both', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await link.cut()
    await write(a, 'new.txt', 'a\n')
    await write(b, 'new.txt', 'b\n')
    await until(() => a.folder.status().files === 1 && b.folder.status().files === 1, [a, b])
    await link.heal()
    await converged([a, b])
    const conflicts = await conflictsOf(a)
    await conflicts.replace(await standing(conflicts), new TextEncoder().encode('a and b\n'))
    await until(async () => (await read(b, 'new.txt')) === 'a and b\n', [a, b])
    expect(await converged([a, b])).toEqual({ 'new.txt': 'a and b\n' })
    for (const device of [a, b])
      expect(await keptTexts(device)).toEqual(expect.arrayContaining(['a\n', 'b\n']))
  })
})

describe('earlier versions', () => {
  test('are told with cause and author, and come back by id, also to another place', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await write(a, 'f.txt', 'one\0')
    await converged([a, b])
    await write(a, 'f.txt', 'two\0')
    await until(async () => (await read(b, 'f.txt')) === 'two\0', [a, b])
    const parts = restoringOf(b)
    const [version] = await listRestorable(parts, 'f.txt')
    expect(version).toMatchObject({ cause: 'replaced', path: 'f.txt', sizeBytes: 4 })
    expect(version?.version).toContain(a.id.slice(0, 8))
    expect(findById(version === undefined ? [] : [version], version?.id.slice(0, 5) ?? '')).toBe(version)
    expect(() => findById([], 'zz')).toThrow('no version')
    if (version === undefined) return
    expect(await restoreOne(parts, version, 'back/copy.txt')).toBe(false)
    expect(await restoreOne(parts, version, 'f.txt')).toBe(true)
    await until(async () => (await read(a, 'f.txt')) === 'one\0', [a, b])
    expect(await converged([a, b])).toMatchObject({ 'back/copy.txt': 'one\0', 'f.txt': 'one\0' })
    expect(await keptTexts(b)).toContain('two\0')
  })

  test('of a deleted directory come back together, and of a time only what was there then', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'd/e'), { recursive: true })
    await write(a, 'd/1', 'one\0')
    await write(a, 'd/e/2', 'two\0')
    await converged([a, b])
    const beforeMs = Date.now()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await write(a, 'd/1', 'one, later\0')
    await until(async () => (await read(b, 'd/1')) === 'one, later\0', [a, b])
    await rm(join(a.root, 'd'), { recursive: true })
    await until(async () => Object.keys(await converged([a, b])).length === 0, [a, b])
    const parts = restoringOf(b)
    const all = await listRestorable(parts, 'd')
    const newest = chooseBelow(all, undefined, () => false)
    const then = chooseBelow(all, beforeMs, () => false)
    expect(await restoreAll(parts, newest, (path) => path)).toMatchObject({
      restored: ['d/1', 'd/e/2'],
      problems: [],
    })
    await until(async () => 'd/e/2' in (await converged([a, b])), [a, b])
    expect(await read(a, 'd/1')).toBe('one, later\0')
    await restoreAll(parts, then, (path) => path)
    await until(async () => (await read(a, 'd/1')) === 'one\0', [a, b])
    expect(await converged([a, b])).toMatchObject({ 'd/1': 'one\0', 'd/e/2': 'two\0' })
  })

  test('nothing is restored to a place outside, into our own folder, or over a directory', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await write(a, 'f', 'one\0')
    await mkdir(join(b.root, 'dir'))
    await converged([a, b])
    await write(a, 'f', 'two\0')
    await until(async () => (await read(b, 'f')) === 'two\0', [a, b])
    const parts = restoringOf(b)
    const [version] = await listRestorable(parts, 'f')
    if (version === undefined) throw new Error('a version')
    for (const path of ['../out', '.skein/marker', 'a/../../out', ''])
      await expect(restoreOne(parts, version, path)).rejects.toMatchObject({ code: 'file.unsafe' })
    await expect(restoreOne(parts, version, 'dir')).rejects.toMatchObject({ code: 'file.exists' })
    await expect(restoreOne(parts, version, 'f/below')).rejects.toMatchObject({ code: 'file.exists' })
  })
})

test('a history tells creation, edits, a rename and who did them, in their order', async () => {
  await using pair = await createPair()
  const { a, b } = pair
  await write(a, 'old.txt', 'one\0')
  await converged([a, b])
  await write(b, 'old.txt', 'two\0')
  await until(async () => (await read(a, 'old.txt')) === 'two\0', [a, b])
  await rename(join(a.root, 'old.txt'), join(a.root, 'new.txt'))
  await converged([a, b])
  await write(b, 'new.txt', 'three\0')
  await until(async () => (await read(a, 'new.txt')) === 'three\0', [a, b])
  const parts = restoringOf(a)
  const entry = await a.space.lookup('new.txt')
  const node = entry && (await a.space.node(entry.nodeId))
  const versions = await listRestorable(parts, 'new.txt')
  const [shortA, shortB] = [a.id.slice(0, 8), b.id.slice(0, 8)]
  const told = tellHistory({ entry, node, versions }).map(({ kind, author, from }) => [kind, author, from])
  expect(told.slice(0, 3)).toEqual([
    ['edit', shortB, undefined],
    ['rename', shortA, 'old.txt'],
    ['edit', shortB, undefined],
  ])
  // What was replaced by an edit of another device is kept here: the first content is known
  expect(told.at(-1)).toEqual(['create', shortA, undefined])
})
