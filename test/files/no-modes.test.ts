/** A disk whose files show an exec bit that is none, as FAT does with all and Windows with none. */
import { appendFile, chmod, lstat, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SkeinError } from '../../src/base/errors.ts'
import { newSpaceId } from '../../src/base/ids.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import type { FileStat, Filesystem } from '../../src/files/filesystem.ts'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'
import {
  converged,
  createDevice,
  type Device,
  linkDevices,
  until as untilWithin,
} from '../support/two-folders.ts'

const until = (check: () => Promise<boolean>, devices: readonly Device[]): Promise<void> =>
  untilWithin(check, devices, 30_000)

/** @param shown what every file has. */
const withModes =
  (shown: number) =>
  (inner: Filesystem): Filesystem => {
    const seen = <T extends FileStat | undefined>(stat: T): T =>
      stat?.kind === 'file' ? { ...stat, mode: shown } : stat
    return {
      ...inner,
      holdsModes: false,
      lstat: async (path) => seen(await inner.lstat(path)),
      readDirectory: async (path) =>
        (await inner.readDirectory(path)).map(({ name, stat }) => ({ name, stat: seen(stat) })),
      readSmall: async (path, maxBytes) => {
        const small = await inner.readSmall(path, maxBytes)
        return small && { ...small, stat: seen(small.stat) }
      },
      setMode: () => Promise.reject(new SkeinError('file.denied', 'no modes here')),
    }
  }

describe.each([
  ['every file looks executable', 0o777],
  ['no file looks executable', 0o666],
])('where %s', (_how, shown) => {
  test('the bits of others stay what they are, whatever is done to the files here', async () => {
    const space = newSpaceId(createSystemRandom())
    const a = await createDevice(space)
    const b = await createDevice(space, {}, withModes(shown))
    try {
      await linkDevices(a, b)
      await writeFile(join(a.root, 'text'), 'text')
      await writeFile(join(a.root, 'tool'), 'tool')
      await chmod(join(a.root, 'tool'), 0o755)
      const has = (contents: Readonly<Record<string, string>>) => async (): Promise<boolean> => {
        const shownHere = await bits(a)
        return Object.entries(contents).every(([name, bit]) => shownHere[name] === bit)
      }
      await untilHas(b, ['text', 'tool'])
      for (const name of ['text', 'tool']) await appendFile(join(b.root, name), ', edited')
      await writeFile(join(b.root, 'new'), 'new')
      await until(has({ text: '- 12', tool: 'x 12', new: '- 3' }), [a, b])
      await rename(join(b.root, 'tool'), join(b.root, 'renamed tool'))
      await until(has({ 'renamed tool': 'x 12' }), [a, b])
      await chmod(join(a.root, 'renamed tool'), 0o644)
      await until(async () => (await b.space.lookup('renamed tool'))?.data.mode === 0o644, [a, b])
      await b.restart(withModes(shown))
      await appendFile(join(b.root, 'renamed tool'), '!')
      await until(has({ 'renamed tool': '- 13' }), [a, b])
      expect([a, b].flatMap(({ folder }) => folder.status().problems)).toEqual([])
    } finally {
      await a.close()
      await b.close()
    }
  })
})

async function bits({ root }: Device): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const name of ['text', 'tool', 'new', 'renamed tool']) {
    const stat = await lstat(join(root, name)).catch(() => undefined)
    if (stat !== undefined) found[name] = `${(stat.mode & 0o100) === 0 ? '-' : 'x'} ${stat.size}`
  }
  return found
}

const untilHas = (device: Device, names: readonly string[]): Promise<void> =>
  until(async () => {
    const found = await bits(device)
    return names.every((name) => found[name] !== undefined) && device.folder.status().state === 'in-sync'
  }, [device])

test('a disk that has them says so, once our folder is there', async () => {
  const device = await createDevice(newSpaceId(createSystemRandom()))
  await writeFile(join(device.root, 'file'), 'x')
  await converged([device])
  expect(createNodeFilesystem(device.root).holdsModes).toBe(true)
  await device.close()
})
