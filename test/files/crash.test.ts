import { mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Filesystem } from '../../src/files/filesystem.ts'
import { crashAt, type CrashPoint } from '../support/failing-filesystem.ts'
import { converged, createPair, type Device, picture, until } from '../support/two-folders.ts'

/** Every content that must survive: at its place on a device or in that device's versions. */
async function everythingKept(devices: readonly Device[]): Promise<ReadonlySet<string>> {
  const kept = new Set<string>()
  for (const device of devices) {
    for (const content of Object.values(await picture(device.root))) kept.add(content)
    for (const version of await device.folder.versions.list())
      kept.add(await readFile(join(device.root, version.kept), 'latin1'))
  }
  return kept
}

describe('a device that is killed while it applies changes', () => {
  test('at any step: it comes back to the right tree, nothing torn is ever visible, nothing is lost', async () => {
    let finished = false
    let points = 0
    for (let point = 0; !finished; point += 1) {
      await using pair = await createPair()
      const { a, b } = pair
      await mkdir(join(a.root, 'dir'))
      await writeFile(join(a.root, 'replaced'), 'old bytes')
      await writeFile(join(a.root, 'deleted'), 'deleted bytes')
      await writeFile(join(a.root, 'dir/moved'), 'moved bytes')
      await converged([a, b])
      await b.stop()
      await writeFile(join(a.root, 'replaced'), 'new bytes')
      await unlink(join(a.root, 'deleted'))
      await rename(join(a.root, 'dir'), join(a.root, 'renamed'))
      await writeFile(join(a.root, 'added'), 'added bytes')
      await until(
        async () =>
          (await a.space.lookup('renamed')) !== undefined &&
          (await a.space.lookup('added')) !== undefined &&
          (await a.space.lookup('deleted')) === undefined,
        [a],
      )
      let crash: CrashPoint | undefined
      await b.restart((plain: Filesystem) => {
        crash = crashAt(plain, point)
        return crash.filesystem
      })
      await until(() => crash?.crashed === true || b.folder.status().state === 'in-sync', [a, b])
      const torn = Object.values(await picture(b.root)).filter(
        (content) =>
          !['dir', 'old bytes', 'deleted bytes', 'moved bytes', 'new bytes', 'added bytes'].includes(content),
      )
      expect(torn).toEqual([])
      finished = crash?.crashed !== true
      if (!finished) points++
      await b.restart()
      expect(await converged([a, b])).toEqual({
        added: 'added bytes',
        replaced: 'new bytes',
        'renamed/': 'dir',
        'renamed/moved': 'moved bytes',
      })
      expect([...(await everythingKept([b]))]).toEqual(
        expect.arrayContaining(['old bytes', 'deleted bytes', 'moved bytes', 'new bytes', 'added bytes']),
      )
    }
    expect(points).toBeGreaterThan(12)
  }, 240_000)
})
