/**
 * A storage device end to end, with real processes in network namespaces: it holds a space sealed, follows edits, learns
 * neither names nor contents, and gives everything back after all full devices and their homes are gone.
 */
import { createHash } from 'node:crypto'
import {
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createSeededRandom } from '../../src/base/random.ts'
import { hashFromText, hashOf } from '../../src/blobs/hash.ts'
import type { SpaceStatus } from '../../src/peer/api.ts'
import type { HoldStatus, SpaceKeyText } from '../../src/peer/api-vaults.ts'
import { describeWith } from '../support/needs.ts'
import { createSiege } from '../support/siege.ts'
import { createLab } from '../support/netns.ts'
import { createSkeinPeer, launchIn, pairPeers, type SkeinPeer, until } from '../support/skein.ts'

/** Every path below a directory with a digest of what it is, what Skein keeps there left out. */
async function picture(root: string, below = ''): Promise<readonly string[]> {
  const out: string[] = []
  for (const name of (await readdir(join(root, below)).catch(() => [])).sort((one, other) =>
    one < other ? -1 : 1,
  )) {
    if (below === '' && name === '.skein') continue
    const path = join(below, name)
    const stat = await lstat(join(root, path))
    if (stat.isDirectory()) out.push(`${path}/`, ...(await picture(root, path)))
    else if (stat.isSymbolicLink()) out.push(`${path} -> ${await readlink(join(root, path))}`)
    else
      out.push(
        `${path} ${createHash('sha256')
          .update(await readFile(join(root, path)))
          .digest('hex')}`,
      )
  }
  return out
}

