/** Kept bytes are spread over folders of bounded size, in the order they were kept. */
import { expect, test } from 'vitest'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createVersionFolders, dayIn } from '../../src/files/version-folders.ts'
import { createVersions, versionsFolder } from '../../src/files/versions.ts'

const day = '2023-11-14'

test('a folder is full at 2,048; the next one of the day follows, also after a restart, and a day begins a new one', async () => {
  const filesystem = createMemoryFilesystem()
  const clock = createVirtualClock()
  const random = createSeededRandom(1)
  const keep = async (count: number): Promise<void> => {
    const versions = createVersions(filesystem, clock, random)
    for (let index = 0; index < count; index++) {
      const bytes = Uint8Array.of(index & 255, index >> 8)
      await versions.keepBytes(`f${index}`, bytes, { hash: hashOf(bytes), about: { cause: 'replaced' } })
    }
  }
  const sizes = async (): Promise<readonly (readonly [string, number])[]> =>
    await Promise.all(
      (await createVersionFolders(filesystem, versionsFolder).all()).map(
        async (name) =>
          [name, (await filesystem.readDirectory(`${versionsFolder}/${name}`)).length / 2] as const,
      ),
    )
  await keep(2_000)
  await keep(100)
  expect(await sizes()).toEqual([
    [day, 2_048],
    [`${day}.1`, 52],
  ])
  await keep(5)
  expect(await sizes()).toContainEqual([`${day}.1`, 57])
  clock.jumpWall(86_400_000)
  await keep(1)
  const all = await createVersionFolders(filesystem, versionsFolder).all()
  expect(all).toEqual([day, `${day}.1`, '2023-11-15'])
  expect(all.map(dayIn)).toEqual([day, day, '2023-11-15'])
  const listed = await createVersions(filesystem, clock, random).list()
  expect(listed).toHaveLength(2_106)
  expect(new Set(listed.map((version) => version.day))).toEqual(new Set([day, '2023-11-15']))
  expect(await createVersions(filesystem, clock, random).find(hashOf(Uint8Array.of(99, 0)))).toHaveLength(2)
})

test('folders of a day stand in the order of their numbers, and what is no day is no trouble', async () => {
  const filesystem = createMemoryFilesystem()
  for (const name of ['.skein', '.skein/versions']) await filesystem.makeDirectory(name)
  for (const name of [`${day}.10`, `${day}.2`, day, '2023-11-13.7', 'odd']) {
    await filesystem.makeDirectory(`${versionsFolder}/${name}`)
  }
  const folders = createVersionFolders(filesystem, versionsFolder)
  expect(await folders.all()).toEqual(['2023-11-13.7', day, `${day}.2`, `${day}.10`, 'odd'])
  expect(await folders.current(Date.UTC(2023, 10, 14))).toBe(`${versionsFolder}/${day}.10`)
})
