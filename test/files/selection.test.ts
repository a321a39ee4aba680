/** Selections and what follows from them, as pure functions and small stores. */
import { unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSelection } from '../../src/files/selection.ts'
import { createReverting } from '../../src/files/reverting.ts'
import { createLocalChanges } from '../../src/files/local-changes.ts'
import { wholePart, planPart, type Part } from '../../src/files/plan-part.ts'
import { planPlace, type Place } from '../../src/files/plan.ts'
import type { SyncedRow, TreeEntry } from '../../src/files/folder-tree.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { wholeRules } from '../../src/files/folder-part.ts'
import { converged, createPair, picture, until } from '../support/two-folders.ts'

const selection = (only: readonly string[], except: readonly string[] = []) =>
  createSelection({ only, except })

describe('a selection', () => {
  test.each([
    // only, except, path, is a directory, is selected
    [[], [], 'any/path', false, true],
    [['/docs/'], [], 'docs', true, true],
    [['/docs/'], [], 'docs', false, false],
    [['/docs/'], [], 'docs/deep/file', false, true],
    [['/docs/'], [], 'other/docs/file', false, false],
    [['docs/'], [], 'other/docs/file', false, true],
    [['docs/'], [], 'other', true, true],
    [['/a/b/c/'], [], 'a', true, true],
    [['/a/b/c/'], [], 'a/b', true, true],
    [['/a/b/c/'], [], 'a/x', true, false],
    [['/a/b/c/'], [], 'a/file', false, false],
    [['/a/*/c'], [], 'a/x', true, true],
    [['/a/*/c'], [], 'a/x/y', true, false],
    [['/a/**/c'], [], 'a/x/y/z', true, true],
    [['*.jpg'], [], 'photos/one.jpg', false, true],
    [['*.jpg'], [], 'photos/one.raw', false, false],
    [[], ['*.raw'], 'photos/one.raw', false, false],
    [[], ['/photos/'], 'photos', true, false],
    [[], ['/photos/'], 'photos/deep/one', false, false],
    [['/photos/'], ['/photos/old/'], 'photos/old/one', false, false],
    [['/photos/'], ['/photos/old/'], 'photos/new', false, true],
    [['/photos/'], ['*'], '.skeinignore', false, true],
  ] as const)('of only %j except %j: %s (directory: %s) is selected: %s', (...row) => {
    const [only, except, path, dir, expected] = row
    expect(selection(only, except).selects(path, dir)).toBe(expected)
  })

  const part = fc.stringMatching(/^[a-c]{1,2}$/)
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
  const pattern = fc
    .tuple(
      fc.constantFrom('', '/'),
      fc.array(fc.oneof(part, fc.constantFrom('*', '**', 'a*', '?')), { minLength: 1, maxLength: 3 }),
      fc.constantFrom('', '/'),
    )
    .map(([start, parts, end]) => `${start}${parts.join('/')}${end}`)

  test('keeps the way to all that it keeps, and nothing below what it leaves out', () => {
    fc.assert(
      fc.property(
        fc.array(pattern, { maxLength: 3 }),
        fc.array(pattern, { maxLength: 3 }),
        path,
        (only, except, one) => {
          const chosen = selection(only, except)
          const selects = (path: string, isDirectory: boolean): boolean => chosen.selects(path, isDirectory)
          const parts = one.split('/')
          const above = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('/'))
          if (selects(one, false) || selects(one, true))
            expect(above.filter((directory) => !selects(directory, true))).toEqual([])
          if (above.some((directory) => !selects(directory, true))) {
            expect(selects(one, false)).toBe(false)
            expect(selects(one, true)).toBe(false)
          }
        },
      ),
      { numRuns: 20_000 },
    )
  })

  test('only narrows: without patterns everything, with more exceptions never more', () => {
    fc.assert(
      fc.property(
        fc.array(pattern, { maxLength: 3 }),
        fc.array(pattern, { maxLength: 3 }),
        pattern,
        path,
        (only, except, more, one) => {
          expect(selection([], []).selects(one, false)).toBe(true)
          if (selection(only, [...except, more]).selects(one, false))
            expect(selection(only, except).selects(one, false)).toBe(true)
        },
      ),
      { numRuns: 5_000 },
    )
  })
})

