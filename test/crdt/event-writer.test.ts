/** Under which name a device writes a version that is made from one of several: no vector says more than is true. */
import { expect, test } from 'vitest'
import { eventWriter } from '../../src/crdt/event-writer.ts'
import { isWriter, type Writer } from '../../src/crdt/node-id.ts'
import { commonVector, type VersionVector } from '../../src/crdt/version-vector.ts'

const writer = (text: string): Writer => {
  if (!isWriter(text)) throw new Error('not a writer')
  return text
}
const [one, two, three] = ['aaaaaaaa000001', 'bbbbbbbb000001', 'cccccccc000001'].map(writer) as [
  // because: three were given
  Writer,
  Writer,
  Writer,
]
const vector = (...entries: readonly (readonly [Writer, number])[]): VersionVector => new Map(entries)

test('who edits the only version, or the one that holds all its own events, writes under its own name', () => {
  const base = vector([two, 1])
  expect(eventWriter(one, { versions: [{ versions: base }], observed: base, lamport: 2 })).toBe(one)
  const [left, right] = [vector([two, 1], [one, 2]), vector([two, 1], [three, 3])]
  const versions = [{ versions: left }, { versions: right }]
  expect(eventWriter(one, { versions, observed: left, lamport: 4 })).toBe(one)
})

test('who edits a conflict copy beside a version made from its own earlier one does not seem to have seen that', () => {
  // Ours, which another device went on from, and a copy that was made at the same time
  const [rival, copy] = [vector([two, 1], [one, 2], [three, 4]), vector([two, 1], [two, 3])]
  const versions = [{ versions: rival }, { versions: copy }]
  const alias = eventWriter(one, { versions, observed: copy, lamport: 5 })
  expect(alias).not.toBe(one)
  expect(alias.slice(0, 8)).toBe(one.slice(0, 8))
  expect(isWriter(alias)).toBe(true)
  const edited = new Map([...copy, [alias, 5]])
  expect(commonVector(rival, edited)).toEqual(vector([two, 1]))
  // The next edit of it takes the same name: vectors do not fill up
  expect(eventWriter(one, { versions: [{ versions: rival }], observed: edited, lamport: 6 })).toBe(alias)
})
