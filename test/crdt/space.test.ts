/** The tree of one space on one and two devices, by hand-made cases. */
import { expect, test } from 'vitest'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import type { IndexRow } from '../../src/crdt/local-index.ts'
import type { SpaceTree } from '../../src/crdt/space.ts'
import { fileData, listing, openRig, type Rig } from './rig.ts'

async function create(
  space: SpaceTree,
  parent: Parameters<SpaceTree['children']>[0],
  name: string,
  content?: string,
) {
  const [nodeId = rootNodeId] = space.newIds(1)
  const data = content === undefined ? ({ kind: 'dir' } as const) : fileData(content)
  await space.commit([{ kind: 'create', nodeId, parent, name, data }])
  return nodeId
}

/** Hands everything one device holds to the other, both ways. */
async function exchange(a: Rig, b: Rig): Promise<void> {
  const Y = await import('yjs')
  const all = async (rig: Rig) => {
    const names = rig.host.names()
    return await Promise.all(
      names.map(async (name) => ({
        name,
        update: await rig.host.read([name], (doc) => Y.encodeStateAsUpdate(doc(name))),
      })),
    )
  }
  const [fromA, fromB] = [await all(a), await all(b)]
  expect(await b.host.apply(fromA, 'a')).toEqual([])
  expect(await a.host.apply(fromB, 'b')).toEqual([])
}

test('what is created can be listed, looked up and walked', async () => {
  await using rig = await openRig()
  const dir = await create(rig.space, rootNodeId, 'docs')
  const file = await create(rig.space, dir, 'a.txt', 'A')
  expect(await listing(rig.space)).toEqual(['docs dir ', 'docs/a.txt file A'])
  expect((await rig.space.lookup('docs/a.txt'))?.nodeId).toBe(file)
  expect(await rig.space.lookup('docs/b.txt')).toBeUndefined()
  expect((await rig.space.entry(file))?.path).toBe('docs/a.txt')
})

test('a directory moves with its content in one record', async () => {
  await using rig = await openRig()
  const dir = await create(rig.space, rootNodeId, 'old')
  await create(rig.space, dir, 'a.txt', 'A')
  await rig.space.commit([{ kind: 'move', nodeId: dir, parent: rootNodeId, name: 'new' }])
  expect(await listing(rig.space)).toEqual(['new dir ', 'new/a.txt file A'])
})

test('concurrent edits show as a winner and one conflict copy, the same on both devices', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  const id = await create(a.space, rootNodeId, 'a.txt', 'base')
  await exchange(a, b)
  for (const [rig, text] of [
    [a, 'left'],
    [b, 'right'],
  ] as const) {
    const entry = await rig.space.entry(id)
    if (entry === undefined) throw new Error('no entry')
    const observed = entry.data.versions
    await rig.space.commit([
      { kind: 'edit', nodeId: id, observed, data: fileData(text), parent: rootNodeId, name: 'a.txt' },
    ])
  }
  await exchange(a, b)
  const seen = await listing(a.space)
  expect(seen).toHaveLength(2)
  expect(seen[0]).toMatch(/^a \(conflict [0-9a-z]{6}\)\.txt file (left|right)$/)
  expect(seen[1]).toMatch(/^a\.txt file (left|right)$/)
  expect(await listing(b.space)).toEqual(seen)
})

test('an edit that was concurrent to a delete survives it', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  const id = await create(a.space, rootNodeId, 'a.txt', 'base')
  await exchange(a, b)
  const observed = (await a.space.entry(id))?.data.versions ?? new Map()
  await a.space.commit([{ kind: 'remove', nodeId: id, observed }])
  await b.space.commit([
    { kind: 'edit', nodeId: id, observed, data: fileData('edited'), parent: rootNodeId, name: 'a.txt' },
  ])
  await exchange(a, b)
  expect(await listing(a.space)).toEqual(['a.txt file edited'])
  expect(await listing(b.space)).toEqual(['a.txt file edited'])
})

test('a deleted directory shows itself again only for what others put into it', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  const dir = await create(a.space, rootNodeId, 'docs')
  await exchange(a, b)
  await a.space.commit([{ kind: 'remove', nodeId: dir, observed: new Map() }])
  expect(await listing(a.space)).toEqual([])
  await create(b.space, dir, 'new.txt', 'N')
  await exchange(a, b)
  expect(await listing(a.space)).toEqual(['docs dir ', 'docs/new.txt file N'])
  expect(await listing(b.space)).toEqual(await listing(a.space))
})

