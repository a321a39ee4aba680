/**
 * Extended attributes and access lists of files on real disks: they travel as a part of the file's data, and a disk that cannot
 * hold them (ramfs) neither loses them for others nor makes anybody think they were taken away.
 */
import { execFile } from 'node:child_process'
import { appendFile, chmod, mkdir, mkdtemp, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { newSpaceId } from '../../src/base/ids.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { heldOf, judgeAttributes } from '../../src/files/told-attributes.ts'
import { describeWith } from '../support/needs.ts'
import {
  converged,
  createDevice,
  createPair,
  type Device,
  linkDevices,
  picture,
  until as untilWithin,
} from '../support/two-folders.ts'

const run = promisify(execFile)
const until = (check: () => Promise<boolean>, devices: readonly Device[]): Promise<void> =>
  untilWithin(check, devices, 40_000)
const set = (file: string, name: string, value: string): Promise<unknown> =>
  run('setfattr', ['-h', '-n', name, '-v', value, file])
const remove = (file: string, name: string): Promise<unknown> => run('setfattr', ['-h', '-x', name, file])

/** All `user.` ones, as getfattr has them. */
async function shown(file: string): Promise<string> {
  const { stdout } = await run('getfattr', ['-h', '-d', '--absolute-names', file])
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('user.'))
    .sort()
    .join(' ')
}

async function accessList(file: string): Promise<string> {
  const { stdout } = await run('getfacl', ['--omit-header', '--absolute-names', file])
  return stdout.trim().split('\n').join(',')
}

/** A device on a disk without extended attributes. */
async function createRamDevice(space: Parameters<typeof createDevice>[0]): Promise<Device & AsyncDisposable> {
  const place = await mkdtemp(join(tmpdir(), 'skein-ram-'))
  await run('mount', ['-t', 'ramfs', 'none', place])
  const device = await createDevice(space, {}, undefined, place)
  return Object.assign(device, {
    async [Symbol.asyncDispose]() {
      await device.close()
      await run('umount', ['-l', place])
      await rm(place, { recursive: true })
    },
  })
}