describe('the planner of a part', () => {
  const text = (value: string) => ({
    kind: 'file' as const,
    hash: hashOf(new TextEncoder().encode(value)),
    size: value.length,
    mtimeNs: 1n,
    executable: false,
    target: '',
  })
  const directory = { ...text(''), kind: 'directory' as const, hash: undefined }
  const data = fc.constantFrom(text('a'), text('b'), { ...text('a'), executable: true }, directory)
  const entry: fc.Arbitrary<TreeEntry> = fc
    .tuple(data, fc.constantFrom('n1', 'n2'), fc.constantFrom('x', 'y'), fc.constantFrom('v1', 'v2'))
    .map(([of, nodeId, name, version]) => ({
      ...of,
      nodeId,
      parentId: 'root',
      name,
      version,
      nodes: [nodeId],
      isConflictCopy: false,
    }))
  const row: fc.Arbitrary<SyncedRow> = data.map((of) => ({
    ...of,
    nodeId: 'n1',
    parentId: 'root',
    name: 'x',
    diskName: 'x',
    version: 'v1',
    dev: 1n,
    ino: 1n,
    ctimeNs: 1n,
    isRacy: false,
    isLeftover: false,
  }))
  const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined })
  const place: fc.Arbitrary<Place> = fc
    .record({
      row: optional(row),
      disk: fc.oneof(
        fc.constant({ state: 'absent' as const }),
        data.map((of) => ({ state: 'present' as const, data: of })),
        fc.constant({ state: 'same' as const }),
      ),
      own: optional(entry),
      here: optional(entry),
      isPlacedHere: fc.boolean(),
    })
    .filter(({ row: known, disk }) => disk.state !== 'same' || known !== undefined)
    .map((found) => (found.row === undefined ? { ...found, own: undefined } : found))
  const part: fc.Arbitrary<Part> = fc.record({
    isReadOnly: fc.boolean(),
    isSelected: fc.boolean(),
    isOwnSelected: fc.boolean(),
    isReverted: fc.boolean(),
  })
  const sending = new Set(['create', 'edit', 'recreate', 'delete'])

  test('of all of a space is the planner itself', () => {
    fc.assert(
      fc.property(place, (one) => {
        expect(planPart(one, wholePart)).toEqual(planPlace(one))
      }),
      { numRuns: 5_000 },
    )
  })

  test('never sends where it only receives, never fetches or deletes what is not selected', () => {
    fc.assert(
      fc.property(place, part, (one, rules) => {
        const action = planPart(one, rules)
        if (rules.isReadOnly) {
          expect(sending.has(action.kind)).toBe(false)
          expect(action.kind === 'adopt' && action.deletesOld === true).toBe(false)
        }
        if (!rules.isSelected && !rules.isOwnSelected) {
          expect(['materialise', 'delete', 'replace'].includes(action.kind)).toBe(false)
          // What has no row was put there by a person
          const isTaken = ['trash', 'release', 'overrule'].includes(action.kind)
          expect(isTaken && one.row === undefined && !rules.isReverted).toBe(false)
        }
        // Only what is exactly recorded is let go of, and what is overruled is what was looked at
        if (action.kind === 'release') expect([one.disk.state, one.row !== undefined]).toEqual(['same', true])
        if (action.kind === 'overrule')
          expect(one.disk.state === 'present' && one.disk.data).toEqual(action.data)
        if (rules.isReverted) expect(action.kind).not.toBe('keep')
        const pushed = planPart(one, { ...rules, isSendOnly: true })
        const taking = ['materialise', 'replace', 'move', 'trash', 'release', 'overrule']
        expect(taking.includes(pushed.kind)).toBe(false)
      }),
      { numRuns: 50_000 },
    )
  })
})

describe('a push', () => {
  test('sends what is here, and changes nothing here', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    for (const name of ['edited', 'deleted', 'by both']) await writeFile(join(a.root, name), `${name}, first`)
    await converged([a, b])
    await b.stop()
    await writeFile(join(a.root, 'edited'), 'edited, by a')
    await writeFile(join(a.root, 'by both'), 'by both, by a')
    await writeFile(join(a.root, 'new'), 'new, by a')
    await until(() => a.folder.status().state === 'in-sync', [a])
    await writeFile(join(b.root, 'by both'), 'by both, by b')
    await writeFile(join(b.root, 'mine'), 'mine')
    await unlink(join(b.root, 'deleted'))
    const before = await picture(b.root)
    b.rules = { ...wholeRules, isSendOnly: true }
    await b.restart()
    await until(async () => (await picture(a.root))['mine'] === 'mine', [a, b])
    await until(async () => !('deleted' in (await picture(a.root))), [a, b])
    await until(() => b.folder.status().state === 'in-sync', [a, b])
    expect(await picture(b.root)).toEqual(before)
    const there = await picture(a.root)
    expect(
      Object.values(there)
        .filter((text) => text.startsWith('by both'))
        .sort(),
    ).toEqual(['by both, by a', 'by both, by b'])
    // What waited meanwhile comes when it takes part again
    b.rules = wholeRules
    await b.restart()
    const after = await converged([a, b])
    expect(after).toMatchObject({ edited: 'edited, by a', mine: 'mine', new: 'new, by a' })
  })
})

describe('what is not sent', () => {
  test('is forgotten with its directory, and told up to a bound', () => {
    const changes = createLocalChanges()
    const note = (path: string, isDirectory = false): void =>
      changes.note({ path, change: 'added', isDirectory, sizeBytes: 0 })
    note('dir', true)
    note('dir/sub', true)
    note('dir/sub/file')
    note('other')
    expect(changes.count).toBe(4)
    expect(changes.some(2).length).toBe(2)
    changes.clearIn('')
    expect(changes.count).toBe(0)
    note('dir/sub/file')
    changes.clearIn('')
    expect(changes.some(9).map(({ path }) => path)).toEqual(['dir/sub/file'])
  })

  test('is taken back in one look at everything, and only what was meant', async () => {
    const reverting = createReverting()
    const asked = reverting.ask(['dir/file'])
    expect(reverting.isOn).toBe(false)
    reverting.begin(false)
    expect(reverting.isOn).toBe(false)
    reverting.begin(true)
    expect(reverting.covers({ path: 'dir/file', change: 'edited', isDirectory: false })).toBe(true)
    expect(reverting.covers({ path: 'dir/file2', change: 'edited', isDirectory: false })).toBe(false)
    // The way to it comes back, what else is new there is not meant
    expect(reverting.covers({ path: 'dir', change: 'deleted', isDirectory: true })).toBe(true)
    expect(reverting.covers({ path: 'dir', change: 'added', isDirectory: true })).toBe(false)
    reverting.note({ path: 'dir', change: 'deleted', isDirectory: true, sizeBytes: 0 })
    reverting.note({ path: 'dir/file', change: 'deleted', isDirectory: false, sizeBytes: 0 })
    reverting.end()
    expect((await asked).map(({ path }) => path)).toEqual(['dir/file'])
    expect(reverting.isOn).toBe(false)
  })
})
