/** Directories of one name that were made apart: one node stands for both, and the rows of the other follow to it. */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { converged, createPair, type Device, until } from '../support/two-folders.ts'

/** Index paths of the rows that no directory leads to. */
async function unreachable({ space }: Device): Promise<readonly string[]> {
  const all = new Set<string>()
  for await (const row of space.index.iterate()) if (row.path !== '-/root') all.add(row.path)
  const walk = async (directory: string): Promise<void> => {
    for (const row of await space.index.children(directory)) {
      all.delete(row.path)
      if (row.kind === 'dir') await walk(row.nodeId)
    }
  }
  await walk(rootNodeId)
  return [...all]
}

describe('a directory that two devices made apart', () => {
  test('takes along all that is found in it in the moment the two become one', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await link.cut()
    for (const device of [a, b]) {
      await mkdir(join(device.root, 'x/sub'), { recursive: true })
      await writeFile(join(device.root, `x/moved ${device.id}`), device.id)
      await until(async () => (await device.space.lookup(`x/moved ${device.id}`)) !== undefined, [device])
      await until(() => device.folder.status().state === 'in-sync', [device])
      device.folder.pause()
    }
    await link.heal()
    // Whichever of the two gives way: it finds these in the pass in which it does
    for (const { root, id } of [a, b]) {
      await mkdir(join(root, `x/new ${id}/inner`), { recursive: true })
      await writeFile(join(root, `x/new ${id}/inner/file`), id)
      await writeFile(join(root, `x/sub/${id}`), id)
      await rename(join(root, `x/moved ${id}`), join(root, `x/new ${id}/moved`))
    }
    for (const { folder } of [a, b]) folder.resume()
    const expected = Object.fromEntries(
      [a, b].flatMap(({ id }) => [
        [`x/new ${id}/`, 'dir'],
        [`x/new ${id}/inner/`, 'dir'],
        [`x/new ${id}/inner/file`, id],
        [`x/new ${id}/moved`, id],
        [`x/sub/${id}`, id],
      ]),
    )
    expect(await converged([a, b])).toEqual({ 'x/': 'dir', 'x/sub/': 'dir', ...expected })
    for (const device of [a, b]) expect(await unreachable(device)).toEqual([])
  })

  // Which of the two nodes stands for both is up to their ids
  test.each([1, 2, 3, 4])(
    'and one of them under another name first, is one directory on both (%i)',
    async () => {
      await using pair = await createPair()
      const { a, b, link } = pair
      await mkdir(join(a.root, 'old/sub'), { recursive: true })
      await writeFile(join(a.root, 'old/f'), 'f')
      await writeFile(join(a.root, 'old/sub/h'), 'h')
      await converged([a, b])
      await link.cut()
      await mkdir(join(a.root, 'new'))
      await writeFile(join(a.root, 'new/g'), 'g')
      await rename(join(b.root, 'old'), join(b.root, 'new'))
      await until(async () => (await a.space.lookup('new/g')) !== undefined, [a])
      await until(async () => (await b.space.lookup('new/f')) !== undefined, [b])
      await link.heal()
      expect(await converged([a, b])).toEqual({
        'new/': 'dir',
        'new/f': 'f',
        'new/g': 'g',
        'new/sub/': 'dir',
        'new/sub/h': 'h',
      })
      for (const device of [a, b]) {
        expect(await unreachable(device)).toEqual([])
        expect(await device.folder.versions.list()).toEqual([])
      }
      // The watches are where the directories are
      await writeFile(join(a.root, 'new/sub/later'), 'later')
      await until(async () => (await b.space.lookup('new/sub/later')) !== undefined, [a, b])
    },
  )

  test('stays whole where it came to stand under the name of one that others renamed to it', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'old/sub'), { recursive: true })
    await writeFile(join(a.root, 'old/sub/h'), 'h')
    await converged([a, b])
    a.folder.pause()
    await rename(join(b.root, 'old'), join(b.root, 'new'))
    await until(async () => (await a.space.lookup('new/sub/h')) !== undefined, [a, b])
    // Neither of these is known here when the news is looked at
    await mkdir(join(a.root, 'new/inner'), { recursive: true })
    await writeFile(join(a.root, 'new/inner/g'), 'g')
    await writeFile(join(a.root, 'old/unseen'), 'u')
    a.folder.resume()
    expect(await converged([a, b])).toEqual({
      'new/': 'dir',
      'new/inner/': 'dir',
      'new/inner/g': 'g',
      'new/sub/': 'dir',
      'new/sub/h': 'h',
      'new/unseen': 'u',
    })
    for (const device of [a, b]) expect(await unreachable(device)).toEqual([])
  })
})
