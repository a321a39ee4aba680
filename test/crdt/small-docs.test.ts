/** Settings and clipboard: two devices, bounds, hostile entries. */
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { newSpaceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { openClipboard } from '../../src/crdt/clipboard.ts'
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

test('clipboard items come newest first in causal order, whatever the clocks say', async () => {
  await using a = await openRig({ seed: 1 })
  await using b = await openRig({ seed: 2 })
  const left = openClipboard({ ...a.env, clock: { ...a.env.clock, nowMs: () => 9e12 } }, a.host, a.device)
  const right = openClipboard({ ...b.env, clock: { ...b.env.clock, nowMs: () => 1 } }, b.host, b.device)
  const text = (value: string) => [
    { mime: 'text/plain', content: new TextEncoder().encode(value), sizeBytes: value.length },
  ]
  const first = await left.addItem(text('first'))
  await exchange(a, b, 'clipboard')
  const second = await right.addItem(text('second'))
  await exchange(a, b, 'clipboard')
  expect((await left.items()).map((item) => item.id)).toEqual([second.id, first.id])
  expect(await left.latest()).toEqual(await right.latest())
  expect(new TextDecoder().decode((await left.latest())?.formats[0]?.content)).toBe('second')
  await right.remove(second.id)
  await exchange(a, b, 'clipboard')
  expect((await left.latest())?.id).toBe(first.id)
})

test('the clipboard keeps its newest items and refuses what is too large', async () => {
  await using rig = await openRig()
  const clipboard = openClipboard(rig.env, rig.host, rig.device)
  for (let index = 0; index < limits.clipboardItems + 5; index++) {
    await clipboard.addItem([{ mime: 'text/plain', content: Uint8Array.of(index & 255), sizeBytes: 1 }])
  }
  const items = await clipboard.items()
  expect(items).toHaveLength(limits.clipboardItems)
  expect(items[0]?.formats[0]?.content).toEqual(Uint8Array.of((limits.clipboardItems + 4) & 255))
  const large = new Uint8Array(limits.clipboardInlineBytes + 1)
  await expect(
    clipboard.addItem([{ mime: 'image/png', content: large, sizeBytes: large.byteLength }]),
  ).rejects.toMatchObject({ code: 'codec.invalid' })
  expect(await clipboard.items()).toHaveLength(limits.clipboardItems)
})
