/** A space that a device takes up in another directory than before: real documents, index and disks. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'
import { forgetOtherPlace } from '../../src/files/other-place.ts'
import { createSpaceFolderTree } from '../../src/files/space-folder-tree.ts'
import { converged, createPair, type Device, picture } from '../support/two-folders.ts'

const forget = async ({ space, root }: Device): Promise<boolean> =>
  await forgetOtherPlace(await createSpaceFolderTree(space), createNodeFilesystem(root))

test('begins anew there: everything comes, nothing is deleted elsewhere, and what stood there is kept', async () => {
  await using pair = await createPair()
  const { a, b } = pair
  await mkdir(join(a.root, 'deep/er'), { recursive: true })
  for (const name of ['one', 'deep/two', 'deep/er/three']) await writeFile(join(a.root, name), name)
  await converged([a, b])

  // Another directory: without the marker, with a file that is known and one that is its own
  await a.stop()
  await rm(a.root, { recursive: true })
  await mkdir(a.root)
  await writeFile(join(a.root, 'one'), 'one')
  await writeFile(join(a.root, 'own'), 'made here before')
  expect(await forget(a)).toBe(true)
  await a.restart()
  const wanted = {
    'deep/': 'dir',
    'deep/er/': 'dir',
    'deep/er/three': 'deep/er/three',
    'deep/two': 'deep/two',
    one: 'one',
    own: 'made here before',
  }
  expect(await converged([a, b])).toEqual(wanted)
})

test('is the same place while its marker is there: nothing is forgotten, and a deletion made meanwhile is one', async () => {
  await using pair = await createPair()
  const { a, b } = pair
  for (const name of ['kept', 'deleted']) await writeFile(join(a.root, name), name)
  await converged([a, b])
  await a.stop()
  await rm(join(a.root, 'deleted'))
  expect(await forget(a)).toBe(false)
  await a.restart()
  await converged([a, b])
  expect(await picture(b.root)).toEqual({ kept: 'kept' })
})
