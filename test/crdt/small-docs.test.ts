/** Settings: two devices, hostile entries. */
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { newSpaceId } from '../../src/base/ids.ts'
import { openSettings } from '../../src/crdt/settings.ts'
import { openRig, type Rig } from './rig.ts'

async function exchange(a: Rig, b: Rig, name: string): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const update = await from.host.read([name], (document) => Y.encodeStateAsUpdate(document(name)))
    await to.host.apply([{ name, update }], 'peer')
  }
}

test('spaces are shared, renamed and removed; invalid and prototype-touching entries are not seen', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  const [left, right] = [openSettings(a.host), openSettings(b.host)]
  const space = { id: newSpaceId(a.env.random), name: 'Documents', createdBy: a.device, createdAtMs: 5 }
  let changes = 0
  using _watch = right.onChanged(() => changes++)
  await left.putSpace(space)
  await a.host.transact(['settings'], (document) => {
    const map = document('settings').getMap('root')
    map.set('__proto__', { polluted: 1 })
    map.set('space:bad', { id: 'bad', name: 7 })
    map.set(`space:${newSpaceId(a.env.random)}`, { ...space })
  })
  await exchange(a, b, 'settings')
  expect(await right.spaces()).toEqual([space])
  expect(changes).toBe(1)
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  await right.putSpace({ ...space, name: 'Papers' })
  await exchange(a, b, 'settings')
  expect((await left.spaces())[0]?.name).toBe('Papers')
  await left.removeSpace(space.id)
  expect(await left.spaces()).toEqual([])
})
