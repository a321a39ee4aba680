/** CPU of document sync at rest: two equal peers in one process, connected, with nothing to do. */
import * as Y from 'yjs'
import { createSystemEnv } from '../../src/base/env.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createDocHost } from '../../src/crdt/doc-host.ts'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { openStore } from '../../src/crdt/store.ts'
import { createSync } from '../../src/crdt/sync.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'

const settleMs = 3_000
/** Two rounds of comparing digests, which come each 15 s. */
const watchMs = 30_000
const access = { visible: () => true, mayWrite: () => true }

/** @param count of documents, 256 a space. */
export async function measureRest(count: number): Promise<Record<string, number>> {
  const env = createSystemEnv()
  const open = async () => {
    const store = await openStore(env, { open: createMemoryDisk().open, witness: createMemoryWitness() })
    const host = await createDocHost(env, store)
    return { store, host, sync: createSync(env, host) }
  }
  const [left, right] = [await open(), await open()]
  const source = new Y.Doc()
  source.getArray('l:bench').push(['what both hold'])
  const update = Y.encodeStateAsUpdate(source)
  const updates = Array.from({ length: count }, (_, index) => ({
    name: `t/space${index >> 8}/${index & 255}`,
    update,
  }))
  for (const { host } of [left, right]) await host.apply(updates, 'bench')
  const [mine, theirs] = createMemoryChannelPair()
  const equal = new Promise<void>((resolve) => {
    right.sync.on('inSync', ({ isInSync }) => (isInSync ? resolve() : undefined))
  })
  left.sync.connect('right', mine, access)
  right.sync.connect('left', theirs, access)
  await equal
  await new Promise((resolve) => setTimeout(resolve, settleMs))
  const before = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, watchMs))
  const { user, system } = process.cpuUsage(before)
  for (const { sync, host, store } of [left, right]) {
    sync[Symbol.dispose]()
    await host.close()
    await store.close()
  }
  return { cpu_percent: (user + system) / 10 / watchMs / 2 }
}
