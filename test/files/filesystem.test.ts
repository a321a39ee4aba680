import { mkdtemp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'
import { readText, testFilesystem, writeText } from '../contract/filesystem.ts'

testFilesystem('node', async () => {
  const root = await mkdtemp(join(tmpdir(), 'skein-fs-'))
  return { filesystem: createNodeFilesystem(root), teardown: () => rm(root, { recursive: true }) }
})
testFilesystem('memory', () =>
  Promise.resolve({ filesystem: createMemoryFilesystem(), teardown: () => Promise.resolve() }),
)
testFilesystem('memory, case-insensitive', () =>
  Promise.resolve({
    filesystem: createMemoryFilesystem({ caseInsensitive: true }),
    teardown: () => Promise.resolve(),
  }),
)

describe('node filesystem', () => {
  test('a directory swapped for a symlink while writing never leads outside', async () => {
    const base = await mkdtemp(join(tmpdir(), 'skein-fs-'))
    const root = join(base, 'root')
    const outside = join(base, 'outside')
    await mkdir(join(root, 'dir'), { recursive: true })
    await mkdir(outside)
    await symlink(outside, join(root, 'evil'))
    const disk = createNodeFilesystem(root)
    let stop = false
    const attacker = (async () => {
      while (!stop) {
        await rename(join(root, 'dir'), join(root, 'parked')).catch(() => undefined)
        await rename(join(root, 'evil'), join(root, 'dir')).catch(() => undefined)
        await rename(join(root, 'dir'), join(root, 'evil')).catch(() => undefined)
        await rename(join(root, 'parked'), join(root, 'dir')).catch(() => undefined)
      }
    })()
    let written = 0
    for (let round = 0; round < 1500; round++) {
      await disk.open(`dir/file${round}`, 'create').then(
        (file) => file.close().then(() => written++),
        () => undefined,
      )
      if (round % 5 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    stop = true
    await attacker
    expect(written).toBeGreaterThan(0)
    expect(await createNodeFilesystem(outside).readDirectory('')).toEqual([])
    await rm(base, { recursive: true })
  })

  test('another directory in place of the root is never written to', async () => {
    const base = await mkdtemp(join(tmpdir(), 'skein-fs-'))
    const root = join(base, 'root')
    await mkdir(root)
    const disk = createNodeFilesystem(root)
    await writeText(disk, 'file', 'x')
    await rename(root, join(base, 'away'))
    await expect(disk.lstat('file')).rejects.toMatchObject({ code: 'folder.missing' })
    await mkdir(root)
    await expect(disk.open('new', 'create')).rejects.toMatchObject({ code: 'folder.missing' })
    await rm(base, { recursive: true })
  })

  test('names that are not UTF-8 are listed as unreadable, and U+FFFD itself is a fine name', async () => {
    const root = await mkdtemp(join(tmpdir(), 'skein-fs-'))
    await writeFile(Buffer.concat([Buffer.from(join(root, 'bad')), Buffer.from([0xff])]), 'x')
    await writeFile(join(root, 'good\ufffd'), 'x')
    const entries = await createNodeFilesystem(root).readDirectory('')
    expect(entries.map((entry) => entry.stat === undefined)).toEqual(
      entries.map((entry) => entry.name === 'badÿ'),
    )
    expect(entries.find((entry) => entry.stat !== undefined)?.name).toBe('good\ufffd')
    await rm(root, { recursive: true })
  })
})

describe('memory filesystem', () => {
  test('folds case, decomposes, rounds times and fills up as asked', async () => {
    const folding = createMemoryFilesystem({ caseInsensitive: true })
    await writeText(folding, 'File', 'one')
    expect(await readText(folding, 'fILE')).toBe('one')
    const decomposing = createMemoryFilesystem({ decomposes: true })
    await writeText(decomposing, 'caf\u00e9', 'x')
    expect((await decomposing.readDirectory(''))[0]?.name).toBe('cafe\u0301')
    const coarse = createMemoryFilesystem({ mtimeStepNs: 1_000_000_000n })
    await writeText(coarse, 'file', 'x')
    expect(((await coarse.lstat('file'))?.mtimeNs ?? 1n) % 1_000_000_000n).toBe(0n)
    const small = createMemoryFilesystem({ capacityBytes: 4 })
    await expect(writeText(small, 'file', 'more than four')).rejects.toMatchObject({ code: 'disk.full' })
  })
})
