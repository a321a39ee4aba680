/** Clocks that are years off, and a network without IPv4: pairing, meeting again and syncing still work. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describeWith } from '../support/needs.ts'
import type { Lab } from '../support/netns.ts'
import { createLab } from '../support/netns.ts'
import type { Launch, SkeinPeer } from '../support/skein.ts'
import { createSkeinPeer, until } from '../support/skein.ts'

const timeout = 150_000
const isUp = async (peer: SkeinPeer): Promise<boolean> =>
  (await peer.status()).links.some((link) => link.state === 'up')
const textOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')

/** Only the wall clock is off: no machine has a wrong monotonic one. */
const launchAt =
  (lab: Lab, host: number, offset: string): Launch =>
  (file, args) =>
    lab.spawn(host, 'faketime', ['-f', offset, file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DONT_FAKE_MONOTONIC: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
    })

async function pairByLongCode(host: SkeinPeer, joiner: SkeinPeer): Promise<void> {
  const window = host.start('pair', '--yes', '--json')
  try {
    for await (const event of window.items()) {
      if (event['kind'] !== 'opened') continue
      expect(await joiner.run('pair', String(event['longCode']))).toMatchObject({ code: 0 })
      return
    }
  } finally {
    window.kill()
    await window.done
  }
}

describeWith(['ip', 'nft', 'netns', 'faketime'], 'clocks that are years off', () => {
  test.each([
    ['ten years ahead', '+3650d', '+0d'],
    ['eight years behind', '-2920d', '+0d'],
    ['one ahead and the other behind', '+3650d', '-2920d'],
  ])('%s', { timeout }, async (_what, one, other) => {
    await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
    const folders = await mkdtemp(join(tmpdir(), 'skein-clock-'))
    try {
      await using alice = await createSkeinPeer({ name: 'alice', launch: launchAt(lab, 0, one), upArgs: [] })
      await using bob = await createSkeinPeer({ name: 'bob', launch: launchAt(lab, 1, other), upArgs: [] })
      await alice.up()
      await bob.up()
      await pairByLongCode(alice, bob)
      await until('linked', () => isUp(bob))
      const [a, b] = [join(folders, 'a'), join(folders, 'b')]
      await mkdir(a)
      await writeFile(join(a, 'x'), 'first')
      await alice.json('share', a, '--name', 'work')
      await bob.json('join', 'work', b)
      await until('synced', async () => (await textOf(join(b, 'x'))) === 'first')
      await writeFile(join(b, 'x'), 'second')
      await until('and back', async () => (await textOf(join(a, 'x'))) === 'second')
      await alice.json('rotate')

      // Both come back on other ports: nothing but discovery tells them where
      await alice.run('down')
      await bob.run('down')
      await alice.up()
      await bob.up()
      const met = await until('met again', async () => (await isUp(alice)) && (await isUp(bob)), 30_000)
      await writeFile(join(a, 'y'), 'third')
      await until('still in sync', async () => (await textOf(join(b, 'y'))) === 'third')
      console.log('clocks', { one, other, metAfterMs: Math.round(met.elapsedMs) })
      const doctors = [await alice.run('doctor'), await bob.run('doctor')]
      expect(doctors.some(({ stdout }) => stdout.includes('FAIL  clock'))).toBe(
        [one, other].some((offset) => offset.startsWith('-')),
      )
    } finally {
      await rm(folders, { recursive: true, force: true })
    }
  })
})

describeWith(['ip', 'nft', 'netns'], 'a network with IPv6 only', () => {
  test('pairing, links and files work', { timeout }, async () => {
    await using lab = await createLab({ hosts: 2 })
    const folders = await mkdtemp(join(tmpdir(), 'skein-six-'))
    const launch =
      (host: number): Launch =>
      (file, args) =>
        lab.spawn(host, file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    try {
      for (const host of [0, 1]) {
        await lab.exec(host, 'ip', ['-4', 'address', 'flush', 'dev', 'eth0'])
        await lab.exec(host, 'ip', ['-6', 'address', 'add', `fd77::${host + 1}/64`, 'dev', 'eth0', 'nodad'])
      }
      await using alice = await createSkeinPeer({ name: 'alice', launch: launch(0), upArgs: [] })
      await using bob = await createSkeinPeer({ name: 'bob', launch: launch(1), upArgs: [] })
      await alice.up()
      await bob.up()
      await pairByLongCode(alice, bob)
      await until('linked', () => isUp(bob))
      await alice.run('down')
      await bob.run('down')
      await alice.up()
      await bob.up()
      const met = await until('met again', async () => (await isUp(alice)) && (await isUp(bob)), 30_000)
      await alice.json('clip', 'set', 'over six')
      await until('the clipboard', async () => (await bob.run('clip', 'get')).stdout.trim() === 'over six')
      console.log('IPv6 only', { metAfterMs: Math.round(met.elapsedMs) })
    } finally {
      await rm(folders, { recursive: true, force: true })
    }
  })
})
