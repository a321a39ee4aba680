/** Changing `.skeinignore`, and saying which rule decides. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editIgnore, listPatterns } from '../../src/files/ignore-edit.ts'
import { parseIgnoreRules } from '../../src/files/ignore.ts'

describe('an edit of the rules', () => {
  test('adds at the end, once, and leaves comments, order and line ends as they are', () => {
    const before = '# mine\r\n*.o\r\n\r\nbuild/\r\n'
    expect(editIgnore(before, { add: ['*.o', '*.log'], remove: [] }).text).toBe(`${before}*.log\r\n`)
    expect(editIgnore('*.o', { add: ['b'], remove: [] }).text).toBe('*.o\nb\n')
    expect(editIgnore('*.o', { add: ['*.o'], remove: [] }).text).toBe('*.o')
  })

  test('takes lines out, says which there were not, and may leave nothing', () => {
    expect(editIgnore('a\nb\na\n', { add: [], remove: ['a', 'c'] })).toEqual({ text: 'b\n', missing: ['c'] })
    expect(editIgnore('a\n', { add: [], remove: ['a'] }).text).toBe('')
  })

  test('what was added is listed, what was removed is not, whatever the text before', () => {
    const line = fc.stringMatching(/^[a-z*!/# ]{1,8}$/)
    fc.assert(
      fc.property(fc.array(line), line, (all, pattern) => {
        const text = all.map((one) => `${one}\n`).join('')
        const added = editIgnore(text, { add: [pattern], remove: [] }).text
        expect(added.split('\n')).toContain(pattern)
        expect(editIgnore(added, { add: [pattern], remove: [] }).text).toBe(added)
        const removed = editIgnore(added, { add: [], remove: [pattern] })
        expect(listPatterns(removed.text).map((one) => one.pattern)).not.toContain(pattern)
        expect(removed.missing).toEqual([])
      }),
    )
  })
})

describe('why something is left out', () => {
  const rules = parseIgnoreRules('# c\n*.log\n!keep.log\nbuild/\n!build/keep\n')

  test('names the line, the pattern and the part of the path that it matched', () => {
    expect(rules.explain('a/x.log', false)).toEqual({
      isIgnored: true,
      line: 2,
      pattern: '*.log',
      matched: 'a/x.log',
    })
    expect(rules.explain('keep.log', false)).toMatchObject({ isIgnored: false, line: 3 })
    // As in git: nothing below a directory that is left out can come back
    expect(rules.explain('build/keep', false)).toMatchObject({ isIgnored: true, line: 4, matched: 'build' })
    expect(rules.explain('notes.txt', false)).toBeUndefined()
  })

  test('agrees with what is left out, for all paths', () => {
    const part = fc.constantFrom('a', 'build', 'x.log', 'keep.log', 'keep')
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), fc.boolean(), (parts, isDirectory) => {
        const path = parts.join('/')
        expect(rules.explain(path, isDirectory)?.isIgnored === true).toBe(rules.ignores(path, isDirectory))
      }),
    )
  })
})
