/** Disks that are full, at the start and later: a clear word, no torn file, and on it goes when there is room again. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { SpaceStatus } from '../../src/peer/api.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { describeWith } from '../support/needs.ts'
import { createLab } from '../support/netns.ts'
import { createSmallDisk } from '../support/small-disk.ts'
import { createSkeinPeer, pairPeers, until } from '../support/skein.ts'

const mebibyte = 1024 * 1024
const timeout = 120_000

describeWith(['ip', 'nft', 'netns', 'nsenter'], 'a full disk', () => {
  test('at the start is said before anything is written', { timeout }, async () => {
    await using lab = await createLab({ hosts: 1 })
    await using disk = await createSmallDisk(lab, 0, mebibyte)
    await using peer = await createSkeinPeer({
      name: 'tight',
      launch: (file, args) =>
        disk.launch(
          file,
          args.map((arg, index) => (args[index - 1] === '--home' ? join(disk.path, 'home') : arg)),
        ),
    })
    const full = await peer.run('up')
    expect(full.code).toBe(1)
    expect(full.stderr).toMatch(/the disk of the home .* is full/)
    expect(full.stderr).toMatch(/free at least \d+ MB/)
    await disk.resize(64 * mebibyte)
    expect((await peer.run('up')).code).toBe(0)
  })

  test(
    'of a shared folder: no torn file, the cause is shown, and it ends by itself',
    { timeout },
    async () => {
      await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
      await using disk = await createSmallDisk(lab, 1, 16 * mebibyte)
      const folder = await mkdtemp(join(tmpdir(), 'skein-full-'))
      const launch = (file: string, args: readonly string[]): ReturnType<typeof lab.spawn> =>
        lab.spawn(0, file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      try {
        await using alice = await createSkeinPeer({ name: 'alice', launch, upArgs: [] })
        await using bob = await createSkeinPeer({ name: 'bob', launch: disk.launch, upArgs: [] })
        await alice.up()
        await bob.up()
        await pairPeers(alice, bob)
        const big = createSystemRandom().bytes(24 * mebibyte)
        await writeFile(join(folder, 'big.bin'), big)
        await writeFile(join(folder, 'small.txt'), 'small')
        await alice.json('share', folder, '--name', 'work')
        const there = join(disk.path, 'work')
        await bob.json('join', 'work', there)

        const told = await until(
          'the cause is shown',
          async () => {
            const [space] = await bob.json<SpaceStatus[]>('spaces')
            return space?.reason?.includes('disk is full') === true && space
          },
          40_000,
        )
        expect(told.value.reason).toContain('big.bin')
        expect((await bob.run('doctor')).stdout).toMatch(/FAIL .*space work/)
        expect((await bob.run('sync', '--timeout', '2s')).code).toBe(5)
        // What fits is there whole; what does not is not there at all
        const listed = (await disk.exec('ls', there)).stdout.split('\n')
        expect(listed).not.toContain('big.bin')
        await until(
          'the small one',
          async () => (await disk.exec('cat', join(there, 'small.txt'))).stdout === 'small',
        )

        await disk.resize(80 * mebibyte)
        const healed = await until(
          'the big one arrives whole',
          async () => (await disk.exec('cmp', join(folder, 'big.bin'), join(there, 'big.bin'))).code === 0,
          60_000,
        )
        await until('and nothing is complained about', async () => {
          const [space] = await bob.json<SpaceStatus[]>('spaces')
          return space?.state === 'in-sync' && space.reason === undefined
        })
        console.log('full folder', { recoveredAfterMs: Math.round(healed.elapsedMs) })
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  )

  test(
    'of the home while it runs: it says so, stays up, and goes on when there is room',
    { timeout },
    async () => {
      await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
      await using disk = await createSmallDisk(lab, 1, 24 * mebibyte)
      const folder = await mkdtemp(join(tmpdir(), 'skein-full-'))
      const launch = (file: string, args: readonly string[]): ReturnType<typeof lab.spawn> =>
        lab.spawn(0, file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      const inDisk = (file: string, args: readonly string[]): ReturnType<typeof disk.launch> =>
        disk.launch(
          file,
          args.map((arg, index) => (args[index - 1] === '--home' ? join(disk.path, 'home') : arg)),
        )
      try {
        await mkdir(folder, { recursive: true })
        await using alice = await createSkeinPeer({ name: 'alice', launch, upArgs: [] })
        await using bob = await createSkeinPeer({ name: 'bob', launch: inDisk, upArgs: [] })
        await alice.up()
        const { pid } = await bob.up()
        await pairPeers(alice, bob)
        await until('linked', async () => (await bob.status()).links.some((link) => link.state === 'up'))

        await disk.exec('dd', 'if=/dev/zero', `of=${join(disk.path, 'filler')}`, 'bs=4k')
        let failed = 0
        for (let index = 0; index < 20; index++) {
          const outcome = await bob.run('clip', 'set', `${index} ${'x'.repeat(60_000)}`)
          if (outcome.code !== 0) {
            failed++
            expect(outcome.stderr).toMatch(/full|space|store|disk/i)
            expect(outcome.stderr).toContain('fix:')
          }
        }
        expect(failed).toBeGreaterThan(0)
        expect(await bob.status()).toMatchObject({ pid })
        const doctor = await bob.run('doctor')
        expect(doctor.code).toBe(1)
        expect(doctor.stdout).toMatch(/FAIL {2}(disk space|store)/)

        // What others say arrives when there is room again, and what was confirmed before is still there
        await alice.json('clip', 'set', 'said meanwhile')
        await disk.exec('rm', join(disk.path, 'filler'))
        const healed = await until(
          'writes work again',
          async () => (await bob.run('clip', 'set', 'after')).code === 0,
          60_000,
        )
        await until(
          'the other has it',
          async () => (await alice.run('clip', 'get')).stdout.trim() === 'after',
        )
        await until('and the word from meanwhile', async () =>
          (await bob.run('clip', 'history')).stdout.includes('said meanwhile'),
        )
        expect((await bob.status()).pid).toBe(pid)
        console.log('full home', { failed, recoveredAfterMs: Math.round(healed.elapsedMs) })
        await bob.run('down')
        expect((await bob.run('up')).code).toBe(0)
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  )
})
