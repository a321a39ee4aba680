import { copyFile, open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSeededRandom } from '../../src/base/random.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { openPartialFile } from '../../src/files/partial-file.ts'
import { dataRuns } from '../../src/files/zero-blocks.ts'
import { converged, createPair, type Pair, until } from '../support/two-folders.ts'

const random = createSeededRandom(9)
const mebibyte = 1024 * 1024
const kibibyte = 1024
const sizeBytes = 24 * mebibyte

/** A few blocks of data, the last one not at the end. */
async function writeSparse(path: string): Promise<void> {
  const file = await open(path, 'w')
  for (const offset of [0, 5 * mebibyte + 17, 15 * mebibyte])
    await file.write(random.bytes(20_000), 0, 20_000, offset)
  await file.truncate(sizeBytes)
  await file.close()
}

const allocatedBytes = async (path: string): Promise<number> => (await stat(path)).blocks * 512

async function expectSame(pair: Pair, name: string): Promise<void> {
  const [near, far] = [join(pair.a.root, name), join(pair.b.root, name)]
  expect((await readFile(near)).equals(await readFile(far))).toBe(true)
  expect(await allocatedBytes(far)).toBeLessThan(mebibyte)
}

describe('a sparse file', () => {
  test('stays one on the other side: sent, overwritten, copied', { timeout: 120_000 }, async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeSparse(`${a.root}-new`)
    await rename(`${a.root}-new`, join(a.root, 'disk.img'))
    await converged([a, b])
    await expectSame(pair, 'disk.img')

    const file = await open(join(a.root, 'disk.img'), 'r+')
    await file.write(random.bytes(4096), 0, 4096, 20 * mebibyte)
    await file.close()
    const isThere = async (): Promise<boolean> =>
      (await readFile(join(a.root, 'disk.img'))).equals(await readFile(join(b.root, 'disk.img')))
    await until(isThere, [a, b])
    await converged([a, b])
    await expectSame(pair, 'disk.img')

    await copyFile(join(a.root, 'disk.img'), `${a.root}-copy`)
    await rename(`${a.root}-copy`, join(a.root, 'copy.img'))
    await converged([a, b])
    await expectSame(pair, 'copy.img')
  })
})

describe('blocks of zeros', () => {
  test('are left out, nothing else, wherever the bytes stand', () => {
    const bytes = new Uint8Array(300 * kibibyte)
    expect(dataRuns(bytes, 0)).toEqual([])
    bytes[70 * kibibyte] = 1
    expect(dataRuns(bytes, 0)).toEqual([{ start: 64 * kibibyte, end: 128 * kibibyte }])
    expect(dataRuns(bytes, 60 * kibibyte)).toEqual([{ start: 68 * kibibyte, end: 132 * kibibyte }])
    bytes[0] = 1
    bytes[300 * kibibyte - 1] = 1
    expect(dataRuns(bytes, 0)).toEqual([
      { start: 0, end: 128 * kibibyte },
      { start: 256 * kibibyte, end: 300 * kibibyte },
    ])
  })

  test('are written where something else stood before', async () => {
    const disk = createMemoryFilesystem()
    const content = random.bytes(256 * kibibyte)
    {
      await using file = await openPartialFile(disk, 'staged', 512 * kibibyte)
      await file.write(content, 0)
      await file.write(new Uint8Array(128 * kibibyte), 256 * kibibyte)
      // A block that was wrong comes once more
      await file.write(new Uint8Array(64 * kibibyte), 64 * kibibyte)
    }
    await using file = await openPartialFile(disk, 'staged', 512 * kibibyte)
    // Of an earlier try nobody knows what it left
    await file.write(new Uint8Array(64 * kibibyte), 0)
    const { bytes } = (await disk.readSmall('staged', mebibyte)) ?? { bytes: undefined }
    const expected = Buffer.concat([content, new Uint8Array(128 * kibibyte)])
    expected.fill(0, 0, 128 * kibibyte)
    expect(bytes?.byteLength).toBe(384 * kibibyte)
    expect(Buffer.compare(bytes ?? new Uint8Array(), expected)).toBe(0)
  })
})
