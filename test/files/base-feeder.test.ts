import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { createBaseFeeder } from '../../src/files/base-feeder.ts'
import { createBaseKeep } from '../../src/files/base-keep.ts'
import { createDirectories } from '../../src/files/directories.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createSpaceFolderTree } from '../../src/files/space-folder-tree.ts'
import { openRig } from '../crdt/rig.ts'

test('while rounds are under way a merge knows already what the versions were that they replaced', async () => {
  const env = createSystemEnv()
  const filesystem = createMemoryFilesystem()
  await filesystem.makeDirectory('.skein')
  await using rig = await openRig()
  const tree = await createSpaceFolderTree(rig.space)
  const directories = createDirectories(tree.rootId)
  await using keep = createBaseKeep(env, filesystem, { isCurrent: async () => false })
  const feeder = createBaseFeeder(env, { tree, filesystem, directories, keep, isBusy: () => true })
  const end = new AbortController()
  const running = feeder.run(end.signal)
  const hash = hashOf(new TextEncoder().encode('before'))
  feeder.committed([], [{ nodeId: 'n', version: 'v:1', hash }])
  expect(await keep.contentOf('n', 'v:1')).toBe(hash)
  end.abort()
  await expect(running).rejects.toThrow()
})
