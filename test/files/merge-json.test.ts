import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { canonicalJson, parseJson } from '../../src/files/json-tree.ts'
import { diffLines } from '../../src/files/line-diff.ts'
import { mergeContents } from '../../src/files/merge-contents.ts'
import { mergeJson } from '../../src/files/merge-json.ts'
import { mergeKindOf } from '../../src/files/merge-policy.ts'

const merge = (base: string, ...sides: string[]): string | undefined => {
  const result = mergeJson(base, sides)
  return result.kind === 'merged' ? result.text : undefined
}
const pretty = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
const whole = (base: string, ...sides: string[]): string | undefined => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  const request = { base: bytes(base), sides: sides.map(bytes), kind: 'json' as const }
  const result = mergeContents(request, { left: limits.mergeSteps })
  return result.kind === 'merged' ? Buffer.from(result.bytes).toString() : undefined
}

const manifest = {
  name: 'x',
  scripts: { test: 'vitest' },
  dependencies: { alpha: '1.0.0', omega: '1.0.0' },
}

describe('merging JSON', () => {
  test('neighbouring keys of package.json from both sides, in the order of the alphabet', () => {
    const a = { ...manifest, dependencies: { alpha: '1.0.0', beta: '2.0.0', omega: '1.0.0' } }
    const b = { ...manifest, dependencies: { alpha: '1.0.0', gamma: '3.0.0', omega: '1.0.0' } }
    const all = { alpha: '1.0.0', beta: '2.0.0', gamma: '3.0.0', omega: '1.0.0' }
    expect(whole(pretty(manifest), pretty(a), pretty(b))).toBe(pretty({ ...manifest, dependencies: all }))
    expect(whole(pretty(manifest), pretty(b), pretty(a))).toBe(pretty({ ...manifest, dependencies: all }))
  })

  test('two versions of one dependency are a conflict, so is a removal against a change', () => {
    const a = { ...manifest, dependencies: { alpha: '1.1.0', omega: '1.0.0' } }
    const b = { ...manifest, dependencies: { alpha: '1.2.0', omega: '1.0.0' } }
    const gone = { ...manifest, dependencies: { omega: '1.0.0' } }
    expect(whole(pretty(manifest), pretty(a), pretty(b))).toBeUndefined()
    expect(whole(pretty(manifest), pretty(a), pretty(gone))).toBeUndefined()
  })

  test('clean lines that make broken or double keys are put together by structure or not at all', () => {
    const base = '{\n  "a": 1,\n  "b": 2,\n  "c": 3,\n  "d": 4\n}\n'
    const first = '{\n  "new": 1,\n  "a": 1,\n  "b": 2,\n  "c": 3,\n  "d": 4\n}\n'
    const last = '{\n  "a": 1,\n  "b": 2,\n  "c": 3,\n  "d": 4,\n  "new": 2\n}\n'
    expect(whole(base, first, last)).toBeUndefined()
    expect(whole(base, first, last.replace('"new": 2', '"new": 1'))).toBeDefined()
  })

  test('what nobody touched keeps its bytes: big numbers, inline lists, escapes; new things their place', () => {
    const base = '{\n\t"id": 12345678901234567890,\n\t"lib": ["a", "b"],\n\t"text": "\\u0041",\n\t"z": {}\n}'
    const a = base.replace('"z": {}', '"z": {},\n\t"x": { "deep": [1,\n\t\t2] }')
    const b = base
      .replace('"lib": ["a", "b"]', '"lib": ["a", "b", "c"]')
      .replace('"z": {}', '"z": {"y": 1.0}')
    const merged = merge(base, a, b) ?? ''
    expect(merged).toContain('"id": 12345678901234567890')
    expect(merged).toContain('"lib": ["a", "b", "c"]')
    expect(merged).toContain('"text": "\\u0041"')
    expect(merged).toContain('"z": {"y": 1.0}')
    expect(merged.indexOf('"x"')).toBeGreaterThan(merged.indexOf('"z"'))
  })

  test('indentation and line ends of one side only', () => {
    const base = pretty({ a: { b: 1 }, c: 1 })
    const spaced = JSON.stringify({ a: { b: 1 }, c: 1, d: { e: { f: 1 } } }, null, 4)
    const tabbed = JSON.stringify({ a: { b: 2 }, c: 1 }, null, '\t').replaceAll('\n', '\r\n')
    const merged = merge(base, spaced, tabbed) ?? ''
    expect(JSON.parse(merged)).toEqual({ a: { b: 2 }, c: 1, d: { e: { f: 1 } } })
    const isTabs = merged.includes('\t')
    expect(merged.includes('    ')).toBe(!isTabs)
    expect(merged.split('\n').length - 1).toBe(
      isTabs ? merged.split('\r\n').length - 1 : merged.split('\n').length - 1,
    )
  })

  test('names like __proto__ are keys like others', () => {
    const merged = merge('{"a":1}', '{"a":1,"__proto__":{"x":1}}', '{"a":2}')
    expect(merged).toContain('"__proto__"')
    expect(Object.prototype).not.toHaveProperty('x')
  })

  test('no JSON, a key twice, comments or too deep: not merged by structure', () => {
    for (const bad of [
      '{"a":1,}',
      '{"a":1,"a":2}',
      '// x\n{"a":1}',
      '['.repeat(40) + ']'.repeat(40),
      '{"a":01}',
      '',
    ])
      expect(merge('{"a":1}', bad, '{"a":3}')).toBeUndefined()
    expect(parseJson('// x\n{"a":[1,/* y */],}', true)).toBeDefined()
    expect(parseJson('{"a":1,"a":2}', true)).toBeUndefined()
    expect(parseJson(`"${'x'.repeat(1_000_000)}`)).toBeUndefined()
    expect(parseJson(`/*${'*'.repeat(1_000_000)}`, true)).toBeUndefined()
  })

  const json = fc.jsonValue({ maxDepth: 3, noUnicodeString: true })
  const runs = { numRuns: 3_000 }

  test('the parser agrees with JSON.parse', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(0, 2, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const tree = parseJson(text)
        expect(tree).toBeDefined()
        if (tree === undefined) return
        expect(parseJson(canonicalJson(text, tree.root))).toBeDefined()
        expect(JSON.parse(canonicalJson(text, tree.root))).toEqual(JSON.parse(text))
      }),
      runs,
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((text) => text.slice(1)),
        ),
        (text) => {
          let isJson = true
          try {
            JSON.parse(text)
          } catch {
            isJson = false
          }
          if (!isJson) expect(parseJson(text)).toBeUndefined()
        },
      ),
      runs,
    )
  })

  test('every member comes from where it was changed, whatever the order of three sides', () => {
    const flat = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.nat(2), { maxKeys: 5 })
    const nested = fc.record({ p: flat, q: flat, r: fc.nat(3) })
    const change = (value: { p: object; q: object; r: number }): fc.Arbitrary<typeof value> =>
      fc.record({ p: fc.oneof(fc.constant(value.p), flat), q: fc.constant(value.q), r: fc.constant(value.r) })
    let merges = 0
    fc.assert(
      fc.property(
        nested.chain((base) => fc.tuple(fc.constant(base), change(base), change(base), change(base))),
        ([base, a, b, c]) => {
          const merged = merge(pretty(base), pretty(a), pretty(b), pretty(c))
          expect(merge(pretty(base), pretty(c), pretty(b), pretty(a), pretty(b))).toBe(merged)
          if (merged === undefined) return
          merges++
          const of = (value: object, key: string): unknown => new Map(Object.entries(value)).get(key)
          const out: unknown = JSON.parse(merged)
          for (const key of ['a', 'b', 'c', 'd', 'e']) {
            const news = [a, b, c].map((side) => of(side.p, key)).filter((value) => value !== of(base.p, key))
            expect(out).toHaveProperty('p')
            const got = of(of(Object(out), 'p') as object, key)
            expect(got).toBe(news.length > 0 ? news[0] : of(base.p, key))
          }
        },
      ),
      runs,
    )
    expect(merges).toBeGreaterThan(300)
  })
})

