/** What is told to other devices is in the store: neither a digest nor an answer outlives a change that the store refused. */
import { expect, test } from 'vitest'
import { SkeinError } from '../../src/base/errors.ts'
import { createDigestBook } from '../../src/crdt/digest-book.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import type { TreeChange } from '../../src/crdt/tree-change.ts'
import { fileData, openRig, type Rig } from './rig.ts'

const all = { visible: () => true }

function creating({ space }: Rig, name: string): TreeChange {
  const [nodeId = rootNodeId] = space.newIds(1)
  return { kind: 'create', nodeId, parent: rootNodeId, name, data: fileData(name) }
}

const told = (digests: ReadonlyMap<string, Uint8Array>): readonly string[] =>
  [...digests].map(([group, digest]) => `${group} ${digest.join()}`)

/** Writes that have begun are in memory, and not stored yet. */
async function begun(write: Promise<unknown>, { host }: Rig): Promise<string> {
  for (;;) {
    const name = host.names().find((one) => one.startsWith('t/'))
    if (name !== undefined) return name
    await Promise.race([write.catch(() => undefined), Promise.resolve()])
  }
}

test('a digest that was taken of a change is not told once the store has refused it', async () => {
  await using rig = await openRig({ seed: 1 })
  await rig.space.commit([creating(rig, 'first')])
  const name = rig.host.names().find((one) => one.startsWith('t/')) ?? ''
  using before = createDigestBook(rig.host)
  const stored = told(await before.groups(all))
  using book = createDigestBook(rig.host)
  const reopened = new Promise<void>((resolve) => rig.store.on('reopened', () => resolve()))
  rig.disk.failBatches(1)
  const write = rig.host.transact([name], (doc) => doc(name).getMap('x').set('y', 1))
  const refused = write.catch((error: unknown) => error)
  // The change is in memory, and on its way to the store
  const { groups } = await rig.host.read([name], () => ({ groups: book.groups(all) }))
  const meanwhile = told(await groups)
  expect(await refused).toBeInstanceOf(SkeinError)
  expect(meanwhile).not.toEqual(stored)
  await reopened
  expect(told(await book.groups(all))).toEqual(stored)
})

test('what a document holds is settled once it is stored, and never when it was lost', async () => {
  await using rig = await openRig({ seed: 1 })
  const write = rig.space.commit([creating(rig, 'first')])
  const name = await begun(write, rig)
  await rig.host.settled([name])
  expect([...rig.disk.raw.keys()].some((key) => key.includes(name))).toBe(true)
  await write
  rig.disk.failBatches(1)
  const lost = rig.host.transact([name], (doc) => doc(name).getMap('x').set('y', 1)).catch(() => 'lost')
  const { settled } = await rig.host.read([name], () => ({ settled: rig.host.settled([name]) }))
  await expect(settled).rejects.toMatchObject({ code: 'store.failed' })
  expect(await lost).toBe('lost')
})
