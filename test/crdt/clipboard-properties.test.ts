/** Properties of the clipboard over random histories: one view everywhere, nothing recent lost, ages that no clock decides. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newDeviceId } from '../../src/base/ids.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { openClipboardAges } from '../../src/crdt/clipboard-ages.ts'
import { compareAge, keepNewest, type Bounds } from '../../src/crdt/clipboard-order.ts'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { openStore } from '../../src/crdt/store.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'
import { openClipRig, send, text, type ClipRig } from './clipboard-rig.ts'
import { testEnv } from './rig.ts'

const bounds: Bounds = { items: 6, bytes: 1_000_000, pins: 2, pinnedBytes: 1_000_000 }

type Step =
  | { readonly kind: 'add' | 'prune'; readonly at: number }
  | { readonly kind: 'remove' | 'pin' | 'unpin'; readonly at: number; readonly item: number }
  | { readonly kind: 'send'; readonly at: number; readonly to: number }

const onItem = ['remove', 'pin', 'unpin'] as const

const step = (devices: number): fc.Arbitrary<Step> => {
  const at = fc.nat(devices - 1)
  return fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), at }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), at, to: at }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('prune' as const), at }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom(...onItem), at, item: fc.nat(9) }),
    },
  )
}

interface Told {
  readonly added: {
    readonly id: string
    readonly device: ClipRig['rig']['device']
    readonly lamport: number
  }[]
  readonly removed: Set<string>
}

async function perform(rigs: readonly ClipRig[], one: Step, told: Told): Promise<void> {
  const rig = rigs[one.at]
  if (rig === undefined) return
  const { clipboard } = rig
  switch (one.kind) {
    case 'add':
      told.added.push(await clipboard.add(text(`item ${told.added.length}`)))
      return
    case 'prune':
      await clipboard.prune()
      return
    case 'send': {
      const to = rigs[one.to]
      if (to !== undefined && to !== rig) await send(rig, to)
      return
    }
    case 'remove':
    case 'pin':
    case 'unpin': {
      const entry = clipboard.entries[one.item % Math.max(1, clipboard.entries.length)]
      if (entry === undefined) return
      if (one.kind === 'remove') told.removed.add(entry.id)
      if (one.kind === 'remove') await clipboard.remove([entry.id])
      else await clipboard[one.kind](entry.id)
    }
  }
}

test('devices that heard of everything see one history, and it holds what nobody deleted of the newest', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step(3), { maxLength: 50 }), fc.nat(1_000), async (steps, seed) => {
      await using a = await openClipRig({ seed, bounds })
      await using b = await openClipRig({ seed: seed + 10_000, bounds })
      await using c = await openClipRig({ seed: seed + 20_000, bounds })
      const rigs = [a, b, c]
      const told: Told = { added: [], removed: new Set() }
      for (const one of steps) await perform(rigs, one, told)
      for (let round = 0; round < 3; round++) {
        for (const rig of rigs) for (const other of rigs) if (rig !== other) await send(rig, other)
        if (round === 1) for (const { clipboard } of rigs) await clipboard.prune()
      }
      const views = rigs.map(({ clipboard }) => clipboard.entries.map(({ id }) => id))
      expect(views[1]).toEqual(views[0])
      expect(views[2]).toEqual(views[0])
      expect(a.clipboard.surplusCount).toBe(0)
      const newest = told.added.toSorted((one, other) => compareAge(other, one)).slice(0, bounds.items)
      for (const { id } of newest) if (!told.removed.has(id)) expect(views[0]).toContain(id)
      for (const id of told.removed) expect(views[0]).not.toContain(id)
    }),
    { numRuns: 60 },
  )
}, 120_000)

test('what is kept is within the bounds, newest first, and the newest of all is always among it', () => {
  const random = createSeededRandom(3)
  const device = newDeviceId(random)
  const arbitrary = fc.array(fc.record({ recordBytes: fc.nat(400), isPinned: fc.boolean() }), {
    maxLength: 40,
  })
  const small: Bounds = { items: 7, bytes: 1_500, pins: 3, pinnedBytes: 600 }
  fc.assert(
    fc.property(arbitrary, (given) => {
      const items = given.map((one, index) => ({ ...one, id: String(index), device, lamport: index }))
      const { items: kept, surplus } = keepNewest(items, (item) => item.isPinned, small)
      expect([...kept, ...surplus].map(({ id }) => id).toSorted()).toEqual(
        items.map(({ id }) => id).toSorted(),
      )
      expect(kept.map((item) => item.lamport)).toEqual(
        kept.map((item) => item.lamport).toSorted((x, y) => y - x),
      )
      expect(kept[0]).toBe(items.at(-1))
      expect(kept.length).toBeLessThanOrEqual(small.items + small.pins + 1)
      const bytes = kept.slice(1).reduce((sum, item) => sum + item.recordBytes, 0)
      expect(bytes).toBeLessThanOrEqual(small.bytes + small.pinnedBytes)
      // An item that is not pinned never outlives a newer one
      const oldest = Math.min(...kept.filter((item) => !item.isPinned).map((item) => item.lamport), Infinity)
      for (const item of surplus) if (!item.isPinned) expect(item.lamport).toBeLessThan(oldest)
    }),
  )
})

const dayMs = 86_400_000

test('an item ages by the days this device has lived through, whatever its clock jumps to', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          fc.record({ kind: fc.constant('wait' as const), hours: fc.nat(30) }),
          fc.record({ kind: fc.constant('jump' as const), days: fc.integer({ min: -5_000, max: 5_000 }) }),
        ),
        { maxLength: 60 },
      ),
      async (steps) => {
        const clock = createVirtualClock()
        const env = testEnv({ clock })
        const disk = createMemoryDisk()
        await using store = await openStore(env, { open: disk.open, witness: createMemoryWitness() })
        const ages = await openClipboardAges(env, store)
        await ages.keep(new Set(['item']))
        let livedMs = 0
        for (const one of steps) {
          if (one.kind === 'jump') clock.jumpWall(one.days * dayMs)
          else {
            livedMs += one.hours * 3_600_000
            clock.advance(one.hours * 3_600_000)
          }
          await ages.look()
          // Half a day for each day that was counted, and the one under way
          expect(ages.daysOf('item')).toBeLessThanOrEqual(Math.ceil(livedMs / (dayMs / 2)) + 1)
        }
      },
    ),
    { numRuns: 100 },
  )
})

test('days are counted across restarts, and what is gone is forgotten', async () => {
  let days = 20_000
  const clock = { ...testEnv().clock, nowMs: () => days * dayMs, monotonicMs: () => 0 }
  const env = testEnv({ clock })
  const disk = createMemoryDisk()
  const witness = createMemoryWitness()
  for (let start = 0; start <= 31; start++) {
    await using store = await openStore(env, { open: disk.open, witness })
    const ages = await openClipboardAges(env, store)
    if (start === 0) await ages.keep(new Set(['a', 'b']))
    expect(ages.daysOf('a')).toBe(start)
    if (start === 20) await ages.keep(new Set(['a']))
    expect(ages.daysOf('b')).toBe(start < 20 ? start : 0)
    expect(ages.daysOf('never seen')).toBe(0)
    days++
  }
})
