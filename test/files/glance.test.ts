import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { addEntry, emptyDigest, textOfStat } from '../../src/files/directory-digest.ts'
import type { FileStat, Filesystem } from '../../src/files/filesystem.ts'
import { converged, createPair, picture, until } from '../support/two-folders.ts'

/** Notes which directories the folder itself looks into; what a thread walks through is not among them. */
function watchReads(): { readonly read: Set<string>; wrap(this: void, inner: Filesystem): Filesystem } {
  const read = new Set<string>()
  return {
    read,
    wrap: (inner) =>
      Object.assign(Object.create(inner) as Filesystem, {
        // because: all but this one method is the folder's own disk
        readDirectory: (path: string) => {
          if (!path.startsWith('.skein')) read.add(path)
          return inner.readDirectory(path)
        },
      }),
  }
}

async function fill(root: string): Promise<void> {
  for (let index = 0; index < 8; index++) {
    await mkdir(join(root, `d${index}/in`), { recursive: true })
    await writeFile(join(root, `d${index}/file`), `file ${index}`)
    await writeFile(join(root, `d${index}/in/file`), `inner ${index}`)
  }
}

describe('a folder that was stopped at rest', () => {
  test('looks into the directories that changed while it was off, and into no other', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await fill(a.root)
    await converged([a, b])
    await a.stop()
    await writeFile(join(a.root, 'd3/file'), 'changed while off')
    await writeFile(join(a.root, 'd5/in/new'), 'made while off')
    await rm(join(a.root, 'd6/file'))
    await rename(join(a.root, 'd7/in'), join(a.root, 'd2/moved'))
    const { read, wrap } = watchReads()
    await a.restart(wrap)
    const after = await converged([a, b])
    expect(after).toMatchObject({ 'd3/file': 'changed while off', 'd5/in/new': 'made while off' })
    expect(after).toMatchObject({ 'd2/moved/file': 'inner 7' })
    expect(after).not.toHaveProperty('d6/file')
    expect([...read].sort()).toEqual(['d2', 'd2/moved', 'd3', 'd5/in', 'd6', 'd7'])
  })

  test('puts on its disk what others changed while it was off', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await fill(a.root)
    await converged([a, b])
    await a.stop()
    await writeFile(join(b.root, 'd1/file'), 'of b')
    await rm(join(b.root, 'd4'), { recursive: true })
    await rename(join(b.root, 'd0'), join(b.root, 'other'))
    await until(() => b.folder.status().state === 'in-sync' && b.folder.status().files === 14, [b])
    const { read, wrap } = watchReads()
    await a.restart(wrap)
    const after = await converged([a, b])
    expect(after).toEqual(await picture(b.root))
    expect(after).toMatchObject({ 'd1/file': 'of b', 'other/in/file': 'inner 0' })
    expect([...read].filter((path) => /^d[2356]/.test(path))).toEqual([])
  })

  test('that was cut off before it had put them there, does so when it opens again', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await fill(a.root)
    await converged([a, b])
    a.folder.pause()
    await writeFile(join(b.root, 'd1/file'), 'of b')
    await until(() => b.folder.status().state === 'in-sync', [b])
    // Twice: what was never put on the disk is noted all the while
    await a.restart()
    a.folder.pause()
    await a.restart()
    expect(await converged([a, b])).toMatchObject({ 'd1/file': 'of b' })
  })

  test('compares everything when the rules of what is left out are others', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await fill(a.root)
    await converged([a, b])
    await a.stop()
    await writeFile(join(a.root, '.skeinignore'), 'd1/\n')
    await writeFile(join(a.root, 'd1/file'), 'not for others')
    await writeFile(join(a.root, 'd2/file'), 'for others')
    await a.restart()
    await until(async () => (await picture(b.root))['d2/file'] === 'for others', [a, b])
    expect((await picture(b.root))['d1/file']).toBe('file 1')
  })
})

describe('equal trees on two devices', () => {
  test('that open them at once are recorded by one of them', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await Promise.all([a.stop(), b.stop()])
    await fill(a.root)
    await cp(a.root, b.root, { recursive: true, filter: (path) => !path.includes('.skein') })
    await writeFile(join(b.root, 'only b'), 'only b')
    await Promise.all([a.restart(), b.restart()])
    expect(await converged([a, b])).toMatchObject({ 'only b': 'only b', 'd7/in/file': 'inner 7' })
    const writers = new Set<string>()
    for await (const entry of a.space.walk()) {
      expect(entry.nodes).toHaveLength(1)
      if (entry.name !== 'only b') writers.add(entry.data.stamp.writer)
    }
    expect(writers.size).toBe(1)
  })
})

test('a digest tells every change of an entry, and no order', () => {
  const stat: FileStat = {
    kind: 'file',
    dev: 1n,
    ino: 2n,
    size: 3,
    mtimeNs: 4n,
    ctimeNs: 5n,
    mode: 0o644,
  } as FileStat // because: what else stands in a stat is of no account here
  const of = (...entries: readonly (readonly [string, FileStat])[]): string => {
    const digest = emptyDigest()
    for (const [name, one] of entries) addEntry(digest, textOfStat(name, one))
    return JSON.stringify(digest)
  }
  const all = [
    of(['a', stat]),
    of(['b', stat]),
    of(),
    of(['a', stat], ['b', stat]),
    of(['a', stat], ['a', stat]),
    ...(['dev', 'ino', 'mtimeNs', 'ctimeNs'] as const).map((key) => of(['a', { ...stat, [key]: 9n }])),
    of(['a', { ...stat, size: 9 }]),
    of(['a', { ...stat, kind: 'directory' }]),
    of(['a', { ...stat, kind: 'symlink' }]),
    of(['a', { ...stat, kind: 'other' }]),
  ]
  expect(new Set(all).size).toBe(all.length)
  expect(of(['a', stat], ['b', stat])).toBe(of(['b', stat], ['a', stat]))
})
