/** Decoding at the edge: whatever bytes come, a typed value or a named error, never more than the bound. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as codec from '../../src/base/codec.ts'
import { SkeinError } from '../../src/base/errors.ts'

const shape = codec.object({
  name: codec.text(16),
  count: codec.integer(1000),
  data: codec.bytes(64),
  list: codec.array(codec.integer(), 4),
  maybe: codec.optional(codec.boolean),
  kind: codec.oneOf('a', 'b'),
})
const good = { name: 'ä', count: 5, data: Uint8Array.of(1, 2), list: [1, 2], maybe: undefined, kind: 'a' }

test('a value survives both encodings', () => {
  expect(codec.decode(codec.encode(good), shape, 1000)).toEqual(good)
  const { maybe: _, ...present } = good
  expect(codec.decodeCanonical(codec.encodeCanonical(present), shape, 1000)).toEqual(good)
})

test('canonical encoding does not depend on the order of keys', () => {
  expect(codec.encodeCanonical({ b: 1, aa: 2, a: 3 })).toEqual(codec.encodeCanonical({ a: 3, aa: 2, b: 1 }))
})

test('random bytes give a value or a SkeinError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of [codec.decode, codec.decodeCanonical]) {
        try {
          decode(bytes, shape, 150)
        } catch (error) {
          expect(error).toBeInstanceOf(SkeinError)
        }
      }
    }),
    { numRuns: 5000 },
  )
})

test('each wrong field is named', () => {
  const cases: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ ...good, name: 'x'.repeat(17) }, 'message.name'],
    [{ ...good, name: 'ä'.repeat(9) }, 'message.name'],
    [{ ...good, count: 1001 }, 'message.count'],
    [{ ...good, count: 1.5 }, 'message.count'],
    [{ ...good, data: new Uint8Array(65) }, 'message.data'],
    [{ ...good, list: [1, 2, 3, 4, 5] }, 'message.list'],
    [{ ...good, list: [1, 'x'] }, 'message.list[1]'],
    [{ ...good, kind: 'c' }, 'message.kind'],
  ]
  for (const [value, path] of cases) {
    expect(() => codec.decode(codec.encode(value), shape, 1000)).toThrow(path)
  }
})

test('unknown fields are dropped and __proto__ steers nothing', () => {
  const hostile = codec.encode(JSON.parse('{"__proto__":{"polluted":1},"extra":2}'))
  const value = codec.decode(hostile, codec.object({ polluted: codec.optional(codec.integer()) }), 1000)
  expect(value.polluted).toBeUndefined()
  expect(Object.hasOwn(value, 'extra')).toBe(false)
})

test('a message above the bound is refused unread', () => {
  expect(() => codec.decode(new Uint8Array(11), codec.anything, 10)).toThrow(
    expect.objectContaining({ code: 'limit.exceeded' }),
  )
})

test('deep nesting is refused, not a crash', () => {
  const deep = new Uint8Array(900_000).fill(0x81)
  for (const decode of [codec.decode, codec.decodeCanonical]) {
    expect(() => decode(deep, codec.anything, 1_000_000)).toThrow(
      expect.objectContaining({ code: 'codec.invalid' }),
    )
  }
})

test('decoded bytes do not alias the message', () => {
  const message = codec.encode({ data: Uint8Array.of(1, 2, 3) }).slice()
  const { data } = codec.decode(message, codec.object({ data: codec.bytes(10) }), 100)
  message.fill(0)
  expect(data).toEqual(Uint8Array.of(1, 2, 3))
})
