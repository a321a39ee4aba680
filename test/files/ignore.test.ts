import { describe, expect, test } from 'vitest'
import { parseIgnoreRules } from '../../src/files/ignore.ts'

const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['*.log', ['a.log', 'x/y/b.log'], ['a.logs', 'log']],
  ['/build', ['build', 'build/x'], ['x/build']],
  ['node_modules/', ['node_modules/', 'a/node_modules/', 'a/node_modules/x'], ['node_modules']],
  ['a/b', ['a/b', 'a/b/c'], ['x/a/b']],
  ['**/foo', ['foo', 'x/foo', 'x/y/foo'], ['foox']],
  ['a/**', ['a/x', 'a/x/y'], ['a/']],
  ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['a/bb', 'b']],
  ['*.txt\n!keep.txt', ['a.txt'], ['keep.txt', 'x/keep.txt']],
  ['dir/\n!dir/keep', ['dir/', 'dir/keep'], []],
  ['# comment\n\\#real', ['#real'], ['# comment']],
  ['\\!bang', ['!bang'], ['bang']],
  ['a?c', ['abc'], ['ac', 'a/c']],
  ['[a-c]x', ['ax', 'cx'], ['dx', '-x']],
  ['[!a-c]x', ['dx'], ['ax']],
  ['trailing   ', ['trailing'], ['trailing   ']],
  ['space\\ ', ['space '], ['space']],
  ['[', ['['], ['a']],
  ['', [], ['a']],
  ['/', [], ['a']],
]

describe('ignore rules', () => {
  test.each(cases)('%j', (text, ignored, kept) => {
    const rules = parseIgnoreRules(text)
    const ask = (path: string): boolean =>
      path.endsWith('/') ? rules.ignores(path.slice(0, -1), true) : rules.ignores(path, false)
    for (const path of ignored) expect(ask(path), path).toBe(true)
    for (const path of kept) expect(ask(path), path).toBe(false)
  })
  test('our own folder is ignored always and in every spelling', () => {
    const rules = parseIgnoreRules('!.skein')
    for (const path of ['.skein', '.skein/tmp/x', 'a/.SKEIN/x', '.skein-parked-1'])
      expect(rules.ignores(path, true)).toBe(true)
  })
  test('a hostile pattern takes no time', () => {
    const rules = parseIgnoreRules(`${'*a'.repeat(100)}b\n${'**/a/'.repeat(50)}b`)
    const startMs = performance.now()
    expect(rules.ignores('a'.repeat(255), false)).toBe(false)
    expect(rules.ignores(Array.from({ length: 200 }, () => 'a').join('/'), false)).toBe(false)
    expect(performance.now() - startMs).toBeLessThan(1_000)
  })
})
