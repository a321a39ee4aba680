/**
 * Leaving a mesh, with real processes: the others hear of it, the device starts over without a restart and can be
 * paired again, also after it was put out; its files stay where they are.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { AuditVerdict, Device, LeaveReport } from '../../src/peer/api.ts'
import { describeWith } from '../support/needs.ts'
import { createLab } from '../support/netns.ts'
import type { SkeinPeer } from '../support/skein.ts'
import { createSkeinPeer, pairPeers, until } from '../support/skein.ts'

const upLinks = async (peer: SkeinPeer): Promise<number> =>
  (await peer.status()).links.filter((link) => link.state === 'up').length
const memberNames = async (peer: SkeinPeer): Promise<readonly string[]> =>
  (await peer.json<Device[]>('devices'))
    .filter((device) => device.state !== 'revoked')
    .map(({ name }) => name)

describeWith(['ip', 'nft', 'netns'], 'leaving a mesh', () => {
  test(
    'takes the device out, starts it over, and lets it be paired again',
    { timeout: 120_000 },
    async () => {
      await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
      const folders = await mkdtemp(join(tmpdir(), 'skein-leave-'))
      const launchIn =
        (host: number) =>
        (file: string, args: readonly string[]): ReturnType<typeof lab.spawn> =>
          lab.spawn(host, file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      try {
        await using alice = await createSkeinPeer({ name: 'alice', launch: launchIn(0), upArgs: [] })
        await using bob = await createSkeinPeer({ name: 'bob', launch: launchIn(1), upArgs: [] })
        const [a, b] = [join(folders, 'a'), join(folders, 'b')]
        await mkdir(a)
        await writeFile(join(a, 'kept.txt'), 'kept')
        await alice.up()
        const before = await bob.up()
        await pairPeers(alice, bob)
        await until('linked', async () => (await upLinks(bob)) === 1)
        await alice.json('share', a, '--name', 'notes')
        await until('known', async () => (await bob.json<unknown[]>('spaces')).length === 1)
        await bob.json('join', 'notes', b)
        await until(
          'synced',
          async () => (await readFile(join(b, 'kept.txt'), 'utf8').catch(() => '')) === 'kept',
        )

        expect((await bob.run('leave')).code).toBe(2)
        const left = await bob.json<LeaveReport>('leave', '--yes')
        expect(left).toMatchObject({ wasMember: true, othersCount: 1, toldCount: 1, name: 'bob' })
        const after = await bob.status()
        expect(after.pid).toBe(before.pid)
        expect(after.deviceId).not.toBe(before.deviceId)
        expect(after.mesh).not.toBe((await alice.status()).mesh)
        expect(after).toMatchObject({ links: [], spaces: [], problems: [] })
        expect(await memberNames(alice)).toEqual(['alice'])
        expect(await readFile(join(b, 'kept.txt'), 'utf8')).toBe('kept')
        expect(await bob.json<AuditVerdict>('audit', 'verify')).toMatchObject({ ok: true })

        // Nothing of the old mesh goes to the next one, and the directory is taken up again without a conflict
        await pairPeers(alice, bob)
        await until('linked again', async () => (await upLinks(bob)) === 1)
        await until('known again', async () => (await bob.json<unknown[]>('spaces')).length === 1)
        await bob.json('join', 'notes', b)
        await writeFile(join(a, 'later.txt'), 'later')
        await until(
          'synced again',
          async () => (await readFile(join(b, 'later.txt'), 'utf8').catch(() => '')) === 'later',
        )
        expect((await bob.json<{ fileCount: number }[]>('spaces'))[0]?.fileCount).toBe(2)

        // Put out: it is told why, and gets back in by leaving
        await alice.json('revoke', 'bob', '--yes')
        const told = await until('told', async () =>
          (await bob.status()).problems.find((problem) => problem.message.includes('was removed')),
        )
        expect(told.value.fix).toContain('skein leave')
        expect((await bob.json<LeaveReport>('leave', '--yes')).wasMember).toBe(false)
        await pairPeers(alice, bob)
        await until('linked a third time', async () => (await upLinks(bob)) === 1)
        expect(await memberNames(bob)).toEqual(['alice', 'bob'])
        console.log('leave figures', { toldAfterMs: Math.round(told.elapsedMs) })
      } finally {
        await rm(folders, { recursive: true, force: true })
      }
    },
  )
})
