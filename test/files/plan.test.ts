import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashOf } from '../../src/blobs/hash.ts'
import { type EntryData, sameData, type SyncedRow, type TreeEntry } from '../../src/files/folder-tree.ts'
import { type Action, type DiskState, type Place, planPlace } from '../../src/files/plan.ts'

const file = (text: string, executable = false): EntryData => ({
  kind: 'file',
  hash: hashOf(new TextEncoder().encode(text)),
  size: text.length,
  mtimeNs: 0n,
  executable,
  target: '',
})
const directory: EntryData = {
  kind: 'directory',
  hash: undefined,
  size: 0,
  mtimeNs: 0n,
  executable: false,
  target: '',
}
const symlink = (target: string): EntryData => ({ ...directory, kind: 'symlink', target })
const row = (data: EntryData, version = 'v1', nodeId = 'node'): SyncedRow => ({
  ...data,
  nodeId,
  parentId: 'root',
  name: 'x',
  diskName: 'x',
  version,
  dev: 1n,
  ino: 1n,
  ctimeNs: 0n,
  isRacy: false,
  isLeftover: false,
})
const entry = (data: EntryData, version = 'v1', name = 'x', nodeId = 'node'): TreeEntry => ({
  ...data,
  nodeId,
  parentId: 'root',
  name,
  version,
  nodes: [nodeId],
  isConflictCopy: false,
})
const absent: DiskState = { state: 'absent' }
const same: DiskState = { state: 'same' }
const present = (data: EntryData): DiskState => ({ state: 'present', data })

