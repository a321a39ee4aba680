/** Modification times that few have thought of: before 1970, far ahead, to the nanosecond, and of no disk but this one. */
import { execFile } from 'node:child_process'
import { appendFile, chmod, lstat, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { newSpaceId } from '../../src/base/ids.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { describeWith } from '../support/needs.ts'
import { converged, createDevice, createPair, linkDevices, picture, until } from '../support/two-folders.ts'

const run = promisify(execFile)
const mtimeOf = async (path: string): Promise<bigint> => (await lstat(path, { bigint: true })).mtimeNs
const second = 1_000_000_000n

/** In nanoseconds since 1970; coreutils set them exactly. */
const times = {
  'a moment before': -1_500_000_700n,
  'in 1906': -2_000_000_000n * second,
  'at 0': 0n,
  'to the nanosecond': 1_700_000_000_123_456_789n,
  'in 2242': 2n ** 33n * second + 7n,
} as const

test('come over to about a microsecond, are kept exactly in the document, and are no edit on either side', async () => {
  await using pair = await createPair()
  const { a, b } = pair
  const outside = await mkdtemp(join(tmpdir(), 'skein-times-'))
  onTestFinished(() => rm(outside, { recursive: true, force: true }))
  for (const [name, ns] of Object.entries(times)) {
    // Outside first: between the writing and the setting of the time nobody looks
    const path = join(outside, name)
    await writeFile(path, name)
    const size = ns < 0n ? -ns : ns
    const text = `${ns < 0n ? '-' : ''}${size / second}.${String(size % second).padStart(9, '0')}`
    await run('touch', ['-d', `@${text}`, path])
    await rename(path, join(a.root, name))
    expect(await mtimeOf(join(a.root, name))).toBe(ns)
  }
  await converged([a, b])
  const entries = async (): Promise<string> => {
    const found: string[] = []
    for await (const { path, data } of b.space.walk())
      found.push(`${path} ${data.mtimeNs} ${[...data.versions].join()}`)
    return found.sort().join('\n')
  }
  const before = await entries()
  for (const [name, ns] of Object.entries(times)) {
    const differenceNs = (await mtimeOf(join(b.root, name))) - ns
    expect(differenceNs > -2_000n && differenceNs < 2_000n, `${name}: ${differenceNs}`).toBe(true)
    expect((await b.space.lookup(name))?.data.mtimeNs, name).toBe(ns)
  }
  await a.restart()
  await b.restart()
  await converged([a, b])
  expect(await entries()).toBe(before)
  // ... and is none when something else changes over there
  await chmod(join(b.root, 'in 1906'), 0o755)
  await until(async () => (await picture(a.root))['in 1906'] === '*in 1906', [a, b], 30_000)
  expect(await mtimeOf(join(a.root, 'in 1906'))).toBe(times['in 1906'])
})

describeWith(['ram'], 'a time that no record holds', () => {
  test('is the last one that it does, and no edit', async () => {
    const place = await mkdtemp(join(tmpdir(), 'skein-tmpfs-'))
    await run('mount', ['-t', 'tmpfs', 'none', place])
    const space = newSpaceId(createSystemRandom())
    const a = await createDevice(space, {}, undefined, place)
    const b = await createDevice(space)
    try {
      await writeFile(join(a.root, 'file'), 'from the year 9999')
      await run('touch', ['-d', '9999-12-31', join(a.root, 'file')])
      await linkDevices(a, b)
      expect(await converged([a, b])).toEqual({ file: 'from the year 9999' })
      expect(a.folder.status().problems).toEqual([])
      await appendFile(join(b.root, 'file'), ', edited')
      await until(async () => (await picture(a.root))['file']?.endsWith('edited') === true, [a, b], 30_000)
      expect(Object.keys(await converged([a, b]))).toEqual(['file'])
    } finally {
      await a.close()
      await b.close()
      await run('umount', ['-l', place])
      await rm(place, { recursive: true })
    }
  })
})
