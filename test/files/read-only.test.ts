/** Folders that only receive, beside whole ones: real disks, real documents. */
import { mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isBlobHash } from '../../src/blobs/hash.ts'
import { wholeRules } from '../../src/files/folder-part.ts'
import { converged, createPair, type Pair, picture, until } from '../support/two-folders.ts'
import { names, rests, shows, tells } from '../support/part-folders.ts'

const readOnly = { isReadOnly: true, selection: { only: [], except: [] } }
async function readOnlyPair(): Promise<Pair> {
  const pair = await createPair()
  pair.b.rules = readOnly
  await pair.b.restart()
  return pair
}

describe('a folder that only receives', () => {
  test('takes what others do, and sends nothing of what is done here', async () => {
    await using pair = await readOnlyPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'dir/sub'), { recursive: true })
    await writeFile(join(a.root, 'dir/sub/file'), 'one')
    await writeFile(join(a.root, 'gone'), 'two')
    await writeFile(join(a.root, 'moved'), 'three')
    await converged([a, b])
    const before = await names(a)
    await writeFile(join(b.root, 'dir/sub/file'), 'one, by b')
    await unlink(join(b.root, 'gone'))
    await rename(join(b.root, 'moved'), join(b.root, 'moved away'))
    await mkdir(join(b.root, 'new/deep'), { recursive: true })
    await writeFile(join(b.root, 'new/deep/file'), 'four')
    const changes = [
      'edited dir/sub/file',
      'deleted gone',
      'deleted moved',
      'added moved away',
      'added new',
      'added new/deep',
      'added new/deep/file',
    ]
    await tells(b, changes)
    expect(b.folder.status().localChanges).toBe(7)
    // Others go on, and none of it reaches them
    await writeFile(join(a.root, 'more'), 'five')
    await until(async () => (await picture(b.root))['more'] === 'five', [a, b])
    expect(await names(a)).toEqual([...before, 'more'].sort())
    expect((await picture(a.root))['dir/sub/file']).toBe('one')
    // It is known again after a restart
    await b.restart()
    await tells(b, changes)
    expect(await names(a)).toEqual([...before, 'more'].sort())
  })

  test('serves what it had from others under the name that it has here', async () => {
    await using pair = await readOnlyPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'file'), 'bytes that only b has left\0')
    await converged([a, b])
    const { hash } = (await a.space.lookup('file'))?.data ?? {}
    if (hash === undefined || !isBlobHash(hash)) throw new Error('it has a content')
    await rename(join(b.root, 'file'), join(b.root, 'mine'))
    await tells(b, ['deleted file', 'added mine'])
    await using blob = await b.folder.openBlob(hash)
    expect(blob?.sizeBytes).toBe(27)
    await writeFile(join(b.root, 'mine'), 'other bytes')
    expect(await b.folder.openBlob(hash)).toBeUndefined()
  })

  test('puts everything back when asked, the bytes into versions', async () => {
    await using pair = await readOnlyPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'dir/sub'), { recursive: true })
    await writeFile(join(a.root, 'dir/sub/file'), 'one')
    await writeFile(join(a.root, 'gone'), 'two')
    await mkdir(join(a.root, 'gone too'))
    await writeFile(join(a.root, 'gone too/inner'), 'inner')
    const all = await converged([a, b])
    await writeFile(join(b.root, 'dir/sub/file'), 'one, by b')
    await unlink(join(b.root, 'gone'))
    await rm(join(b.root, 'gone too'), { recursive: true })
    await mkdir(join(b.root, 'new/deep'), { recursive: true })
    await writeFile(join(b.root, 'new/deep/file'), 'four')
    await tells(b, [
      'edited dir/sub/file',
      'deleted gone',
      'deleted gone too',
      'deleted gone too/inner',
      'added new',
      'added new/deep',
      'added new/deep/file',
    ])
    // A part of it first
    const asked = b.folder.part.reverting.ask(['gone too/inner'])
    b.folder.rescan()
    expect((await asked).map(({ path }) => path)).toEqual(['gone too/inner'])
    await until(async () => (await picture(b.root))['gone too/inner'] === 'inner', [b])
    await tells(b, [
      'edited dir/sub/file',
      'deleted gone',
      'added new',
      'added new/deep',
      'added new/deep/file',
    ])
    const rest = b.folder.part.reverting.ask([''])
    b.folder.rescan()
    expect((await rest).length).toBe(5)
    expect(await converged([a, b])).toEqual(all)
    await tells(b, [])
    const kept = await b.folder.versions.list()
    expect(kept.map(({ path, cause, hash }) => `${path} ${cause} ${hash !== undefined}`).sort()).toEqual([
      'dir/sub/file local true',
      'new/deep/file local true',
    ])
  })

  test('what others change wins over what was changed here; these bytes go to versions', async () => {
    await using pair = await readOnlyPair()
    const { a, b } = pair
    for (const name of ['edited', 'moved', 'removed', 'deleted'])
      await writeFile(join(a.root, name), `${name}, first`)
    await converged([a, b])
    await pair.link.cut()
    for (const name of ['edited', 'moved', 'removed']) await writeFile(join(b.root, name), `${name}, by b`)
    await unlink(join(b.root, 'deleted'))
    await writeFile(join(b.root, 'both'), 'both, by b')
    await tells(b, ['added both', 'deleted deleted', 'edited edited', 'edited moved', 'edited removed'])
    await writeFile(join(a.root, 'edited'), 'edited, by a')
    await writeFile(join(a.root, 'deleted'), 'deleted, by a')
    await writeFile(join(a.root, 'both'), 'both, by a')
    await rename(join(a.root, 'moved'), join(a.root, 'moved on'))
    await unlink(join(a.root, 'removed'))
    await rests(a)
    await pair.link.heal()
    await shows(b, {
      both: 'both, by a',
      deleted: 'deleted, by a',
      edited: 'edited, by a',
      // Nothing of the document stands at these names any more: what was made here stays
      moved: 'moved, by b',
      'moved on': 'moved, first',
      removed: 'removed, by b',
    })
    await tells(b, ['added moved', 'added removed'])
    const kept = await b.folder.versions.list()
    const contents = await Promise.all(kept.map(({ kept: path }) => readFile(join(b.root, path), 'utf8')))
    expect(contents.filter((content) => content.endsWith('by b')).sort()).toEqual([
      'both, by b',
      'edited, by b',
    ])
    expect((await picture(a.root))['moved']).toBeUndefined()
  })

  test('a directory made here and one of the document become one; inside it each keeps its own', async () => {
    await using pair = await readOnlyPair()
    const { a, b } = pair
    await mkdir(join(b.root, 'dir'))
    await writeFile(join(b.root, 'dir/mine'), 'mine')
    await tells(b, ['added dir', 'added dir/mine'])
    await mkdir(join(a.root, 'dir'))
    await writeFile(join(a.root, 'dir/theirs'), 'theirs')
    await shows(b, { 'dir/': 'dir', 'dir/mine': 'mine', 'dir/theirs': 'theirs' })
    await tells(b, ['added dir/mine'])
    expect(await names(a)).toEqual(['dir', 'dir/theirs'])
    // A file of the document where a directory with a person's files stands waits, and says why
    await mkdir(join(b.root, 'busy'))
    await writeFile(join(b.root, 'busy/inner'), 'inner')
    await tells(b, ['added busy', 'added busy/inner', 'added dir/mine'])
    await writeFile(join(a.root, 'busy'), 'a file')
    await until(() => b.folder.status().problems.some(({ path }) => path === 'busy'), [b])
    expect((await picture(b.root))['busy/inner']).toBe('inner')
    const reverted = b.folder.part.reverting.ask(['busy'])
    b.folder.rescan()
    await reverted
    await until(async () => (await picture(b.root))['busy'] === 'a file', [b])
    await until(() => b.folder.status().problems.length === 0, [b])
  })

  test('is whole again when it is told so: what was changed here is sent then', async () => {
    await using pair = await readOnlyPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'one'), '1')
    await writeFile(join(a.root, 'two'), '2')
    await converged([a, b])
    await writeFile(join(b.root, 'one'), '1, by b')
    await unlink(join(b.root, 'two'))
    await writeFile(join(b.root, 'three'), '3')
    await tells(b, ['edited one', 'added three', 'deleted two'])
    b.rules = wholeRules
    await b.restart()
    expect(await converged([a, b])).toEqual({ one: '1, by b', three: '3' })
  })
})
