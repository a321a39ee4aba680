/** The store: identity after every kind of stop, damage, failed writes, and processes killed while they write. */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { newDeviceId } from '../../src/base/ids.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { exportDoc } from '../../src/crdt/doc-export.ts'
import { createDocHost } from '../../src/crdt/doc-host.ts'
import { createFileWitness } from '../../src/crdt/file-witness.ts'
import { openLevelDatabase } from '../../src/crdt/level-database.ts'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { openSpace } from '../../src/crdt/space.ts'
import { openStore, type Store } from '../../src/crdt/store.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'
import { fileData, listing, openRig, testEnv, testSpace } from './rig.ts'

const folder = mkdtempSync(join(tmpdir(), 'skein-store-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const openAt = (path: string, seed: number): Promise<Store> =>
  openStore(testEnv({ seed }), {
    open: () => openLevelDatabase(join(path, 'db')),
    witness: createFileWitness(join(path, 'witness')),
  })

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('the identity of a store', () => {
  test('is kept over a clean stop', async () => {
    const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
    const first = await openStore(testEnv({ seed: 1 }), { open: disk.open, witness })
    const { clientId, incarnation } = first.identity
    await first.close()
    const second = await openStore(testEnv({ seed: 2 }), { open: disk.open, witness })
    expect(second.identity).toEqual({ clientId, incarnation, reason: 'kept' })
    await second.close()
  })

  test.each([
    ['another run of the system', 'boot 1', 'boot 2'],
    ['one that cannot be told', undefined, undefined],
  ])('is new after an unclean stop in %s', async (_what, before, after) => {
    const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
    const first = await openStore(testEnv({ seed: 1 }), { open: disk.open, witness, boot: before })
    const second = await openStore(testEnv({ seed: 2 }), { open: disk.open, witness, boot: after })
    expect(second.identity.reason).toBe('unclean')
    expect(second.identity.clientId).not.toBe(first.identity.clientId)
    expect(second.identity.incarnation).not.toBe(first.identity.incarnation)
    await second.close()
  })

  test('is kept by a process that was killed, and is new in a copy of what it left', async () => {
    const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
    const first = await openStore(testEnv({ seed: 1 }), { open: disk.open, witness, boot: 'boot' })
    const second = await openStore(testEnv({ seed: 2 }), { open: disk.open, witness, boot: 'boot' })
    expect(second.identity).toEqual({ ...first.identity, reason: 'kept' })
    const copied = await openStore(testEnv({ seed: 3 }), {
      open: disk.open,
      witness: witness.copy(testEnv({ seed: 4 }).random),
      boot: 'boot',
    })
    expect(copied.identity.reason).toBe('copied')
    await copied.close()
  })

  test('is new in each copy of a store directory, and kept by the original', async () => {
    const original = mkdtempSync(join(folder, 'original-'))
    const first = await openAt(original, 1)
    await first.write([{ type: 'put', key: 'x', value: bytes('1') }])
    await first.close()
    const copies = [join(folder, 'copy-1'), join(folder, 'copy-2')]
    for (const copy of copies) cpSync(original, copy, { recursive: true, preserveTimestamps: true })
    const seen = new Set([first.identity.clientId])
    for (const [index, copy] of copies.entries()) {
      await using store = await openAt(copy, 10 + index)
      expect(store.identity.reason).toBe('copied')
      expect(seen).not.toContain(store.identity.clientId)
      seen.add(store.identity.clientId)
      expect(await store.get('x')).toEqual(bytes('1'))
    }
    await using again = await openAt(original, 20)
    expect(again.identity).toMatchObject({ clientId: first.identity.clientId, reason: 'kept' })
  })

  test('is new after a backup was restored over the store', async () => {
    const place = mkdtempSync(join(folder, 'restored-'))
    const first = await openAt(place, 1)
    await first.close()
    const backup = join(folder, 'backup')
    cpSync(place, backup, { recursive: true, preserveTimestamps: true })
    const second = await openAt(place, 2)
    await second.close()
    expect(second.identity.reason).toBe('kept')
    rmSync(join(place, 'db'), { recursive: true })
    cpSync(backup, place, { recursive: true, preserveTimestamps: true })
    await using restored = await openAt(place, 3)
    expect(restored.identity.reason).toBe('copied')
  })

  test('changes at once when somebody else writes under it', async () => {
    await using rig = await openRig()
    const forked: string[] = []
    rig.store.on('forked', ({ document }) => forked.push(document))
    const before = rig.store.identity.clientId
    const other = new Y.Doc()
    other.clientID = before
    other.getArray('l:x').push(['by a copy of this store'])
    await rig.host.apply([{ name: 'doc', update: Y.encodeStateAsUpdate(other) }], 'peer')
    expect(forked).toEqual(['doc'])
    expect(rig.store.identity.clientId).not.toBe(before)
    await rig.host.transact(['doc'], (doc) => doc('doc').getArray('l:y').push([1]))
    const clients = await rig.host.read(['doc'], (doc) => [...doc('doc').store.clients.keys()])
    expect(new Set(clients)).toEqual(new Set([before, rig.store.identity.clientId]))
  })
})

describe('damage', () => {
  test('of any byte of any row is found and reported, and the rest goes on', async () => {
    await using rig = await openRig()
    const ids = rig.space.newIds(40)
    for (const [index, nodeId] of ids.entries()) {
      await rig.space.commit([
        { kind: 'create', nodeId, parent: rootNodeId, name: `f${index}`, data: fileData(`v${index}`) },
      ])
    }
    const view = await listing(rig.space)
    await rig[Symbol.asyncDispose]()
    const keys = [...rig.disk.raw.keys()].filter((key) => !key.startsWith('m!sync'))
    let found = 0
    for (const [index, key] of keys.entries()) {
      const disk = rig.disk.copy()
      const row = disk.raw.get(key) ?? new Uint8Array()
      const at = (index * 7919) % row.byteLength
      row[at] = (row[at] ?? 0) ^ (1 << (index % 8))
      const store = await openStore(testEnv({ seed: 100 + index }), { open: disk.open, witness: rig.witness })
      const corrupt: string[] = []
      store.on('corrupt', (event) => corrupt.push(event.key))
      await store.get(key)
      if (corrupt.includes(key) || store.identity.reason === 'damaged') found++
      else expect.unreachable(`${key} byte ${at} of ${row.byteLength}`)
      await store.close()
    }
    expect(found).toBe(keys.length)
    expect(view).toHaveLength(40)
  })

  test('of a shard is repaired from the index, under a new identity, and no entry vanishes', async () => {
    const rig = await openRig()
    const ids = rig.space.newIds(100)
    for (const [index, nodeId] of ids.entries()) {
      await rig.space.commit([
        { kind: 'create', nodeId, parent: rootNodeId, name: `f${index}`, data: fileData(`v${index}`) },
      ])
    }
    const view = await listing(rig.space)
    const [name = ''] = rig.host.names()
    await rig[Symbol.asyncDispose]()
    const row = rig.disk.raw.get(`s!${name}`)
    if (row === undefined) throw new Error('no snapshot')
    row[20] = (row[20] ?? 0) ^ 4
    await using again = await openRig({ seed: 9, disk: rig.disk, witness: rig.witness, device: rig.device })
    expect(again.store.identity.reason).toBe('kept')
    await again.host.read([name], () => undefined)
    expect(await listing(again.space)).toEqual(view)
    expect(again.store.identity.reason).toBe('damaged')
    await again.space.rebuild()
    expect(await listing(again.space)).toEqual(view)
  })

  test('of an index row is repaired from the records', async () => {
    const rig = await openRig()
    const [nodeId = rootNodeId] = rig.space.newIds(1)
    await rig.space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name: 'f', data: fileData('v') }])
    await rig[Symbol.asyncDispose]()
    for (const [key, row] of rig.disk.raw) if (key.startsWith('c!')) row[9] = (row[9] ?? 0) ^ 1
    await using again = await openRig({ seed: 9, disk: rig.disk, witness: rig.witness, device: rig.device })
    // Absent would mean deleted: a damaged directory is an error until it is repaired
    await expect(again.space.children(rootNodeId)).rejects.toMatchObject({ code: 'store.corrupt' })
    expect(await listing(again.space)).toEqual(['f file v'])
  })
})