describeWith(['attr'], 'extended attributes', () => {
  test('are set, changed and taken away on the other side, without the content travelling again', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'file'), 'content')
    await set(join(a.root, 'file'), 'user.author', 'me')
    await converged([a, b])
    expect(await shown(join(b.root, 'file'))).toBe('user.author="me"')
    const inodes = await Promise.all([a, b].map(async ({ root }) => (await stat(join(root, 'file'))).ino))
    await set(join(b.root, 'file'), 'user.tag|odd, name=', 'x')
    await until(async () => (await shown(join(a.root, 'file'))).includes('odd'), [a, b])
    expect(await shown(join(a.root, 'file'))).toBe(await shown(join(b.root, 'file')))
    await remove(join(a.root, 'file'), 'user.author')
    await until(async () => !(await shown(join(b.root, 'file'))).includes('author'), [a, b])
    expect(await shown(join(b.root, 'file'))).not.toBe('')
    expect(Object.keys(await converged([a, b]))).toEqual(['file'])
    expect(await Promise.all([a, b].map(async ({ root }) => (await stat(join(root, 'file'))).ino))).toEqual(
      inodes,
    )
  })

  test('stay through an edit, a rename, the exec bit and a restart, on both sides', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'dir'))
    await writeFile(join(a.root, 'dir/file'), 'one')
    await set(join(a.root, 'dir/file'), 'user.k', 'v')
    await converged([a, b])
    await appendFile(join(b.root, 'dir/file'), ' two')
    await until(async () => (await picture(a.root))['dir/file'] === 'one two', [a, b])
    expect(await shown(join(a.root, 'dir/file'))).toBe('user.k="v"')
    await rename(join(a.root, 'dir/file'), join(a.root, 'moved'))
    await chmod(join(a.root, 'moved'), 0o755)
    await until(async () => (await picture(b.root))['moved'] === '*one two', [a, b])
    expect(await shown(join(b.root, 'moved'))).toBe('user.k="v"')
    await a.restart()
    await b.restart()
    expect((await converged([a, b]))['moved']).toBe('*one two')
    expect(await shown(join(a.root, 'moved'))).toBe('user.k="v"')
  })

  test('of many small files and of a large one come with the first sync', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await link.cut()
    const names = Array.from({ length: 200 }, (_, index) => `file ${index}`)
    for (const name of names) await writeFile(join(a.root, name), name)
    await writeFile(join(a.root, 'large'), Buffer.alloc(6_000_000, 'large'))
    const some = ['large', ...names.filter((name) => name.endsWith('7'))]
    await run('setfattr', ['-n', 'user.n', '-v', 'some', ...some], { cwd: a.root })
    await link.heal()
    await converged([a, b])
    const { stdout } = await run('getfattr', ['-d', ...names, 'large'], { cwd: b.root })
    expect(stdout).toBe((await run('getfattr', ['-d', ...names, 'large'], { cwd: a.root })).stdout)
    expect(stdout.match(/user.n="some"/g)).toHaveLength(some.length)
  })

  test('of a file that stood on both sides before they met come to the side that had none', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await link.cut()
    for (const { root } of [a, b]) await writeFile(join(root, 'same'), 'the same bytes')
    await set(join(a.root, 'same'), 'user.from', 'a')
    await converged([a])
    await link.heal()
    await until(async () => (await shown(join(b.root, 'same'))) === 'user.from="a"', [a, b])
    expect(await converged([a, b])).toEqual({ same: 'the same bytes' })
    expect(await shown(join(a.root, 'same'))).toBe('user.from="a"')
  })

  test('of both sides of a merge stand in what was merged', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    const lines = Array.from({ length: 9 }, (_, index) => `line ${index}\n`)
    await writeFile(join(a.root, 'text'), lines.join(''))
    await converged([a, b])
    await link.cut()
    await writeFile(join(a.root, 'text'), ['first\n', ...lines.slice(1)].join(''))
    await set(join(a.root, 'text'), 'user.a', '1')
    await writeFile(join(b.root, 'text'), [...lines.slice(0, 8), 'last\n'].join(''))
    await set(join(b.root, 'text'), 'user.b', '2')
    await converged([a])
    await converged([b])
    await link.heal()
    const merged = ['first\n', ...lines.slice(1, 8), 'last\n'].join('')
    await until(async () => (await picture(a.root))['text'] === merged, [a, b])
    await converged([a, b])
    for (const { root } of [a, b]) expect(await shown(join(root, 'text'))).toBe('user.a="1" user.b="2"')
  })

  test('too large to travel stay where they are, with the small ones of the same file going', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'file'), 'x')
    await set(join(a.root, 'file'), 'user.large', 'l'.repeat(2_000))
    await set(join(a.root, 'file'), 'user.small', 's')
    await converged([a, b])
    expect(await shown(join(b.root, 'file'))).toBe('user.small="s"')
    await set(join(b.root, 'file'), 'user.small', 't')
    await until(async () => (await shown(join(a.root, 'file'))).includes('user.small="t"'), [a, b])
    expect(await shown(join(a.root, 'file'))).toContain('lll')
  })
})

describeWith(['attr', 'ram'], 'a disk without extended attributes', () => {
  test('keeps what it was told: its edits, renames and touches take nothing from others', async () => {
    const space = newSpaceId(createSystemRandom())
    const [a, c] = [await createDevice(space), await createDevice(space)]
    try {
      await using b = await createRamDevice(space)
      await linkDevices(a, b)
      await linkDevices(b, c)
      await linkDevices(a, c)
      await expect(set(join(b.root, '.'), 'user.probe', '1')).rejects.toThrow(/not supported/)
      for (const name of ['edited', 'replaced', 'renamed', 'touched'])
        await writeFile(join(a.root, name), `${name}, from a`)
      for (const name of ['edited', 'replaced', 'renamed', 'touched'])
        await set(join(a.root, name), 'user.of', name)
      await converged([a, b, c])
      await appendFile(join(b.root, 'edited'), ', edited')
      await writeFile(join(b.root, 'replaced~'), 'all new')
      await rename(join(b.root, 'replaced~'), join(b.root, 'replaced'))
      await rename(join(b.root, 'renamed'), join(b.root, 'with another name'))
      await utimes(join(b.root, 'touched'), 1_600_000_000, 1_600_000_000)
      await b.restart()
      const wanted = {
        edited: 'edited, from a, edited',
        replaced: 'all new',
        touched: 'touched, from a',
        'with another name': 'renamed, from a',
      }
      for (const device of [a, b, c])
        await until(
          async () => JSON.stringify(await picture(device.root)) === JSON.stringify(wanted),
          [a, b, c],
        )
      await converged([a, b, c])
      for (const { root } of [a, c]) {
        for (const name of ['edited', 'replaced', 'touched'])
          expect(await shown(join(root, name)), `${root} ${name}`).toBe(`user.of="${name}"`)
        expect(await shown(join(root, 'with another name'))).toBe('user.of="renamed"')
      }
      await set(join(c.root, 'touched'), 'user.of', 'c')
      await until(async () => (await shown(join(a.root, 'touched'))) === 'user.of="c"', [a, b, c])
    } finally {
      await a.close()
      await c.close()
    }
  })
})

