/** Text made harmless for terminals, logs and JSON lines. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { printable, printableJson } from '../../src/base/printable.ts'
import { findHarmful } from '../support/harmful-text.ts'

const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\u001b',
      '\u009b',
      '\u202e',
      '\u2066',
      '\u0000',
      '\n',
      '\r',
      '\u2028',
      '\u{e0041}',
      '\ud800',
      '\u200d',
    ),
    fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
  ),
})

test('no text whatever leaves a control, format or separator character', () => {
  fc.assert(fc.property(anyText, (text) => findHarmful(printable(text)).length === 0))
})

test('plain text of any script stays as it is', () => {
  for (const text of ['laptop', 'Büro ☕ 日本語', 'نص', '<b>&amp;', 'C:\\x', '👍🏽'])
    expect(printable(text)).toBe(text)
})

test('what is hidden becomes visible', () => {
  expect(printable('a\u001b[2Jb\u202ec\n')).toBe('a\\u{1b}[2Jb\\u{202e}c\\u{a}')
  expect(printable('\u{e0041}\ud800')).toBe('\\u{e0041}\\u{d800}')
})

test('JSON is harmless on a terminal and parses to the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), anyText, (value, text) => {
      const json = printableJson({ value, text })
      return (
        findHarmful(json).length === 0 &&
        JSON.stringify(JSON.parse(json)) === JSON.stringify(JSON.parse(JSON.stringify({ value, text })))
      )
    }),
  )
})