describe('planPlace', () => {
  const table: readonly (readonly [string, Place, Action['kind']])[] = [
    ['nothing anywhere', { row: undefined, disk: absent, own: undefined, here: undefined }, 'nothing'],
    [
      'new in the document',
      { row: undefined, disk: absent, own: undefined, here: entry(file('a')) },
      'materialise',
    ],
    [
      'new on the disk',
      { row: undefined, disk: present(file('a')), own: undefined, here: undefined },
      'create',
    ],
    [
      'equal on both, unknown to the index',
      { row: undefined, disk: present(file('a')), own: undefined, here: entry(file('a')) },
      'adopt',
    ],
    [
      'different on both, unknown to the index',
      { row: undefined, disk: present(file('a')), own: undefined, here: entry(file('b')) },
      'create',
    ],
    [
      'directories on both',
      { row: undefined, disk: present(directory), own: undefined, here: entry(directory) },
      'adopt',
    ],
    [
      'a directory here, a file there',
      { row: undefined, disk: present(directory), own: undefined, here: entry(file('b')) },
      'create',
    ],
    [
      'in sync',
      { row: row(file('a')), disk: same, own: entry(file('a')), here: entry(file('a')) },
      'nothing',
    ],
    [
      'edited by others',
      { row: row(file('a')), disk: same, own: entry(file('b'), 'v2'), here: entry(file('b'), 'v2') },
      'replace',
    ],
    [
      'touched by others, equal bytes',
      { row: row(file('a')), disk: same, own: entry(file('a'), 'v2'), here: entry(file('a'), 'v2') },
      'adopt',
    ],
    [
      'made executable by others',
      { row: row(file('a')), disk: same, own: entry(file('a', true), 'v2'), here: undefined },
      'replace',
    ],
    [
      'moved by others',
      { row: row(file('a')), disk: same, own: entry(file('a'), 'v1', 'y'), here: undefined },
      'move',
    ],
    ['deleted by others', { row: row(file('a')), disk: same, own: undefined, here: undefined }, 'trash'],
    [
      'its node split, bytes and place the same',
      { row: row(file('a')), disk: same, own: undefined, here: entry(file('a'), 'v9', 'x', 'other') },
      'adopt',
    ],
    [
      'deleted by others, something else came',
      { row: row(file('a')), disk: same, own: undefined, here: entry(file('b'), 'v9', 'x', 'other') },
      'trash',
    ],
    [
      'deleted here',
      { row: row(file('a')), disk: absent, own: entry(file('a')), here: entry(file('a')) },
      'delete',
    ],
    [
      'deleted on both sides',
      { row: row(file('a')), disk: absent, own: undefined, here: undefined },
      'forget',
    ],
    [
      'deleted here, edited by others',
      { row: row(file('a')), disk: absent, own: entry(file('b'), 'v2'), here: undefined },
      'forget',
    ],
    [
      'deleted here, moved by others',
      { row: row(file('a')), disk: absent, own: entry(file('a'), 'v1', 'y'), here: undefined },
      'forget',
    ],
    [
      'deleted here, shown under another name because something else took its own',
      {
        row: row(file('a')),
        disk: absent,
        own: entry(file('a'), 'v1', 'x (conflict)'),
        here: entry(directory, 'v9', 'x', 'other'),
        isPlacedHere: true,
      },
      'delete',
    ],
    [
      'deleted here, edited by others and shown under another name',
      {
        row: row(file('a')),
        disk: absent,
        own: entry(file('b'), 'v2', 'x (conflict)'),
        here: undefined,
        isPlacedHere: true,
      },
      'forget',
    ],
    [
      'deleted here, under another node since a split',
      { row: row(file('a')), disk: absent, own: undefined, here: entry(file('a'), 'v1', 'x', 'other') },
      'delete',
    ],
    [
      'deleted here, the same bytes came anew from others',
      { row: row(file('a')), disk: absent, own: undefined, here: entry(file('a'), 'v9', 'x', 'other') },
      'forget',
    ],
    [
      'edited here',
      { row: row(file('a')), disk: present(file('b')), own: entry(file('a')), here: entry(file('a')) },
      'edit',
    ],
    [
      'edited here, deleted by others',
      { row: row(file('a')), disk: present(file('b')), own: undefined, here: undefined },
      'edit',
    ],
    [
      'edited on both sides',
      { row: row(file('a')), disk: present(file('b')), own: entry(file('c'), 'v2'), here: undefined },
      'edit',
    ],
    [
      'edited to the same on both sides',
      { row: row(file('a')), disk: present(file('b')), own: entry(file('b'), 'v2'), here: undefined },
      'adopt',
    ],
    [
      'retargeted here',
      { row: row(symlink('a')), disk: present(symlink('b')), own: entry(symlink('a')), here: undefined },
      'edit',
    ],
    [
      'a file became a directory',
      { row: row(file('a')), disk: present(directory), own: entry(file('a')), here: entry(file('a')) },
      'recreate',
    ],
    [
      'a directory that could not go',
      { row: { ...row(directory), isLeftover: true }, disk: same, own: undefined, here: undefined },
      'trash',
    ],
    [
      'a directory that could not go is wanted again',
      {
        row: { ...row(directory), isLeftover: true },
        disk: same,
        own: entry(directory),
        here: entry(directory),
      },
      'adopt',
    ],
  ]
  test.each(table)('%s', (_name, place, expected) => {
    expect(planPlace(place).kind).toBe(expected)
  })

  test('a file that gave way here to a directory that others have there too is deleted in the document', () => {
    const here = entry(directory, 'v9', 'x', 'other')
    const place = { row: row(file('a')), disk: present(directory), here }
    const own = entry(file('a'), 'v1', 'x (conflict)')
    expect(planPlace({ ...place, own })).toEqual({ kind: 'adopt', entry: here, deletesOld: true })
    const edited = entry(file('b'), 'v2', 'x (conflict)')
    expect(planPlace({ ...place, own: edited })).toEqual({ kind: 'adopt', entry: here, deletesOld: false })
  })

  test('a file that became a directory here but was edited by others is not deleted in the document', () => {
    expect(
      planPlace({
        row: row(file('a')),
        disk: present(directory),
        own: entry(file('b'), 'v2'),
        here: undefined,
      }),
    ).toMatchObject({ kind: 'recreate', deletesOld: false })
  })
})

const anyData = fc.oneof(
  fc.constantFrom('a', 'b', 'c').map((text) => file(text)),
  fc.constant(file('a', true)),
  fc.constant(directory),
  fc.constantFrom('p', 'q').map(symlink),
)
const anyEntry = fc
  .record({
    data: anyData,
    version: fc.constantFrom('v1', 'v2', 'v3'),
    name: fc.constantFrom('x', 'y'),
    node: fc.constantFrom('node', 'other'),
  })
  .map((it) => entry(it.data, it.version, it.name, it.node))
