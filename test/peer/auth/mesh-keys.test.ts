import { expect, test } from 'vitest'
import { createMemoryKeep } from '../../../src/base/keep.ts'
import { createMeshKeys, decodeMeshKey } from '../../../src/peer/auth/mesh-keys.ts'
import { createDevice, createHostSide, longMeans, pair } from './pairing-world.ts'

async function mesh(guests: number) {
  const side = await createHostSide(1)
  const devices = [side.device]
  for (let index = 0; index < guests; index++) {
    const guest = await createDevice(2 + index)
    side.window.open()
    await pair(side, guest, longMeans(side))
    devices.push(guest)
  }
  for (const device of devices) await device.roster.merge(side.device.roster.since([]))
  return devices
}

test('after a removal the key is stale, the remover makes the next one, and the others take it', async () => {
  const [host, guest, third] = await mesh(2)
  if (host === undefined || guest === undefined || third === undefined) throw new Error('three devices')
  expect(host.meshKeys.isStale(host.roster.state)).toBe(false)
  await host.roster.remove(third.identity.deviceId)
  await guest.roster.merge(host.roster.since(guest.roster.heads()))
  expect(host.meshKeys.isStale(host.roster.state)).toBe(true)
  const next = await host.meshKeys.rotate(host.roster.state)
  expect(next.epoch).toBe(2)
  expect(await guest.meshKeys.offer(next.bytes, guest.roster.state)).toBe(true)
  expect(guest.meshKeys.current().key).toEqual(next.key)
  expect(guest.meshKeys.isStale(guest.roster.state)).toBe(false)
  expect(guest.meshKeys.previous()?.epoch).toBe(1)
  // The removed one cannot hand out another
  const forged = await third.meshKeys.rotate(third.roster.state)
  await expect(guest.meshKeys.offer(forged.bytes, guest.roster.state)).rejects.toMatchObject({
    code: 'auth.invalid',
  })
})

test('two that rotate at once end with one key; if neither knew of the other`s removal it is stale again', async () => {
  const [host, guest, x, y] = await mesh(3)
  if (host === undefined || guest === undefined || x === undefined || y === undefined)
    throw new Error('four devices')
  await host.roster.remove(x.identity.deviceId)
  await guest.roster.remove(y.identity.deviceId)
  const one = await host.meshKeys.rotate(host.roster.state)
  const two = await guest.meshKeys.rotate(guest.roster.state)
  await host.roster.merge(guest.roster.since(host.roster.heads()))
  await guest.roster.merge(host.roster.since(guest.roster.heads()))
  await host.meshKeys.offer(two.bytes, host.roster.state)
  await guest.meshKeys.offer(one.bytes, guest.roster.state)
  expect(host.meshKeys.current().key).toEqual(guest.meshKeys.current().key)
  expect(host.meshKeys.isStale(host.roster.state)).toBe(true)
  const last = await host.meshKeys.rotate(host.roster.state)
  expect(await guest.meshKeys.offer(last.bytes, guest.roster.state)).toBe(true)
  expect(guest.meshKeys.isStale(guest.roster.state)).toBe(false)
})

test('a key survives a restart, and no changed bit is taken', async () => {
  const { env, identity, roster } = await createDevice(1)
  const keep = createMemoryKeep()
  const first = await createMeshKeys(env, keep, identity, roster.state)
  const next = await first.rotate(roster.state)
  const again = await createMeshKeys(env, keep, identity, roster.state)
  expect(again.current()).toEqual(next)
  for (let bit = 0; bit < next.bytes.byteLength * 8; bit++) {
    const changed = Uint8Array.from(next.bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(() => decodeMeshKey(changed)).toThrow()
  }
})
