import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatSides, leavesOf, type MergedSide, sidesOf, withSides } from '../../src/crdt/merge-sides.ts'
import { formatVector, mergeVectors, parseVector, type VersionVector } from '../../src/crdt/version-vector.ts'
import { fakeHash } from './rig.ts'

const vector = (text: string): VersionVector => parseVector(text) ?? expect.fail('not a vector')
const [writerA, writerB, writerC] = ['aaaaaaaazzzzzz', 'bbbbbbbbzzzzzz', 'cccccccczzzzzz']
const base = fakeHash('base')

function side(versions: string, hash = fakeHash(versions)): MergedSide {
  return { versions: vector(versions), hash, base, isExecutable: false }
}

const a = side(`${writerA}:5`)
const b = side(`${writerB}:6`)
const merged = (sides: readonly MergedSide[], hash: string) => {
  const versions = mergeVectors(...sides.map((one) => one.versions))
  return { versions, hash, base, isExecutable: false, sides }
}

describe('what a merged version was made from', () => {
  test('has one written form, whatever the order', () => {
    const other = { ...b, base: fakeHash('other'), isExecutable: true }
    const text = `${a.hash}@@${writerA}:5;${b.hash}x@${fakeHash('other')}@${writerB}:6`
    expect(formatSides([a, other], base)).toBe(text)
    expect(formatSides([other, a], base)).toBe(text)
    const versions = mergeVectors(a.versions, b.versions)
    expect(sidesOf({ versions, base, extension: `|${text}|later` })).toEqual([a, other])
  })

  test('says nothing of any other version: an edit may carry it along', () => {
    const extension = `|${formatSides([a, b], base)}`
    expect(
      sidesOf({ versions: vector(`${writerA}:5,${writerB}:6,${writerC}:7`), base, extension }),
    ).toBeUndefined()
    expect(sidesOf({ versions: vector(`${writerA}:5,${writerB}:5`), base, extension })).toBeUndefined()
  })

  test('is left out where it would not be whole', () => {
    expect(formatSides([a], base)).toBeUndefined()
    expect(formatSides([a, { ...b, base: undefined }], base)).toBeUndefined()
    const many = Array.from({ length: 40 }, (_, index) => side(`${writerA}:${(index + 50).toString(36)}`))
    expect(formatSides(many, base)).toBeUndefined()
  })

  test('leaves the fields of later peers where they are', () => {
    expect(withSides('', 'sides')).toBe('|sides')
    expect(withSides('|old|later', 'sides')).toBe('|sides|later')
    expect(withSides('|old|later', undefined)).toBe('||later')
    expect(withSides('|old', undefined)).toBe('')
  })

  test('is never read from any text but its own', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.boolean(), (text, isAfter) => {
        const whole = formatSides([a, b], base) ?? ''
        const extension = `|${isAfter ? whole + text : text + whole}`
        const read = sidesOf({ versions: mergeVectors(a.versions, b.versions), base, extension })
        expect(read === undefined || text === '' || (isAfter && text.startsWith('|'))).toBe(true)
      }),
    )
  })
})

describe('the versions that people wrote', () => {
  const text = (leaves: readonly MergedSide[] | undefined): readonly string[] | undefined =>
    leaves?.map((leaf) => formatVector(leaf.versions))

  test('are the same whatever was merged on the way', () => {
    const c = side(`${writerC}:7`)
    const plain = [a, b, c].map((leaf) => ({ ...leaf, sides: undefined }))
    const expected = text(leavesOf(plain))
    expect(expected).toEqual([`${writerA}:5`, `${writerB}:6`, `${writerC}:7`])
    const c0 = { ...c, sides: undefined }
    expect(text(leavesOf([merged([a, b], fakeHash('ab')), c0]))).toEqual(expected)
    expect(text(leavesOf([merged([b, c], fakeHash('bc')), merged([a, b], fakeHash('ab'))]))).toEqual(expected)
  })

  test('do not hold what was edited since', () => {
    const edited = { ...side(`${writerA}:8`), sides: undefined }
    expect(text(leavesOf([merged([a, b], fakeHash('ab')), edited]))).toEqual([`${writerA}:8`, `${writerB}:6`])
  })

  test('are unknown where two contents claim to be one version', () => {
    const [one, two] = [merged([a, b], fakeHash('one')), merged([a, b], fakeHash('two'))]
    expect(leavesOf([one, two])).toBeUndefined()
    const other = { ...a, hash: fakeHash('other'), sides: undefined }
    expect(leavesOf([one, other])).toBeUndefined()
  })
})
