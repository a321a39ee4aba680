/** A merge that a person finishes, and how two texts differ. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findMarker, mergeWithMarkers } from '../../src/files/merge-markers.ts'
import { mergeText } from '../../src/files/merge-text.ts'
import { diffTexts, readText } from '../../src/files/text-diff.ts'

const steps = (): { left: number } => ({ left: 1_000_000 })
const merge = (
  base: string | undefined,
  ...texts: readonly string[]
): { text: string; markerCount: number } => {
  const sides = texts.map((text, index) => ({ label: ['mine', 'theirs', 'third'][index] ?? '', text }))
  const merged = mergeWithMarkers(base, sides, steps())
  if (merged === undefined) throw new Error('steps used up')
  return merged
}
const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'same'), { maxLength: 12 })
const text = lines.map((all) => all.map((line) => `${line}\n`).join(''))

describe('a merge with markers', () => {
  test('puts together what does not overlap and marks the rest with all three versions', () => {
    const merged = merge('1\n2\n3\n4\n5\n', '1\nmine\n3\n4\nfive\n', '1\ntheirs\n3\n4\n5\n')
    expect(merged).toEqual({
      text: '1\n<<<<<<< mine\nmine\n||||||| before\n2\n=======\ntheirs\n>>>>>>> theirs\n3\n4\nfive\n',
      markerCount: 1,
    })
    expect(findMarker(merged.text)).toBe(2)
  })

  test('right beside each other is marked, not taken apart', () => {
    expect(merge('1\n2\n', 'one\n2\n', '1\ntwo\n').markerCount).toBe(1)
  })

  test('without a base every difference is marked, and the rest stands once', () => {
    expect(merge(undefined, 'a\nmine\nb\n', 'a\nb\ntheirs\n')).toEqual({
      text: 'a\n<<<<<<< mine\nmine\n=======\n>>>>>>> theirs\nb\n<<<<<<< mine\n=======\ntheirs\n>>>>>>> theirs\n',
      markerCount: 2,
    })
  })

  test('a last line without an end does not swallow a marker', () => {
    expect(merge('x', 'y', 'z').text).toBe('<<<<<<< mine\ny\n||||||| before\nx\n=======\nz\n>>>>>>> theirs\n')
  })

  test('three versions are put together one after another', () => {
    const merged = merge(
      '1\n2\n3\n4\n5\n6\n7\n',
      'A\n2\n3\n4\n5\n6\n7\n',
      '1\n2\n3\nB\n5\n6\n7\n',
      '1\n2\n3\n4\n5\n6\nC\n',
    )
    expect(merged).toEqual({ text: 'A\n2\n3\nB\n5\n6\nC\n', markerCount: 0 })
  })

  test('whatever the texts: equal sides give themselves, one changed side wins, and no line of a side is lost', () => {
    fc.assert(
      fc.property(text, text, text, (base, mine, theirs) => {
        expect(merge(base, mine, mine)).toEqual({ text: mine, markerCount: 0 })
        expect(merge(base, base, theirs)).toEqual({ text: theirs, markerCount: 0 })
        expect(merge(base, mine, base)).toEqual({ text: mine, markerCount: 0 })
        const merged = merge(base, mine, theirs)
        // Taking one side at every marker, and nothing else, must give a text that has all lines this side added
        const count = (all: string, line: string): number =>
          all.split('\n').filter((one) => one === line).length
        for (const side of [mine, theirs]) {
          for (const line of new Set(side.split('\n'))) {
            if (line !== '' && count(side, line) > count(base, line))
              expect(count(merged.text, line)).toBeGreaterThan(0)
          }
        }
        const clean = mergeText(base, [mine, theirs], steps())
        if (clean.kind === 'merged') expect(merged).toEqual({ text: clean.text, markerCount: 0 })
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('how two texts differ', () => {
  test('as a unified diff with three lines around, runs near each other in one hunk', () => {
    const old = Array.from({ length: 40 }, (_, index) => `${index + 1}\n`).join('')
    const next = old.replace('5\n', 'five\n').replace('9\n', 'nine\n').replace('\n30\n', '\nthirty\n')
    const diff = diffTexts(old, next)
    expect(diff?.hunks.map(({ oldStart, newStart, lines: all }) => [oldStart, newStart, all.length])).toEqual(
      [
        [2, 2, 13],
        [27, 27, 8],
      ],
    )
    expect(diff?.hunks[1]?.lines).toEqual([' 27', ' 28', ' 29', '-30', '+thirty', ' 31', ' 32', ' 33'])
  })

  test('long lines and many lines are cut, and it says so', () => {
    expect(diffTexts('a\n', `${'x'.repeat(10_000)}\n`)).toMatchObject({ isCut: true })
    const many = diffTexts('', 'y\n'.repeat(5_000), 100)
    expect(many).toMatchObject({ isCut: true })
    expect(many?.hunks.flatMap(({ lines: all }) => all)).toHaveLength(100)
  })

  test('the hunks turn one text into the other, whatever they are', () => {
    fc.assert(
      fc.property(text, text, (before, after) => {
        const [old, next] = [before.split('\n'), after.split('\n')]
        const out: string[] = []
        let at = 0
        for (const { oldStart, newStart, lines: all } of diffTexts(before, after)?.hunks ?? []) {
          out.push(...old.slice(at, oldStart - 1))
          expect(out.length).toBe(newStart - 1)
          at = oldStart - 1
          for (const line of all) {
            if (!line.startsWith('+')) expect(old[at++]).toBe(line.slice(1))
            if (!line.startsWith('-')) out.push(line.slice(1))
          }
        }
        expect([...out, ...old.slice(at)]).toEqual(next)
      }),
      { numRuns: 2_000 },
    )
  })

  test('bytes that are no text are none', () => {
    expect(readText(new Uint8Array([0x61, 0]))).toBeUndefined()
    expect(readText(new Uint8Array([0xff, 0xfe]))).toBeUndefined()
    expect(readText(new TextEncoder().encode('gr\u00fc\u00df'))).toBe('gr\u00fc\u00df')
  })
})
