import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { mergeContents } from '../../src/files/merge-contents.ts'
import { mergeText, splitLines } from '../../src/files/merge-text.ts'

const enough = (): { left: number } => ({ left: limits.mergeSteps })
const merge = (base: string, ...sides: string[]): string | undefined => {
  const result = mergeText(base, sides, enough())
  return result.kind === 'merged' ? result.text : undefined
}

describe('merging lines', () => {
  test.each([
    ['different lines', 'a\nb\nc\nd\ne\n', ['A\nb\nc\nd\ne\n', 'a\nb\nc\nd\nE\n'], 'A\nb\nc\nd\nE\n'],
    ['one line between', 'a\nb\nc\n', ['A\nb\nc\n', 'a\nb\nC\n'], 'A\nb\nC\n'],
    ['the same line', 'x\ny 30\nz\n', ['x\ny 45\nz\n', 'x\ny 60\nz\n'], undefined],
    ['30 -> 45 against 30 -> 60', '30', ['45', '60'], undefined],
    ['neighbouring lines', 'a\nb\n', ['A\nb\n', 'a\nB\n'], undefined],
    ['the same edit on both', 'a\nb\nc\n', ['a\nB\nc\n', 'a\nB\nc\n'], 'a\nB\nc\n'],
    ['the same edit and another', 'a\nb\nc\nd\n', ['a\nB\nc\nd\n', 'a\nB\nc\nD\n'], 'a\nB\nc\nD\n'],
    ['both append', 'a\n', ['a\nb\n', 'a\nc\n'], undefined],
    ['one appends, one prepends', 'a\nb\n', ['a\nb\nc\n', '0\na\nb\n'], '0\na\nb\nc\n'],
    ['delete against edit in it', 'a\nb\nc\nd\ne\n', ['a\ne\n', 'a\nb\nC\nd\ne\n'], undefined],
    ['delete against edit elsewhere', 'a\nb\nc\nd\ne\n', ['a\nc\nd\ne\n', 'a\nb\nc\nd\nE\n'], 'a\nc\nd\nE\n'],
    ['a block moved, and an edit in it', 'f\ng\nh\ni\n', ['h\ni\nf\ng\n', 'f\nG\nh\ni\n'], undefined],
    ['CRLF stays', 'a\r\nb\r\nc\r\n', ['A\r\nb\r\nc\r\n', 'a\r\nb\r\nC\r\n'], 'A\r\nb\r\nC\r\n'],
    ['CRLF against an edit', 'a\nb\nc\n', ['a\r\nb\r\nc\r\n', 'A\nb\nc\n'], undefined],
    ['no end of the last line', 'a\nb\nc', ['A\nb\nc', 'a\nb\nC'], 'A\nb\nC'],
    ['the last end taken away', 'a\nb\nc\n', ['a\nb\nc', 'A\nb\nc\n'], 'A\nb\nc'],
    ['last end away against append', 'a\nb\nc\n', ['a\nb\nc', 'a\nb\nc\nd\n'], undefined],
    ['one side emptied', 'a\nb\nc\n', ['', 'A\nb\nc\n'], undefined],
    ['both new from nothing', '', ['a\n', 'b\n'], undefined],
    ['two equal lines, each side adds one', '}\n}\n', ['}\n}\n}\n', '}\nx\n}\n'], undefined],
    ['an edit that could stand higher', 'a\n}\n}\nz\n', ['a\n}\n}\n}\nz\n', 'A\n}\n}\nz\n'], undefined],
    [
      'both move one line, to different places',
      'z\nb\nc\n}\n\nx\r\na',
      ['z\nb\n\nc\nx\r\na', 'z\nb\n\nx\r\nc\na'],
      'z\nb\n\nc\nx\r\nc\na',
    ],
    [
      'three writers',
      '1\n2\n3\n4\n5\n6\n7\n',
      ['one\n2\n3\n4\n5\n6\n7\n', '1\n2\n3\nfour\n5\n6\n7\n', '1\n2\n3\n4\n5\n6\nseven\n'],
      'one\n2\n3\nfour\n5\n6\nseven\n',
    ],
    [
      'three writers, two at one line',
      '1\n2\n3\n4\n5\n',
      ['one\n2\n3\n4\n5\n', '1\n2\nX\n4\n5\n', '1\n2\nY\n4\n5\n'],
      undefined,
    ],
  ])('%s', (_name, base, sides, expected) => {
    expect(merge(base, ...sides)).toBe(expected)
    expect(merge(base, ...sides.toReversed())).toBe(expected)
  })

  test('20 and 20 edits in 10,300 lines: every edit is in the result', () => {
    const base = Array.from(
      { length: 10_300 },
      (_, line) => `${line % 7 === 0 ? '}' : `line ${line % 900}`}\n`,
    )
    const a = base.with(0, 'first\n')
    const b = [...base]
    for (let edit = 0; edit < 20; edit++) {
      a[edit * 500 + 100] = `edit ${edit} of a\n`
      b.splice(edit * 510 + 350, 0, `insert ${edit} of b\n`)
    }
    const merged = merge(base.join(''), a.join(''), b.join(''))
    const lines = splitLines(merged ?? '')
    expect(lines).toHaveLength(10_320)
    expect(lines.filter((line) => line.startsWith('edit'))).toHaveLength(20)
    expect(lines.filter((line) => line.startsWith('insert'))).toHaveLength(20)
  })

  test('work is bounded by steps: reversed files are given up, the same way on every machine', () => {
    const base = Array.from({ length: 10_000 }, (_, line) => `line ${line}\n`)
    const a = base.toReversed()
    const b = base.with(5, 'five\n')
    for (const left of [100_000, limits.mergeInlineSteps]) {
      const steps = { left }
      expect(mergeText(base.join(''), [a.join(''), b.join('')], steps).kind).toBe('exhausted')
      expect(steps.left).toBeGreaterThan(-40_000)
    }
  })
})