describe('a failed write', () => {
  test('is told to its caller, undone in memory, and the store reopens under a new identity', async () => {
    const clock = createVirtualClock()
    const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
    const env = testEnv({ seed: 1, clock })
    await using store = await openStore(env, { open: disk.open, witness })
    const host = await createDocHost(env, store)
    await host.transact(['doc'], (doc) => doc('doc').getArray('l').push(['kept']))
    const before = store.identity.clientId
    const events: string[] = []
    store.on('failed', () => events.push('failed'))
    const reopened = new Promise((resolve) => store.on('reopened', resolve))
    disk.failBatches(1)
    const lost = host.transact(['doc'], (doc) => doc('doc').getArray('l').push(['lost']))
    await expect(lost).rejects.toMatchObject({ code: 'store.failed' })
    expect(store.status).toBe('failed')
    await expect(
      host.transact(['doc'], (doc) => doc('doc').getArray('l').push(['refused'])),
    ).rejects.toThrow()
    while (clock.nextDueMs() === undefined) await Promise.resolve()
    clock.advance(60_000)
    await reopened
    expect(events).toEqual(['failed'])
    expect(store.identity.clientId).not.toBe(before)
    expect(await host.read(['doc'], (doc) => doc('doc').getArray('l').toArray())).toEqual(['kept'])
    await host.transact(['doc'], (doc) => doc('doc').getArray('l').push(['after']))
    await host.close()
    const again = await createDocHost(env, store)
    expect(await again.read(['doc'], (doc) => doc('doc').getArray('l').toArray())).toEqual(['kept', 'after'])
  })
})

