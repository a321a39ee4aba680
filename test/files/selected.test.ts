/** Folders that keep a part of their space, beside whole ones: real disks, real documents. */
import { mkdir, readdir, readFile, rename, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newSpaceId } from '../../src/base/ids.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import type { SelectionRules } from '../../src/files/selection.ts'
import {
  converged,
  createDevice,
  createPair,
  type Device,
  linkDevices,
  picture,
  until,
} from '../support/two-folders.ts'
import { changesOf, names, rests, shows, tells } from '../support/part-folders.ts'

const selecting = (rules: Partial<SelectionRules>) => ({
  isReadOnly: false,
  selection: { only: [], except: [], ...rules },
})

const kiB = (count: number, fill: string): string => fill.repeat(count * 1024)

describe('a folder that keeps a part of its space', () => {
  const select = async (device: Device, rules: Partial<SelectionRules>): Promise<void> => {
    device.rules = selecting(rules)
    await device.restart()
  }
  const released = async ({ root }: Device): Promise<number> =>
    (await readdir(join(root, '.skein/released')).catch(() => [])).length

  test('fetches only that, and what leaves its disk is deleted nowhere', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'photos/2024'), { recursive: true })
    await mkdir(join(a.root, 'docs'))
    await writeFile(join(a.root, 'photos/2024/one.jpg'), kiB(200, 'x'))
    await writeFile(join(a.root, 'photos/cover.jpg'), 'cover')
    await writeFile(join(a.root, 'docs/text'), 'text')
    const all = await converged([a, b])
    await select(b, { except: ['/photos/'] })
    await shows(b, { 'docs/': 'dir', 'docs/text': 'text' })
    await rests(a, b)
    expect(await picture(a.root)).toEqual(all)
    expect(await released(b)).toBe(2)
    expect((await b.folder.versions.list()).length).toBe(0)
    expect(await names(b)).toEqual(await names(a))
    // News of what is not selected stays away as well
    await writeFile(join(a.root, 'photos/2024/two.jpg'), 'two')
    await writeFile(join(a.root, 'docs/more'), 'more')
    await shows(b, { 'docs/': 'dir', 'docs/more': 'more', 'docs/text': 'text' })
    await select(b, {})
    const after = await converged([a, b])
    expect(Object.keys(after)).toEqual([
      'docs/',
      'docs/more',
      'docs/text',
      'photos/',
      'photos/2024/',
      'photos/2024/one.jpg',
      'photos/2024/two.jpg',
      'photos/cover.jpg',
    ])
  })

  test('with --only the way to what is selected is kept, and nothing else', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await select(b, { only: ['/photos/2024/'], except: ['*.raw'] })
    await mkdir(join(a.root, 'photos/2024'), { recursive: true })
    await mkdir(join(a.root, 'photos/2023'))
    await mkdir(join(a.root, 'docs'))
    await writeFile(join(a.root, 'photos/2024/a.jpg'), 'a')
    await writeFile(join(a.root, 'photos/2024/a.raw'), 'raw')
    await writeFile(join(a.root, 'photos/2023/b.jpg'), 'b')
    await writeFile(join(a.root, 'docs/text'), 'text')
    await writeFile(join(a.root, '.skeinignore'), '*.tmp\n')
    await shows(b, {
      '.skeinignore': '*.tmp\n',
      'photos/': 'dir',
      'photos/2024/': 'dir',
      'photos/2024/a.jpg': 'a',
    })
    await rests(a, b)
    expect(changesOf(b)).toEqual([])
  })

  test('nothing leaves while nobody else is known to have it', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'shared'), 'shared')
    await converged([a, b])
    await link.cut()
    await writeFile(join(b.root, 'only here'), 'only here')
    await until(async () => (await names(b)).includes('only here'), [b])
    await rests(b)
    await select(b, { only: ['/nothing'] })
    await until(() => b.folder.status().unreleased === 2, [b])
    expect(Object.keys(await picture(b.root))).toEqual(['only here', 'shared'])
    // Gone from its place at the other one, whatever the index there says
    await a.stop()
    await unlink(join(a.root, 'shared'))
    await writeFile(join(a.root, 'shared'), 'changed')
    await link.heal()
    b.folder.retry()
    await until(() => b.folder.status().unreleased === 2, [b])
    expect(Object.keys(await picture(b.root))).toEqual(['only here', 'shared'])
    await a.restart()
    b.folder.retry()
    await shows(b, {})
    await until(async () => (await picture(a.root))['only here'] === 'only here', [a])
  })

  test('two devices that let go of the same file at once keep one of it', async () => {
    const spaceId = newSpaceId(createSystemRandom())
    const devices = await Promise.all([1, 2, 3].map(() => createDevice(spaceId)))
    try {
      const [a, b, c] = devices
      if (a === undefined || b === undefined || c === undefined) throw new Error('three devices')
      await linkDevices(a, b)
      await linkDevices(a, c)
      await linkDevices(b, c)
      for (let index = 0; index < 20; index++)
        await writeFile(join(a.root, `file${index}`), `content ${index}`)
      await converged(devices)
      await Promise.all(devices.map((device) => select(device, { except: ['file*'] })))
      await until(() => devices.every(({ folder }) => folder.status().state === 'in-sync'), devices)
      await new Promise((resolve) => setTimeout(resolve, 500))
      for (const { folder } of devices) folder.retry()
      await new Promise((resolve) => setTimeout(resolve, 500))
      const left = new Set<string>()
      for (const device of devices) for (const name of Object.keys(await picture(device.root))) left.add(name)
      expect(left.size).toBe(20)
    } finally {
      for (const device of devices) await device.close()
    }
  })

  test('what a person puts where nothing is selected stays, is listed, and is not sent', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'big'))
    await writeFile(join(a.root, 'big/file'), 'big')
    await converged([a, b])
    await select(b, { except: ['/big/'] })
    // What she put there before all had left would be an edit of that
    await until(async () => Object.keys(await picture(b.root)).length === 0, [a, b])
    await rests(a, b)
    await mkdir(join(b.root, 'big/mine'), { recursive: true })
    await writeFile(join(b.root, 'big/mine/file'), 'mine')
    await writeFile(join(b.root, 'big/file'), 'another')
    await tells(b, ['added big', 'added big/file', 'added big/mine', 'added big/mine/file'])
    expect(await names(a)).toEqual(['big', 'big/file'])
    expect((await picture(a.root))['big/file']).toBe('big')
    // Selected again it is sent, beside what stands there
    await select(b, {})
    const after = await converged([a, b])
    expect(Object.values(after).sort()).toEqual(['another', 'big', 'dir', 'dir', 'mine'])
  })

  test('an edit made before it left reaches the others first', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'file'), 'first')
    await converged([a, b])
    await link.cut()
    await b.stop()
    await writeFile(join(b.root, 'file'), 'edited by b')
    await select(b, { except: ['file'] })
    await until(() => b.folder.status().unreleased === 1, [b])
    await link.heal()
    b.folder.retry()
    await shows(b, {})
    await shows(a, { file: 'edited by b' })
  })

  test('moves of others follow what is selected, by file and by directory', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await select(b, { except: ['/archive/'] })
    await mkdir(join(a.root, 'work/deep'), { recursive: true })
    await mkdir(join(a.root, 'archive'))
    await writeFile(join(a.root, 'work/deep/inner'), 'inner')
    await writeFile(join(a.root, 'work/file'), 'file')
    await writeFile(join(a.root, 'archive/old'), 'old')
    await shows(b, { 'work/': 'dir', 'work/deep/': 'dir', 'work/deep/inner': 'inner', 'work/file': 'file' })
    await rename(join(a.root, 'work/file'), join(a.root, 'archive/file'))
    await shows(b, { 'work/': 'dir', 'work/deep/': 'dir', 'work/deep/inner': 'inner' })
    await rename(join(a.root, 'work/deep'), join(a.root, 'archive/deep'))
    await rename(join(a.root, 'archive/old'), join(a.root, 'work/new'))
    await shows(b, { 'work/': 'dir', 'work/new': 'old' })
    await rests(a, b)
    expect(Object.keys(await picture(a.root))).toEqual([
      'archive/',
      'archive/deep/',
      'archive/deep/inner',
      'archive/file',
      'work/',
      'work/new',
    ])
    await rename(join(a.root, 'archive/deep'), join(a.root, 'work/deep'))
    await shows(b, { 'work/': 'dir', 'work/deep/': 'dir', 'work/deep/inner': 'inner', 'work/new': 'old' })
  })

  test('a rename on this device out of what it keeps is a rename for the others', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await select(b, { only: ['*.txt'] })
    await writeFile(join(a.root, 'notes.txt'), 'notes')
    await shows(b, { 'notes.txt': 'notes' })
    await rename(join(b.root, 'notes.txt'), join(b.root, 'notes.bak'))
    await shows(a, { 'notes.bak': 'notes' })
    await shows(b, {})
    expect((await a.folder.versions.list()).length).toBe(0)
  })

  test('a program that goes on writing to what left loses nothing', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'log'), 'one\n')
    await converged([a, b])
    await select(b, { except: ['log'] })
    await shows(b, {})
    const [name = ''] = await readdir(join(b.root, '.skein/released'))
    const later = new Date(Date.now() + 5_000)
    await writeFile(join(b.root, '.skein/released', name), 'one\ntwo\n')
    await utimes(join(b.root, '.skein/released', name), later, later)
    await rename(
      join(b.root, '.skein/released', name),
      join(b.root, '.skein/released', `${(Date.now() - 3_600_000).toString(36)}~x`),
    )
    await b.folder.part.released.expire()
    expect(await released(b)).toBe(0)
    const [kept] = await b.folder.versions.list()
    expect(await readFile(join(b.root, kept?.kept ?? ''), 'utf8')).toBe('one\ntwo\n')
  })

  test('both at once: receives a part, and sends nothing', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    b.rules = { isReadOnly: true, selection: { only: ['/docs/'], except: [] } }
    await b.restart()
    await mkdir(join(a.root, 'docs'))
    await writeFile(join(a.root, 'docs/text'), 'text')
    await writeFile(join(a.root, 'other'), 'other')
    await shows(b, { 'docs/': 'dir', 'docs/text': 'text' })
    await writeFile(join(b.root, 'docs/text'), 'by b')
    await writeFile(join(b.root, 'other'), 'mine')
    await tells(b, ['edited docs/text', 'added other'])
    expect((await picture(a.root))['other']).toBe('other')
  })
})
