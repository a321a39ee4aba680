/** Extended attributes as a text, in a record, and put together in a merge. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import {
  accessListName,
  attributesOf,
  formatAttributes,
  mergeAttributes,
  parseAttributes,
  withAttributes,
} from '../../src/crdt/file-attributes.ts'
import { joinRecords } from '../../src/crdt/join.ts'
import { formatRecord, parseRecord } from '../../src/crdt/record.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const name = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => `user.${text}`),
  fc.constantFrom('user.a', 'user.b', 'user.a|b,c=d%', accessListName, 'security.selinux', 'trusted.x'),
)
const attributes = fc
  .array(fc.tuple(name, fc.uint8Array({ maxLength: 40 })), { maxLength: 6 })
  .map((pairs) => new Map(pairs))
const text = attributes.map((one) => formatAttributes(one))

describe('the text of attributes', () => {
  test('says exactly those that may travel, in one form, whatever their order', () => {
    fc.assert(
      fc.property(attributes, (one) => {
        const formatted = formatAttributes(one)
        const travelling = [...one].filter(([key]) => key.startsWith('user.') || key === accessListName)
        expect(new Map(formatted === undefined ? [] : parseAttributes(formatted))).toEqual(
          new Map(travelling.filter(([key]) => !key.includes('\0'))),
        )
        expect(formatAttributes(new Map([...one].reverse()))).toBe(formatted)
        expect(formatted ?? '').not.toContain('|')
      }),
    )
  })

  test('has golden forms', () => {
    expect(formatAttributes(new Map())).toBeUndefined()
    expect(
      formatAttributes(
        new Map([
          ['user.z', bytes('')],
          ['user.a b', bytes('hi')],
        ]),
      ),
    ).toBe('user.a%20b=aGk,user.z=')
  })

  test('of any other form counts as none', () => {
    for (const bad of [
      '',
      'user.a',
      'user.a=!',
      'security.x=aGk',
      'user.b=aGk,user.a=aGk',
      'user.a=aGk,user.a=aGk',
      'user.%ZZ=aGk',
      'user.a=aGk,',
      `user.a=${'A'.repeat(limits.fileAttributesBytes)}`,
    ])
      expect(parseAttributes(bad), bad).toBeUndefined()
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (any) => {
        const parsed = parseAttributes(any)
        if (parsed !== undefined) expect(formatAttributes(parsed)).toBe(any)
      }),
    )
  })

  test('is bounded in count and bytes: what does not fit is left out', () => {
    const many = new Map(Array.from({ length: 100 }, (_, index) => [`user.${index}`, bytes('x')] as const))
    expect(parseAttributes(formatAttributes(many) ?? '')?.size).toBe(limits.fileAttributes)
    const large = new Map([
      ['user.large', new Uint8Array(5_000)],
      ['user.small', bytes('x')],
    ])
    expect([...(parseAttributes(formatAttributes(large) ?? '')?.keys() ?? [])]).toEqual(['user.small'])
  })
})

describe('attributes put together', () => {
  test('are the same in every order and grouping, and nothing is lost but one of two values of one name', () => {
    fc.assert(
      fc.property(text, text, text, (a, b, c) => {
        const all = mergeAttributes([a, b, c])
        expect(mergeAttributes([c, mergeAttributes([b, a])])).toBe(all)
        expect(mergeAttributes([a, a])).toBe(a)
        const names = new Set([a, b, c].flatMap((one) => [...(parseAttributes(one ?? '')?.keys() ?? [])]))
        expect(new Set(parseAttributes(all ?? '')?.keys() ?? [])).toEqual(names)
      }),
    )
  })
})

describe('the record of a file', () => {
  const line = `1fnodeAAAAAAAAAAAAnodeBBBBBBBBBBBB|device00run000|5|||${'h'.repeat(43)}|3|a|${(0o644).toString(36)}|||name`

  test('without attributes is what it was before there were any', () => {
    const parsed = parseRecord(line)
    expect(parsed.ok && parsed.record.attributes).toBeUndefined()
    expect(parsed.ok && formatRecord(parsed.record)).toBe(line)
  })

  test('carries them in the second extension, beside what it was merged from and what later versions write', () => {
    const text = 'user.a=aGk'
    for (const [extension, expected] of [
      ['', `||${text}`],
      ['|sides', `|sides|${text}`],
      ['|sides|user.b=eA|later', `|sides|${text}|later`],
    ] as const) {
      expect(withAttributes(extension, text)).toBe(expected)
      expect(attributesOf(expected)).toBe(text)
      const parsed = parseRecord(line + expected)
      expect(parsed.ok && parsed.record.attributes).toBe(text)
      expect(parsed.ok && formatRecord(parsed.record)).toBe(line + expected)
      expect(parsed.ok && joinRecords([parsed.record])?.versions[0]?.attributes).toBe(text)
    }
    expect(withAttributes(`||${text}`, undefined)).toBe('')
    expect(withAttributes(`|sides|${text}`, undefined)).toBe('|sides')
    expect(withAttributes(`||${text}|later`, undefined)).toBe('|||later')
    expect(withAttributes('|sides', undefined)).toBe('|sides')
  })

  test('with something else there counts as without, and keeps it', () => {
    const parsed = parseRecord(`${line}||not=attributes!|x`)
    expect(parsed.ok && parsed.record.attributes).toBeUndefined()
    expect(withAttributes('||not=attributes!|x', undefined)).toBe('||not=attributes!|x')
  })
})
