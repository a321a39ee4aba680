/** Where a node stands, and what it showed before, when one of its versions goes: found by the simulation of spaces. */
import { expect, test } from 'vitest'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import type { NodeId } from '../../src/crdt/node-id.ts'
import type { TreeChange } from '../../src/crdt/tree-change.ts'
import { fileData, listing, openRig, type Rig } from './rig.ts'

async function create(rig: Rig, name: string, content: string): Promise<NodeId> {
  const [nodeId = rootNodeId] = rig.space.newIds(1)
  await rig.space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name, data: fileData(content) }])
  return nodeId
}

async function edited(rig: Rig, nodeId: NodeId, content: string, index = 0): Promise<TreeChange> {
  const node = await rig.space.node(nodeId)
  const version = node?.versions[index]
  if (node === undefined || version === undefined) throw new Error('no such version')
  const { versions: observed, hash: observedHash } = version
  return {
    kind: 'edit',
    nodeId,
    observed,
    observedHash,
    parent: rootNodeId,
    name: node.name,
    data: fileData(content),
  }
}

/** Hands everything one device holds to the other, both ways. */
async function exchange(a: Rig, b: Rig): Promise<void> {
  const Y = await import('yjs')
  const all = async (rig: Rig) =>
    await Promise.all(
      rig.host.names().map(async (name) => ({
        name,
        update: await rig.host.read([name], (doc) => Y.encodeStateAsUpdate(doc(name))),
      })),
    )
  const [fromA, fromB] = [await all(a), await all(b)]
  await b.host.apply(fromA, 'a')
  await a.host.apply(fromB, 'b')
}

test('a renamed file keeps its name when one of its versions is deleted', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  await using c = await openRig({ seed: 3 })
  const all = async (): Promise<void> => {
    for (const [one, two] of [
      [a, b],
      [b, c],
      [a, c],
    ] as const)
      await exchange(one, two)
  }
  const id = await create(a, 'old', 'base')
  await all()
  // Only the record of the former content says that it was renamed
  await a.space.commit([{ kind: 'move', nodeId: id, parent: rootNodeId, name: 'new' }])
  await b.space.commit([await edited(b, id, 'theirs')])
  await c.space.commit([await edited(c, id, 'yours')])
  await all()
  const copy = (await a.space.node(id))?.versions[1]
  if (copy === undefined) throw new Error('no conflict')
  await a.space.commit([{ kind: 'remove', nodeId: id, observed: copy.versions, observedHash: copy.hash }])
  await all()
  for (const rig of [a, b, c])
    expect((await listing(rig.space)).map((line) => line.split(' ')[0])).toEqual(['new'])
})

test('two versions that were swapped are both still there', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  const id = await create(a, 'f', 'base')
  await exchange(a, b)
  await a.space.commit([await edited(a, id, 'left')])
  await b.space.commit([await edited(b, id, 'right')])
  await exchange(a, b)
  const contents = (await a.space.node(id))?.versions.map(({ hash }) => hash) ?? []
  expect(contents).toHaveLength(2)
  // Each place has the other's content now, told in one commit
  const shownAs = (await listing(a.space)).map((line) => line.split(' ').at(-1) ?? '')
  const [copied = '', named = ''] = shownAs
  await a.space.commit([await edited(a, id, copied, 0), await edited(a, id, named, 1)])
  await exchange(a, b)
  for (const rig of [a, b]) {
    const shown = (await listing(rig.space)).map((line) => line.split(' ').at(-1))
    expect(new Set(shown)).toEqual(new Set(['left', 'right']))
  }
})
