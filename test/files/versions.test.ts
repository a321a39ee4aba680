/** What is kept of old bytes: why, for how long, and how much; over a disk in memory. */
import { describe, expect, test } from 'vitest'
import { SkeinError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createVersions, versionsFolder } from '../../src/files/versions.ts'

const dayMs = 86_400_000
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function setUp(): { readonly clock: ReturnType<typeof createVirtualClock>; readonly filesystem: Filesystem } {
  const clock = createVirtualClock(Date.UTC(2026, 0, 15, 12))
  return { clock, filesystem: createMemoryFilesystem() }
}

describe('kept versions', () => {
  test('say where they stood, when, why and what replaced them', async () => {
    const { clock, filesystem } = setUp()
    const versions = createVersions(filesystem, clock, createSystemRandom())
    await filesystem.createSmall('a', bytes('one'), { mode: 0o644, mtimeNs: 5_000_000n })
    const about = { cause: 'replaced', nodeId: 'n', version: 'v', by: 'w' } as const
    await versions.keepLink('a', hashOf(bytes('one')), about)
    clock.advance(1_000)
    await versions.keepBytes('dir/b', bytes('two'), {
      hash: hashOf(bytes('two')),
      about: { cause: 'merged' },
    })
    const [first, second] = await versions.list()
    expect(first).toMatchObject({
      ...about,
      path: 'a',
      sizeBytes: 3,
      kind: 'file',
      hash: hashOf(bytes('one')),
    })
    expect(second).toMatchObject({ cause: 'merged', path: 'dir/b' })
    expect((second?.keptAtMs ?? 0) - (first?.keptAtMs ?? 0)).toBe(1_000)
    expect((await versions.list('dir')).map(({ path }) => path)).toEqual(['dir/b'])
    expect(await versions.list('di')).toEqual([])
  })

  test('of earlier runs, and with what somebody else wrote beside them, are still found', async () => {
    const { clock, filesystem } = setUp()
    const versions = createVersions(filesystem, clock, createSystemRandom())
    for (const folder of ['.skein', versionsFolder, `${versionsFolder}/2026-01-10`])
      await filesystem.makeDirectory(folder)
    const kept = `${versionsFolder}/2026-01-10/a~0123456789ab~${hashOf(bytes('x'))}`
    const broken = `${versionsFolder}/2026-01-10/b~0123456789ac~`
    const file = { mode: 0o600, mtimeNs: 1n }
    await filesystem.createSmall(kept, bytes('x'), file)
    await filesystem.createSmall(`${kept}.where`, bytes('dir/a'), file)
    await filesystem.createSmall(broken, bytes('y'), file)
    await filesystem.createSmall(`${broken}.where`, bytes('b\0{"cause":7,"atMs":"now","nodeId":[]}'), file)
    expect(await versions.list()).toMatchObject([
      { path: 'dir/a', cause: 'replaced', keptAtMs: Date.UTC(2026, 0, 10), hash: hashOf(bytes('x')) },
      { path: 'b', cause: 'replaced', hash: undefined, nodeId: undefined },
    ])
  })

  test('go after their days, and the oldest when there are too many bytes, but none of the last day', async () => {
    const { clock, filesystem } = setUp()
    /** Reports every kept file as a third of what may be kept. */
    const large = limits.versionBytes / 3 + 1
    const inflated: Filesystem = {
      ...filesystem,
      async lstat(path) {
        const stat = await filesystem.lstat(path)
        return stat && { ...stat, size: isKept(path) ? large : stat.size }
      },
      async readDirectory(path) {
        const entries = await filesystem.readDirectory(path)
        return entries.map(({ name, stat }) => ({
          name,
          stat: stat && { ...stat, size: isKept(`${path}/${name}`) ? large : stat.size },
        }))
      },
    }
    const versions = createVersions(inflated, clock, createSystemRandom())
    const keep = (path: string): Promise<void> =>
      versions.keepBytes(path, bytes(path), { hash: hashOf(bytes(path)), about: { cause: 'deleted' } })
    const paths = async (): Promise<readonly string[]> => (await versions.list()).map(({ path }) => path)
    await keep('old')
    clock.advance((limits.versionDays + 1) * dayMs)
    for (let day = 0; day < limits.versionGraceDays; day++) {
      await versions.expire()
      clock.advance(dayMs)
    }
    expect(await paths()).toEqual(['old'])
    await versions.expire()
    expect(await paths()).toEqual([])
    for (const path of ['1', '2', '3']) {
      await keep(path)
      clock.advance(dayMs)
    }
    await versions.expire()
    expect(await paths()).toEqual(['2', '3'])
    clock.advance(dayMs)
    for (const path of ['4', '5', '6', '7']) await keep(path)
    await versions.expire()
    expect((await paths()).toSorted()).toEqual(['4', '5', '6', '7'])
  })

  test('outlive a clock that jumps, however often it does within a day, and in whatever run', async () => {
    const { clock, filesystem } = setUp()
    const keep = { hash: hashOf(bytes('one')), about: { cause: 'deleted' } } as const
    let versions = createVersions(filesystem, clock, createSystemRandom())
    const count = async (): Promise<number> => (await versions.list()).length
    await versions.keepBytes('a', bytes('one'), keep)
    const yearMs = 365 * dayMs
    for (let jump = 0; jump < 20; jump++) {
      clock.jumpWall(yearMs)
      await versions.expire()
      clock.advance(3_600_000)
      await versions.expire()
    }
    expect(await count()).toBe(1)
    // Right again: what was counted is forgotten
    clock.jumpWall(-20 * yearMs)
    await versions.expire()
    expect(await count()).toBe(1)
    clock.advance(dayMs)
    clock.jumpWall(yearMs)
    for (let day = 0; day < limits.versionGraceDays; day++) {
      await versions.expire()
      clock.advance(dayMs)
      // A run each day counts like one long run
      versions = createVersions(filesystem, clock, createSystemRandom())
      expect(await count()).toBe(1)
    }
    await versions.expire()
    expect(await count()).toBe(0)
  })

  test('go after their days also on a disk too full to write that down', async () => {
    const { clock, filesystem } = setUp()
    const full: Filesystem = {
      ...filesystem,
      open: (path, mode) =>
        path.endsWith('/due')
          ? Promise.reject(new SkeinError('disk.full', 'no room'))
          : filesystem.open(path, mode),
    }
    const versions = createVersions(full, clock, createSystemRandom())
    await versions.keepBytes('a', bytes('one'), {
      hash: hashOf(bytes('one')),
      about: { cause: 'deleted' },
    })
    clock.advance((limits.versionDays + 1) * dayMs)
    for (let day = 0; day <= limits.versionGraceDays; day++) {
      expect((await versions.list()).length).toBe(1)
      await versions.expire()
      clock.advance(dayMs)
    }
    expect(await versions.list()).toEqual([])
  })
})

const isKept = (path: string): boolean =>
  path.startsWith(`${versionsFolder}/`) && path.split('/').length === 4 && !path.endsWith('.where')
