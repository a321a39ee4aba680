/** What every SmallFiles keeps, here or in a thread. `setup` gives one over a fresh, empty disk that holds the staging folder. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hasCode, SkeinError } from '../../src/base/errors.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import type { FileStat, Filesystem } from '../../src/files/filesystem.ts'
import { internalFolder, stagingFolder } from '../../src/files/names.ts'
import type { PlacedContent, SmallFiles } from '../../src/files/small-files.ts'
import { readText, writeText } from './filesystem.ts'

export interface SmallFilesSetup {
  readonly small: SmallFiles
  readonly disk: Filesystem
  teardown(): Promise<void>
}

const never = new AbortController().signal
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const mtimeNs = 1_700_000_000_123_456_000n

const placed = (path: string, text: string, number: number): PlacedContent => ({
  path,
  staging: `${stagingFolder}/one-${number}`,
  bytes: bytes(text),
  mode: 0o644,
  mtimeNs,
})

export function testSmallFiles(name: string, setup: () => Promise<SmallFilesSetup>): void {
  describe(`small files contract: ${name}`, () => {
    let made: SmallFilesSetup
    beforeEach(async () => {
      made = await setup()
      await made.disk.makeDirectory(internalFolder)
      await made.disk.makeDirectory(stagingFolder)
    })
    afterEach(() => made.teardown())

    test('reads in the order asked for; what is missing or long is told apart and stops nothing', async () => {
      const { small, disk } = made
      await writeText(disk, 'a', 'first')
      await writeText(disk, 'empty', '')
      await writeText(disk, 'long', 'x'.repeat(100))
      const found = await small.read(['a', 'absent', 'long', 'empty'], 50, never)
      expect(found[0]).toMatchObject({ hash: hashOf(bytes('first')), stat: { size: 5, kind: 'file' } })
      expect(found[0]).toHaveProperty('bytes', bytes('first'))
      expect(hasCode(found[1], 'not.found')).toBe(true)
      expect(found[2]).toBeUndefined()
      expect(found[3]).toMatchObject({ hash: hashOf(new Uint8Array()) })
      expect(found).toHaveLength(4)
    })

    test('places each whole, with its time and mode, and says what stands there', async () => {
      const { small, disk } = made
      await disk.makeDirectory('dir')
      const outcome = await small.place([placed('dir/a', 'first', 1), placed('b', '', 2)], never)
      const stat = await disk.lstat('dir/a')
      expect(outcome[0]).toMatchObject({ stat })
      expect(outcome).toHaveLength(2)
      expect(stat).toMatchObject({ size: 5, mode: 0o644, links: 1 })
      const differenceNs = (stat as FileStat).mtimeNs - mtimeNs // because: it was found a line above
      expect(differenceNs > -2_000n && differenceNs < 2_000n).toBe(true)
      expect(await readText(disk, 'dir/a')).toBe('first')
      expect(await readText(disk, 'b')).toBe('')
      expect(await disk.readDirectory(stagingFolder)).toEqual([])
    })

    test('reads and sets extended attributes on the way', async () => {
      const { small, disk } = made
      const attributes = 'user.a=aGk'
      const [outcome] = await small.place([{ ...placed('a', 'x', 1), attributes }], never)
      expect(outcome).toMatchObject({ attributes, stat: await disk.lstat('a') })
      const [bare] = await small.place([{ ...placed('b', 'x', 2), attributes: '' }], never)
      expect(bare).toMatchObject({ attributes: '' })
      expect(await small.read(['a', 'b'], 50, never)).toMatchObject([{ attributes }, { attributes: '' }])
    })

    test('replaces nothing, and one that fails stops no other and leaves nothing behind', async () => {
      const { small, disk } = made
      await writeText(disk, 'taken', 'of a person')
      await disk.makeDirectory('place')
      const outcome = await small.place(
        [
          placed('taken', 'news', 1),
          placed('place', 'news', 2),
          placed('no/where', 'x', 3),
          placed('c', 'y', 4),
        ],
        never,
      )
      expect(outcome.slice(0, 2)).toEqual(['blocked', 'blocked'])
      expect(outcome[2]).toBeInstanceOf(SkeinError)
      expect(outcome[3]).toMatchObject({ stat: { size: 1 } })
      expect(await readText(disk, 'taken')).toBe('of a person')
      expect(await disk.readDirectory(stagingFolder)).toEqual([])
    })

    test('two of one content at once, and what an earlier run left in staging, do no harm', async () => {
      const { small, disk } = made
      await writeText(disk, `${stagingFolder}/one-1`, 'half of som')
      const outcomes = await Promise.all([
        small.place([placed('a', 'same', 1)], never),
        small.place([placed('b', 'same', 2)], never),
      ])
      expect(outcomes.flat()).toMatchObject([{ stat: { size: 4 } }, { stat: { size: 4 } }])
      expect(await readText(disk, 'a')).toBe('same')
      expect(await readText(disk, 'b')).toBe('same')
    })
  })
}
