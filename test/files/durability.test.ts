import { readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isTorn } from '../../src/files/durability.ts'
import type { FileStat } from '../../src/files/filesystem.ts'
import { converged, createPair } from '../support/two-folders.ts'

const second = 1_000_000_000n
const stat0: FileStat = {
  kind: 'file',
  size: 0,
  mtimeNs: 5n * second + 123n,
  ctimeNs: 9n * second,
  dev: 1n,
  ino: 1n,
  mode: 0o644,
  links: 1,
}
const placed = { kind: 'file', size: 10, mtimeNs: 5n * second + 500n, dev: 1n, ino: 1n } as const

describe('a file left short by a power cut', () => {
  test('is told from an edit by its times and its length', () => {
    expect(isTorn(stat0, placed)).toBe(true)
    expect(isTorn({ ...stat0, size: 10 }, placed)).toBe(false)
    expect(isTorn({ ...stat0, mtimeNs: 6n * second + 1n }, placed)).toBe(false)
    // A write sets both times to the same moment
    expect(isTorn({ ...stat0, ctimeNs: stat0.mtimeNs + 1_000n }, placed)).toBe(false)
    // Whole seconds: the time says nothing
    const coarse = { ...stat0, mtimeNs: 5n * second }
    expect(isTorn(coarse, { ...placed, mtimeNs: 5n * second })).toBe(false)
    // Another file with the same time was swapped in
    expect(isTorn({ ...stat0, ino: 2n }, placed)).toBe(false)
  })

  test('is fetched again, never taken for an edit, and what was left of it is kept', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'whole'), 'all of the bytes')
    await converged([a, b])
    await b.stop()
    const path = join(b.root, 'whole')
    const before = await stat(path, { bigint: true })
    await truncate(path, 3)
    // As after a power cut: the name and the time are there, the data is not
    await utimes(path, Number(before.mtimeNs) / 1e9, Number(before.mtimeNs) / 1e9)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await b.restart()
    expect(await converged([a, b])).toEqual({ whole: 'all of the bytes' })
    const kept = await Promise.all(
      (await b.folder.versions.list()).map((version) => readFile(join(b.root, version.kept), 'latin1')),
    )
    expect(kept).toEqual(['all'])
  })
})
