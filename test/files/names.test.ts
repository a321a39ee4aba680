import { mkdtemp, mkdir, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import { foldName, isInternal, nameProblem, pathProblem } from '../../src/files/names.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'

describe('nameProblem', () => {
  test.each([
    ['', 'empty'],
    ['.', 'dots'],
    ['..', 'dots'],
    ['a/b', 'separator'],
    ['a\0', 'nul'],
    ['\ud800', 'not-unicode'],
    ['cafe\u0301', 'not-nfc'],
    ['a'.repeat(256), 'too-long'],
    ['\u00e9'.repeat(128), 'too-long'],
    ['.skein', 'reserved'],
    ['.SKEIN', 'reserved'],
    ['.Skein.', 'reserved'],
    ['.skein ', 'reserved'],
    ['.sk\u200dein', 'reserved'],
    ['.skein:stream', 'reserved'],
    ['\u200c.skein', 'reserved'],
    ['.skein-parked-x', 'reserved'],
  ])('%j is %s', (name, problem) => {
    expect(nameProblem(name)).toBe(problem)
  })
  test.each([
    'a',
    '...',
    '..a',
    ' ',
    'a\\b',
    'con',
    'caf\u00e9',
    'a'.repeat(255),
    '\u00e9'.repeat(127),
    '.skeinignore',
    '.skeins',
    'new\nline',
    '-rf',
    '\ufffd',
  ])('%j is fine', (name) => {
    expect(nameProblem(name)).toBeUndefined()
  })
  test('paths too deep are refused', () => {
    expect(pathProblem(Array.from({ length: 257 }, () => 'a').join('/'))).toBe('too-deep')
    expect(pathProblem('a/../b')).toBe('dots')
    expect(pathProblem('')).toBeUndefined()
  })
  test('names that case-insensitive or normalising disks take for one have one key', () => {
    expect(foldName('Stra\u00dfe')).toBe(foldName('STRASSE'))
    expect(foldName('CAF\u00c9')).toBe(foldName('cafe\u0301'))
    expect(foldName('\ufb01le')).toBe(foldName('FILE'))
    expect(foldName('a')).not.toBe(foldName('b'))
  })
})

describe('hostile names', () => {
  const pieces = [
    '..',
    '.',
    '/',
    '\\',
    '\0',
    '.skein',
    'etc',
    'passwd',
    ' ',
    ':',
    '\u202e',
    '\ud800',
    'a',
    '%2e%2e',
    '\u2024',
    '~',
    '\n',
    '//',
    '\u00e9',
    '\u0301',
    '.SKEIN',
    '\u200d',
  ]
  const random = createSeededRandom(2024)
  const generate = (): string =>
    Array.from({ length: 1 + randomBelow(random, 6) }, () =>
      randomBelow(random, 8) === 0
        ? Buffer.from(random.bytes(4)).toString('latin1')
        : (pieces[randomBelow(random, pieces.length)] ?? ''),
    ).join('')

  test('no generated name that is accepted can leave the root or reach our own folder', () => {
    let accepted = 0
    for (let round = 0; round < 200_000; round++) {
      const name = generate()
      if (nameProblem(name) !== undefined) continue
      accepted++
      // A component without separators that is not . or .. cannot be anything but a child
      expect(
        join('/root/x', name).startsWith('/root/x/') && join('/root/x', name).length > '/root/x/'.length,
      ).toBe(true)
      expect(isInternal(name)).toBe(false)
    }
    expect(accepted).toBeGreaterThan(10_000)
  })

  test('no generated path makes a file outside the root of a real or a simulated disk', async () => {
    const base = await mkdtemp(join(tmpdir(), 'skein-names-'))
    await mkdir(join(base, 'root'))
    const disks = [createNodeFilesystem(join(base, 'root')), createMemoryFilesystem()]
    for (let round = 0; round < 5_000; round++) {
      const path = generate()
      for (const disk of disks) {
        await disk.open(path, 'create').then(
          (file) => file.close(),
          () => undefined,
        )
        await disk.makeDirectory(`${path}/${generate()}`).catch(() => undefined)
      }
    }
    expect(await readdir(base)).toEqual(['root'])
    expect((await readdir(join(base, 'root'))).length).toBeGreaterThan(100)
    await rm(base, { recursive: true })
  })
})
