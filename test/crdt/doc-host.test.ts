/** Loading, forgetting and folding of documents. */
import { expect, test } from 'vitest'
import { crc32c } from '../../src/base/crc32.ts'
import { createDocHost, type DocHost } from '../../src/crdt/doc-host.ts'
import { openStore } from '../../src/crdt/store.ts'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'
import { testEnv } from './rig.ts'

test('CRC-32C gives the values of RFC 3720', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e)
  const text = new TextEncoder().encode('123456789')
  expect(crc32c(text)).toBe(0xe3069283)
  expect(crc32c(text.subarray(4), crc32c(text.subarray(0, 4)))).toBe(0xe3069283)
})

test('few documents stay in memory, none is forgotten with changes unstored, digests survive', async () => {
  const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
  const store = await openStore(testEnv(), { open: disk.open, witness })
  const host = await createDocHost(testEnv(), store, { loadedDocuments: 3 })
  const names = Array.from({ length: 20 }, (_, index) => `doc-${index}`)
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      names.map((name) => host.transact([name], (doc) => doc(name).getArray('l').push([round]))),
    )
  }
  const digestsOf = (from: DocHost): Promise<readonly string[]> =>
    Promise.all(names.map(async (name) => Buffer.from(await from.digest(name)).toString('hex')))
  const digests = await digestsOf(host)
  for (const name of names) {
    expect(await host.read([name], (doc) => doc(name).getArray('l').toArray())).toEqual([0, 1, 2, 3, 4])
  }
  await host.close()
  await store.close()
  const again = await openStore(testEnv({ seed: 2 }), { open: disk.open, witness })
  const later = await createDocHost(testEnv({ seed: 2 }), again)
  expect([...later.names()].sort()).toEqual([...names].sort())
  expect(await digestsOf(later)).toEqual(digests)
  await later.close()
  await again.close()
})

test('a long log is folded into a snapshot, and rows of a change are in its batch', async () => {
  const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
  const store = await openStore(testEnv(), { open: disk.open, witness })
  const host = await createDocHost(testEnv(), store)
  for (let index = 0; index < 200; index++) {
    const rows = [{ type: 'put', key: `z!${index}`, value: Uint8Array.of(index) }] as const
    await host.transact(['doc'], (doc) => doc('doc').getArray('l').push([index]), rows)
  }
  const updates = [...disk.raw.keys()].filter((key) => key.startsWith('u!'))
  expect(updates.length).toBeLessThanOrEqual(65)
  expect([...disk.raw.keys()].filter((key) => key.startsWith('z!'))).toHaveLength(200)
  await host.close()
  const again = await createDocHost(testEnv(), store)
  expect(await again.read(['doc'], (doc) => doc('doc').getArray('l').length)).toBe(200)
  await again.close()
  await store.close()
})

test('a change that throws leaves nothing behind', async () => {
  const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
  await using store = await openStore(testEnv(), { open: disk.open, witness })
  const host = await createDocHost(testEnv(), store)
  await host.transact(['doc'], (doc) => doc('doc').getArray('l').push([1]))
  const failing = host.transact(['doc'], (doc) => {
    doc('doc').getArray('l').push([2])
    throw new Error('changed my mind')
  })
  await expect(failing).rejects.toThrow('changed my mind')
  expect(await host.read(['doc'], (doc) => doc('doc').getArray('l').toArray())).toEqual([1])
  await host.close()
})

test('many documents read at once are the same as one by one, and a damaged one among them is told', async () => {
  const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
  const store = await openStore(testEnv(), { open: disk.open, witness })
  const host = await createDocHost(testEnv(), store)
  // Names that are neighbours, prefixes of each other, and strangers between them
  const names = Array.from({ length: 90 }, (_, index) => (index % 3 === 0 ? `d/${index}` : `d/${index}-x`))
  for (let round = 0; round < 3; round++) {
    for (const name of names)
      await host.transact([name], (doc) => doc(name).getArray('l').push([name, round]))
  }
  await host.close()
  const row = disk.raw.get('u!d/30!000000000001')
  if (row === undefined) throw new Error('no such row')
  row[9] = (row[9] ?? 0) ^ 1
  disk.raw.delete('u!d/33!000000000002')
  const later = await createDocHost(testEnv({ seed: 2 }), store)
  const damaged: string[] = []
  later.on('damaged', ({ name }) => damaged.push(name))
  const wanted = names.filter((_, index) => index % 7 !== 0)
  const contents = await later.read([...wanted, 'd/new'], (doc) =>
    [...wanted, 'd/new'].map((name) => doc(name).getArray('l').toArray()),
  )
  for (const [index, name] of wanted.entries()) {
    if (name !== 'd/30' && name !== 'd/33') expect(contents[index]).toEqual([name, 0, name, 1, name, 2])
  }
  expect(contents.at(-1)).toEqual([])
  expect(damaged.sort()).toEqual(['d/30', 'd/33'])
  expect(store.identity.reason).toBe('damaged')
  await later.close()
  await store.close()
})