const anyPlace: fc.Arbitrary<Place> = fc
  .record({
    row: fc.option(
      fc
        .tuple(anyData, fc.boolean())
        .map(([data, isLeftover]) => ({ ...row(data), isLeftover: isLeftover && data.kind === 'directory' })),
      { nil: undefined },
    ),
    disk: fc.oneof(fc.constant(absent), fc.constant(same), anyData.map(present)),
    own: fc.option(
      anyEntry.filter((it) => it.nodeId === 'node'),
      { nil: undefined },
    ),
    here: fc.option(
      anyEntry.filter((it) => it.name === 'x'),
      { nil: undefined },
    ),
    isPlacedHere: fc.boolean(),
  })
  .filter(
    ({ row: known, disk }) =>
      (known !== undefined || disk.state !== 'same') &&
      !(known !== undefined && disk.state === 'present' && sameData(known, disk.data)),
  )

describe('planPlace, any three trees', () => {
  test('what is taken from the disk is recorded in the index and unchanged since', () => {
    fc.assert(
      fc.property(anyPlace, (place) => {
        const action = planPlace(place)
        if (action.kind === 'trash' || action.kind === 'replace' || action.kind === 'move') {
          expect(place.disk.state).toBe('same')
          expect(place.row).toBeDefined()
        }
        if (action.kind === 'materialise') expect(place.disk.state).not.toBe('present')
      }),
      { numRuns: 5_000 },
    )
  })

  test('unrecorded bytes on the disk enter the document or are there already', () => {
    fc.assert(
      fc.property(anyPlace, (place) => {
        if (place.disk.state !== 'present') return
        const action = planPlace(place)
        if (action.kind === 'adopt') expect(sameData(place.disk.data, action.entry)).toBe(true)
        else expect(['create', 'edit', 'recreate']).toContain(action.kind)
      }),
      { numRuns: 5_000 },
    )
  })

  test('only what the document still has in exactly the recorded version is deleted from it', () => {
    fc.assert(
      fc.property(anyPlace, (place) => {
        const action = planPlace(place)
        const deletesOld =
          (action.kind === 'recreate' || action.kind === 'adopt') && action.deletesOld === true
        if (deletesOld) expect(place.own?.version).toBe(place.row?.version)
        if (action.kind !== 'delete') return
        const deleted = [place.own, place.here].find((one) => one?.nodeId === action.nodeId)
        expect(deleted?.version).toBe(place.row?.version)
      }),
      { numRuns: 5_000 },
    )
  })

  test('a version whose bytes leave the disk does not stay in the document, unless others moved it', () => {
    fc.assert(
      fc.property(anyPlace, (place) => {
        const { row: known, own, disk } = place
        if (known === undefined || disk.state === 'same' || own?.version !== known.version) return
        const isMoved = own.name !== known.name && place.isPlacedHere !== true
        const action = planPlace(place)
        if (disk.state === 'absent') expect(action.kind).toBe(isMoved ? 'forget' : 'delete')
        else if (action.kind === 'adopt' || action.kind === 'recreate') expect(action.deletesOld).toBe(true)
        else expect(action.kind).toBe('edit')
      }),
      { numRuns: 5_000 },
    )
  })

  test('carrying a plan out leads to nothing left to do in a few rounds', () => {
    fc.assert(
      fc.property(anyPlace, (start) => {
        let place = start
        for (let round = 0; round < 5; round++) {
          const action = planPlace(place)
          if (action.kind === 'nothing') return
          place = carryOut(place, action, `w${round}`)
        }
        expect(planPlace(place).kind).toBe('nothing')
      }),
      { numRuns: 5_000 },
    )
  })
})

/** What the shells do, on one place. */
function carryOut(place: Place, action: Action, version: string): Place {
  const gone = { row: undefined, disk: absent } as const
  const at = (data: EntryData, it: TreeEntry): Place => ({
    row: row(data, it.version, it.nodeId),
    disk: same,
    own: it,
    here: it,
  })
  switch (action.kind) {
    case 'nothing':
      return place
    case 'forget':
      return { ...place, ...gone, own: undefined }
    case 'adopt': {
      const shown = { ...action.entry, name: 'x' }
      return at(action.entry, shown)
    }
    case 'create':
    case 'edit':
    case 'recreate':
      return at(action.data, entry(action.data, version))
    case 'delete':
      return { ...place, ...gone, own: undefined, here: place.here === place.own ? undefined : place.here }
    case 'materialise':
    case 'replace':
      return at(action.entry, { ...action.entry, name: 'x' })
    case 'move':
      return { ...gone, own: undefined, here: place.here === place.own ? undefined : place.here }
    case 'keep':
    case 'release':
    case 'overrule':
      throw new Error('the planner of whole spaces knows no parts')
    case 'trash':
      return { ...place, ...gone, own: undefined }
  }
}
