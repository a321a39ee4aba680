/**
 * A process that writes acknowledged changes until it is killed. Prints each update as it would be sent (`sent DOCUMENT BASE64`)
 * and the name of each change after it is stored (`ack NAME`). Arguments: folder, round, device, boot.
 */
import { createSystemEnv } from '../../src/base/env.ts'
import { isDeviceId } from '../../src/base/ids.ts'
import { createDocHost } from '../../src/crdt/doc-host.ts'
import { createFileWitness } from '../../src/crdt/file-witness.ts'
import { openLevelDatabase } from '../../src/crdt/level-database.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { openSpace } from '../../src/crdt/space.ts'
import { openStore } from '../../src/crdt/store.ts'
import { fileData, testSpace } from './rig.ts'

const [, , folder = '', round = '0', device = '', boot] = process.argv
if (!isDeviceId(device)) throw new Error(`no device id: ${device}`)
const env = createSystemEnv()
const store = await openStore(env, {
  open: () => openLevelDatabase(`${folder}/db`),
  witness: createFileWitness(`${folder}/witness`),
  boot,
})
const host = await createDocHost(env, store)
host.on('stored', ({ changes }) => {
  for (const { name, update } of changes)
    process.stdout.write(`sent ${name} ${Buffer.from(update).toString('base64')}\n`)
})
const space = await openSpace(env, host, { id: testSpace, device })
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
