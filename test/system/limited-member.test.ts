/**
 * A device that the mesh lets read one folder: it gets that and nothing else, its own changes stay with it, and what it
 * writes all the same, as a device gone bad would, is refused by the others and stands in the audit log.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { encodeUpdates, syncProtocol } from '../../src/crdt/sync-frames.ts'
import type { AuditEntry, Device } from '../../src/peer/api.ts'
import type { Granted } from '../../src/peer/api-part.ts'
import type { SpaceStatus } from '../../src/peer/api-spaces.ts'
import { attempt, type Attack, greetOn, turn } from '../support/member-attacker.ts'
import type { SkeinPeer } from '../support/skein.ts'
import { createSkeinPeer, pairPeers, until } from '../support/skein.ts'

const patience = { timeout: 90_000 }

describe('a limited device', () => {
  let alice: SkeinPeer
  let bob: SkeinPeer
  let [root, work, secret, b] = ['', '', '', '']

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'skein-limited-'))
    ;[work, secret, b] = [join(root, 'work'), join(root, 'secret'), join(root, 'b')]
    for (const directory of [work, secret]) await mkdir(directory)
    alice = await createSkeinPeer({ name: 'alice' })
    bob = await createSkeinPeer({ name: 'bob' })
    await alice.up()
    await bob.up()
    await writeFile(join(work, 'plan.txt'), 'plan')
    await writeFile(join(secret, 'diary.txt'), 'diary')
    await alice.json('share', work, '--name', 'work')
    await alice.json('share', secret, '--name', 'secret')
    await pairPeers(alice, bob, '--role', 'limited')
  }, 90_000)
  afterAll(async () => {
    await alice?.[Symbol.asyncDispose]()
    await bob?.[Symbol.asyncDispose]()
    await rm(root, { recursive: true, force: true })
  })

  const text = (path: string): Promise<string | undefined> =>
    readFile(path, 'latin1').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
  const arrives = (path: string, wanted: string): Promise<unknown> =>
    until(`${path} is ${JSON.stringify(wanted)}`, async () => (await text(path)) === wanted)
  const spacesOf = async (peer: SkeinPeer): Promise<readonly SpaceStatus[]> =>
    await peer.json<SpaceStatus[]>('spaces')

  test('sees nothing before it is granted something, and then that alone', patience, async () => {
    await until('linked', async () => (await bob.status()).links.some(({ state }) => state === 'up'))
    expect(await spacesOf(bob)).toEqual([])
    const granted = await alice.json<Granted>('grant', 'bob', '--role', 'limited', '--space', 'work')
    expect(granted).toMatchObject({ name: 'bob', role: 'limited' })
    expect(granted.grants.map((one) => one.split(':')[0])).toEqual(['space.read', 'blob.read'])
    await until('bob knows the one', async () => (await spacesOf(bob)).length === 1)
    expect((await spacesOf(bob)).map(({ name }) => name)).toEqual(['work'])
    const joined = await bob.json<SpaceStatus>('join', 'work', b)
    expect(joined).toMatchObject({ role: 'read-only' })
    await arrives(join(b, 'plan.txt'), 'plan')
    await writeFile(join(work, 'more.txt'), 'more')
    await arrives(join(b, 'more.txt'), 'more')
    expect((await bob.run('join', 'secret', join(root, 'c'))).code).not.toBe(0)
    expect((await alice.run('sync', 'work', '--timeout', '20s')).code).toBe(0)
  })

  test('keeps its changes to itself, whatever its person says', patience, async () => {
    await writeFile(join(b, 'plan.txt'), 'plan, by bob')
    await until('it is listed', async () => (await spacesOf(bob))[0]?.localChangeCount === 1)
    const full = await bob.run('role', 'work', '--full')
    expect([full.code === 0, full.stderr]).toEqual([false, expect.stringContaining('only read that space')])
    const shared = await bob.run('share', join(root, 'b2'))
    expect(shared.code).not.toBe(0)
    await mkdir(join(root, 'b3'))
    expect((await bob.run('share', join(root, 'b3'))).stderr).toContain('no full device')
    const wide = await bob.run('grant', 'bob', '--role', 'full')
    expect(wide.code).not.toBe(0)
    expect((await alice.json<Device[]>('devices')).find(({ name }) => name === 'bob')?.role).toBe('limited')
    await writeFile(join(work, 'later.txt'), 'later')
    await arrives(join(b, 'later.txt'), 'later')
    expect(await text(join(work, 'plan.txt'))).toBe('plan')
  })

  test('becomes a full device by one command, and sends what it kept', patience, async () => {
    await alice.json('grant', 'bob', '--role', 'full')
    await arrives(join(work, 'plan.txt'), 'plan, by bob')
    await until('bob sees both', async () => (await spacesOf(bob)).length === 2)
  })

  test('what it writes against that is refused, and laid at its door', patience, async () => {
    await alice.json('grant', 'bob', '--role', 'limited', '--space', 'work')
    await until('bob is limited', async () => (await spacesOf(bob)).length === 1)
    await writeFile(join(b, 'plan.txt'), 'plan, by bob again')
    await until('it is listed', async () => (await spacesOf(bob))[0]?.localChangeCount === 1)
    const { deviceId } = await bob.status()
    const { addresses, peerId } = await alice.status()
    const [space] = await spacesOf(bob)
    await bob.run('down')
    const before = (await readdir(work)).sort()
    const write: Attack = async (traitor, connection) => {
      await greetOn(traitor, connection)
      const channel = await connection.open(syncProtocol)
      channel.receive(() => undefined)
      const updates = Array.from({ length: 256 }, (_, shard) => {
        const document = new Y.Doc()
        document.getArray(`l:${deviceId.slice(0, 8)}`).push(['not a record'])
        const name = `t/${space?.id ?? ''}/${shard.toString(16).padStart(2, '0')}`
        return { name, update: Y.encodeStateAsUpdate(document) }
      })
      channel.send(encodeUpdates(updates))
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      return 'sent'
    }
    const said: object[] = []
    const address = addresses.find((one) => one.includes('127.0.0.1')) ?? addresses[0] ?? ''
    await turn({ peerId, address }, bob.home, (traitor) =>
      attempt(traitor, 'write', write, (line) => said.push(line)),
    )
    expect(said).toEqual([{ what: 'write', outcome: 'sent' }])
    const denied = async (): Promise<readonly AuditEntry[]> =>
      (await alice.json<AuditEntry[]>('audit')).filter(({ action }) => action === 'denied')
    await until('it is in the audit log', async () => (await denied()).length > 0)
    expect(await denied()).toHaveLength(1)
    expect(JSON.stringify((await denied())[0])).toContain(deviceId)
    expect(JSON.stringify((await denied())[0])).toContain(space?.id)
    expect((await readdir(work)).sort()).toEqual(before)
    expect(await text(join(work, 'plan.txt'))).toBe('plan, by bob')
  })
})