const line = fc.constantFrom('a\n', 'b\n', 'c\n', '}\n', '\n', 'x\r\n', 'y\n', 'z\n')
const tail = fc.constantFrom('', '', 'end', 'a')
const text = fc.tuple(fc.array(line, { maxLength: 14 }), tail).map(([lines, last]) => lines.join('') + last)
const fresh = fc.integer({ min: 0, max: 99 }).map((number) => `new ${number}\n`)

/** A side made from the base by a few edits, as people make them. */
const edited = (base: string): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(fc.nat(), fc.nat(2), fc.array(fc.oneof(fresh, line), { maxLength: 2 })), { maxLength: 3 })
    .map((edits) => {
      const lines = [...splitLines(base)]
      for (const [at, removed, added] of edits) lines.splice(at % (lines.length + 1), removed, ...added)
      return lines
        .map((one, at) => (at < lines.length - 1 && !one.endsWith('\n') ? `${one}\n` : one))
        .join('')
    })
const family = (sides: number): fc.Arbitrary<readonly [string, ...string[]]> =>
  text.chain((base) => fc.tuple(fc.constant(base), ...Array.from({ length: sides }, () => edited(base))))
/** As family, but no line stands twice in a text and none moves: there is one way only to line such texts up. */
const plainFamily = (count: number): fc.Arbitrary<readonly [string, ...string[]]> =>
  fc
    .tuple(
      fc.nat(14),
      fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.nat(2), fc.integer({ min: 1, max: 2 ** count - 1 }))),
    )
    .map(([length, edits]) => {
      const base = Array.from({ length }, (_, at) => `line ${at}\n`)
      const sides = Array.from({ length: count }, () => [...base])
      for (const [number, [at, removed, added, who]] of edits.entries()) {
        const place = base[at % (length + 1)]
        const lines = Array.from({ length: added }, (_, index) => `new ${number} ${index}\n`)
        for (const [index, side] of sides.entries()) {
          const start = place === undefined ? side.length : side.indexOf(place)
          if (((who >> index) & 1) === 1 && start !== -1) side.splice(start, removed, ...lines)
        }
      }
      return [base.join(''), ...sides.map((lines) => lines.join(''))]
    })
