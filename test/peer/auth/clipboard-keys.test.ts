/** Keys of the clipboard: made when needed, handed on, replaced after a removal, kept for reading, bounded. */
import { expect, test } from 'vitest'
import { createMemoryKeep } from '../../../src/base/keep.ts'
import { limits } from '../../../src/base/limits.ts'
import { clipboardKeysRecord, openClipboardKeys } from '../../../src/peer/auth/clipboard-keys.ts'
import { composeEpochKey, removedDigest } from '../../../src/peer/auth/epoch-key.ts'
import { createDevice, createHostSide, longMeans, pair } from './pairing-world.ts'

type Device = Awaited<ReturnType<typeof createDevice>>

async function mesh(guests: number): Promise<readonly Device[]> {
  const side = await createHostSide(1)
  const devices: Device[] = [side.device]
  for (let index = 0; index < guests; index++) {
    const guest = await createDevice(2 + index)
    side.window.open()
    await pair(side, guest, longMeans(side))
    devices.push(guest)
  }
  for (const device of devices) await device.roster.merge(side.device.roster.since([]))
  return devices
}

const keysOf = (device: Device, keep = createMemoryKeep()) =>
  openClipboardKeys(device.env, keep, device.identity, () => device.roster.state)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const head = Uint8Array.of(1, 2, 3)
const plain = new TextEncoder().encode('what was copied')

test('an item opens on a device that was handed the key, under its own head alone', async () => {
  const [a, b] = await mesh(1)
  if (a === undefined || b === undefined) throw new Error('two devices')
  const [mine, theirs] = [await keysOf(a), await keysOf(b)]
  let madeCount = 0
  mine.onMade(() => madeCount++)
  // Asked for twice at once it is made once
  const [key, same] = await Promise.all([mine.current(), mine.current()])
  expect([madeCount, hex(key.id)]).toEqual([1, hex(same.id)])
  const sealed = key.seal(plain, head)
  expect(Buffer.from(sealed).includes('copied')).toBe(false)
  expect(theirs.open(hex(key.id), sealed, head)).toBeUndefined()
  expect(await theirs.take(mine.all())).toBe(true)
  expect(await theirs.take(mine.all())).toBe(false)
  expect(theirs.open(hex(key.id), sealed, head)).toEqual(Buffer.from(plain))
  expect(theirs.open(hex(key.id), sealed, Uint8Array.of(1, 2, 4))).toBeUndefined()
  for (let bit = 0; bit < sealed.byteLength * 8; bit += 37) {
    const changed = sealed.slice()
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(theirs.open(hex(key.id), changed, head)).toBeUndefined()
  }
  expect(theirs.open(hex(key.id), sealed.subarray(0, 20), head)).toBeUndefined()
  expect(hex((await theirs.current()).id)).toBe(hex(key.id))
})

test('after a removal new items get a key that the removed device does not have; old ones still open', async () => {
  const [a, b, c] = await mesh(2)
  if (a === undefined || b === undefined || c === undefined) throw new Error('three devices')
  const [mine, theirs, removed] = [await keysOf(a), await keysOf(b), await keysOf(c)]
  const before = await mine.current()
  const old = before.seal(plain, head)
  await removed.take(mine.all())
  await theirs.take(mine.all())
  // Made ahead, by one who knows that it will be put out
  await a.roster.remove(c.identity.deviceId)
  await b.roster.merge(a.roster.since(b.roster.heads()))
  const ahead = composeEpochKey('clipboard-key', c.identity, a.roster.state, {
    epoch: 1_000,
    key: new Uint8Array(32).fill(1),
  })
  expect(ahead.removed).toBe(removedDigest(a.roster.state))
  await mine.take([ahead.bytes])
  const after = await mine.current()
  expect(hex(after.id)).not.toBe(hex(before.id))
  const fresh = after.seal(plain, head)
  for (const wire of [ahead.bytes, ...removed.all()]) expect(mine.all().map(hex)).toContain(hex(wire))
  expect(removed.has(hex(after.id))).toBe(false)
  expect(mine.open(hex(before.id), old, head)).toBeDefined()
  await theirs.take(mine.all())
  expect(theirs.open(hex(after.id), fresh, head)).toBeDefined()
  expect(hex((await theirs.current()).id)).toBe(hex(after.id))
  // The removed one makes none any more: what it writes is under the last one it had
  expect(hex((await removed.current()).id)).toBe(hex(before.id))
})

test('two devices that make a key apart agree on one when they meet, and open what either sealed', async () => {
  const [a, b] = await mesh(1)
  if (a === undefined || b === undefined) throw new Error('two devices')
  const [mine, theirs] = [await keysOf(a), await keysOf(b)]
  const [one, other] = [await mine.current(), await theirs.current()]
  const [left, right] = [one.seal(plain, head), other.seal(plain, head)]
  await Promise.all([mine.take(theirs.all()), theirs.take(mine.all())])
  expect(hex((await mine.current()).id)).toBe(hex((await theirs.current()).id))
  for (const keys of [mine, theirs]) {
    expect(keys.open(hex(one.id), left, head)).toBeDefined()
    expect(keys.open(hex(other.id), right, head)).toBeDefined()
  }
})

test('the ring survives a restart and is bounded; forged keys are refused and a damaged ring is told', async () => {
  const device = await createDevice(1)
  const keep = createMemoryKeep()
  const keys = await keysOf(device, keep)
  const current = await keys.current()
  const many = Array.from({ length: limits.clipboardKeys + 10 }, (_, index) =>
    composeEpochKey('clipboard-key', device.identity, device.roster.state, {
      epoch: index + 2,
      key: device.env.random.bytes(32),
    }),
  )
  await Promise.all(many.map((key) => keys.take([key.bytes])))
  expect(keys.all()).toHaveLength(limits.clipboardKeys)
  expect(keys.has(hex(current.id))).toBe(false)
  const again = await keysOf(device, keep)
  expect(again.all().map(hex).toSorted()).toEqual(keys.all().map(hex).toSorted())
  const forged = Uint8Array.from(many[0]?.bytes ?? [])
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  await expect(keys.take([forged])).rejects.toMatchObject({ code: 'auth.invalid' })
  // A key of another purpose is none of these
  const mesh = composeEpochKey('mesh-key', device.identity, device.roster.state, {
    epoch: 1,
    key: new Uint8Array(32),
  })
  await expect(keys.take([mesh.bytes])).rejects.toMatchObject({ code: 'auth.invalid' })
  await keep.write(clipboardKeysRecord, Uint8Array.of(1, 2, 3))
  await expect(keysOf(device, keep)).rejects.toMatchObject({ code: 'store.corrupt' })
})
