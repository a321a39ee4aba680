/** Trees as they are found on real disks: repositories, packages, names and files that few programs reckon with. */
import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import {
  chmod,
  cp,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { newSpaceId } from '../../src/base/ids.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { defaultBrake } from '../../src/files/safety.ts'
import {
  createDevice,
  createPair,
  type Device,
  type Pair,
  until as untilWithin,
} from '../support/two-folders.ts'

const timeout = 400_000
const until = (check: () => Promise<boolean> | boolean, devices: readonly Device[]): Promise<void> =>
  untilWithin(check, devices, 120_000)

/** By path, in bytes: kind, mode bit, and the hash of content or target. */
async function outline(root: string): Promise<string> {
  const lines: string[] = []
  const walk = async (directory: Buffer): Promise<void> => {
    for (const entry of await readdir(directory, { encoding: 'buffer' })) {
      const path = Buffer.concat([directory, Buffer.from('/'), entry])
      const shown = path.subarray(root.length).toString('latin1')
      if (shown === '/.skein') continue
      const stat = await lstat(path)
      const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url')
      if (stat.isDirectory()) {
        lines.push(`${shown} directory`)
        await walk(path)
      } else if (stat.isSymbolicLink()) lines.push(`${shown} -> ${await readlink(path)}`)
      else if (stat.isFile()) lines.push(`${shown} ${stat.mode & 0o100} ${digest(await readFile(path))}`)
    }
  }
  await walk(Buffer.from(root))
  return lines.sort().join('\n')
}

async function equal({ a, b }: Pair, states: readonly string[] = ['in-sync']): Promise<void> {
  const both = async (): Promise<readonly string[]> =>
    Promise.all([a, b].map(({ root }) => outline(root).catch((error: Error) => `unsteady: ${error.message}`)))
  const isEqual = async (): Promise<boolean> => {
    const [left, right] = await both()
    return left === right && [a, b].every(({ folder }) => states.includes(folder.status().state))
  }
  await until(isEqual, []).catch(async () => {
    const [left, right] = await both()
    expect(left).toBe(right)
    expect([a, b].map(({ folder }) => folder.status())).toEqual([])
  })
}

describe('a repository', () => {
  test(
    'with its .git inside is the same after checkouts, commits and a merge, and git finds no fault',
    { timeout },
    async () => {
      await using pair = await createPair({ brake: { ...defaultBrake, maxShare: 1 } })
      const { a, b } = pair
      const git = async (root: string, ...args: readonly string[]): Promise<string> => {
        const identity = ['-c', 'user.name=x', '-c', 'user.email=x@localhost', '-c', 'gc.auto=0']
        return (await promisify(execFile)('git', [...identity, ...args], { cwd: join(root, 'work') })).stdout
      }
      await mkdir(join(a.root, 'work'))
      await git(a.root, 'init', '-q', '-b', 'main')
      const write = async (count: number, text: string): Promise<void> => {
        for (let index = 0; index < count; index++) {
          const path = join(a.root, 'work', `part ${index % 12}`, `deep ${index % 5}`, `file ${index}.txt`)
          await mkdir(dirname(path), { recursive: true })
          await writeFile(path, `${text} ${index}\n`)
        }
      }
      await write(300, 'main')
      await git(a.root, 'add', '.')
      await git(a.root, 'commit', '-qm', 'first')
      await git(a.root, 'checkout', '-qb', 'other')
      await rm(join(a.root, 'work/part 3'), { recursive: true })
      await rename(join(a.root, 'work/part 4'), join(a.root, 'work/moved'))
      await write(40, 'other')
      await git(a.root, 'add', '-A')
      await git(a.root, 'commit', '-qm', 'second')
      await equal(pair)
      for (const branch of ['main', 'other', 'main']) {
        await git(a.root, 'checkout', '-q', branch)
        if (branch === 'other') await equal(pair)
      }
      await git(a.root, 'merge', '-q', 'other', '-m', 'both')
      await equal(pair)
      await git(b.root, 'update-index', '-q', '--refresh')
      expect(await git(b.root, 'status', '--porcelain')).toBe('')
      expect(await git(b.root, 'log', '--format=%s')).toBe(await git(a.root, 'log', '--format=%s'))
      await git(b.root, 'fsck', '--full', '--strict')
    },
  )
})

describe('a burst', () => {
  test(
    'of 40,000 files in directories moved meanwhile, while the process does nothing else, is known to the last',
    { timeout },
    async () => {
      const device = await createDevice(newSpaceId(createSystemRandom()))
      for (let directory = 0; directory < 8; directory++) mkdirSync(join(device.root, `old ${directory}`))
      await until(() => device.folder.status().directories === 8, [device])
      for (let index = 0; index < 40_000; index++) {
        const directory = index % 8
        const isMoved = index >= 20_000
        if (index === 20_000)
          for (let one = 0; one < 8; one++)
            renameSync(join(device.root, `old ${one}`), join(device.root, `new ${one}`))
        writeFileSync(join(device.root, `${isMoved ? 'new' : 'old'} ${directory}`, `${index}`), '')
      }
      const isKnown = (): boolean => device.folder.status().files === 40_000
      await untilWithin(isKnown, [], 300_000).catch(() => expect(device.folder.status()).toEqual({}))
      expect(device.folder.status()).toMatchObject({ directories: 8, problems: [] })
      let entries = 0
      for await (const { kind } of device.space.walk()) if (kind === 'file') entries++
      expect(entries).toBe(40_000)
      await device.close()
    },
  )
})

describe('packages', () => {
  test(
    'as an installer puts them there, moved into place while it goes on, all arrive',
    { timeout },
    async () => {
      await using pair = await createPair()
      const { a } = pair
      const modules = await realpath(fileURLToPath(new URL('../../node_modules', import.meta.url)))
      const names = (await readdir(modules)).filter((name) =>
        /^(fast-check|yjs|lib0|commander|x11)$/.test(name),
      )
      expect(names.length).toBeGreaterThan(3)
      await mkdir(join(a.root, 'node_modules/.bin'), { recursive: true })
      // Each is unpacked beside its place and then moved there, as npm does
      await Promise.all(
        names.map(async (name) => {
          const aside = join(a.root, 'node_modules', `.${name}-x8Kq`)
          await cp(join(modules, name), aside, { recursive: true, dereference: true })
          await rename(aside, join(a.root, 'node_modules', name))
          await symlink(`../${name}/package.json`, join(a.root, 'node_modules/.bin', name))
        }),
      )
      await equal(pair)
      await rename(join(a.root, 'node_modules'), join(a.root, 'node_modules.old'))
      await cp(join(a.root, 'node_modules.old/yjs'), join(a.root, 'node_modules/yjs'), { recursive: true })
      await equal(pair)
    },
  )
})

describe('names', () => {
  test(
    'that other systems or programs stumble over are synced as they are; what is no text is listed',
    { timeout },
    async () => {
      await using pair = await createPair()
      const { a, b } = pair
      const names = [
        'new\nline',
        'tab\tand bell\u0007',
        ' leading and trailing ',
        'ends with a dot.',
        'CON',
        'aux.txt',
        'NUL.tar.gz',
        'com1',
        'a:b',
        'back\\slash',
        '<>"|?*',
        '...',
        '..hidden',
        '-rf',
        '$(touch x)',
        '%2e%2e',
        '%7C',
        '\u202etxt.exe',
        '\u{1f9f6}',
        '\ufffd',
        'x'.repeat(255),
        '\u00e9'.repeat(127),
        '__proto__',
        'constructor',
        '.git',
      ]
      for (const name of names) {
        await writeFile(join(a.root, name), name)
        await mkdir(join(b.root, 'in', name), { recursive: true })
        await writeFile(join(b.root, 'in', name, name), 'below')
      }
      const bad = [Buffer.from([0xff, 0xfe]), Buffer.from('caf\u00e9', 'latin1')]
      for (const name of bad) await writeFile(Buffer.concat([Buffer.from(`${a.root}/`), name]), 'x')
      await until(() => a.folder.status().problems.length === bad.length, [a])
      expect(a.folder.status().problems.map(({ cause }) => cause)).toEqual(
        bad.map(() => 'the name is not valid UTF-8'),
      )
      for (const name of bad) await unlink(Buffer.concat([Buffer.from(`${a.root}/`), name]))
      await equal(pair)
      expect((await readdir(b.root)).filter((name) => name !== '.skein').sort()).toEqual(
        [...names, 'in'].sort(),
      )
      expect([a, b].flatMap(({ folder }) => folder.status().problems)).toEqual([])
    },
  )
})

describe('files', () => {
  test(
    'sparse, empty, linked twice and with odd bits keep their contents; what is no file is skipped and listed',
    { timeout },
    async () => {
      await using pair = await createPair()
      const { a, b } = pair
      await writeFile(join(a.root, 'sparse'), 'begin')
      await truncate(join(a.root, 'sparse'), 12_000_000)
      await writeFile(join(a.root, 'empty'), '')
      await writeFile(join(a.root, 'one'), 'two names')
      await link(join(a.root, 'one'), join(a.root, 'other'))
      await writeFile(join(a.root, 'setuid'), '#!/bin/sh')
      await chmod(join(a.root, 'setuid'), 0o6755)
      await symlink('loop', join(a.root, 'loop'))
      await symlink('.', join(a.root, 'here'))
      await symlink('../../../../etc', join(a.root, 'out'))
      execFileSync('mkfifo', [join(a.root, 'pipe')])
      await equal(pair, ['in-sync', 'waiting'])
      expect((await lstat(join(b.root, 'setuid'))).mode & 0o7777).toBe(0o755)
      expect((await lstat(join(b.root, 'sparse'))).size).toBe(12_000_000)
      expect(a.folder.status().problems).toMatchObject([
        { path: 'pipe', cause: 'it is a pipe, socket or device' },
      ])
      // An edit of one name of two is an edit of both, here; over there they are two files
      await writeFile(join(b.root, 'other'), 'edited over there')
      await until(async () => (await readFile(join(a.root, 'other'), 'utf8')) === 'edited over there', [a, b])
      expect(await readFile(join(a.root, 'one'), 'utf8')).toBe('two names')
      await equal(pair, ['in-sync', 'waiting'])
    },
  )
})
