import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromBase64url, toBase64url } from '../../src/base/base64url.ts'

test('is what Node writes, and reads back as what it was', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = toBase64url(bytes)
      expect(text).toBe(Buffer.from(bytes).toString('base64url'))
      expect(fromBase64url(text)).toEqual(bytes)
    }),
  )
})

test('only what it writes itself is read', () => {
  for (const text of ['A', 'AAAAA', 'AB', 'AAB', 'AA==', 'A+', 'A/', 'A ', 'ä', '😀A'])
    expect(fromBase64url(text), text).toBeUndefined()
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), (text) => {
      const bytes = fromBase64url(text)
      if (bytes !== undefined) expect(toBase64url(bytes)).toBe(text)
    }),
  )
})