const runs = { numRuns: Number(process.env['SKEIN_RUNS'] ?? 4_000) }

function count(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const one of lines) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}

/**
 * What may be in a result, line by line, however the texts line up. A line that both sides moved to different places
 * stands at both: each of them put it there. `isPlain`: no line repeats or moves, then it can be told exactly.
 */
function expectNothingLost(
  { base, a, b, merged }: Readonly<Record<'base' | 'a' | 'b' | 'merged', string>>,
  isPlain = false,
): void {
  const lines = [base, a, b, merged].map((one) => splitLines(one))
  const counts = lines.map(count)
  for (const one of new Set(lines.flat())) {
    const [inBase = 0, inA = 0, inB = 0, inMerged = 0] = counts.map((of) => of.get(one) ?? 0)
    expect(inMerged).toBeLessThanOrEqual(inA + inB)
    expect(inMerged).toBeGreaterThanOrEqual(Math.max(inA, inB) - inBase)
    if (inA === 0) expect(inMerged).toBeLessThanOrEqual(inB)
    if (inB === 0) expect(inMerged).toBeLessThanOrEqual(inA)
    if (isPlain) expect(inMerged).toBe(inBase === 0 ? Math.max(inA, inB) : Math.min(inA, inB))
  }
}

describe('merging lines, always', () => {
  test('the order and repetition of sides mean nothing, also for three', () => {
    fc.assert(
      fc.property(family(3), ([base, a = '', b = '', c = '']) => {
        expect(merge(base, a, b)).toBe(merge(base, b, a))
        const three = merge(base, a, b, c)
        expect(merge(base, c, a, b, a)).toBe(three)
        expect(merge(base, c, b, a, base)).toBe(three)
      }),
      runs,
    )
  })

  test('a side equal to the base gives the other side, and two equal sides give that', () => {
    fc.assert(
      fc.property(text, text, (base, side) => {
        expect(merge(base, base, side)).toBe(side)
        expect(merge(base, side, side)).toBe(side)
      }),
      runs,
    )
  })

  test('no line is invented, none is lost that one added, none survives that one removed', () => {
    let merges = 0
    fc.assert(
      fc.property(family(2), ([base, a = '', b = '']) => {
        const merged = merge(base, a, b)
        if (merged === undefined) return
        merges++
        expectNothingLost({ base, a, b, merged })
      }),
      runs,
    )
    expect(merges).toBeGreaterThan(500)
  })

  test('a result holds all of a side: seen from that side it is only what the other one did', () => {
    fc.assert(
      fc.property(family(2), ([base, a = '', b = '']) => {
        const merged = merge(base, a, b)
        if (merged === undefined) return
        expect(merge(a, a, merged)).toBe(merged)
        expect(merge(b, merged, b)).toBe(merged)
      }),
      runs,
    )
  })

  // A result replaces its sides for good (its version contains theirs): a side meets it again only when somebody else made
  // the very same edit of the same base. Lines that repeat can then be lined up in several ways, so an edit may come twice
  test('a side that comes again is taken for the same edit where no line stands twice', () => {
    let merges = 0
    fc.assert(
      fc.property(plainFamily(2), ([base, a = '', b = '']) => {
        const merged = merge(base, a, b)
        if (merged === undefined) return
        merges++
        expectNothingLost({ base, a, b, merged }, true)
        for (const side of [a, b]) expect([merged, undefined]).toContain(merge(base, merged, side))
      }),
      runs,
    )
    expect(merges).toBeGreaterThan(500)
  })

  test('a side that comes again loses and invents no line, and all devices agree, whatever repeats', () => {
    let merges = 0
    const check = (base: string, a: string, b: string): void => {
      const merged = merge(base, a, b)
      if (merged === undefined) return
      for (const side of [a, b]) {
        const again = merge(base, merged, side)
        expect(merge(base, side, merged)).toBe(again)
        if (again === undefined) continue
        merges++
        expectNothingLost({ base, a: merged, b: side, merged: again })
      }
    }
    check('}\ny\nc\ny\nc\ny\nc\n}\nz\n', '}\ny\na\nc\ny\nc\ny\nc\ny\nc\n}\nz\n', 'y\nc\ny\nc\ny\nc\n}\nz\n')
    fc.assert(
      fc.property(family(2), ([base, a = '', b = '']) => check(base, a, b)),
      runs,
    )
    expect(merges).toBeGreaterThan(500)
  })

  test('two steps give what one step over three sides gives, where no line stands twice and both are clean', () => {
    let both = 0
    fc.assert(
      fc.property(plainFamily(3), ([base, a = '', b = '', c = '']) => {
        const three = merge(base, a, b, c)
        const two = merge(base, a, b)
        const stepped = two === undefined ? undefined : merge(base, two, c)
        if (three === undefined || stepped === undefined) return
        both++
        expect(stepped).toBe(three)
      }),
      runs,
    )
    expect(both).toBeGreaterThan(300)
  })

  test('two steps lose and invent no line either, whatever repeats', () => {
    let both = 0
    fc.assert(
      fc.property(family(3), ([base, a = '', b = '', c = '']) => {
        const two = merge(base, a, b)
        const stepped = two === undefined ? undefined : merge(base, two, c)
        if (two === undefined || stepped === undefined) return
        both++
        expectNothingLost({ base, a: two, b: c, merged: stepped })
      }),
      runs,
    )
    expect(both).toBeGreaterThan(300)
  })
})

