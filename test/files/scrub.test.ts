/** Damage that no stat tells of: found, listed, kept away from others, put right from another device. */
import { chmod, lstat, readFile, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { newSpaceId } from '../../src/base/ids.ts'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'
import { createLoopDisk } from '../support/loop-disk.ts'
import { describeWith } from '../support/needs.ts'
import { createDamagingDisk, type DamagingDisk } from '../support/silent-damage.ts'
import {
  converged,
  createDevice,
  type Device,
  type Link,
  linkDevices,
  picture,
  until,
} from '../support/two-folders.ts'

interface Rig extends AsyncDisposable {
  readonly a: Device
  readonly b: Device
  readonly link: Link
  /** The disk of `a`. */
  readonly disk: DamagingDisk
}

async function createRig(): Promise<Rig> {
  const spaceId = newSpaceId(createSystemRandom())
  const a = await createDevice(spaceId)
  const disk = createDamagingDisk(createNodeFilesystem(a.root), a.root)
  await a.restart(() => disk.filesystem)
  const b = await createDevice(spaceId)
  const link = await linkDevices(a, b)
  return {
    a,
    b,
    link,
    disk,
    async [Symbol.asyncDispose]() {
      await a.close()
      await b.close()
    },
  }
}

/** A whole pass at full speed. */
async function scrub(device: Device): Promise<void> {
  const before = device.folder.scrub.status().finishedAtMs ?? 0
  device.folder.scrub.start()
  await until(() => {
    const { state, finishedAtMs = 0 } = device.folder.scrub.status()
    return state === 'idle' && finishedAtMs >= before
  }, [device])
}

const large = randomBytes(5 * 1024 * 1024)
const problemsOf = ({ folder }: Device): readonly string[] => folder.status().problems.map(({ path }) => path)

describe('a file that the disk damaged', () => {
  test('is found though its stat is what it was, put right from another device, and never sent as an edit', async () => {
    await using rig = await createRig()
    const { a, b, disk } = rig
    await writeFile(join(a.root, 'small.txt'), 'the right bytes')
    await writeFile(join(a.root, 'large.bin'), large)
    await writeFile(join(a.root, 'whole.txt'), 'nothing wrong here')
    const before = await converged([a, b])
    const versions = (await a.space.lookup('small.txt'))?.data.versions
    await disk.damage('small.txt', 4)
    await disk.damage('large.bin', 3_000_000)
    // Hints of the disk and a look at everything tell nothing
    a.folder.rescan()
    await until(() => a.folder.status().state === 'in-sync', [a])
    expect((await readFile(join(a.root, 'small.txt'))).toString()).not.toBe('the right bytes')

    await scrub(a)
    expect(a.folder.scrub.status()).toMatchObject({ checkedFiles: 3, found: 2 })
    expect(await converged([a, b])).toEqual(before)
    expect((await readFile(join(a.root, 'large.bin'))).equals(large)).toBe(true)
    expect((await a.space.lookup('small.txt'))?.data.versions).toEqual(versions)
    expect(a.folder.scrub.damage.list()).toEqual([])
    const kept = await a.folder.versions.list()
    expect(kept.map(({ path, cause }) => `${path} ${cause}`).sort()).toEqual([
      'large.bin damaged',
      'small.txt damaged',
    ])
    expect(await b.folder.versions.list()).toEqual([])
    await scrub(a)
    expect(a.folder.scrub.status()).toMatchObject({ checkedFiles: 3, found: 0 })
  })

  test('waits, listed with cause and fix, while no device is within reach; a touch and a restart do not make it an edit', async () => {
    await using rig = await createRig()
    const { a, b, link, disk } = rig
    // Text would be among the kept bases of merges, and come back from there
    await writeFile(join(a.root, 'x'), '\0right')
    await converged([a, b])
    const versions = (await b.space.lookup('x'))?.data.versions
    await link.cut()
    await disk.damage('x', 1)
    await scrub(a)
    await until(() => problemsOf(a).includes('x'), [a])
    expect(
      a.folder
        .status()
        .problems.map(({ cause }) => cause)
        .join(),
    ).toContain('disk or the memory')
    // Another ctime: read again, and known for what it is
    await chmod(join(a.root, 'x'), 0o600)
    a.folder.rescan()
    await until(() => a.folder.status().state === 'waiting', [a])
    await a.restart()
    await until(() => problemsOf(a).includes('x'), [a])
    expect((await a.space.lookup('x'))?.data.versions).toEqual(versions)
    expect((await readFile(join(a.root, 'x'))).toString()).toBe('\0bight')
    await link.heal()
    await until(async () => (await picture(a.root))['x'] === '\0right', [a, b])
    expect(await converged([a, b])).toEqual({ x: '\0right' })
    expect((await b.space.lookup('x'))?.data.versions).toEqual(versions)
    expect(problemsOf(a)).toEqual([])
  })

  test('that a person writes anew, or that others replaced, is not overruled', async () => {
    await using rig = await createRig()
    const { a, b, link, disk } = rig
    await writeFile(join(a.root, 'mine'), '\0 mine')
    await writeFile(join(a.root, 'theirs'), '\0 theirs')
    await converged([a, b])
    await link.cut()
    await disk.damage('mine')
    await disk.damage('theirs')
    await scrub(a)
    await until(() => problemsOf(a).length >= 2, [a])
    await writeFile(join(a.root, 'mine'), 'second, by a person')
    await writeFile(join(b.root, 'theirs'), 'second, elsewhere')
    await until(async () => (await b.space.lookup('theirs'))?.data.sizeBytes === 17, [b])
    await link.heal()
    const now = await converged([a, b])
    expect(now).toEqual({ mine: 'second, by a person', theirs: 'second, elsewhere' })
    expect(a.folder.scrub.damage.list()).toEqual([])
  })
})

test('a file that changes while it is read is no damage', async () => {
  await using rig = await createRig()
  const { a, b } = rig
  await writeFile(join(a.root, 'busy'), large)
  await converged([a, b])
  a.folder.scrub.start()
  for (let index = 0; index < 10; index++) await writeFile(join(a.root, 'busy'), `version ${index}`)
  await until(() => a.folder.scrub.status().state === 'idle', [a])
  expect(await converged([a, b])).toEqual({ busy: 'version 9' })
  expect(a.folder.scrub.status().found).toBe(0)
})

describeWith(['loop'], 'a byte that changes below the file system', () => {
  test('is seen by nobody but scrubbing, which brings the right one back', async () => {
    await using loop = await createLoopDisk(24 * 1024 * 1024)
    const spaceId = newSpaceId(createSystemRandom())
    const a = await createDevice(spaceId, {}, undefined, loop.path)
    const b = await createDevice(spaceId)
    try {
      await linkDevices(a, b)
      const bytes = randomBytes(300_000)
      await writeFile(join(a.root, 'photo'), bytes)
      const before = await converged([a, b])
      const stat = await lstat(join(a.root, 'photo'), { bigint: true })
      await a.stop()
      await loop.damage(bytes.subarray(0, 4_096), 1_234)
      await a.restart()
      await until(() => a.folder.status().state === 'in-sync', [a])
      const { mtimeNs, ctimeNs, ino, size, dev } = await lstat(join(a.root, 'photo'), { bigint: true })
      expect({ mtimeNs, ctimeNs, ino, size, dev }).toEqual({
        mtimeNs: stat.mtimeNs,
        ctimeNs: stat.ctimeNs,
        ino: stat.ino,
        size: stat.size,
        dev: stat.dev,
      })
      expect((await readFile(join(a.root, 'photo'))).equals(bytes)).toBe(false)
      await scrub(a)
      expect(a.folder.scrub.status().found).toBe(1)
      expect(await converged([a, b])).toEqual(before)
      expect((await readFile(join(a.root, 'photo'))).equals(bytes)).toBe(true)
      expect((await a.folder.versions.list()).map(({ cause }) => cause)).toEqual(['damaged'])
    } finally {
      await a.close()
      await b.close()
    }
  })
})
