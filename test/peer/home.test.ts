/** Opening a home: first start, clean and unclean stops, copies, and every fault with its fix. */
import { spawnSync } from 'node:child_process'
import { chmod, cp, mkdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { checkNode, inspectHome } from '../../src/program/home-check.ts'
import { openHome } from '../../src/peer/home.ts'
import { findControlAddress, newControlAddress, resolveHomePath } from '../../src/program/home-path.ts'
import { temporaryDirectory } from '../support/temporary-home.ts'

const env = createSystemEnv()
const open = (directory: string) => openHome(env, directory, '')

test('a fresh home is made, private, and known as the first start', async () => {
  const directory = join(await temporaryDirectory(), 'a', 'b')
  await using home = await open(directory)
  expect([home.isFirstStart, home.wasStoppedCleanly]).toEqual([true, true])
  expect((await stat(directory)).mode & 0o777).toBe(0o700)
  const data = await home.dataDirectory('documents')
  expect([data, (await stat(data)).mode & 0o777]).toEqual([join(directory, 'data', 'documents'), 0o700])
})

test('only a stop in good order counts as clean, and only once', async () => {
  const directory = join(await temporaryDirectory(), 'home')
  const first = await open(directory)
  await first.markCleanStop()
  await first[Symbol.asyncDispose]()
  const second = await open(directory)
  expect([second.isFirstStart, second.wasStoppedCleanly]).toEqual([false, true])
  await second[Symbol.asyncDispose]() // without the mark: as after a crash
  await using third = await open(directory)
  expect(third.wasStoppedCleanly).toBe(false)
})

test('a copied home is not taken for one that was stopped cleanly', async () => {
  const base = await temporaryDirectory()
  const first = await open(join(base, 'home'))
  await first.markCleanStop()
  await first[Symbol.asyncDispose]()
  await cp(join(base, 'home'), join(base, 'copy'), { recursive: true })
  await using copy = await open(join(base, 'copy'))
  expect([copy.isFirstStart, copy.wasStoppedCleanly]).toEqual([false, false])
})

test('a second opener is told who holds the home', async () => {
  const directory = join(await temporaryDirectory(), 'home')
  await using _home = await open(directory)
  await expect(open(directory)).rejects.toMatchObject({ code: 'home.locked', details: { pid: process.pid } })
})

test('a file where the home should be is named, and left alone', async () => {
  const file = join(await temporaryDirectory(), 'home')
  await writeFile(file, 'mine')
  await expect(open(file)).rejects.toMatchObject({
    code: 'home.unusable',
    message: expect.stringContaining(file),
  })
  await expect(open(join(file, 'below'))).rejects.toMatchObject({ code: 'home.unusable' })
})

test('a home that others may write in is refused with the command that mends it', async () => {
  const directory = await temporaryDirectory()
  await chmod(directory, 0o777)
  await expect(open(directory)).rejects.toMatchObject({
    code: 'home.unusable',
    fix: `chmod 700 '${directory}'`,
  })
})

test('a home may be a symbolic link to a directory', async () => {
  const base = await temporaryDirectory()
  await mkdir(join(base, 'real'), { mode: 0o700 })
  await symlink('real', join(base, 'home'))
  await using home = await open(join(base, 'home'))
  expect(home.isFirstStart).toBe(true)
})

// Its own mount namespace (unshare(1)): the small disk is gone with the process
const isolate = 'unshare'

const asUser = (script: string, uid: number) =>
  spawnSync(process.execPath, ['--input-type=module', '-e', script], { uid, gid: uid, encoding: 'utf8' })

test.runIf(process.getuid?.() === 0)(
  'a home that cannot be entered or belongs to another user says so',
  async () => {
    const base = await temporaryDirectory()
    await chmod(base, 0o755)
    const directory = join(base, 'home')
    const first = await open(directory)
    await first[Symbol.asyncDispose]()
    const source = new URL('../../src/', import.meta.url)
    const script = (home: string): string => `
    import { openHome } from ${JSON.stringify(fileURLToPath(new URL('peer/home.ts', source)))}
    import { createSystemEnv } from ${JSON.stringify(fileURLToPath(new URL('base/env.ts', source)))}
    await openHome(createSystemEnv(), ${JSON.stringify(home)}, '').catch((error) => console.log(error.code, error.message))`
    expect(asUser(script(directory), 65_534).stdout).toContain('home.unusable')
    expect(asUser(script(join(base, 'other')), 65_534).stdout).toContain('home.unusable')
  },
)

test.runIf(process.getuid?.() === 0)(
  'a full disk is named at the start, and nothing is half made',
  async () => {
    const base = await temporaryDirectory()
    const entry = fileURLToPath(new URL('../support/double-cli.ts', import.meta.url))
    const command = `mount -t tmpfs -o size=4m none '${base}' && exec '${process.execPath}' '${entry}' up --json --home '${base}/home'`
    const run = spawnSync(isolate, ['-m', 'sh', '-c', command], { encoding: 'utf8' })
    expect(JSON.parse(run.stdout)).toMatchObject({
      error: { code: 'disk.full', fix: expect.stringContaining('free at least') },
    })
    expect(run.status).toBe(1)
  },
)

test('the home is where the platform keeps application data, unless it is given', () => {
  const place = (platform: NodeJS.Platform, variables: Record<string, string>) => ({
    platform,
    variables,
    userDirectory: '/u',
  })
  expect(resolveHomePath(undefined, place('linux', {}))).toBe('/u/.local/share/skein')
  expect(resolveHomePath(undefined, place('linux', { XDG_DATA_HOME: '/x' }))).toBe('/x/skein')
  expect(resolveHomePath(undefined, place('linux', { XDG_DATA_HOME: 'relative' }))).toBe(
    '/u/.local/share/skein',
  )
  expect(resolveHomePath(undefined, place('darwin', {}))).toBe('/u/Library/Application Support/Skein')
  expect(resolveHomePath(undefined, place('linux', { SKEIN_HOME: '/s' }))).toBe('/s')
  expect(resolveHomePath('/o', place('linux', { SKEIN_HOME: '/s' }))).toBe('/o')
  expect(() => resolveHomePath('', place('linux', {}))).toThrow(expect.objectContaining({ code: 'usage' }))
})

test('a long home gets a short socket path that the system can bind', () => {
  const long = `/home/${'x'.repeat(120)}`
  const place = { platform: 'linux' as const, variables: {}, userDirectory: '/u' }
  expect(newControlAddress('/h', place)).toBe('/h/control.sock')
  expect(Buffer.byteLength(newControlAddress(long, place))).toBeLessThan(104)
  expect(newControlAddress(long, place)).not.toBe(newControlAddress(`${long}y`, place))
  expect(newControlAddress(long, { ...place, variables: { XDG_RUNTIME_DIR: '/run/user/1' } })).toMatch(
    /^\/run\/user\/1\//,
  )
  expect(newControlAddress('C:\\h', { ...place, platform: 'win32' })).toMatch(
    /^\\\\\.\\pipe\\skein-[0-9a-f]{16}$/,
  )
  expect(findControlAddress('/h', place)).toBe('/h/control.sock')
})

test('doctor names the cause and the fix of each fault of a home', async () => {
  const base = await temporaryDirectory()
  const failed = (home: string) => inspectHome(home).filter((check) => !check.ok)
  expect(failed(join(base, 'none'))).toMatchObject([{ name: 'home directory', fix: 'skein up' }])
  const directory = join(base, 'home')
  const home = await open(directory)
  await home.keep.write('key', new Uint8Array(1), { secret: true })
  await home[Symbol.asyncDispose]()
  expect(failed(directory)).toEqual([])
  const key = join(directory, 'keep', 'secret', 'key.value')
  await chmod(key, 0o644)
  expect(failed(directory)).toMatchObject([{ name: 'secret files', fix: `chmod 600 '${key}'` }])
  await chmod(directory, 0o755)
  expect(failed(directory)).toMatchObject([{ name: 'home directory', fix: `chmod 700 '${directory}'` }])
  expect([
    checkNode('24.12.0').ok,
    checkNode('25.0.0').ok,
    checkNode('24.11.9').ok,
    checkNode('20.1.0').ok,
  ]).toEqual([true, true, false, false])
})
