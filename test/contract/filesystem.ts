/** What every Filesystem keeps. `setup` gives a fresh, empty one; `outside` is a real path next to the root, if any. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Filesystem, WatchEvent } from '../../src/files/filesystem.ts'

export interface FilesystemSetup {
  readonly filesystem: Filesystem
  teardown(): Promise<void>
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export async function writeText(filesystem: Filesystem, path: string, text: string): Promise<void> {
  const there = await filesystem.lstat(path)
  await using file = await filesystem.open(path, there === undefined ? 'create' : 'write')
  await file.write(bytes(text), 0)
  await file.truncate(bytes(text).byteLength)
}

export async function readText(filesystem: Filesystem, path: string): Promise<string> {
  await using file = await filesystem.open(path, 'read')
  const into = new Uint8Array((await file.stat()).size)
  expect(await file.read(into, 0)).toBe(into.byteLength)
  return new TextDecoder().decode(into)
}

export function testFilesystem(name: string, setup: () => Promise<FilesystemSetup>): void {
  describe(`filesystem contract: ${name}`, () => {
    let made: FilesystemSetup
    let disk: Filesystem
    beforeEach(async () => {
      made = await setup()
      disk = made.filesystem
    })
    afterEach(() => made.teardown())
    const code = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => 'no error',
        (error: { code: string }) => error.code,
      )

    test('what is written is read back, with its size, kind and place', async () => {
      await disk.makeDirectory('dir')
      await writeText(disk, 'dir/file.txt', 'hello')
      expect(await readText(disk, 'dir/file.txt')).toBe('hello')
      expect(await disk.lstat('dir/file.txt')).toMatchObject({ kind: 'file', size: 5, links: 1 })
      expect((await disk.readDirectory('')).map((entry) => entry.name)).toEqual(['dir'])
      expect(await disk.readDirectory('dir')).toEqual([
        { name: 'file.txt', stat: await disk.lstat('dir/file.txt') },
      ])
    })

    test('nothing there is undefined, also below a file or a missing directory', async () => {
      await writeText(disk, 'file', 'x')
      expect(await disk.lstat('absent')).toBeUndefined()
      expect(await disk.lstat('absent/below')).toBeUndefined()
      expect(await disk.lstat('file/below')).toBeUndefined()
      expect(await code(disk.readDirectory('absent'))).toBe('not.found')
      expect(await code(disk.readDirectory('file'))).toBe('not.found')
    })

    test('paths that would leave the root are refused by every operation', async () => {
      for (const path of [
        '..',
        '../x',
        'a/../../x',
        '/etc/passwd',
        './x',
        'a//b',
        'nul\0x',
        'a/..',
        '\ud800',
      ]) {
        expect(await code(disk.lstat(path)), path).toBe('file.unsafe')
        expect(await code(disk.open(path, 'create')), path).toBe('file.unsafe')
        expect(await code(disk.makeDirectory(path)), path).toBe('file.unsafe')
      }
    })

    test('times before 1970 and far ahead are set, to about a microsecond', async () => {
      const times = [
        0n,
        -1_000n,
        -1_500_000_700n,
        -2_000_000_000n * 1_000_000_000n,
        1_700_000_000_123_456_789n,
        2n ** 33n * 1_000_000_000n + 999_999_000n,
      ]
      for (const [index, mtimeNs] of times.entries()) {
        await disk.createSmall(`small ${index}`, bytes('x'), { mode: 0o644, mtimeNs })
        await using file = await disk.open(`open ${index}`, 'create')
        await file.setModified(mtimeNs)
        for (const path of [`small ${index}`, `open ${index}`]) {
          const differenceNs = ((await disk.lstat(path))?.mtimeNs ?? 0n) - mtimeNs
          expect(differenceNs > -2_000n && differenceNs < 2_000n, `${path}: ${differenceNs}`).toBe(true)
        }
      }
    })

    test('extended attributes are read with the file, replaced as a whole, and change the ctime alone', async () => {
      await disk.createSmall('file', bytes('x'), { mode: 0o644, mtimeNs: 5_000_000_000n, attributes: '' })
      const before = await disk.lstat('file')
      expect((await disk.readSmall('file', 10))?.attributes).toBe('')
      expect(await disk.writeAttributes('file', 'user.a=aGk,user.b%20c=')).toBe('user.a=aGk,user.b%20c=')
      const after = await disk.lstat('file')
      expect(after?.ctimeNs).not.toBe(before?.ctimeNs)
      expect(after).toEqual({ ...before, ctimeNs: after?.ctimeNs })
      expect(await disk.readAttributes('file')).toBe('user.a=aGk,user.b%20c=')
      expect(await disk.writeAttributes('file', 'user.a=eA')).toBe('user.a=eA')
      expect((await disk.readSmall('file', 10))?.attributes).toBe('user.a=eA')
      expect(await disk.writeAttributes('file', '')).toBe('')
      const file = { mode: 0o644, mtimeNs: 5_000_000_000n, attributes: 'user.new=aGk' }
      expect(await disk.createSmall('new', bytes('x'), file)).toBe('user.new=aGk')
      expect(await disk.createSmall('plain', bytes('x'), { mode: 0o644, mtimeNs: 5n })).toBeUndefined()
    })

    test('symlinks are data: never followed by open, list, or as a parent', async () => {
      await disk.makeDirectory('real')
      await writeText(disk, 'real/file', 'secret')
      await disk.makeSymlink('real', 'link')
      await disk.makeSymlink('real/file', 'leaf')
      expect(await disk.readLink('link')).toBe('real')
      expect(await disk.lstat('link')).toMatchObject({ kind: 'symlink' })
      expect(await disk.lstat('link/file')).toBeUndefined()
      expect(['file.unsafe', 'file.changed']).toContain(await code(disk.open('leaf', 'read')))
      expect(['not.found', 'file.unsafe']).toContain(await code(disk.open('link/file', 'read')))
      expect(['not.found', 'file.unsafe']).toContain(await code(disk.open('link/new', 'create')))
      expect(['not.found', 'file.unsafe']).toContain(await code(disk.readDirectory('link')))
      expect(await disk.lstat('real/new')).toBeUndefined()
    })

    test('create refuses what is there', async () => {
      await writeText(disk, 'file', 'x')
      expect(await code(disk.open('file', 'create'))).toBe('file.exists')
      expect(await code(disk.makeDirectory('file'))).toBe('file.exists')
      expect(await readText(disk, 'file')).toBe('x')
    })

    test('a small file is made and read in one step, with the mode and time it was given', async () => {
      await disk.createSmall('small', bytes('content'), { mode: 0o755, mtimeNs: 1_600_000_000_000_000_000n })
      const small = await disk.readSmall('small', 7)
      expect(new TextDecoder().decode(small?.bytes)).toBe('content')
      expect(small?.stat).toEqual(await disk.lstat('small'))
      expect(small?.stat.mode).toBe(0o755)
      expect(small?.stat.mtimeNs).toBe(1_600_000_000_000_000_000n)
      expect(await disk.readSmall('small', 6)).toBeUndefined()
      expect(await code(disk.createSmall('small', bytes('x'), { mode: 0o644, mtimeNs: 0n }))).toBe(
        'file.exists',
      )
      expect(await readText(disk, 'small')).toBe('content')
      await disk.makeDirectory('dir')
      expect(await code(disk.readSmall('dir', 100))).toBe('file.changed')
      expect(await code(disk.readSmall('none', 100))).toBe('not.found')
      await disk.syncAll(['small', 'gone'], ['dir', 'gone'])
    })

    test('renameIf moves onto nothing only where nothing is', async () => {
      await writeText(disk, 'a', 'A')
      await writeText(disk, 'b', 'B')
      expect(await disk.renameIf('a', 'b', undefined)).toBe(false)
      expect(await readText(disk, 'b')).toBe('B')
      expect(await disk.renameIf('a', 'c', undefined)).toBe(true)
      expect(await disk.lstat('a')).toBeUndefined()
      expect(await disk.lstat('c')).toMatchObject({ links: 1 })
    })

    test('renameIf replaces exactly the file that was expected, and keeps the inode of what moved', async () => {
      await writeText(disk, 'new', 'new')
      await writeText(disk, 'old', 'old')
      const seen = await disk.lstat('old')
      await writeText(disk, 'old', 'old, edited')
      expect(await disk.renameIf('new', 'old', seen)).toBe(false)
      expect(await readText(disk, 'old')).toBe('old, edited')
      const moving = await disk.lstat('new')
      expect(await disk.renameIf('new', 'old', await disk.lstat('old'))).toBe(true)
      expect(await readText(disk, 'old')).toBe('new')
      expect((await disk.lstat('old'))?.ino).toBe(moving?.ino)
    })

    test('renameIf moves a directory with all that is in it', async () => {
      await disk.makeDirectory('a')
      await disk.makeDirectory('a/b')
      await writeText(disk, 'a/b/file', 'deep')
      await disk.makeDirectory('z')
      expect(await disk.renameIf('a', 'z/moved', undefined)).toBe(true)
      expect(await readText(disk, 'z/moved/b/file')).toBe('deep')
      expect(await disk.lstat('a')).toBeUndefined()
    })

    test('any change of a file changes its signature', async () => {
      await writeText(disk, 'file', 'one')
      const signatures = new Set<string>()
      const note = async (): Promise<void> => {
        const stat = await disk.lstat('file')
        signatures.add(`${stat?.ino} ${stat?.size} ${stat?.mtimeNs} ${stat?.ctimeNs}`)
      }
      await note()
      await writeText(disk, 'file', 'longer')
      await note()
      await disk.setMode('file', 0o700)
      await note()
      expect((await disk.lstat('file'))?.mode).toBe(0o700)
      expect(signatures.size).toBeGreaterThanOrEqual(2)
    })

    test('hard links share the inode and count', async () => {
      await writeText(disk, 'file', 'kept')
      await disk.link('file', 'second')
      expect(await disk.lstat('second')).toMatchObject({ links: 2 })
      await disk.unlink('file')
      expect(await readText(disk, 'second')).toBe('kept')
      expect(await code(disk.link('second', 'second'))).toBe('file.exists')
    })

    test('a directory that is not empty stays', async () => {
      await disk.makeDirectory('dir')
      await writeText(disk, 'dir/file', 'x')
      expect(await code(disk.removeDirectory('dir'))).toBe('file.exists')
      expect(await readText(disk, 'dir/file')).toBe('x')
      await disk.unlink('dir/file')
      await disk.removeDirectory('dir')
      expect(await disk.lstat('dir')).toBeUndefined()
    })

    test('open files read at an offset, write in place, cut, and keep a set time', async () => {
      await writeText(disk, 'file', '0123456789')
      await using file = await disk.open('file', 'write')
      const two = new Uint8Array(2)
      expect(await file.read(two, 4)).toBe(2)
      expect(new TextDecoder().decode(two)).toBe('45')
      expect(await file.read(new Uint8Array(8), 8)).toBe(2)
      await file.write(bytes('XY'), 9)
      await file.truncate(10)
      await file.setMode(0o640)
      await file.setModified(1_700_000_000_000_000_000n)
      await file.sync()
      await disk.syncDirectory('')
      expect(await disk.lstat('file')).toMatchObject({
        size: 10,
        mode: 0o640,
        mtimeNs: 1_700_000_000_000_000_000n,
      })
      expect(await readText(disk, 'file')).toBe('012345678X')
    })

    test('a watch reports changes in its directory until disposed', async () => {
      await disk.makeDirectory('dir')
      const events: WatchEvent[] = []
      const seen = Promise.withResolvers<void>()
      const watch = disk.watch('dir', (event) => {
        events.push(event)
        if (event.kind === 'changed' && event.name === 'file') seen.resolve()
      })
      await writeText(disk, 'dir/file', 'x')
      await seen.promise
      watch[Symbol.dispose]()
      expect(events.every((event) => event.kind === 'changed' && event.name === 'file')).toBe(true)
    })
  })
}
