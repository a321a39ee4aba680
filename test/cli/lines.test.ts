/** Shared folders, their progress and differences as lines of a terminal: what fits, what is safe. */
import { describe, expect, test } from 'vitest'
import type { ConflictSide, SpaceStatus } from '../../src/peer/api-spaces.ts'
import { formatDiff } from '../../src/cli/diff.ts'
import { createProgress } from '../../src/cli/progress.ts'
import { formatProblems, formatSpaces } from '../../src/cli/space-lines.ts'
import type { SpaceId } from '../../src/base/ids.ts'
import { findHarmful } from '../support/harmful-text.ts'
import { hostileName } from '../support/hostile-name.ts'

const space = (fields: Partial<SpaceStatus> = {}): SpaceStatus => ({
  id: '0000000000000000000000000s' as SpaceId, // because: an id of the right form
  name: 'notes',
  directory: '/home/someone/a/rather/long/way/to/notes',
  state: 'in-sync',
  fileCount: 12,
  sizeBytes: 1_000,
  conflictCount: 0,
  pendingCount: 0,
  ...fields,
})
const transfer = { doneFiles: 1, totalFiles: 4, doneBytes: 1_500_000, totalBytes: 3e9, bytesPerSecond: 4e7 }

describe('a list of folders', () => {
  test('is a table where it fits and blocks where it does not, and says what waits', () => {
    const all = [space(), space({ name: 'old', state: 'paused', reason: 'paused by you', conflictCount: 1 })]
    expect(formatSpaces(all)).toMatch(/^ {2}NAME {3}STATE {12}FILES {2}CONFLICTS {2}WHERE$/m)
    const narrow = formatSpaces(all, 50)
    expect(narrow).not.toContain('WHERE')
    expect(narrow).toContain('old: paused (by you), 12 files, 1 conflict copy\n')
    expect(narrow).toContain('to go on: skein resume old')
    const busy = formatSpaces([space({ state: 'syncing', transfer: { ...transfer, remainingMs: 75_000 } })])
    expect(busy).toContain('notes: 1 of 4 files, 1.5 MB of 3.0 GB, 40.0 MB/s, 1 min left')
  })

  test('says what part this device takes', () => {
    const lines = formatSpaces([
      space({
        role: 'read-only',
        selection: { only: ['/2026/'], except: ['*.raw'] },
        unreleasedCount: 3,
        localChangeCount: 2,
      }),
    ])
    expect(lines).toContain('notes: read-only here: nothing is sent')
    expect(lines).toContain('notes: kept here: only /2026/, except *.raw')
    expect(lines).toContain('stays until another device holds it: 3 files')
    expect(lines).toContain('! notes: changed here, not sent: 2 files: skein revert notes --list')
    expect(formatSpaces([space({ role: 'full' })])).not.toContain('notes: ')
  })

  test('never prints what a device put into a name', () => {
    const problems = [{ path: hostileName, cause: hostileName, fix: hostileName }]
    const bad = space({
      name: hostileName,
      directory: hostileName,
      reason: hostileName,
      problems,
      problemCount: 9,
      selection: { only: [hostileName], except: [hostileName] },
      localChangeCount: 1,
    })
    expect(findHarmful(formatSpaces([bad], 40), true)).toEqual([])
    const told = formatProblems([bad])
    expect(findHarmful(told, true)).toEqual([])
    expect(told).toContain('and 8 more')
  })
})

function createOutput(columns: number | undefined): {
  readonly written: string[]
  readonly output: Parameters<typeof createProgress>[0]
} {
  const written: string[] = []
  const output = {
    isTTY: columns !== undefined,
    columns: columns ?? 80,
    write: (text: string | Uint8Array) => written.push(String(text)) > 0,
  }
  return { written, output }
}

describe('progress', () => {
  test('on a terminal is drawn over itself, each line within its width, and taken away at the end', () => {
    const { written, output } = createOutput(30)
    const progress = createProgress(output, () => 0)
    progress.show({
      isInSync: false,
      spaces: [space({ state: 'syncing', transfer }), space({ name: hostileName })],
    })
    progress.show({ isInSync: false, spaces: [space(), space()] })
    progress.end()
    const lines = (written[0] ?? '').trimEnd().split('\n')
    expect(lines.map((line) => line.length <= 29)).toEqual([true, true])
    expect(findHarmful(written[0] ?? '', true)).toEqual([])
    expect(written[1]?.startsWith('\u001b[2A\u001b[J')).toBe(true)
    expect(written[2]).toBe('\u001b[2A\u001b[J')
  })

  test('is not cut on a terminal that does not know its width', () => {
    const { written, output } = createOutput(0)
    createProgress(output, () => 0).show({
      isInSync: false,
      spaces: [space({ state: 'syncing', transfer: { ...transfer, totalFiles: 1 } })],
      busyDevices: ['bob'],
    })
    expect(written).toEqual([
      'notes  syncing  1 of 1 file, 1.5 MB of 3.0 GB, 40.0 MB/s\nstill at work: bob\n',
    ])
  })

  test('says once that a folder is paused', () => {
    const { written, output } = createOutput(undefined)
    const paused = space({ state: 'paused', reason: 'paused by you' })
    createProgress(output, () => 0).show({ isInSync: false, spaces: [paused] })
    expect(written).toEqual(['notes  paused (by you)\n'])
  })

  test('elsewhere is plain lines, at once for a new state and now and then for more of the same', () => {
    const { written, output } = createOutput(undefined)
    let nowMs = 0
    const progress = createProgress(output, () => nowMs)
    const show = (doneBytes: number): void =>
      progress.show({
        isInSync: false,
        spaces: [space({ state: 'syncing', transfer: { ...transfer, doneBytes } })],
      })
    show(1)
    show(2)
    nowMs = 2_000
    show(3)
    progress.show({ isInSync: true, spaces: [space()] })
    progress.end()
    expect(written.length).toBe(3)
    expect(written.join('')).not.toContain('\u001b')
  })
})

describe('a difference', () => {
  const side = (isMain: boolean): ConflictSide => ({
    path: hostileName,
    isMain,
    kind: 'file',
    sizeBytes: 7,
    hash: 'h'.repeat(43),
    device: hostileName,
    isMine: isMain,
    modifiedAtMs: 0,
  })
  const pair = { main: side(true), copy: side(false) }
  const lines = [' a\tb', `-${hostileName}`, `+${'x'.repeat(200)}`]
  const diff = { path: 'x', kind: 'text', isCut: true, hunks: [{ oldStart: 3, newStart: 3, lines }] } as const

  test('is coloured where there is colour, cut to the width, and harmless', () => {
    const plain = formatDiff(diff, pair, { hasColour: false, columns: 60 })
    expect(findHarmful(plain, true)).toEqual([])
    expect(plain).toContain('@@ -3,2 +3,2 @@\n a    b\n')
    expect(plain).toContain('(there is more)')
    expect(
      plain
        .split('\n')
        .slice(2)
        .every((line) => line.length <= 60),
    ).toBe(true)
    const coloured = formatDiff(diff, pair, { hasColour: true, columns: undefined })
    expect(coloured).toContain('\u001b[32m+xxx')
    expect(
      findHarmful(
        ['31', '32', '0'].reduce((text, code) => text.replaceAll(`\u001b[${code}m`, ''), coloured),
        true,
      ),
    ).toEqual([])
  })

  test('of what is no text is sizes and hashes', () => {
    const told = formatDiff({ ...diff, kind: 'binary' }, pair, { hasColour: false, columns: undefined })
    expect(told).toContain(`7 B  ${'h'.repeat(43)}`)
  })
})
