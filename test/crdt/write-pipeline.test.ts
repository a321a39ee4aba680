/** The order of batches: nothing that is queued waits for somebody else's change. */
import { expect, test } from 'vitest'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { openStore } from '../../src/crdt/store.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'
import { WritePipeline } from '../../src/crdt/write-pipeline.ts'
import { testEnv } from './rig.ts'

test('what is queued in the moment in which the batch before it is done is stored too', async () => {
  const disk = createMemoryDisk()
  await using store = await openStore(testEnv(), { open: disk.open, witness: createMemoryWitness() })
  const pipeline = new WritePipeline(store, {
    fold: () => [],
    lost: () => undefined,
    stored: () => undefined,
  })
  const put = (key: string) => pipeline.enqueue([], [{ type: 'put', key, value: Uint8Array.of(1) }])
  // Each is queued as the very first thing after the one before
  await put('a')
    .then(() => put('b'))
    .then(() => put('c'))
  expect([...disk.raw.keys()].filter((key) => key.length === 1)).toEqual(['a', 'b', 'c'])
})
