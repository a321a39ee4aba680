/** Each checker of the simulated spaces fails when what it checks does not hold; and every property has one, or a test. */
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { newNodeIds } from '../../src/crdt/node-id.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import type { EntryData, FolderTree, TreeChange, TreeEntry } from '../../src/files/folder-tree.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createSelection } from '../../src/files/selection.ts'
import { propertyChecks } from '../../simulations/checks/properties.ts'
import { createBrakeCheck } from '../../simulations/spaces/checks/brake.ts'
import { checkClaim } from '../../simulations/spaces/checks/claims.ts'
import { createIdentityCheck } from '../../simulations/spaces/checks/identities.ts'
import { checkGarbage } from '../../simulations/spaces/checks/garbage.ts'
import { isContained, watchPaths } from '../../simulations/spaces/checks/contained.ts'
import { checkStays, rulesOf, withoutIgnored } from '../../simulations/spaces/checks/ignored.ts'
import { checkPart, type PartView, watchReadOnly } from '../../simulations/spaces/checks/parts.ts'
import { checkAlone, differenceOf } from '../../simulations/spaces/checks/pictures.ts'
import { checkRest } from '../../simulations/spaces/checks/rest.ts'
import { watchSeeding } from '../../simulations/spaces/checks/seeding.ts'
import type { SpaceDevice } from '../../simulations/spaces/device.ts'

const bytes = new TextEncoder().encode('content')
const file: EntryData = {
  kind: 'file',
  hash: hashOf(bytes),
  size: bytes.byteLength,
  mtimeNs: 0n,
  executable: false,
  target: '',
}
const [nodeId = ''] = newNodeIds(createSystemRandom(), 1, 1)
const entry = {
  ...file,
  nodeId,
  parentId: 'root',
  name: 'a',
  version: '',
  nodes: [nodeId],
  isConflictCopy: false,
}

/** A tree that takes everything. */
const createTree = (children: readonly TreeEntry[] = []): FolderTree =>
  // because: the checkers look at these alone
  ({
    rootId: 'root',
    children: () => Promise.resolve(children),
    commit: () => Promise.resolve([]),
  }) as unknown as FolderTree

const create: TreeChange = { kind: 'create', nodeId, parentId: 'root', name: 'a', data: file }
const remove = (id: string): TreeChange => ({ kind: 'delete', nodeId: id, base: '' })

// because: the checkers look at these alone
const device = (parts: Partial<SpaceDevice>): SpaceDevice => ({ name: 'd0', ...parts }) as SpaceDevice

const view = (parts: Partial<PartView>): PartView => ({
  name: 'd0',
  selection: createSelection({ only: [], except: ['*.txt'] }),
  document: new Map([
    ['a', 'one'],
    ['b.txt', 'two'],
  ]),
  disk: new Map([['a', 'one']]),
  told: [],
  problems: [],
  somewhere: new Set(['one', 'two']),
  heldElsewhere: new Set(['one', 'two']),
  ...parts,
})

test('every property from P1 to P31 is checked, by files that are there', () => {
  const numbers = propertyChecks.map(({ property }) => property.split(' ')[0])
  expect(numbers).toEqual(Array.from({ length: 31 }, (_, index) => `P${index + 1}`))
  const missing = propertyChecks.flatMap(({ by }) => by).filter((path) => !existsSync(path))
  expect(missing).toEqual([])
})

test('P8: a second node for a file that the document was seen to have is found', async () => {
  const faults: string[] = []
  const tree = watchSeeding('d0', createTree([entry]), (what) => faults.push(what))
  await tree.commit([create], [])
  expect(faults).toEqual([])
  await tree.children('root')
  await tree.commit([{ ...create, data: { ...file, executable: true } }], [])
  expect(faults).toEqual([])
  await tree.commit([create], [])
  expect(faults).toHaveLength(1)
})

test('P16: more deletions than the brake lets pass are found, and those that the person allowed are not', async () => {
  const faults: string[] = []
  let nowMs = 0
  const options = { minCount: 3, maxShare: 0.2, windowMs: 60_000 }
  const check = createBrakeCheck(
    options,
    () => nowMs,
    (what) => faults.push(what),
  )
  const one = device({})
  const tree = check.watch(one, createTree())
  await tree.commit([remove('a'), remove('b'), remove('c')], [])
  nowMs = 60_000
  await tree.commit([remove('d'), remove('e'), remove('f')], [])
  check.allowed(one)
  await tree.commit([remove('g'), remove('h')], [])
  expect(faults).toEqual([])
  await tree.commit([remove('i')], [])
  expect(faults).toHaveLength(1)
})

test('P22: a path that leads out of the root is found, and the target of a link is none', async () => {
  const faults: string[] = []
  const disk = watchPaths(createMemoryFilesystem(), (what) => faults.push(what))
  await disk.makeDirectory('a')
  await disk.makeSymlink('../../etc', 'a/link')
  await disk.syncAll(['a/link'], ['', 'a'])
  expect(faults).toEqual([])
  // The disk refuses them, too
  await expect(disk.lstat('a/../../b')).rejects.toThrow()
  await disk.syncAll(['/etc'], []).catch(() => undefined)
  expect(faults).toHaveLength(2)
  expect(['', 'a', 'a/b', 'a../..b'].filter((path) => !isContained(path))).toEqual([])
  expect(['/', 'a/', '..', 'a/./b', 'a\0', 'a//b'].filter(isContained)).toEqual([])
})