describe('which files merge', () => {
  test.each([
    ['src/main.ts', 'lines'],
    ['README', 'lines'],
    ['notes/Makefile', 'lines'],
    ['.gitignore', 'lines'],
    ['package.json', 'json'],
    ['a/tsconfig.json', 'json'],
    ['.vscode/settings.json', 'json'],
    ['package-lock.json', 'never'],
    ['sub/yarn.lock', 'never'],
    ['Cargo.lock', 'never'],
    ['go.sum', 'never'],
    ['.env', 'never'],
    ['.env.local', 'never'],
    ['prod.env', 'never'],
    ['.envrc', 'never'],
    ['.ssh/config', 'never'],
    ['home/.SSH/known_hosts', 'never'],
    ['id_ed25519', 'never'],
    ['id_rsa.pub', 'never'],
    ['server.KEY', 'never'],
    ['cert.pem', 'never'],
    ['repo/.git/HEAD', 'never'],
    ['repo/.git/config', 'never'],
    ['app.min.js', 'never'],
    ['secrets.yaml', 'never'],
    ['terraform.tfstate', 'never'],
    ['.npmrc', 'never'],
  ] as const)('%s: %s', (path, kind) => expect(mergeKindOf(path)).toBe(kind))
})

describe('differences of lines', () => {
  const lines = fc.array(fc.nat(5), { maxLength: 30 }).map((numbers) => Int32Array.from(numbers))
  test('the hunks turn the base into the side, apart by an unchanged line, and as few as there can be', () => {
    fc.assert(
      fc.property(lines, lines, (base, side) => {
        const hunks = diffLines(base, side, { left: 100_000 }) ?? expect.fail('out of steps')
        const out: number[] = []
        let at = 0
        let changed = 0
        for (const [index, hunk] of hunks.entries()) {
          expect(hunk.baseStart - at).toBeGreaterThanOrEqual(index === 0 ? 0 : 1)
          expect(hunk.reachStart).toBeLessThanOrEqual(hunk.baseStart)
          expect(hunk.reachStart).toBeGreaterThanOrEqual(at)
          out.push(...base.subarray(at, hunk.baseStart), ...side.subarray(hunk.sideStart, hunk.sideEnd))
          at = hunk.baseEnd
          changed += hunk.baseEnd - hunk.baseStart + hunk.sideEnd - hunk.sideStart
        }
        out.push(...base.subarray(at))
        expect(out).toEqual([...side])
        expect(changed).toBe(base.length + side.length - 2 * commonLength(base, side))
      }),
      { numRuns: 5_000 },
    )
  })
})

/** Length of a longest common subsequence, the slow and certain way. */
function commonLength(a: Int32Array, b: Int32Array): number {
  let row = Array.from({ length: b.length + 1 }, () => 0)
  for (const one of a) {
    const next = [0]
    for (const [at, other] of b.entries())
      next.push(one === other ? (row[at] ?? 0) + 1 : Math.max(row[at + 1] ?? 0, next[at] ?? 0))
    row = next
  }
  return row[b.length] ?? 0
}