async function filesBelow(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

const random = createSeededRandom(11)
const canaryName = 'holiday-plan-that-nobody-may-see'
const canaryText = 'the quick brown canary sings about its mortgage; '

async function fill(root: string): Promise<void> {
  await mkdir(join(root, 'deep/er'), { recursive: true })
  await mkdir(join(root, 'empty'))
  for (let index = 0; index < 200; index++)
    await writeFile(
      join(root, `deep/${canaryName}-${index}.txt`),
      canaryText.repeat(1 + (index % 40)) + index,
    )
  await writeFile(join(root, 'deep/er/large.bin'), random.bytes(5_000_000))
  await writeFile(join(root, 'nothing'), '')
  await symlink('deep/er', join(root, 'link'))
}

const sealedState = async (peer: SkeinPeer): Promise<string | undefined> =>
  (await peer.json<SpaceStatus[]>('spaces'))[0]?.sealed?.[0]?.state

const isUp = async (peer: SkeinPeer): Promise<boolean> =>
  await peer.up().then(
    () => true,
    () => false,
  )

/** Contents and hashes in each form that they could be written down in. */
async function canaries(root: string): Promise<readonly Buffer[]> {
  const out = [Buffer.from(canaryName), Buffer.from(canaryText), Buffer.from('family-papers')]
  for (const path of await filesBelow(root)) {
    if (path.includes('.skein')) continue
    const content = await readFile(path)
    if (content.byteLength === 0) continue
    const hash = hashOf(content)
    const raw = Buffer.from(hashFromText(hash))
    out.push(raw, Buffer.from(hash), Buffer.from(raw.toString('hex')), Buffer.from(raw.toString('base64')))
    out.push(content.subarray(0, 64))
  }
  return out
}

async function expectNone(home: string, needles: readonly Buffer[]): Promise<void> {
  const files = await filesBelow(home)
  expect(files.some((path) => path.endsWith('.pack'))).toBe(true)
  for (const path of files) {
    const bytes = await readFile(path).catch(() => Buffer.alloc(0))
    expect(
      needles.find((needle) => bytes.includes(needle) || path.includes(needle.toString())),
    ).toBeUndefined()
  }
}

describeWith(['ip', 'nft', 'netns'], 'a storage device', () => {
  test(
    'holds a space that it cannot read, and gives it back when all full devices are lost',
    { timeout: 240_000 },
    async () => {
      await using lab = await createLab({ hosts: 3, withDefaultRoute: true })
      const folders = await mkdtemp(join(tmpdir(), 'skein-stored-'))
      const peerIn = (host: number, name: string): Promise<SkeinPeer> =>
        createSkeinPeer({
          name,
          upArgs: [],
          launch: launchIn(lab, host),
        })
      try {
        await using vps = await peerIn(2, 'vps')
        const [a, b, reference, keyFile] = ['a', 'b', 'reference', 'key'].map((name) =>
          join(folders, name),
        ) as [string, string, string, string] // because: four names give four paths
        await mkdir(a)
        await fill(a)
        {
          await using alice = await peerIn(0, 'alice')
          await using bob = await peerIn(1, 'bob')
          for (const peer of [alice, bob, vps]) await peer.up()
          await pairPeers(alice, bob)
          await pairPeers(alice, vps, '--role', 'storage')
          await alice.json('share', a, '--name', 'family-papers')
          await until('the space is known', async () => (await bob.json<unknown[]>('spaces')).length > 0)
          await bob.json('join', 'family-papers', b)

          // Its person must have agreed, and only a device that reads nothing may hold anything
          const early = await until('a refusal that names the fix', async () => {
            const { code, stderr } = await alice.run('store', 'family-papers', '--on', 'vps')
            return code !== 0 && !stderr.includes('not connected') && stderr
          })
          expect(early.value).toContain('skein hold')
          expect((await alice.run('hold', '--quota', '1G')).stderr).toContain('not a storage device')
          expect((await alice.run('store', 'family-papers', '--on', 'bob')).stderr).toContain(
            'no storage device',
          )
          expect((await vps.run('share', a)).stderr).toContain('sealed')
          expect(await vps.json<unknown[]>('spaces')).toEqual([])
          await vps.json('hold', '--quota', '1G')
          await alice.json('store', 'family-papers', '--on', 'vps')
          await until('all is sealed', async () => (await sealedState(alice)) === 'complete', 60_000)
          expect((await alice.run('spaces')).stdout).toContain('all 202 files sealed at vps')
          const held = await vps.json<HoldStatus>('hold')
          expect(held.vaults).toHaveLength(1)
          expect((await vps.run('spaces')).stdout).toContain('for others, sealed')
          await expectNone(vps.home, await canaries(a))
          // It asks nobody for what it would be refused
          const logs = (await filesBelow(vps.home)).filter((path) => path.includes('/logs/'))
          expect(logs.length).toBeGreaterThan(0)
          for (const path of logs) expect(await readFile(path, 'utf8')).not.toContain('keys not exchanged')

          // The other device has got the key by itself, and goes on when the first one is away
          await until('sync', async () => (await picture(b)).length === (await picture(a)).length, 60_000)
          await until('bob follows', async () => (await sealedState(bob)) === 'complete', 60_000)
          await alice.run('down')
          await writeFile(join(b, 'edited late.txt'), canaryText + 'late')
          await rm(join(b, 'nothing'))
          await rm(join(b, `deep/${canaryName}-7.txt`))
          await until(
            'the edit is sealed',
            async () => {
              const [space] = await bob.json<SpaceStatus[]>('spaces')
              const [copy] = space?.sealed ?? []
              // One different content more, two less
              return copy?.state === 'complete' && copy.fileCount === 201
            },
            60_000,
          )
          const { code } = await bob.json<SpaceKeyText>('space', 'key', 'family-papers')
          await writeFile(keyFile, `${code}\n`)
          for (const home of [bob.home, alice.home])
            for (const path of (await filesBelow(home)).filter((file) => file.includes('/logs/')))
              expect((await readFile(path, 'utf8')).replaceAll('-', '')).not.toContain(
                code.replaceAll('-', '').slice(12, 40),
              )
          await bob.run('down')
          await cp(b, reference, { recursive: true, verbatimSymlinks: true })
          await rm(join(reference, '.skein'), { recursive: true })
        }
        // Both full devices are gone, with their homes
        const wanted = await picture(reference)
        expect(wanted.length).toBeGreaterThan(202)
        await rm(a, { recursive: true })
        await rm(b, { recursive: true })
        expect((await vps.run('leave', '--yes')).code).toBe(0)

        await using carol = await peerIn(0, 'carol')
        await using dave = await peerIn(1, 'dave')
        await carol.up()
        await dave.up()
        await pairPeers(carol, vps, '--role', 'storage')
        await until('vps is there', async () => {
          const outcome = await carol.run('recover', a, '--key-file', keyFile)
          if (outcome.code !== 0)
            expect(outcome.stderr).toMatch(/no storage device is connected|no connected/)
          return outcome.code === 0
        })
        await until('all is back', async () => (await picture(a)).join() === wanted.join(), 60_000)
        expect(await picture(a)).toEqual(wanted)

        // A device that joins while no other full one is up gets it all from the storage device
        await pairPeers(carol, dave)
        await until('dave knows vps', async () =>
          (await dave.status()).links.some(({ name, state }) => name === 'vps' && state === 'up'),
        )
        await carol.run('down')
        await until('dave may ask', async () => {
          const outcome = await dave.run('recover', b, '--key-file', keyFile, '--on', 'vps')
          return outcome.code === 0
        })
        await until('all is there too', async () => (await picture(b)).join() === wanted.join(), 60_000)
        await expectNone(vps.home, await canaries(b))
      } finally {
        await rm(folders, { recursive: true, force: true })
      }
    },
  )

  test(
    'gets no key, no document and no content in plain, whatever it asks',
    { timeout: 180_000 },
    async () => {
      await using siege = await createSiege()
      const { alice } = siege
      const [space] = await alice.json<SpaceStatus[]>('spaces')
      const content = Buffer.from('what only full devices may read')
      await writeFile(join(space?.directory ?? '', 'plain.txt'), content)
      const ask = async (name: string, role: string): Promise<readonly Record<string, unknown>[]> => {
        const mallory = await siege.stranger(name)
        await mallory.up()
        await pairPeers(alice, mallory, '--role', role)
        await mallory.run('down')
        const asked = {
          mode: 'storage',
          home: mallory.home,
          space: space?.id ?? '',
          hash: hashOf(content),
        } as const
        return await siege.attack(asked).result
      }
      const outcomes = await ask('mallory', 'storage')
      expect(outcomes).toHaveLength(5)
      for (const { what, outcome } of outcomes)
        expect({ what, outcome }).toEqual({
          what,
          outcome:
            what === 'the key'
              ? 'auth.denied'
              : expect.stringMatching(/^(channel\.aborted, 0 bytes|threw peer\.gone)$/),
        })
      // The same questions of a full device are answered: the attack is one
      const answers = new Map(
        (await ask('friend', 'full')).map(({ what, outcome }) => [what, String(outcome)]),
      )
      expect(answers.get('the key')).toBe('answered')
      expect(answers.get('all documents')).toMatch(/[1-9]\d* bytes/)
      expect(answers.get('a content')).toMatch(/[1-9]\d* bytes/)
    },
  )

  test(
    'goes on after each kill -9 of either side in mid upload, and nothing is lost',
    { timeout: 240_000 },
    async () => {
      await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
      const folders = await mkdtemp(join(tmpdir(), 'skein-killed-'))
      const chance = createSeededRandom(17)
      const peerIn = (host: number, name: string): Promise<SkeinPeer> =>
        createSkeinPeer({
          name,
          upArgs: [],
          launch: launchIn(lab, host),
        })
      try {
        await using vps = await peerIn(1, 'vps')
        const [a, back, keyFile] = ['a', 'back', 'key'].map((name) => join(folders, name)) as [
          string,
          string,
          string,
        ] // because: three names
        await mkdir(a)
        {
          await using alice = await peerIn(0, 'alice')
          await alice.up()
          await vps.up()
          await pairPeers(alice, vps, '--role', 'storage')
          await alice.json('share', a, '--name', 'work')
          await vps.json('hold', '--quota', '2G')
          await until('stored', async () => (await alice.run('store', 'work', '--on', 'vps')).code === 0)
          for (let round = 0; round < 5; round++) {
            await mkdir(join(a, `round ${round}`))
            for (let index = 0; index < 60; index++)
              await writeFile(join(a, `round ${round}`, `${index}`), chance.bytes(chance.uint32() % 40_000))
            await writeFile(join(a, `round ${round}`, 'large'), chance.bytes(8_000_000))
            await new Promise((resolve) => setTimeout(resolve, chance.uint32() % 1_500))
            const victim = round % 2 === 0 ? vps : alice
            process.kill(await victim.pid(), 'SIGKILL')
            await until('it is up again', async () => await isUp(victim))
          }
          await until('all is sealed', async () => (await sealedState(alice)) === 'complete', 90_000)
          expect(await picture(a)).toHaveLength(5 * 62)
          const { code } = await alice.json<SpaceKeyText>('space', 'key', 'work')
          await writeFile(keyFile, code)
        }
        await vps.run('leave', '--yes')
        await using carol = await peerIn(0, 'carol')
        await carol.up()
        await pairPeers(carol, vps, '--role', 'storage')
        await until(
          'recovered',
          async () => (await carol.run('recover', back, '--key-file', keyFile)).code === 0,
        )
        const wanted = await picture(a)
        await until('all is back', async () => (await picture(back)).join() === wanted.join(), 60_000)
        expect(wanted.length).toBe(5 * 62)
        const [space] = await carol.json<SpaceStatus[]>('spaces')
        expect(space?.sealed?.[0]?.damageCount).toBe(0)
        await carol.json('store', 'work', '--on', 'vps', '--stop')
        expect((await vps.json<HoldStatus>('hold')).vaults).toEqual([])
      } finally {
        await rm(folders, { recursive: true, force: true })
      }
    },
  )
})