test('P14, P28: what the rules leave out is told apart, and has to stay', async () => {
  const before = new Map([
    ['.skeinignore', 'd\n*.bin\n'],
    ['d', 'dir'],
    ['d/x', 'mine'],
    ['a.bin', 'mine too'],
    ['a', 'ours'],
    ['gone', 'dir'],
    ['gone/b.bin', 'mine as well'],
    ['empty', 'dir'],
  ])
  const shared = await withoutIgnored({ space: undefined }, before)
  // A directory that others deleted stays for what is left out in it, an empty one does not
  expect([...shared.keys()]).toEqual(['.skeinignore', 'a', 'empty'])
  expect(rulesOf(new Map()).ignores('a.bin', false)).toBe(false)
  const left = new Map([...before].filter(([path]) => !shared.has(path)))
  checkStays('d0', left, before)
  expect(() => checkStays('d0', left, shared)).toThrow('left out "d"')
  expect(() => checkStays('d0', left, new Map([...before, ['d/x', 'others']]))).toThrow('d/x')
})

test('a device that only receives and writes is found, and a part that is not as it should be', async () => {
  const faults: string[] = []
  const silent = watchReadOnly({ name: 'd0', isReadOnly: true }, createTree(), (what) => faults.push(what))
  await silent.commit([], [])
  expect(faults).toEqual([])
  await silent.commit([create], [])
  expect(faults).toHaveLength(1)
  checkPart(view({}))
  // Lacks what it selected
  expect(() => checkPart(view({ disk: new Map() }))).toThrow('shows "a" as undefined')
  // Keeps what it did not select, and others hold it
  const both = new Map([
    ['a', 'one'],
    ['b.txt', 'two'],
  ])
  expect(() => checkPart(view({ disk: both }))).toThrow('not selected')
  checkPart(view({ disk: both, heldElsewhere: new Set(['one']) }))
  // Has what nobody was told of; and tells what is not so
  const added = { path: 'c', change: 'added', isDirectory: false, sizeBytes: 1 } as const
  const more = new Map([
    ['a', 'one'],
    ['c', 'three'],
  ])
  const held = new Set(['three'])
  expect(() => checkPart(view({ disk: more, heldElsewhere: held }))).toThrow('gone')
  checkPart(view({ disk: more, heldElsewhere: held, told: [added] }))
  expect(() => checkPart(view({ disk: more, heldElsewhere: held, problems: ['c2'] }))).toThrow(
    'still has "c"',
  )
  checkPart(view({ disk: more, heldElsewhere: held, problems: ['c'] }))
  expect(() => checkPart(view({ told: [added] }))).toThrow('tells that "c" was added')
})

test('P1, P13, P25, P31: pictures that differ, work at rest and false claims are found', () => {
  const [one, two] = [new Map([['a', 'x']]), new Map([['a', 'y']])]
  expect(differenceOf(one, one)).toBeUndefined()
  expect(differenceOf(one, two)).toContain('"x" and "y"')
  expect(() => checkAlone(one, two, () => false)).toThrow('did not come through')
  expect(() => checkRest('1/1', '1/2')).toThrow('went on working')
  const status = {
    state: 'in-sync',
    files: 0,
    bytes: 0,
    directories: 0,
    transfers: { waiting: 1, doneFiles: 0, totalFiles: 1, doneBytes: 0, totalBytes: 1 },
    problems: [],
    heldDeletions: 0,
    localChanges: 0,
    unreleased: 0,
    stoppedBy: undefined,
    watching: { native: 0, polled: 0 },
    rounds: 0,
  } as const
  expect(() => checkClaim('d0', status)).toThrow('says that it is in sync')
})

test('P7: an identity of two devices is found, and one from before a device was set back', () => {
  const faults: string[] = []
  const check = createIdentityCheck((what) => faults.push(what))
  check.identified('d0', 1)
  check.identified('d1', 2)
  check.identified('d0', 1)
  check.setBack('d0')
  check.identified('d0', 3)
  check.identified('d1', 2)
  expect(faults).toEqual([])
  check.identified('d0', 1)
  check.identified('d1', 3)
  expect(faults).toEqual([
    'd0 writes under an identity from before it was set back',
    'd1 writes under the identity of d0',
  ])
})

test('P10: what is no record and is dropped is found', async () => {
  const lists = { 'l:one': ['kept'], 'l:two': [] }
  const host = {
    read: (_names: readonly string[], use: (document: () => unknown) => unknown) =>
      Promise.resolve(
        use(() => ({ getArray: (name: keyof typeof lists) => ({ toArray: () => lists[name] }) })),
      ),
  }
  // because: the checker looks at these alone
  const holder = device({ host: host as unknown as NonNullable<SpaceDevice['host']> })
  const by = (deviceId: string): SpaceDevice => device({ deviceId: deviceId as SpaceDevice['deviceId'] })
  const garbage = { document: 't', value: 'kept', isEverywhere: true }
  await checkGarbage(holder, [{ ...garbage, by: by('one') }])
  await expect(checkGarbage(holder, [{ ...garbage, by: by('two') }])).rejects.toThrow('holds no longer')
})
