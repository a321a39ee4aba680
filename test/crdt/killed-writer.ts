/** A process that writes acknowledged changes until it is killed: prints the number of each one after it is stored. */
import { createSystemEnv } from '../../src/base/env.ts'
import { newDeviceId } from '../../src/base/ids.ts'
import { createDocHost } from '../../src/crdt/doc-host.ts'
import { createFileWitness } from '../../src/crdt/file-witness.ts'
import { openLevelDatabase } from '../../src/crdt/level-database.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { openSpace } from '../../src/crdt/space.ts'
import { openStore } from '../../src/crdt/store.ts'
import { fileData, testSpace } from './rig.ts'

const [, , folder = '', round = '0'] = process.argv
const env = createSystemEnv()
const store = await openStore(env, {
  open: () => openLevelDatabase(`${folder}/db`),
  witness: createFileWitness(`${folder}/witness`),
})
const host = await createDocHost(env, store)
const space = await openSpace(env, host, { id: testSpace, device: newDeviceId(env.random) })
process.stdout.write(`id ${store.identity.clientId} ${store.identity.reason}\n`)
const ids = space.newIds(4)
for (let index = 0; ; index++) {
  const name = `r${round}-${index}`
  // Spread over few shards, so that logs are folded into snapshots while the kill comes
  const shard = ids[index % ids.length] ?? rootNodeId
  const nodeId = (shard.slice(0, 2) + space.newIds(1)[0]?.slice(2)) as typeof shard // because: same shard, else random
  const data = fileData(name)
  await space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name, data }], ([result]) => [
    {
      kind: 'put',
      row: {
        path: name,
        nodeId,
        kind: 'file',
        versions: result?.versions ?? new Map(),
        hash: data.hash,
        sizeBytes: 1,
        mtimeNs: 1n,
        ctimeNs: 1n,
        ino: 1n,
        dev: 1n,
        mode: 0o644,
        flags: new Set(),
      },
    },
  ])
  process.stdout.write(`ack ${name}\n`)
}
