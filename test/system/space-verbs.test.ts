/**
 * The verbs about shared folders as a person uses them: two real peers with a space between them, each act by the
 * command line, each outcome looked at on the disk of the other one.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type {
  ConflictDetail,
  ConflictList,
  ConflictOutcome,
  History,
  IgnoreList,
  IgnoreVerdict,
  RestoreReport,
  SpaceStatus,
  VersionList,
} from '../../src/peer/api-spaces.ts'
import { arrives, readIfThere } from '../support/folder-on-disk.ts'
import { describeWith } from '../support/needs.ts'
import type { Lab } from '../support/netns.ts'
import { createLab } from '../support/netns.ts'
import type { SkeinPeer } from '../support/skein.ts'
import { createSkeinPeer, launchIn, pairPeers, until } from '../support/skein.ts'

const patience = { timeout: 90_000 }

describeWith(['ip', 'nft', 'netns'], 'a shared folder between two devices', () => {
  let lab: Lab
  let alice: SkeinPeer
  let bob: SkeinPeer
  let [root, a, b] = ['', '', '']

  beforeAll(async () => {
    lab = await createLab({ hosts: 2, withDefaultRoute: true })
    root = await mkdtemp(join(tmpdir(), 'skein-verbs-'))
    ;[a, b] = [join(root, 'a'), join(root, 'b')]
    alice = await createSkeinPeer({ name: 'alice', launch: launchIn(lab, 0), upArgs: [] })
    bob = await createSkeinPeer({ name: 'bob', launch: launchIn(lab, 1), upArgs: [] })
    await alice.up()
    await bob.up()
    await pairPeers(alice, bob)
    await mkdir(a)
    await writeFile(join(a, 'todo.txt'), 'one\ntwo\nthree\n')
    await alice.json('share', a, '--name', 'work')
    await bob.json('join', 'work', b)
    await together()
  }, 90_000)
  afterAll(async () => {
    await alice?.[Symbol.asyncDispose]()
    await bob?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
    await rm(root, { recursive: true, force: true })
  })

  const names = async (path: string): Promise<readonly string[]> =>
    (await readdir(path)).filter((name) => name !== '.skein').sort()
  const spaceOf = async (peer: SkeinPeer, name = 'work'): Promise<SpaceStatus> => {
    const space = (await peer.json<SpaceStatus[]>('spaces')).find((one) => one.name === name)
    if (space === undefined) throw new Error('no space')
    return space
  }
  /** Both hold the same, and say so. */
  const together = async (): Promise<void> => {
    await until('both in sync', async () => {
      const states = [await alice.run('sync', '--timeout', '10s'), await bob.run('sync', '--timeout', '10s')]
      return states.every(({ code }) => code === 0) && (await names(a)).join() === (await names(b)).join()
    })
  }
  /** Bob pauses, both change, bob goes on. */
  const apart = async (change: () => Promise<void>): Promise<void> => {
    await bob.json('pause', 'work')
    await change()
    await until('alice has looked', async () => (await alice.run('sync', '--timeout', '10s')).code === 0)
    await bob.json('resume', 'work')
    await together()
  }

  test('a paused folder does nothing, also after a restart, and loses nothing', patience, async () => {
    await bob.json('pause')
    expect(await spaceOf(bob)).toMatchObject({ state: 'paused', reason: 'paused by you', fileCount: 1 })
    expect((await bob.run('status')).stdout).toContain('paused (by you)')
    expect((await bob.status()).links[0]?.state).toBe('up')
    await writeFile(join(a, 'from-alice.txt'), 'a')
    await writeFile(join(b, 'from-bob.txt'), 'b')
    await writeFile(join(b, 'todo.txt'), 'one\ntwo\nthree\nfour\n')
    await bob.run('down')
    await bob.up()
    expect(await spaceOf(bob)).toMatchObject({ state: 'paused' })
    expect((await bob.run('sync', 'work', '--timeout', '1s')).code).toBe(5)
    // A second is many times what an edit takes to arrive
    expect([await names(a), await names(b)]).toEqual([
      ['from-alice.txt', 'todo.txt'],
      ['from-bob.txt', 'todo.txt'],
    ])
    await bob.json('resume', 'work')
    await arrives(join(a, 'from-bob.txt'), 'b')
    await arrives(join(b, 'from-alice.txt'), 'a')
    await arrives(join(a, 'todo.txt'), 'one\ntwo\nthree\nfour\n')
  })

  test('while the holder of a content is paused, nobody takes it for lost', patience, async () => {
    await writeFile(join(b, 'moved.bin'), 'bytes\0')
    await together()
    await bob.json('pause')
    await rename(join(b, 'moved.bin'), join(b, 'elsewhere.bin'))
    await rm(join(a, 'moved.bin'))
    await until('alice has told', async () => (await alice.run('sync', '--timeout', '10s')).code === 0)
    await bob.json('resume')
    await together()
    expect(await readIfThere(join(b, 'elsewhere.bin'))).toBe('bytes\0')
    await arrives(join(a, 'elsewhere.bin'), 'bytes\0')
  })

  test('conflicts are listed, shown and decided on all devices', patience, async () => {
    await writeFile(join(a, 'c.bin'), 'base\0')
    await together()
    await apart(async () => {
      await writeFile(join(a, 'c.bin'), 'by alice\0')
      await writeFile(join(b, 'c.bin'), 'by bob\0')
    })
    const list = await alice.json<ConflictList>('conflicts')
    expect(list.conflicts).toMatchObject([{ path: 'c.bin', spaceName: 'work', directory: a }])
    const [conflict] = list.conflicts
    expect(conflict?.sides.map(({ device }) => device).sort()).toEqual(['alice', 'bob'])
    expect(await spaceOf(bob)).toMatchObject({ conflictCount: 1 })
    const shown = await bob.json<ConflictDetail>('conflicts', 'show', join(b, 'c.bin'))
    expect(shown.diffs).toMatchObject([{ kind: 'binary' }])
    const done = await alice.json<ConflictOutcome>('conflicts', 'pick', join(a, 'c.bin'), '--mine')
    expect(done).toMatchObject({ kind: 'resolved', path: 'c.bin', isSettled: true })
    await arrives(join(b, 'c.bin'), 'by alice\0')
    await together()
    expect((await names(b)).filter((name) => name.includes('conflict'))).toEqual([])
    for (const [peer, folder] of [
      [alice, a],
      [bob, b],
    ] as const) {
      const { versions } = await peer.json<VersionList>('versions', join(folder, 'c.bin'))
      const kept = versions.find(({ device, sizeBytes }) => device === 'bob' && sizeBytes === 7)
      expect(kept).toBeDefined()
    }
    expect((await alice.run('conflicts', 'show', join(a, 'c.bin'))).code).toBe(1)
  })

  test('a text is merged by hand: a draft with markers, then its content everywhere', patience, async () => {
    await writeFile(join(a, 'm.txt'), '1\n2\n3\n')
    await together()
    await apart(async () => {
      await writeFile(join(a, 'm.txt'), '1\nalice\n3\n')
      await writeFile(join(b, 'm.txt'), '1\nbob\n3\n')
    })
    const shown = await alice.run('conflicts', 'show', join(a, 'm.txt'))
    expect(shown.stdout).toMatch(/^-(alice|bob)$/m)
    expect(shown.stdout).toMatch(/^\+(alice|bob)$/m)
    const draft = await alice.json<ConflictOutcome>('conflicts', 'merge', join(a, 'm.txt'))
    expect(draft).toMatchObject({ kind: 'draft', paths: ['m.merge.txt'], markerCount: 1 })
    const path = join(a, 'm.merge.txt')
    expect(await readIfThere(path)).toContain('||||||| before\n2\n')
    const early = await alice.run('conflicts', 'merge', join(a, 'm.txt'), '--result', path)
    expect([early.code, early.stderr.includes('marker in line 2')]).toEqual([2, true])
    await writeFile(path, '1\nboth\n3\n')
    await alice.json('conflicts', 'merge', join(a, 'm.txt'), '--result', path)
    await arrives(join(b, 'm.txt'), '1\nboth\n3\n')
    await together()
    expect((await names(b)).filter((name) => name.startsWith('m'))).toEqual(['m.txt'])
  })

  test('a deleted directory and an earlier version come back for all', patience, async () => {
    await mkdir(join(a, 'project/src'), { recursive: true })
    await writeFile(join(a, 'project/src/main.ts'), 'first')
    await writeFile(join(a, 'project/notes'), 'n')
    await together()
    await writeFile(join(a, 'project/notes'), 'n2')
    await arrives(join(b, 'project/notes'), 'n2')
    await rm(join(a, 'project'), { recursive: true })
    await arrives(join(b, 'project/notes'), undefined)
    const list = await bob.json<VersionList>('versions', join(b, 'project'))
    expect(list.caps).toEqual({ days: 30, bytes: 20_000_000_000 })
    expect(list.versions.map(({ path, cause }) => [path, cause])).toEqual(
      expect.arrayContaining([
        ['project/src/main.ts', 'deleted'],
        ['project/notes', 'deleted'],
        ['project/notes', 'replaced'],
      ]),
    )
    const back = await bob.json<RestoreReport>('restore', join(b, 'project'))
    expect(back.restored).toEqual(['project/notes', 'project/src/main.ts'])
    await arrives(join(a, 'project/src/main.ts'), 'first')
    await arrives(join(a, 'project/notes'), 'n2')
    const id = list.versions.find(({ cause }) => cause === 'replaced')?.id ?? ''
    await bob.json('restore', join(b, 'project/notes'), '--version', id)
    await arrives(join(a, 'project/notes'), 'n')
    await bob.json('restore', join(b, 'project/notes'), '--version', id, '--to', join(b, 'copy'))
    await arrives(join(a, 'copy'), 'n')
    const outside = await bob.run('restore', join(b, 'project/notes'), '--to', '/tmp/out')
    expect([outside.code, outside.stderr.includes('no shared folder')]).toEqual([2, true])
  })

  test('a history says who did what', patience, async () => {
    // As editors save, so that no half-written state is a version
    const save = async (path: string, content: string): Promise<void> => {
      await writeFile(join(root, 'draft'), content)
      await rename(join(root, 'draft'), path)
    }
    await save(join(a, 'h.txt'), 'one')
    await together()
    await save(join(b, 'h.txt'), 'two!')
    await arrives(join(a, 'h.txt'), 'two!')
    await rename(join(a, 'h.txt'), join(a, 'h2.txt'))
    await arrives(join(b, 'h2.txt'), 'two!')
    const told = await alice.json<History>('log', join(a, 'h2.txt'))
    expect(told.steps.map(({ kind, device }) => [kind, device])).toEqual([
      ['rename', 'alice'],
      ['edit', 'bob'],
      ['create', 'alice'],
    ])
    expect(told.steps[1]).toMatchObject({ clock: 'author', sizeBytes: 4 })
    await rm(join(a, 'h2.txt'))
    await arrives(join(b, 'h2.txt'), undefined)
    const gone = await bob.json<History>('log', join(b, 'h2.txt'))
    expect(gone).toMatchObject({ isThere: false })
    expect(gone.steps[0]).toMatchObject({ kind: 'delete', clock: 'here' })
    expect(gone.steps[1]).toMatchObject({ kind: 'edit', device: 'bob', sizeBytes: 4 })
  })

  test('patterns leave files out on all devices, and say why', patience, async () => {
    const list = await alice.json<IgnoreList>('ignore', 'work', '*.log', 'build/')
    const patterns = list.patterns.map(({ pattern }) => pattern)
    expect(patterns.toSorted()).toEqual(['*.log', 'build/'])
    await arrives(join(b, '.skeinignore'), patterns.map((pattern) => `${pattern}\n`).join(''))
    await writeFile(join(b, 'x.log'), 'noise')
    await writeFile(join(b, 'seen.txt'), 'news')
    await arrives(join(a, 'seen.txt'), 'news')
    expect(await names(a)).not.toContain('x.log')
    const verdict = await bob.json<IgnoreVerdict>('ignore', '--check', join(b, 'x.log'))
    expect(verdict).toMatchObject({ isIgnored: true, rule: { pattern: '*.log' } })
    expect((await bob.run('ignore', '--check', join(b, 'seen.txt'))).code).toBe(1)
    await bob.json('ignore', 'work', '--remove', '*.log')
    await arrives(join(a, 'x.log'), 'noise')
  })

  test('progress is told step by step, and what waits with its cause', patience, async () => {
    await bob.json('pause')
    await writeFile(
      join(a, 'big.bin'),
      new Uint8Array(60_000_000).fill(7).map((_, at) => at * 31),
    )
    await until('alice has it', async () => (await alice.run('sync', '--timeout', '20s')).code === 0)
    await bob.json('resume')
    const outcome = await bob.run('sync', '--wait', '--json')
    expect(outcome.code).toBe(0)
    const reports = outcome.stdout.split('\n').map((line) => JSON.parse(line))
    expect(reports.at(-1)).toMatchObject({ isInSync: true })
    const plain = await bob.run('sync', '--wait')
    expect(plain).toMatchObject({ code: 0, stdout: 'All in sync.' })
    expect((await readIfThere(join(b, 'big.bin')))?.length).toBe(60_000_000)
  })

  test('many deletions at once wait for a person, who takes them back', patience, async () => {
    await mkdir(join(a, 'many'), { recursive: true })
    for (let index = 0; index < 60; index++) await writeFile(join(a, `many/${index}`), String(index))
    await together()
    await rm(join(a, 'many'), { recursive: true })
    await until('the brake', async () => ((await spaceOf(alice)).heldDeletionCount ?? 0) > 0)
    expect((await alice.run('deletions')).stdout).toContain('skein deletions work --undo')
    expect((await names(join(b, 'many'))).length).toBe(60)
    await alice.json('deletions', 'work', '--undo')
    await until('they are back', async () => (await names(join(a, 'many')).catch(() => [])).length === 60)
    await rm(join(a, 'many'), { recursive: true })
    await until('the brake', async () => ((await spaceOf(alice)).heldDeletionCount ?? 0) > 0)
    await alice.json('deletions', 'work', '--allow')
    await until('gone there too', async () => !(await names(b)).includes('many'))
  })

  test(
    'sync waits for what the other device still looks at, and for nothing that only a person can mend',
    patience,
    async () => {
      const many = join(root, 'tree')
      for (let index = 0; index < 40; index++) {
        const directory = join(many, String(index))
        await mkdir(directory, { recursive: true })
        for (let file = 0; file < 50; file++)
          await writeFile(join(directory, String(file)), `${index}/${file}`)
      }
      await alice.json('share', many, '--name', 'tree')
      await bob.json('join', 'tree', join(root, 'tree2'))
      // Nothing of it had come yet: bob's own list alone would have said that it is complete
      expect((await bob.run('sync', 'tree', '--wait')).code).toBe(0)
      const arrived = await Promise.all(
        (await names(join(root, 'tree2'))).map((name) => names(join(root, 'tree2', name))),
      )
      expect(arrived.flat()).toHaveLength(2_000)

      execFileSync('mkfifo', [join(many, 'pipe')])
      await writeFile(join(many, 'last.txt'), 'x')
      await until('it is told', async () => (await spaceOf(alice, 'tree')).problemCount === 1)
      const told = await alice.run('sync', 'tree', '--wait')
      expect(told).toMatchObject({
        code: 1,
        stdout: expect.stringContaining('it is a pipe, socket or device'),
      })
      expect(await readIfThere(join(root, 'tree2/last.txt'))).toBe('x')
      await rm(join(many, 'pipe'))
      expect((await alice.run('sync', 'tree', '--wait')).code).toBe(0)
    },
  )
})
