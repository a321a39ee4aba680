/** What was put aside from a damaged store is bounded, the newest of it kept, and nothing else touched. */
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openLevelDatabase } from '../../src/crdt/level-database.ts'

test('opening a store keeps the newest eight of what was put aside, and its rows', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-aside-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'db')
  const first = await openLevelDatabase(path)
  await first.batch([{ type: 'put', key: 'a', value: Uint8Array.of(1) }])
  await first.close()
  await mkdir(join(path, 'lost'))
  for (let index = 10; index < 30; index++) {
    for (const name of [`0000${index}.ldb.damaged`, join('lost', `0000${index}.log`)]) {
      await writeFile(join(path, name), 'damaged')
      // The first ones are the newest
      await utimes(join(path, name), 0, 1_700_000_000 - index)
    }
  }
  const again = await openLevelDatabase(path)
  expect((await again.getMany(['a'])).map((value) => value?.[0])).toEqual([1])
  await again.close()
  const newest = [10, 11, 12, 13, 14, 15, 16, 17]
  const damaged = (await readdir(path)).filter((name) => name.endsWith('.damaged'))
  expect(damaged.sort()).toEqual(newest.map((index) => `0000${index}.ldb.damaged`))
  expect((await readdir(join(path, 'lost'))).sort()).toEqual(newest.map((index) => `0000${index}.log`))
})
