import {
  appendFile,
  chmod,
  mkdir,
  readdir,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSeededRandom } from '../../src/base/random.ts'
import { converged, createPair, picture, until } from '../support/two-folders.ts'

const random = createSeededRandom(11)

describe('two folders', () => {
  test('a file made on one side appears on the other, nested and binary too', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'hello.txt'), 'hello')
    await mkdir(join(b.root, 'deep/er/est'), { recursive: true })
    await writeFile(join(b.root, 'deep/er/est/binary'), random.bytes(1_500_000))
    await writeFile(join(a.root, 'empty'), '')
    await mkdir(join(a.root, 'nothing in it'))
    const all = await converged([a, b])
    expect(Object.keys(all)).toEqual([
      'deep/',
      'deep/er/',
      'deep/er/est/',
      'deep/er/est/binary',
      'empty',
      'hello.txt',
      'nothing in it/',
    ])
    expect(all['hello.txt']).toBe('hello')
  })

  test('an edit and a delete travel both ways', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'one'), '1')
    await writeFile(join(a.root, 'two'), '2')
    await mkdir(join(a.root, 'dir/sub'), { recursive: true })
    await writeFile(join(a.root, 'dir/sub/file'), 'x')
    await converged([a, b])
    await writeFile(join(b.root, 'one'), 'one, edited on b')
    await unlink(join(b.root, 'two'))
    await until(async () => (await picture(a.root))['one'] === 'one, edited on b', [a, b])
    await rm(join(a.root, 'dir'), { recursive: true })
    expect(await converged([a, b])).toEqual({ one: 'one, edited on b' })
  })

  test('what was replaced or deleted by the other side is kept in versions', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'edited'), 'first')
    await writeFile(join(a.root, 'deleted'), 'gone')
    await converged([a, b])
    await writeFile(join(a.root, 'edited'), 'second')
    await unlink(join(a.root, 'deleted'))
    await converged([a, b])
    const kept = await b.folder.versions.list()
    expect(kept.map((version) => version.path).sort()).toEqual(['deleted', 'edited'])
    const version = kept.find(({ path }) => path === 'deleted')
    expect(version).toBeDefined()
    if (version !== undefined) await b.folder.versions.restore(version, 'deleted')
    expect(await converged([a, b])).toEqual({ deleted: 'gone', edited: 'second' })
  })

  test('a renamed directory moves on the other side without any content travelling', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'old/inner'), { recursive: true })
    for (let index = 0; index < 20; index++)
      await writeFile(join(a.root, `old/inner/file${index}`), `content ${index}`)
    await converged([a, b])
    const inodes = await readdir(join(b.root, 'old/inner'))
    const nodes = (
      await a.space.children((await a.space.lookup('old'))?.nodeId ?? expect.fail('no node'))
    ).map((entry) => entry.nodeId)
    await rename(join(a.root, 'old'), join(a.root, 'new'))
    await until(async () => 'new/inner/file19' in (await picture(b.root)), [a, b])
    const all = await converged([a, b])
    expect(Object.keys(all).filter((path) => path.startsWith('old'))).toEqual([])
    expect(await readdir(join(b.root, 'new/inner'))).toEqual(inodes)
    expect(
      (await a.space.children((await a.space.lookup('new'))?.nodeId ?? expect.fail('no node'))).map(
        (entry) => entry.nodeId,
      ),
    ).toEqual(nodes)
    expect((await b.folder.versions.list()).length).toBe(0)
    // The watches went along
    await writeFile(join(b.root, 'new/inner/later'), 'later')
    await until(async () => (await picture(a.root))['new/inner/later'] === 'later', [a, b])
  })

  test('a renamed file keeps its node, and an edit on the other side follows it', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'draft.txt'), 'text')
    await converged([a, b])
    await link.cut()
    await mkdir(join(a.root, 'papers'))
    await rename(join(a.root, 'draft.txt'), join(a.root, 'papers/final.txt'))
    await writeFile(join(b.root, 'draft.txt'), 'text, edited while apart')
    await until(() => a.folder.status().state === 'in-sync' && b.folder.status().state === 'in-sync', [a, b])
    await new Promise((resolve) => setTimeout(resolve, 300))
    await link.heal()
    expect(await converged([a, b])).toEqual({
      'papers/': 'dir',
      'papers/final.txt': 'text, edited while apart',
    })
  })

  test('names swapped on one side are swapped on the other', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'x'), 'content of x')
    await writeFile(join(a.root, 'y'), 'content of y')
    await converged([a, b])
    await a.stop()
    await rename(join(a.root, 'x'), join(a.root, 'z'))
    await rename(join(a.root, 'y'), join(a.root, 'x'))
    await rename(join(a.root, 'z'), join(a.root, 'y'))
    await a.restart()
    await until(async () => (await picture(b.root))['x'] === 'content of y', [a, b])
    expect(await converged([a, b])).toEqual({ x: 'content of y', y: 'content of x' })
  })

  test('symlinks, the exec bit and the modification time travel; links are never followed', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'tool'), '#!/bin/sh')
    await chmod(join(a.root, 'tool'), 0o755)
    await utimes(join(a.root, 'tool'), 1_600_000_000, 1_600_000_000)
    await symlink('/etc/passwd', join(a.root, 'outside'))
    await symlink('../tool', join(a.root, 'up'))
    expect(await converged([a, b])).toEqual({
      outside: '-> /etc/passwd',
      tool: '*#!/bin/sh',
      up: '-> ../tool',
    })
    await chmod(join(b.root, 'tool'), 0o644)
    await until(async () => (await picture(a.root))['tool'] === '#!/bin/sh', [a, b])
    await rm(join(a.root, 'up'))
    await symlink('tool', join(a.root, 'up'))
    expect((await converged([a, b]))['up']).toBe('-> tool')
    await rm(join(b.root, 'up'))
    await writeFile(join(b.root, 'up'), 'a file now')
    expect((await converged([a, b]))['up']).toBe('a file now')
  })

  test('both edit while apart: the same winner and the same conflict copy on both sides', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'notes.txt'), 'base')
    await converged([a, b])
    await link.cut()
    await writeFile(join(a.root, 'notes.txt'), 'from a')
    await writeFile(join(b.root, 'notes.txt'), 'from b')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await link.heal()
    const all = await converged([a, b])
    expect(Object.values(all).sort()).toEqual(['from a', 'from b'])
    const copy = Object.keys(all).find((name) => name.includes('(conflict '))
    expect(copy).toMatch(/^notes \(conflict [0-9a-z]{6}\)\.txt$/)
    // Resolving is deleting or editing, like any file
    await unlink(join(b.root, copy ?? ''))
    expect(Object.keys(await converged([a, b]))).toEqual(['notes.txt'])
  })

  test('equal files made on both sides become one, without copies or transfer', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await link.cut()
    for (const device of [a, b]) {
      await mkdir(join(device.root, 'dir/sub'), { recursive: true })
      await writeFile(join(device.root, 'dir/same'), 'same')
      await writeFile(join(device.root, 'dir/sub/also'), 'also')
      await writeFile(join(device.root, `dir/only${device === a ? 'A' : 'B'}`), 'own')
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
    await link.heal()
    expect(Object.keys(await converged([a, b]))).toEqual([
      'dir/',
      'dir/onlyA',
      'dir/onlyB',
      'dir/same',
      'dir/sub/',
      'dir/sub/also',
    ])
    await writeFile(join(a.root, 'dir/same'), 'edited after')
    await writeFile(join(b.root, 'dir/sub/also'), 'edited after, too')
    const all = await converged([a, b])
    expect(all['dir/same']).toBe('edited after')
    expect(all['dir/sub/also']).toBe('edited after, too')
  })

  test('deleted here and edited there: the edit wins and keeps its name', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await mkdir(join(a.root, 'dir'))
    await writeFile(join(a.root, 'dir/file'), 'base')
    await writeFile(join(a.root, 'dir/other'), 'other')
    await converged([a, b])
    await link.cut()
    await rm(join(a.root, 'dir'), { recursive: true })
    await writeFile(join(b.root, 'dir/file'), 'edited')
    await new Promise((resolve) => setTimeout(resolve, 500))
    await link.heal()
    expect(await converged([a, b])).toEqual({ 'dir/': 'dir', 'dir/file': 'edited' })
  })

  test('changes made while stopped are found, and a stopped device catches up', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    for (let index = 0; index < 10; index++) await writeFile(join(a.root, `file${index}`), `${index}`)
    await converged([a, b])
    await b.stop()
    await writeFile(join(b.root, 'file0'), 'offline edit')
    await unlink(join(b.root, 'file1'))
    await rename(join(b.root, 'file2'), join(b.root, 'renamed'))
    await writeFile(join(a.root, 'file3'), 'edited meanwhile')
    await new Promise((resolve) => setTimeout(resolve, 200))
    await b.restart()
    await until(async () => (await picture(a.root))['renamed'] === '2', [a, b])
    const all = await converged([a, b])
    expect(all['file0']).toBe('offline edit')
    expect(all['file1']).toBeUndefined()
    expect(all['file2']).toBeUndefined()
    expect(all['file3']).toBe('edited meanwhile')
  })

  test('no echo: once in sync, another look at everything changes and sends nothing', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'dir'))
    for (let index = 0; index < 50; index++) await writeFile(join(a.root, `dir/file${index}`), `${index}`)
    await converged([a, b])
    await new Promise((resolve) => setTimeout(resolve, 300))
    const stored: string[] = []
    for (const device of [a, b])
      device.host.on('stored', ({ changes }) => stored.push(...changes.map((change) => change.name)))
    const rounds = [a, b].map((device) => device.folder.status().rounds)
    a.folder.rescan()
    b.folder.rescan()
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(stored).toEqual([])
    expect([a, b].map((device) => device.folder.status().rounds)).toEqual(rounds)
  })

  test('ignored names stay here, and a deleted directory keeps them', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, '.skeinignore'), 'node_modules/\n*.tmp\n')
    await mkdir(join(a.root, 'project'))
    await writeFile(join(a.root, 'project/main.ts'), 'code')
    await converged([a, b])
    await mkdir(join(b.root, 'project/node_modules'))
    await writeFile(join(b.root, 'project/node_modules/big'), 'big')
    await writeFile(join(b.root, 'project/x.tmp'), 'tmp')
    await writeFile(join(b.root, 'project/last.ts'), 'more code')
    await until(async () => (await picture(a.root))['project/last.ts'] === 'more code', [a, b])
    expect(Object.keys(await picture(a.root))).toEqual([
      '.skeinignore',
      'project/',
      'project/last.ts',
      'project/main.ts',
    ])
    await rm(join(a.root, 'project'), { recursive: true })
    await until(async () => !('project/main.ts' in (await picture(b.root))), [a, b])
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await picture(b.root)).toMatchObject({ 'project/node_modules/big': 'big', 'project/x.tmp': 'tmp' })
    expect(Object.keys(await picture(a.root))).toEqual(['.skeinignore'])
  })

  test('a thousand new files in new directories all arrive', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    for (let directory = 0; directory < 20; directory++) {
      await mkdir(join(a.root, `d${directory}/in`), { recursive: true })
      for (let index = 0; index < 50; index++)
        await writeFile(join(a.root, `d${directory}/in/f${index}`), `${directory}.${index}`)
    }
    await until(async () => Object.keys(await picture(b.root)).length === 1040, [a, b], 15_000)
    expect(Object.keys(await converged([a, b])).length).toBe(1040)
  })

  test('a file appended to all the time arrives whole in the end', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    let text = ''
    for (let index = 0; index < 60; index++) {
      await appendFile(join(a.root, 'log'), `line ${index}\n`)
      text += `line ${index}\n`
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const all = await converged([a, b])
    expect(Object.keys(all)).toEqual(['log'])
    expect(all['log']).toBe(
      `${Buffer.byteLength(text)}:${Buffer.from(text).toString('base64').slice(0, 40)}${Buffer.from(text).toString('base64').slice(-40)}`,
    )
  })
})