describe('power', () => {
  test('lost after durable() loses nothing of what was written before it', async () => {
    const rig = await openRig()
    const [nodeId = rootNodeId] = rig.space.newIds(1)
    await rig.space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name: 'f', data: fileData('v') }])
    await rig.store.durable()
    rig.kill()
    rig.disk.losePower()
    await using again = await openRig({ seed: 2, disk: rig.disk, witness: rig.witness, device: rig.device })
    expect(await listing(again.space)).toEqual(['f file v'])
    expect(again.store.identity.reason).toBe('unclean')
  })
})

/** One run of killed-writer.ts, killed once it has acknowledged so many changes. @returns its whole lines. */
async function runKilled(args: readonly string[], killAfter: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [new URL('killed-writer.ts', import.meta.url).pathname, ...args])
  let text = ''
  let count = 0
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (part: Buffer) => reject(new Error(part.toString())))
    child.on('error', reject)
    child.on('close', () => resolve())
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString()
      count += part.toString().split('ack').length - 1
      if (count >= killAfter) child.kill('SIGKILL')
    })
  })
  return text.split('\n').slice(0, -1)
}

describe('a writer killed with SIGKILL', () => {
  test.each([
    ['keeps its identity while the system runs', 20, () => 'boot', 1],
    ['writes under a new one after each end of the system', 8, (round: number) => `boot ${round}`, 8],
  ])(
    'loses no acknowledged change, agrees with who got all that was sent, and %s',
    { timeout: 120_000 },
    async (_what, rounds, bootOf, expectedIdentities) => {
      const place = mkdtempSync(join(folder, 'killed-'))
      const device = newDeviceId(testEnv({ seed: 6 }).random)
      const acked: string[] = []
      const identities = new Set<string>()
      const far = new Map<string, Y.Doc>()
      const docOf = (name: string): Y.Doc => {
        const doc = far.get(name) ?? new Y.Doc()
        far.set(name, doc)
        return doc
      }
      for (let round = 0; round < rounds; round++) {
        const args = [place, String(round), device, bootOf(round)]
        for (const line of await runKilled(args, 20 + ((round * 37) % 150))) {
          const [kind, what = '', bytes = ''] = line.split(' ')
          if (kind === 'ack') acked.push(what)
          if (kind === 'id') identities.add(what)
          if (kind === 'sent') Y.applyUpdate(docOf(what), Buffer.from(bytes, 'base64'))
        }
      }
      expect(identities.size).toBe(expectedIdentities)
      const corrupt: string[] = []
      await using store = await openAt(place, 5)
      store.on('corrupt', ({ key }) => corrupt.push(key))
      const host = await createDocHost(testEnv({ seed: 5 }), store)
      const space = await openSpace(testEnv({ seed: 7 }), host, { id: testSpace, device })
      const visible = new Set((await Array.fromAsync(space.walk())).map((entry) => entry.path))
      const rows = new Map((await Array.fromAsync(space.index.iterate())).map((row) => [row.path, row]))
      expect(acked.filter((name) => !visible.has(name))).toEqual([])
      expect(acked.filter((name) => !rows.has(name))).toEqual([])
      // A row never stands without its record, nor the other way round: they were in one batch
      expect([...rows.keys()].filter((name) => !visible.has(name))).toEqual([])
      expect([...visible].filter((name) => !rows.has(name))).toEqual([])
      expect(corrupt).toEqual([])
      expect(acked.length).toBeGreaterThan(rounds * 40)
      expect(far.size).toBeGreaterThan(0)
      for (const [name, doc] of far) {
        Y.applyUpdate(doc, (await exportDoc(host, name)).update)
        const listsOf = (from: Y.Doc) =>
          [...from.share.keys()].sort().map((root) => [root, from.getArray(root).toArray()])
        expect(await host.read([name], (read) => listsOf(read(name)))).toEqual(listsOf(doc))
      }
      space[Symbol.dispose]()
      await host.close()
    },
  )

  test('notices a flipped bit in the files of LevelDB, which itself says nothing', async () => {
    const place = mkdtempSync(join(folder, 'flipped-'))
    const first = await openAt(place, 1)
    for (let index = 0; index < 500; index++) {
      await first.write([
        { type: 'put', key: `u!doc!${String(index).padStart(12, '0')}`, value: bytes('v'.repeat(100)) },
      ])
    }
    await first.close()
    const [log = ''] = readdirSync(join(place, 'db')).filter((name) => name.endsWith('.log'))
    const content = readFileSync(join(place, 'db', log))
    content[Math.floor(content.byteLength / 2)] = (content[Math.floor(content.byteLength / 2)] ?? 0) ^ 16
    writeFileSync(join(place, 'db', log), content)
    // LevelDB drops what follows a damaged block without a word: the store must not take itself for whole
    await using again = await openAt(place, 2)
    let rows = 0
    for await (const _row of again.scan({ from: 'u!', to: 'u"' })) rows++
    expect(rows).toBeLessThan(500)
    expect(again.identity.reason).toBe('damaged')
  })
})
