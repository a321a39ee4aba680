/** What `skein sync` says while it waits: which devices it waits for. */
import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createLog } from '../../src/base/log.ts'
import type { DeviceId, SpaceId } from '../../src/base/ids.ts'
import type { SpaceStatus } from '../../src/peer/api-spaces.ts'
import { type SyncView, waitForSync } from '../../src/peer/sync-wait.ts'

// because: ids of the right form
const [alice, bob] = ['a', 'b'].map((letter) => letter.repeat(26) as DeviceId) as [DeviceId, DeviceId]
const space: SpaceStatus = {
  id: '0000000000000000000000000s' as SpaceId,
  name: 'notes',
  state: 'in-sync',
  fileCount: 1,
  sizeBytes: 1,
  conflictCount: 0,
  pendingCount: 0,
}

const report = async (given: {
  readonly unequal?: readonly DeviceId[]
  readonly busy?: readonly string[]
  readonly state?: SpaceStatus['state']
}): ReturnType<typeof waitForSync> => {
  const view: SyncView = {
    sync: {
      peers: () => [alice, bob],
      inSync: (peer) => given.unequal?.some((one) => one === peer) !== true,
    },
    statuses: () => Promise.resolve([{ ...space, state: given.state ?? 'in-sync' }]),
    busyMembers: () => Promise.resolve(given.busy ?? []),
    nameOf: (peer) => (peer === bob ? 'bob' : 'alice'),
  }
  const env = createSystemEnv({ log: createLog(() => undefined, 'error') })
  const { signal } = new AbortController()
  return await waitForSync(env, view, { spaceId: undefined, timeoutMs: 0, signal })
}

test('names the devices whose news is not here, or that have not got ours', async () => {
  expect(await report({ unequal: [bob] })).toMatchObject({ isInSync: false, busyDevices: ['bob'] })
})

test('names a device once that is at work as well', async () => {
  expect(await report({ busy: ['alice'] })).toMatchObject({ isInSync: false, busyDevices: ['alice'] })
})

test('names nobody while this device is at work itself', async () => {
  const busy = await report({ unequal: [bob], state: 'syncing' })
  expect(busy.isInSync).toBe(false)
  expect(busy.busyDevices).toBeUndefined()
})
