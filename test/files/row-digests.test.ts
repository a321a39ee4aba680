/** Digests of rows that are kept between looks: the same as if every row were read, and little is read for them. */
import { expect, test } from 'vitest'
import type { IndexRow, LocalIndex } from '../../src/crdt/local-index.ts'
import type { NodeId } from '../../src/crdt/node-id.ts'
import type { RowDigests } from '../../src/files/folder-tree.ts'
import { createKeptDigests } from '../../src/files/row-digests.ts'
import { summarize } from '../../src/files/tree-summary.ts'
import { openRig, type Rig } from '../crdt/rig.ts'

const directories = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc']

const row = (directory: string, name: string, mtimeNs = 1n): IndexRow => ({
  path: `${directory}/${name}`,
  // because: 16 characters of the alphabet
  nodeId: 'NNNNNNNNNNNNNNNN' as NodeId,
  kind: 'file',
  versions: new Map(),
  sizeBytes: 3,
  mtimeNs,
  ctimeNs: 2n,
  ino: 3n,
  dev: 4n,
  mode: 0o644,
  flags: new Set(['synced']),
})

const summaryOf = (index: Pick<LocalIndex, 'outlines'>) => summarize(index.outlines(), () => undefined)

async function readAnew(index: LocalIndex): Promise<RowDigests> {
  return new Map([...(await summaryOf(index))].map(([id, { digest }]) => [id, digest]))
}

async function openKept(rig: Rig) {
  const { index } = rig.space
  await index.write(
    directories.flatMap((id) => ['x', 'y'].map((name) => ({ kind: 'put', row: row(id, name) }))),
  )
  const read: (string | undefined)[] = []
  const outlines: LocalIndex['outlines'] = (directory) => {
    read.push(directory)
    return index.outlines(directory)
  }
  const kept = createKeptDigests({
    outlines,
    get losses() {
      return index.losses
    },
  })
  kept.begin()(await summaryOf(index))
  return { index, kept, read }
}

test('only the directories that were written are read again', async () => {
  await using rig = await openRig()
  const { index, kept, read } = await openKept(rig)
  const [a = '', b = ''] = directories
  expect(await kept.current()).toEqual(await readAnew(index))
  expect(read).toEqual([])
  await index.write([
    { kind: 'put', row: row(a, 'x', 9n) },
    { kind: 'put', row: row('dddddddddddddddd', 'new') },
    ...['x', 'y'].map((name) => ({ kind: 'delete', path: `${b}/${name}` }) as const),
  ])
  kept.written([a, b, 'dddddddddddddddd'])
  const renewed = await kept.current()
  expect(renewed).toEqual(await readAnew(index))
  expect(renewed?.has(b)).toBe(false)
  expect(read).toEqual([a, b, 'dddddddddddddddd'])
})

test('what is written while its directory is read counts for the next time', async () => {
  await using rig = await openRig()
  const { index, kept } = await openKept(rig)
  const [a = ''] = directories
  kept.written([a])
  const reading = kept.current()
  await index.write([{ kind: 'put', row: row(a, 'x', 9n) }])
  kept.written([a])
  await reading
  expect(await kept.current()).toEqual(await readAnew(index))
})

test('nothing is kept where rows were lost', async () => {
  await using rig = await openRig()
  const { index, kept } = await openKept(rig)
  const reopened = new Promise((resolve) => rig.store.on('reopened', resolve))
  rig.disk.failBatches(1)
  await expect(index.write([{ kind: 'put', row: row('a', 'x') }])).rejects.toMatchObject({
    code: 'store.failed',
  })
  await reopened
  expect(await kept.current()).toBeUndefined()
  kept.begin()(await summaryOf(index))
  expect(await kept.current()).toEqual(await readAnew(index))
})

test('only a directory that surely has no rows counts as empty', async () => {
  await using rig = await openRig()
  const { index, kept } = await openKept(rig)
  const [a = ''] = directories
  expect(kept.isEmpty('dddddddddddddddd')).toBe(true)
  expect(kept.isEmpty(a)).toBe(false)
  kept.written(['dddddddddddddddd'])
  await index.write([{ kind: 'put', row: row('dddddddddddddddd', 'new') }])
  expect(kept.isEmpty('dddddddddddddddd')).toBe(false)
  await kept.current()
  expect(kept.isEmpty('dddddddddddddddd')).toBe(false)
  kept.written(['dddddddddddddddd'])
  await index.write([{ kind: 'delete', path: 'dddddddddddddddd/new' }])
  expect(kept.isEmpty('dddddddddddddddd')).toBe(false)
  await kept.current()
  expect(kept.isEmpty('dddddddddddddddd')).toBe(true)
  // Rows may have come back with a store that was opened again
  rig.store.noteLoss()
  expect(kept.isEmpty('dddddddddddddddd')).toBe(false)
})

test('a directory whose rows are being read again is not certainly without any', async () => {
  await using rig = await openRig()
  const { index, kept } = await openKept(rig)
  const made = 'dddddddddddddddd'
  expect(kept.isEmpty(made)).toBe(true)
  kept.written([made])
  await index.write([{ kind: 'put', row: row(made, 'new') }])
  const renewed = kept.current()
  for (let turn = 0; turn < 3; turn++) {
    expect(kept.isEmpty(made)).toBe(false)
    await Promise.resolve()
  }
  await renewed
  expect(kept.isEmpty(made)).toBe(false)
})