describeWith(['attr', 'acl'], 'access lists', () => {
  test('travel by the names of people; the exec bit and they do not disturb each other', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    const [here, there] = [join(a.root, 'file'), join(b.root, 'file')]
    await writeFile(here, '#!/bin/sh')
    await converged([a, b])
    await run('setfacl', ['-m', 'u:nobody:rw,g:daemon:r', here])
    const list = await accessList(here)
    expect(list).toContain('user:nobody:rw-')
    await until(async () => (await accessList(there)) === list, [a, b])
    await chmod(there, 0o775)
    await until(async () => (await picture(a.root))['file'] === '*#!/bin/sh', [a, b])
    await converged([a, b])
    expect(await accessList(here)).toBe(await accessList(there))
    expect(await accessList(here)).toContain('mask::rwx')
    await run('setfacl', ['-x', 'u:nobody', there])
    await until(async () => !(await accessList(here)).includes('nobody'), [a, b])
    expect(await accessList(here)).toContain('group:daemon:r--')
    await converged([a, b])
    expect((await picture(a.root))['file']).toBe('*#!/bin/sh')
  })

  test('that name somebody without a name here are neither told nor touched', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'file'), 'x')
    await run('setfacl', ['-m', 'u:54321:r', join(a.root, 'file')])
    await set(join(a.root, 'file'), 'user.k', 'v')
    await until(async () => (await picture(b.root))['file'] === 'x', [a, b])
    await until(async () => (await shown(join(b.root, 'file'))) === 'user.k="v"', [a, b])
    expect(await accessList(join(b.root, 'file'))).not.toContain('54321')
    await set(join(b.root, 'file'), 'user.k', 'w')
    await until(async () => (await shown(join(a.root, 'file'))) === 'user.k="w"', [a, b])
    expect(await accessList(join(a.root, 'file'))).toContain('user:54321:r--')
  })

  test('inherited from a directory here are no news to others', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await run('setfacl', ['-d', '-m', 'u:nobody:rw', b.root])
    await b.restart()
    await writeFile(join(a.root, 'file'), 'x')
    await writeFile(join(a.root, 'large'), Buffer.alloc(6_000_000, 'large'))
    await converged([a, b])
    for (const name of ['file', 'large']) {
      expect(await accessList(join(a.root, name))).not.toContain('nobody')
      expect(await accessList(join(b.root, name))).not.toContain('nobody')
    }
  })
})

test('what a disk shows counts as what was told where that is how it was left', () => {
  const told = { attributes: 'user.a=eA', heldAttributes: undefined }
  expect(judgeAttributes(undefined, told)).toEqual(told)
  expect(judgeAttributes(undefined, undefined)).toEqual({ attributes: undefined, heldAttributes: undefined })
  expect(judgeAttributes('user.a=eA', told)).toEqual(told)
  expect(judgeAttributes('', told)).toEqual({ attributes: undefined, heldAttributes: undefined })
  const without = { attributes: 'user.a=eA', heldAttributes: '' }
  expect(judgeAttributes('', without)).toEqual(without)
  expect(judgeAttributes('user.b=eA', without)).toEqual({
    attributes: 'user.b=eA',
    heldAttributes: undefined,
  })
  expect(judgeAttributes('user.a=eA', without)).toEqual({
    attributes: 'user.a=eA',
    heldAttributes: undefined,
  })
  expect(heldOf('user.a=eA', 'user.a=eA')).toBeUndefined()
  expect(heldOf('', undefined)).toBeUndefined()
  expect(heldOf('', 'user.a=eA')).toBe('')
  expect(heldOf(undefined, 'user.a=eA')).toBeUndefined()
})
