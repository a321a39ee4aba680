/** Rows of different owners share one store: what one of them clears must not be another one's. */
import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { newDeviceId, newSpaceId } from '../../src/base/ids.ts'
import { createLog } from '../../src/base/log.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { openClipboardAges } from '../../src/crdt/clipboard-ages.ts'
import { createDocHost } from '../../src/crdt/doc-host.ts'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { openSpace } from '../../src/crdt/space.ts'
import { openStore } from '../../src/crdt/store.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'

test('a clipboard that forgets what it does not know leaves the trees of spaces alone', async () => {
  const env = createSystemEnv({ log: createLog(() => undefined, 'error') })
  const disk = createMemoryDisk()
  const store = await openStore(env, { open: () => disk.open(), witness: createMemoryWitness() })
  await using host = await createDocHost(env, store)
  const random = createSystemRandom()
  using space = await openSpace(env, host, { id: newSpaceId(random), device: newDeviceId(random) })
  const [nodeId] = space.newIds(1)
  if (nodeId === undefined) throw new Error('an id')
  await space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name: 'a', data: { kind: 'dir' } }])
  const ages = await openClipboardAges(env, store)
  await ages.keep(new Set())
  const again = await openClipboardAges(env, store)
  await again.keep(new Set())
  expect((await space.children(rootNodeId)).map(({ name }) => name)).toEqual(['a'])
})