test('the same tree made on two devices becomes one tree without copies', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  for (const rig of [a, b]) {
    const dir = await create(rig.space, rootNodeId, 'docs')
    await create(rig.space, dir, 'same.txt', 'same')
    await create(rig.space, dir, 'other.txt', rig === a ? 'A' : 'B')
  }
  await exchange(a, b)
  const seen = await listing(a.space)
  expect(seen).toHaveLength(4)
  expect(seen.filter((line) => line.includes('same'))).toEqual(['docs/same.txt file same'])
  expect(await listing(b.space)).toEqual(seen)
  // An edit of what is shown as one takes the twin along
  const entry = await a.space.lookup('docs/same.txt')
  if (entry === undefined) throw new Error('no entry')
  const { nodeId, parent } = entry
  await a.space.commit([
    {
      kind: 'edit',
      nodeId,
      observed: entry.data.versions,
      data: fileData('edited'),
      parent,
      name: 'same.txt',
    },
  ])
  await exchange(a, b)
  expect((await listing(b.space)).filter((line) => line.includes('same.txt'))).toEqual([
    'docs/same.txt file edited',
  ])
})

test('directories moved into each other at the same time stay reachable', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  const x = await create(a.space, rootNodeId, 'x')
  const y = await create(a.space, rootNodeId, 'y')
  await create(a.space, x, 'in-x.txt', 'X')
  await create(a.space, y, 'in-y.txt', 'Y')
  await exchange(a, b)
  await a.space.commit([{ kind: 'move', nodeId: x, parent: y, name: 'x' }])
  await b.space.commit([{ kind: 'move', nodeId: y, parent: x, name: 'y' }])
  await exchange(a, b)
  const seen = await listing(a.space)
  expect(seen).toHaveLength(4)
  expect(await listing(b.space)).toEqual(seen)
})

test('index rows are stored with the change and found by path, directory, subtree and node', async () => {
  await using rig = await openRig()
  const [nodeId = rootNodeId] = rig.space.newIds(1)
  const row = (path: string, versions: IndexRow['versions']): IndexRow => ({
    path,
    nodeId,
    kind: 'file',
    versions,
    hash: fileData('A').hash,
    sizeBytes: 1,
    mtimeNs: 5n,
    ctimeNs: 6n,
    ino: 2n ** 63n,
    dev: 8n,
    mode: 0o644,
    flags: new Set(['synced', 'racy']),
  })
  const results = await rig.space.commit(
    [{ kind: 'create', nodeId, parent: rootNodeId, name: 'a.txt', data: fileData('A') }],
    ([result]) => [{ kind: 'put', row: row('docs/sub/a.txt', result?.versions ?? new Map()) }],
  )
  const { index } = rig.space
  const found = await index.get('docs/sub/a.txt')
  expect(found?.versions).toEqual(results[0]?.versions)
  expect(found?.ino).toBe(2n ** 63n)
  expect([...(found?.flags ?? [])].sort()).toEqual(['racy', 'synced'])
  await index.write([
    { kind: 'put', row: row('top.txt', new Map()) },
    { kind: 'put', row: row('docs-b/z.txt', new Map()) },
  ])
  expect((await index.children('docs/sub')).map((one) => one.path)).toEqual(['docs/sub/a.txt'])
  expect((await index.children('')).map((one) => one.path)).toEqual(['top.txt'])
  expect((await Array.fromAsync(index.iterate('docs'))).map((one) => one.path)).toEqual(['docs/sub/a.txt'])
  expect((await Array.fromAsync(index.iterate())).map((one) => one.path).sort()).toEqual([
    'docs-b/z.txt',
    'docs/sub/a.txt',
    'top.txt',
  ])
  await index.write([{ kind: 'delete', path: 'top.txt' }])
  expect((await Array.fromAsync(index.iterate())).map((one) => one.path).sort()).toEqual([
    'docs-b/z.txt',
    'docs/sub/a.txt',
  ])
})

test('a name that cannot be kept is refused and nothing is changed', async () => {
  await using rig = await openRig()
  const [one = rootNodeId, two = rootNodeId] = rig.space.newIds(2)
  await expect(
    rig.space.commit([
      { kind: 'create', nodeId: one, parent: rootNodeId, name: 'fine', data: fileData('A') },
      { kind: 'create', nodeId: two, parent: rootNodeId, name: '..', data: fileData('B') },
    ]),
  ).rejects.toMatchObject({ code: 'file.unsafe' })
  expect(await listing(rig.space)).toEqual([])
})

test('a new space is searched for deleted directories only once there is one', async () => {
  await using rig = await openRig()
  const searched: string[] = []
  const scanMany = rig.store.scanMany.bind(rig.store)
  rig.store.scanMany = (range) => {
    searched.push(range.from.slice(0, 2))
    return scanMany(range)
  }
  const dir = await create(rig.space, rootNodeId, 'docs')
  await create(rig.space, dir, 'a.txt', 'A')
  expect(await listing(rig.space)).toEqual(['docs dir ', 'docs/a.txt file A'])
  expect(searched).not.toContain('x!')
  await rig.space.commit([{ kind: 'remove', nodeId: dir, observed: new Map() }])
  // What others put into it meanwhile shows it again
  expect(await listing(rig.space)).toEqual(['docs dir ', 'docs/a.txt file A'])
  expect(searched).toContain('x!')
  await rig.space.rebuild()
  searched.length = 0
  expect(await listing(rig.space)).toEqual(['docs dir ', 'docs/a.txt file A'])
  expect(searched).toContain('x!')
})
