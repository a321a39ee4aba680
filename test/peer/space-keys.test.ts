/** Keys of spaces go to full devices that ask, and to nobody else; two made apart end as one. */
import { expect, test } from 'vitest'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { anything } from '../../src/base/codec.ts'
import { createMemoryKeep, type Keep } from '../../src/base/keep.ts'
import { newDeviceId, newSpaceId, type DeviceId } from '../../src/base/ids.ts'
import { createRpc, type Rpc } from '../../src/base/rpc.ts'
import { createRpcMethods } from '../../src/base/rpc-methods.ts'
import { createScope } from '../../src/base/scope.ts'
import { createEmitter } from '../../src/base/events.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import type { Role } from '../../src/peer/auth/statement.ts'
import { openSpaceKeys, type SpaceKeyParts } from '../../src/peer/space-keys.ts'
import { createSealer } from '../../src/vault/seal.ts'
import { testEnv } from '../crdt/rig.ts'

const random = createSeededRandom(5)
const space = newSpaceId(random)
const ids = { one: newDeviceId(random), two: newDeviceId(random) }

/** Two devices on one channel; each knows the other under a role. */
async function pair(roles: { readonly one: Role; readonly two: Role }) {
  const [near, far] = createMemoryChannelPair()
  const rpcs = new Map<DeviceId, Rpc>()
  const open = async (self: 'one' | 'two', keep: Keep) => {
    const env = testEnv({ seed: self === 'one' ? 1 : 2 })
    const other = self === 'one' ? 'two' : 'one'
    const scope = createScope(env, self)
    const methods = createRpcMethods<{ readonly deviceId: DeviceId }>()
    const device = (id: DeviceId, role: Role) => ({
      deviceId: id,
      role,
      grants: [],
      key: 'k',
      removed: undefined,
    })
    const devices = new Map([
      [ids.one, device(ids.one, roles.one)],
      [ids.two, device(ids.two, roles.two)],
    ])
    const events = createEmitter<object>(env.log)
    const rpc = createRpc(env, self === 'one' ? near : far, methods, { deviceId: ids[other] })
    rpcs.set(ids[self], rpc)
    const keys = await openSpaceKeys(env, scope, {
      keep,
      joined: () => [space],
      roster: { state: { devices }, events, self: () => devices.get(ids[self]) },
      mesh: {
        methods,
        keeper: {
          rpc: () => rpcs.get(ids[self]),
          status: () => [{ deviceId: ids[other], state: 'up' }],
          events,
        },
      },
    } as unknown as SpaceKeyParts) // because: the parts of roster and keeper that keys use, and no others
    return { keys, scope, rpc }
  }
  const keeps = [createMemoryKeep(), createMemoryKeep()] as const
  return { one: await open('one', keeps[0]), two: await open('two', keeps[1]), keeps }
}

test('a full device that asks gets the key, keeps it, and has it after a restart', async () => {
  const { one, two, keeps } = await pair({ one: 'full', two: 'full' })
  const made = await one.keys.ensure(space)
  expect(await one.keys.ensure(space)).toEqual(made)
  two.keys.ask(space)
  await expect.poll(() => two.keys.get(space)).toEqual(made)
  expect((await keeps[1].read('space-keys'))?.byteLength).toBeGreaterThan(32)
  await one.scope.close()
  await two.scope.close()
})

test.each(['storage', 'limited', 'guest'] as const)(
  'a %s device gets none, and is not asked',
  async (role) => {
    const { one, two } = await pair({ one: 'full', two: role })
    const key = await one.keys.ensure(space)
    two.keys.ask(space)
    // On the same channel: when this one is answered, so was the one before
    await expect(two.rpc.call('space.key', { space }, anything)).rejects.toMatchObject({
      code: 'auth.denied',
    })
    expect(two.keys.get(space)).toBeUndefined()
    await two.keys.ensure(space)
    one.keys.ask(space)
    await one.rpc.call('space.key', { space }, anything)
    expect(one.keys.get(space)).toEqual(key)
    await one.scope.close()
    await two.scope.close()
  },
)

test('of two keys made apart both take the same one', async () => {
  const { one, two } = await pair({ one: 'full', two: 'full' })
  const [a, b] = [await one.keys.ensure(space), await two.keys.ensure(space)]
  expect(a).not.toEqual(b)
  const better = createSealer(a).vault < createSealer(b).vault ? a : b
  one.keys.ask(space)
  two.keys.ask(space)
  await expect.poll(() => [one.keys.get(space), two.keys.get(space)]).toEqual([better, better])
  await one.scope.close()
  await two.scope.close()
})
