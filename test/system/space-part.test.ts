/**
 * Devices that take a part of a shared folder only, as a person uses them: two real peers, each act by the command line,
 * each outcome looked at on both disks.
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EntryList, LocalChangeList, RevertReport } from '../../src/peer/api-part.ts'
import type { RestoreReport, SpaceStatus, SyncReport, VersionList } from '../../src/peer/api-spaces.ts'
import { arrives, readIfThere } from '../support/folder-on-disk.ts'
import { describeWith } from '../support/needs.ts'
import type { Lab } from '../support/netns.ts'
import { createLab } from '../support/netns.ts'
import type { SkeinPeer } from '../support/skein.ts'
import { createSkeinPeer, launchIn, pairPeers, until } from '../support/skein.ts'

const patience = { timeout: 90_000 }

describeWith(['ip', 'nft', 'netns'], 'a part of a shared folder', () => {
  let lab: Lab
  let alice: SkeinPeer
  let bob: SkeinPeer
  let [root, a, b] = ['', '', '']

  beforeAll(async () => {
    lab = await createLab({ hosts: 2, withDefaultRoute: true })
    root = await mkdtemp(join(tmpdir(), 'skein-part-'))
    ;[a, b] = [join(root, 'a'), join(root, 'b')]
    alice = await createSkeinPeer({ name: 'alice', launch: launchIn(lab, 0), upArgs: [] })
    bob = await createSkeinPeer({ name: 'bob', launch: launchIn(lab, 1), upArgs: [] })
    await alice.up()
    await bob.up()
    await pairPeers(alice, bob)
    await mkdir(join(a, 'photos/2025'), { recursive: true })
    await writeFile(join(a, 'todo.txt'), 'one\n')
    await writeFile(join(a, 'photos/2025/a.jpg'), 'x'.repeat(300_000))
    await writeFile(join(a, 'photos/cover.jpg'), 'cover')
    await alice.json('share', a, '--name', 'work')
  }, 90_000)
  afterAll(async () => {
    await alice?.[Symbol.asyncDispose]()
    await bob?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
    await rm(root, { recursive: true, force: true })
  })

  const names = async (path: string): Promise<readonly string[]> =>
    (await readdir(path, { recursive: true })).filter((name) => !name.startsWith('.skein')).sort()
  const spaceOf = async (peer: SkeinPeer): Promise<SpaceStatus> => {
    const [space] = await peer.json<SpaceStatus[]>('spaces')
    if (space === undefined) throw new Error('no space')
    return space
  }
  const isWhole = (path: string): Promise<unknown> =>
    until(`${path} is there`, async () => (await readIfThere(path))?.length === 300_000)
  const holds = (path: string, wanted: readonly string[]): Promise<unknown> =>
    until(`${path} holds ${wanted.join()}`, async () => (await names(path)).join() === wanted.join())

  test(
    'a device that joins read-only receives, and what is changed there stays there',
    patience,
    async () => {
      const joined = await bob.json<SpaceStatus>('join', 'work', b, '--read-only')
      expect(joined).toMatchObject({ role: 'read-only', directory: b })
      await arrives(join(b, 'todo.txt'), 'one\n')
      await arrives(join(b, 'photos/cover.jpg'), 'cover')
      await writeFile(join(b, 'todo.txt'), 'one\nby bob\n')
      await writeFile(join(b, 'mine.txt'), 'mine')
      await until('both are listed', async () => (await spaceOf(bob)).localChangeCount === 2)
      const listed = await bob.json<LocalChangeList>('revert', 'work', '--list')
      expect(listed.changes.map(({ change, path }) => `${change} ${path}`)).toEqual([
        'added mine.txt',
        'edited todo.txt',
      ])
      expect((await bob.run('status')).stdout).toContain('changed here, not sent: 2 files')
      // It holds after a restart, and others hear of none of it
      await bob.run('down')
      await bob.up()
      await until('both are listed', async () => (await spaceOf(bob)).localChangeCount === 2)
      await writeFile(join(a, 'more.txt'), 'more')
      await arrives(join(b, 'more.txt'), 'more')
      expect(await readIfThere(join(a, 'todo.txt'))).toBe('one\n')
      expect(await readIfThere(join(a, 'mine.txt'))).toBeUndefined()
      const { reverted } = await bob.json<RevertReport>('revert', 'work', 'todo.txt')
      expect(reverted).toMatchObject([{ path: 'todo.txt', change: 'edited' }])
      await arrives(join(b, 'todo.txt'), 'one\n')
      const { versions } = await bob.json<VersionList>('versions', join(b, 'todo.txt'))
      expect(versions).toMatchObject([{ cause: 'local', sizeBytes: 11 }])
      // Taking full part again it sends what it has
      expect(await bob.json('role', 'work', '--full')).toMatchObject({ role: 'full' })
      await arrives(join(a, 'mine.txt'), 'mine')
      expect((await spaceOf(bob)).localChangeCount).toBeUndefined()
    },
  )

  test('what is not selected leaves, is known by name, and comes back', patience, async () => {
    await isWhole(join(b, 'photos/2025/a.jpg'))
    const chosen = await bob.json<SpaceStatus>('select', 'work', '--except', '/photos/')
    expect(chosen.selection).toEqual({ only: [], except: ['/photos/'] })
    await holds(b, ['mine.txt', 'more.txt', 'todo.txt'])
    expect(await readIfThere(join(a, 'photos/cover.jpg'))).toBe('cover')
    const { entries } = await bob.json<EntryList>('ls', 'work')
    expect(entries.map(({ path, state }) => [path, state])).toEqual([
      ['mine.txt', 'here'],
      ['more.txt', 'here'],
      ['photos', 'away'],
      ['todo.txt', 'here'],
    ])
    const inside = await bob.json<EntryList>('ls', 'work', 'photos')
    expect(inside.entries.map(({ path, state }) => [path, state])).toEqual([
      ['photos/2025', 'away'],
      ['photos/cover.jpg', 'away'],
    ])
    expect((await bob.run('sync', '--timeout', '20s')).code).toBe(0)
    await bob.json('select', 'work', '--all')
    await isWhole(join(b, 'photos/2025/a.jpg'))
  })

  test('the last copy stays where it is, however it was selected', patience, async () => {
    await alice.json('pause', 'work')
    await writeFile(join(b, 'only bob.bin'), 'only\0bob')
    await bob.json('select', 'work', '--except', 'only*', 'more.txt')
    await until('bob waits', async () => (await spaceOf(bob)).unreleasedCount === 2)
    expect(await readIfThere(join(b, 'only bob.bin'))).toBe('only\0bob')
    await alice.json('resume', 'work')
    await arrives(join(a, 'only bob.bin'), 'only\0bob')
    await arrives(join(b, 'only bob.bin'), undefined)
    await arrives(join(b, 'more.txt'), undefined)
    expect(await readIfThere(join(a, 'more.txt'))).toBe('more')
    const wrong = await bob.run('select', 'work', '--all', '--only', 'x')
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('--all goes with no patterns')])
  })

  test(
    'versions that only another device keeps are listed, and brought back from there',
    patience,
    async () => {
      const at = (folder: string, name: string): string => join(folder, name)
      await writeFile(at(a, 'letter.bin'), 'first\0')
      await arrives(at(b, 'letter.bin'), 'first\0')
      await writeFile(at(a, 'letter.bin'), 'second\0')
      await arrives(at(b, 'letter.bin'), 'second\0')
      await mkdir(at(a, 'gone'))
      await writeFile(at(a, 'gone/one.bin'), 'one\0')
      await writeFile(at(a, 'gone/two.bin'), 'two\0')
      await arrives(at(b, 'gone/two.bin'), 'two\0')
      await arrives(at(b, 'gone/one.bin'), 'one\0')
      await rm(at(a, 'gone'), { recursive: true })
      await arrives(at(b, 'gone/one.bin'), undefined)
      await arrives(at(b, 'gone/two.bin'), undefined)
      // Who changes a file keeps nothing of it; the others do
      const { versions } = await alice.json<VersionList>('versions', at(a, 'letter.bin'))
      const old = versions.find(({ sizeBytes, keptOn }) => sizeBytes === 6 && keptOn === 'bob')
      expect(old).toMatchObject({ cause: 'replaced', device: 'alice' })
      const here = await alice.json<VersionList>('versions', at(a, 'letter.bin'), '--here')
      expect(here.versions.filter(({ keptOn }) => keptOn !== undefined)).toEqual([])
      expect((await alice.run('versions', at(a, 'letter.bin'))).stdout).toMatch(/ ON\s/)
      await alice.json('restore', at(a, 'letter.bin'), '--version', old?.id ?? '')
      expect(await readIfThere(at(a, 'letter.bin'))).toBe('first\0')
      await arrives(at(b, 'letter.bin'), 'first\0')
      const report = await alice.json<RestoreReport>('restore', at(a, 'gone'))
      expect(report.restored).toEqual(['gone/one.bin', 'gone/two.bin'])
      await arrives(at(b, 'gone/two.bin'), 'two\0')
      const missing = await alice.run('restore', at(a, 'never was'))
      expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('nor on a device in reach')])
    },
  )

  test('a folder is pulled and pushed once, and rests in between', patience, async () => {
    const c = join(root, 'c')
    await mkdir(c)
    await writeFile(join(c, 'first.txt'), 'first')
    await alice.json('share', c, '--name', 'site')
    const d = join(root, 'd')
    const lines = (stdout: string): readonly SyncReport[] =>
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as SyncReport)
    const pulled = await bob.run('pull', 'site', d, '--json')
    expect(pulled.code).toBe(0)
    expect(lines(pulled.stdout).at(-1)).toMatchObject({ isInSync: true })
    expect(await readIfThere(join(d, 'first.txt'))).toBe('first')
    const site = async (): Promise<SpaceStatus | undefined> =>
      (await bob.json<SpaceStatus[]>('spaces')).find(({ name }) => name === 'site')
    expect(await site()).toMatchObject({ state: 'paused', role: 'full', fileCount: 1 })
    // Nothing happens in between
    await writeFile(join(c, 'second.txt'), 'second')
    await writeFile(join(d, 'by bob.txt'), 'by bob')
    await writeFile(join(d, 'first.txt'), 'first, by bob')
    expect((await alice.run('sync', 'site', '--timeout', '10s')).code).toBe(0)
    expect(await readIfThere(join(d, 'second.txt'))).toBeUndefined()
    // A pull takes, and leaves what was made here
    const again = await bob.run('pull', 'site')
    expect([again.code, again.stderr, again.stdout]).toEqual([
      0,
      expect.anything(),
      expect.stringContaining('2 changes made here are not sent'),
    ])
    expect(await readIfThere(join(d, 'second.txt'))).toBe('second')
    expect(await readIfThere(join(d, 'first.txt'))).toBe('first, by bob')
    expect(await readIfThere(join(c, 'by bob.txt'))).toBeUndefined()
    // A push sends, and takes nothing
    await writeFile(join(c, 'third.txt'), 'third')
    expect((await alice.run('sync', 'site', '--timeout', '10s')).code).toBe(0)
    expect((await bob.run('push', 'site')).code).toBe(0)
    expect(await readIfThere(join(c, 'by bob.txt'))).toBe('by bob')
    expect(await readIfThere(join(c, 'first.txt'))).toBe('first, by bob')
    expect(await readIfThere(join(d, 'third.txt'))).toBeUndefined()
    expect((await bob.run('sync', 'site', '--once')).code).toBe(0)
    expect(await readIfThere(join(d, 'third.txt'))).toBe('third')
    expect(await site()).toMatchObject({ state: 'paused', fileCount: 4 })
    const wrong = await bob.run('pull', 'work')
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('kept in sync here all the time')])
  })
})
