/** Two homes made from one backup: each becomes a writer of its own, and nothing that either writes is lost. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { newDeviceId } from '../../src/base/ids.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { fileData, listing, meet, openOnDisk, openRig, type OnDisk, type Rig } from './rig.ts'

const folder = mkdtempSync(join(tmpdir(), 'skein-cloned-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function edit({ space }: Pick<OnDisk, 'space'> | Rig, content: string): Promise<void> {
  const entry = await space.lookup('shared')
  if (entry === undefined) throw new Error('no entry')
  const { nodeId, parent, name } = entry
  const observed = entry.data.versions
  await space.commit([{ kind: 'edit', nodeId, observed, data: fileData(content), parent, name }])
}

test('two homes cloned from one backup keep both edits, beside each other, with the original running too', async () => {
  const device = newDeviceId(createSeededRandom(1))
  const [original, backup] = [join(folder, 'original'), join(folder, 'backup')]
  mkdirSync(original)
  await using peer = await openRig({ seed: 2 })
  {
    await using first = await openOnDisk(original, 3, device)
    const [nodeId = rootNodeId] = first.space.newIds(1)
    const data = fileData('base')
    await first.space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name: 'shared', data }])
  }
  cpSync(original, backup, { recursive: true, preserveTimestamps: true })
  {
    // What the backup does not know: reached the peer under the old identity
    await using first = await openOnDisk(original, 4, device)
    await edit(first, 'after-the-backup')
    await meet(first, peer)
  }
  const clones = [join(folder, 'clone-1'), join(folder, 'clone-2')]
  for (const clone of clones) cpSync(backup, clone, { recursive: true, preserveTimestamps: true })
  await using one = await openOnDisk(clones[0] ?? '', 5, device)
  await using two = await openOnDisk(clones[1] ?? '', 6, device)
  await using first = await openOnDisk(original, 7, device)
  const identities = [one, two, first].map(({ store }) => store.identity)
  expect(identities.map(({ reason }) => reason)).toEqual(['copied', 'copied', 'kept'])
  expect(new Set(identities.map(({ clientId }) => clientId)).size).toBe(3)
  await edit(one, 'by-one')
  await edit(two, 'by-two')
  await edit(first, 'by-the-original')
  for (let round = 0; round < 2; round++) for (const each of [one, two, first]) await meet(each, peer)
  const seen = await listing(peer.space)
  const contents = new Set(seen.map((line) => line.split(' ').at(-1)))
  expect(contents).toEqual(new Set(['by_one', 'by_the_original', 'by_two']))
  for (const each of [one, two, first]) expect(await listing(each.space)).toEqual(seen)
})
