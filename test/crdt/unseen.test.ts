/** Which directories a folder has to look into when it opens again: none is forgotten, whatever kind of batch changed it. */
import { expect, test } from 'vitest'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { fileData, openRig } from './rig.ts'

test('a directory whose rows changed is known at once, also where no document did', async () => {
  const { space } = await openRig()
  await space.settle('whole')
  expect(space.unseen('whole')).toEqual([])
  expect(space.unseen('by other rules')).toBeUndefined()
  await space.commit([], [{ kind: 'delete', path: `${rootNodeId}/put away` }])
  expect(space.unseen('whole')).toEqual([rootNodeId])
  await space.settle('whole')
  expect(space.unseen('whole')).toEqual([])
  const [nodeId = rootNodeId] = space.newIds(1)
  await space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name: 'f', data: fileData('v') }])
  expect(space.unseen('whole')).toEqual([rootNodeId])
})
