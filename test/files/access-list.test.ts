/** POSIX access lists as a text with names: both ways, with people of other numbers, and from bytes of whatever origin. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { accessListBytes, accessListText, type People } from '../../src/files/access-list.ts'

/** @param numbers of alice, bob and staff. */
const peopleOf = (numbers: readonly [number, number, number]): People => {
  const names = { user: ['alice', 'bob'], group: ['staff'] } as const
  const ids = { user: numbers.slice(0, 2), group: numbers.slice(2) } as const
  return {
    nameOf: (kind, id) => names[kind][ids[kind].indexOf(id)],
    idOf: (kind, name) => ids[kind][names[kind].findIndex((one) => one === name)],
  }
}
const here = peopleOf([1000, 1001, 50])
const there = peopleOf([2001, 2000, 60])
const text = 'u::rw-,u:alice:rwx,u:bob:r--,g::r--,g:staff:-w-,m::rw-,o::---'

test('names the same people on a device that numbers them otherwise', () => {
  const bytes = accessListBytes(text, false, here)
  expect(bytes?.byteLength).toBe(4 + 7 * 8)
  expect(accessListText(bytes ?? new Uint8Array(), here)).toBe(text)
  const over = accessListBytes(text, false, there)
  expect(over).not.toEqual(bytes)
  expect(accessListText(over ?? new Uint8Array(), there)).toBe(text)
  // In the order of numbers, as the kernel wants it
  const view = new DataView((over ?? new Uint8Array()).buffer)
  expect([view.getUint32(4 + 8 + 4, true), view.getUint32(4 + 16 + 4, true)]).toEqual([2000, 2001])
})

test('leaves the exec bit of owner, mask and others to the mode of the file', () => {
  const bytes = accessListBytes(text, true, here) ?? new Uint8Array()
  const rights = Array.from({ length: 7 }, (_, index) => bytes[4 + index * 8 + 2])
  expect(rights).toEqual([7, 7, 4, 4, 2, 7, 0])
  expect(accessListText(bytes, here)).toBe(text)
})

test('is not told or set when it names somebody unknown, or is of another form', () => {
  expect(accessListBytes('u::rw-,u:carol:rw-,g::r--,m::rw-,o::---', false, here)).toBeUndefined()
  const numbered = accessListBytes(text, false, here) ?? new Uint8Array()
  expect(accessListText(numbered, there)).toBeUndefined()
  for (const bad of ['', 'u::rw', 'x::rwx', 'm:alice:rwx', 'u:%zz:rwx', 'u::rwx,', 'u::rwx\n'])
    expect(accessListBytes(bad, false, here), bad).toBeUndefined()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.string(), (bytes, any) => {
      accessListText(bytes, here)
      accessListBytes(any, false, here)
    }),
  )
})
