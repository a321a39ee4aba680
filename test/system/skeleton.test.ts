/**
 * The whole thing end to end, as a person has it: two real peers with their own homes, paired by a code, sharing a
 * folder and the clipboard. In network namespaces, so that multicast stays inside and @libp2p/mdns has its route.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { describeWith } from '../support/needs.ts'
import { createLab } from '../support/netns.ts'
import type { SkeinPeer } from '../support/skein.ts'
import { createSkeinPeer, pairPeers, until } from '../support/skein.ts'

const content = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
const names = (path: string): Promise<string[]> =>
  readdir(path).then(
    (found) => found.filter((name) => name !== '.skein').sort(),
    () => [],
  )
const isUp = async (peer: SkeinPeer): Promise<boolean> =>
  (await peer.status()).links.some((link) => link.state === 'up')

describeWith(['ip', 'nft', 'netns'], 'two peers on a network', () => {
  test(
    'find each other, pair by a code, share a folder two ways and the clipboard',
    { timeout: 120_000 },
    async () => {
      await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
      const folders = await mkdtemp(join(tmpdir(), 'skein-folders-'))
      const launchIn =
        (host: number) =>
        (file: string, args: readonly string[]): ReturnType<typeof lab.spawn> =>
          lab.spawn(host, file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      try {
        await using alice = await createSkeinPeer({ name: 'alice', launch: launchIn(0), upArgs: [] })
        await using bob = await createSkeinPeer({ name: 'bob', launch: launchIn(1), upArgs: [] })
        const [a, b] = [join(folders, 'a'), join(folders, 'b')]
        await mkdir(join(a, 'deep/er'), { recursive: true })
        const binary = createSystemRandom().bytes(300_000)
        await writeFile(join(a, 'hello.txt'), 'from alice')
        await writeFile(join(a, 'deep/er/blob.bin'), binary)
        await mkdir(join(a, 'empty'))

        await alice.up()
        await bob.up()
        await pairPeers(alice, bob)
        await until('the link', async () => (await isUp(alice)) && (await isUp(bob)))

        await alice.json('share', a, '--name', 'work')
        await until('the space is known', async () => {
          const spaces = await bob.json<{ name: string }[]>('spaces')
          return spaces.some((space) => space.name === 'work')
        })
        await bob.json('join', 'work', b)
        await until('first sync', async () => (await content(join(b, 'hello.txt'))) === 'from alice')
        await until(
          'binary content',
          async () =>
            binary.every.length > 0 &&
            Buffer.compare(
              await readFile(join(b, 'deep/er/blob.bin')).catch(() => Buffer.alloc(0)),
              binary,
            ) === 0,
        )
        await until('empty directory', async () => (await names(b)).includes('empty'))

        const figures: Record<string, number> = {}
        await writeFile(join(b, 'reply.txt'), 'from bob')
        figures['create_ms'] = (
          await until('create back', async () => (await content(join(a, 'reply.txt'))) === 'from bob')
        ).elapsedMs
        await writeFile(join(a, 'hello.txt'), 'edited by alice')
        figures['edit_ms'] = (
          await until('edit', async () => (await content(join(b, 'hello.txt'))) === 'edited by alice')
        ).elapsedMs
        await rename(join(b, 'deep'), join(b, 'moved'))
        figures['rename_ms'] = (
          await until('rename', async () => (await names(join(a, 'moved/er'))).includes('blob.bin'))
        ).elapsedMs
        await until('old name gone', async () => !(await names(a)).includes('deep'))
        await rm(join(a, 'reply.txt'))
        figures['delete_ms'] = (
          await until('delete', async () => (await content(join(b, 'reply.txt'))) === undefined)
        ).elapsedMs

        await alice.run('clip', 'set', 'copied on alice')
        figures['clip_ms'] = (
          await until(
            'clipboard',
            async () => (await bob.run('clip', 'get')).stdout.trim() === 'copied on alice',
          )
        ).elapsedMs
        console.log('skeleton figures', figures)

        // Apart, both change something; together again both have both
        await bob.run('down')
        await writeFile(join(a, 'while-away.txt'), 'a')
        await writeFile(join(b, 'on-its-own.txt'), 'b')
        await bob.up()
        await until(
          'offline changes meet',
          async () =>
            (await content(join(b, 'while-away.txt'))) === 'a' &&
            (await content(join(a, 'on-its-own.txt'))) === 'b',
        )
        expect(await names(a)).toEqual(await names(b))
      } finally {
        await rm(folders, { recursive: true, force: true })
      }
    },
  )
})
