/** Short lines in shard documents: exact inverses, old lines and old snapshots still read, letters per client. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { createSeededRandom } from '../../src/base/random.ts'
import { headRow, snapshotRows } from '../../src/crdt/document-log.ts'
import { digestOf } from '../../src/crdt/digest.ts'
import { newNodeIds, rootNodeId, type Writer } from '../../src/crdt/node-id.ts'
import { formatRecord, parseRecord, type TreeRecord } from '../../src/crdt/record.ts'
import { Shard, shardName } from '../../src/crdt/shard.ts'
import { fullLine, shortLine, WriterLetters, writersOf } from '../../src/crdt/short-line.ts'
import { openStore } from '../../src/crdt/store.ts'
import { createMemoryDisk } from '../../src/crdt/memory-database.ts'
import { createMemoryWitness } from '../../src/crdt/witness.ts'
import { fakeHash, fileData, listing, openRig, testEnv, testSpace } from './rig.ts'

const [id = rootNodeId, parent = rootNodeId] = newNodeIds(createSeededRandom(5), 9, 2)
// because: 14 characters of the id alphabet
const writerNamed = (index: number): Writer => `w${index.toString(36).padStart(13, '0')}` as Writer

const recordOf = (
  own: number,
  lamport: number,
  place: readonly [number, number],
  vector: ReadonlyMap<number, number>,
): TreeRecord => ({
  ...fileData('x'),
  id,
  parent,
  name: 'a|b%.txt',
  writer: writerNamed(own),
  lamport,
  place: { writer: writerNamed(place[0]), lamport: Math.min(place[1], lamport) },
  versions: new Map([...vector].map(([writer, at]) => [writerNamed(writer), Math.min(at, lamport)])),
  kindLetter: 'f',
  extension: '',
})

const lettersFor = (count: number): WriterLetters => {
  const letters = new WriterLetters()
  for (let index = 0; index < count; index++) {
    const definition = letters.define(writerNamed(index))
    if (definition !== undefined) letters.learn(definition, index)
  }
  return letters
}

const writers = fc.nat({ max: 29 })
const times = fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 2 ** 47 }))

test('a short line says exactly what the line in full says, with any writers, places and versions', () => {
  let shortened = 0
  fc.assert(
    fc.property(
      fc.tuple(writers, times),
      fc.tuple(writers, times),
      fc.array(fc.tuple(writers, times), { minLength: 1, maxLength: 8 }),
      fc.nat({ max: 30 }),
      ([own, lamport], place, entries, known) => {
        const text = formatRecord(recordOf(own, lamport, place, new Map(entries)))
        const letters = lettersFor(known)
        const line = shortLine(text, letters.letterOf)
        if (line !== text) shortened++
        expect(line.length).toBeLessThanOrEqual(text.length)
        expect(fullLine(line, letters.writerOf)).toBe(text)
      },
    ),
    { numRuns: 5_000 },
  )
  expect(shortened).toBeGreaterThan(400)
})

test('a version of three writers costs four characters more for each', () => {
  const letters = lettersFor(3)
  const lengthOf = (vector: ReadonlyMap<number, number>): number =>
    shortLine(formatRecord(recordOf(0, 30_000, [0, 5], vector)), letters.letterOf).length
  const one = lengthOf(new Map([[0, 30_000]]))
  const three = lengthOf(new Map([0, 1, 2].map((index) => [index, 30_000 - 9_000 * index])))
  expect(three - one).toBe(8)
})

test('a line that is not ours, or whose letters nobody defined, stays as it is and never throws', () => {
  const text = formatRecord(recordOf(0, 900, [1, 5], new Map([[2, 7]])))
  const letters = lettersFor(3)
  const line = shortLine(text, letters.letterOf)
  expect(fullLine(line, lettersFor(2).writerOf)).toBe(line)
  fc.assert(
    fc.property(fc.nat(120), fc.string({ unit: 'binary', maxLength: 5 }), fc.nat(3), (at, put, cut) => {
      const changed = line.slice(0, at) + put + line.slice(at + cut)
      const parsed = parseRecord(fullLine(changed, letters.writerOf))
      if (parsed.ok) expect(parsed.record.versions.size).toBeGreaterThan(0)
    }),
    { numRuns: 5_000 },
  )
  expect(writersOf('no record')).toEqual([])
})

test('letters belong to the client that pushed: two devices use the same one for different writers', () => {
  const documents = [1, 2].map((client) => {
    const document = new Y.Doc()
    document.clientID = client
    return document
  })
  const texts = documents.map((_, index) =>
    formatRecord({
      ...recordOf(index, 40 + index, [index + 5, 3], new Map([[index + 7, 9]])),
      name: `${index}`,
    }),
  )
  for (const [index, document] of documents.entries()) {
    new Shard(document).write(`device${index}`, [], [texts[index] ?? ''])
    expect(document.getArray(`l:device${index}`).toArray()).toContain(`wA${writerNamed(index)}`)
  }
  for (const order of [documents, [...documents].reverse()]) {
    const both = new Y.Doc()
    for (const document of order) Y.applyUpdate(both, Y.encodeStateAsUpdate(document))
    expect(
      new Shard(both)
        .of(id)
        .map(({ text }) => text)
        .sort(),
    ).toEqual([...texts].sort())
  }
})

test('of two definitions of one letter the first pushed counts, in whatever order they are met', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const letters = new WriterLetters()
    for (const index of order) letters.learn(`wA${writerNamed(index)}`, 10 + index)
    expect(letters.writerOf('A')).toBe(writerNamed(0))
    expect(letters.letterOf(writerNamed(1))).toBeUndefined()
  }
})

test('a record written in full by an earlier version, in a snapshot of its format, is read, edited and deleted', async () => {
  const [disk, witness] = [createMemoryDisk(), createMemoryWitness()]
  const name = shardName(testSpace, id)
  const old = new Y.Doc()
  const record = { ...recordOf(0, 40, [1, 3], new Map([[2, 9]])), parent: rootNodeId, name: 'old.txt' }
  old.getArray('l:someone').push([formatRecord(record)])
  {
    const store = await openStore(testEnv(), { open: disk.open, witness })
    const head = { nextSequence: 1, digest: digestOf(old), stateVector: Y.encodeStateVector(old) }
    const snapshot = snapshotRows(name, { from: 0, to: 1 }, Y.encodeStateAsUpdate(old))
    await store.write([...snapshot, headRow(name, head)])
    await store.close()
  }
  await using rig = await openRig({ seed: 3, disk, witness })
  rig.store.observe(record.lamport)
  expect(await listing(rig.space)).toEqual(['old.txt file x'])
  const entry = await rig.space.lookup('old.txt')
  const observed = entry?.data.versions ?? new Map()
  await rig.space.commit([
    { kind: 'edit', nodeId: id, observed, data: fileData('new'), parent: rootNodeId, name: 'old.txt' },
  ])
  const edited = await rig.space.lookup('old.txt')
  expect(edited?.data).toMatchObject({ hash: fakeHash('new') })
  await rig.host.read([name], (document) => {
    const lines = [...document(name).share.keys()].flatMap((root) =>
      document(name).getArray<string>(root).toArray(),
    )
    expect(lines.filter((line) => line.startsWith('2f'))).toHaveLength(1)
    expect(lines.filter((line) => line.startsWith('1f'))).toHaveLength(0)
  })
  await rig.space.commit([{ kind: 'remove', nodeId: id, observed: edited?.data.versions ?? new Map() }])
  expect(await listing(rig.space)).toEqual([])
})