describe('merging contents', () => {
  const bytes = (content: string): Uint8Array => new TextEncoder().encode(content)
  const contents = (base: Uint8Array, ...sides: Uint8Array[]): string =>
    mergeContents({ base, sides, kind: 'lines' }, enough()).kind

  test('only UTF-8 without NUL and up to 1 MiB, and no private keys', () => {
    const base = bytes('a\nb\nc\n')
    const [a, c] = [bytes('A\nb\nc\n'), bytes('a\nb\nC\n')]
    expect(contents(base, a, c)).toBe('merged')
    expect(contents(base, a, Uint8Array.of(...c, 0xff, 0x0a))).toBe('conflict')
    expect(contents(base, a, Uint8Array.of(...c, 0, 0x0a))).toBe('conflict')
    expect(contents(base, a, bytes(`a\nb\n${'x\n'.repeat(600_000)}`))).toBe('conflict')
    const key = '-----BEGIN OPENSSH PRIVATE KEY-----\n'
    expect(contents(bytes(`${key}a\nb\nc\n`), bytes(`${key}A\nb\nc\n`), bytes(`${key}a\nb\nC\n`))).toBe(
      'conflict',
    )
  })

  test('a byte order mark stays', () => {
    const mark = '\ufeff'
    const request = {
      base: bytes(`${mark}a\nb\nc\n`),
      sides: [bytes(`${mark}a\nb\nC\n`), bytes(`${mark}A\nb\nc\n`)],
      kind: 'lines' as const,
    }
    const result = mergeContents(request, enough())
    expect(result.kind === 'merged' && Buffer.from(result.bytes).toString()).toBe(`${mark}A\nb\nC\n`)
  })

  test('never throws, whatever the bytes', () => {
    const any = fc.oneof(fc.uint8Array({ maxLength: 60 }), text.map(bytes), fc.json().map(bytes))
    fc.assert(
      fc.property(any, any, any, fc.constantFrom('lines' as const, 'json' as const), (base, a, b, kind) => {
        const result = mergeContents({ base, sides: [a, b], kind }, { left: 2_000 })
        expect(result).toEqual(mergeContents({ base, sides: [b, a], kind }, { left: 2_000 }))
      }),
      runs,
    )
  })
})
