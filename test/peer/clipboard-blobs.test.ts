/** Long clipboard contents on the disk: every length comes back, every changed byte is noticed, what is left is found again. */
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createScope } from '../../src/base/scope.ts'
import { createBlobExchange } from '../../src/blobs/exchange.ts'
import type { ClipboardBlob } from '../../src/crdt/clipboard-item.ts'
import { openClipboardBlobs, type ClipboardBlobs } from '../../src/peer/clipboard-blobs.ts'
import { openPiece, pieceBytes, sealedLength, sealPiece } from '../../src/peer/sealed-blob.ts'
import { testEnv } from '../crdt/rig.ts'

async function openFolder(directory: string): Promise<ClipboardBlobs> {
  const env = testEnv({ seed: 4 })
  const scope = createScope(env, 'blobs')
  onTestFinished(() => scope.close())
  return await openClipboardBlobs(env, scope, {
    directory,
    exchange: createBlobExchange(env),
    mayRead: () => true,
  })
}

async function temporaryFolder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-blobs-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

const contentOf = (bytes: Uint8Array) => ({
  sizeBytes: bytes.byteLength,
  read: (position: number, length: number) => bytes.subarray(position, position + length),
})

const readBack = async (blobs: ClipboardBlobs, blob: ClipboardBlob, sizeBytes: number): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(blobs.pieces(blob, sizeBytes)))

test('contents of every length come back, from memory, from the disk and after a restart', async () => {
  const directory = await temporaryFolder()
  const blobs = await openFolder(directory)
  const kept: (readonly [ClipboardBlob, Uint8Array])[] = []
  for (const length of [0, 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 18 * pieceBytes + 7]) {
    const bytes = Uint8Array.from({ length }, (_, index) => index * 31 + length)
    const blob = await blobs.put(contentOf(bytes))
    expect(blob.sealedBytes).toBe(sealedLength(length))
    expect(Buffer.compare(await readBack(blobs, blob, length), bytes), `${length} at once`).toBe(0)
    await blobs.stored(blob)
    expect(Buffer.compare(await readBack(blobs, blob, length), bytes), `${length} stored`).toBe(0)
    kept.push([blob, bytes])
  }
  // The same content twice shows nowhere as the same
  const [, [, twice] = []] = kept
  const second = await blobs.put(contentOf(twice ?? new Uint8Array()))
  expect(second.hash).not.toBe(kept[1]?.[0].hash)
  await blobs.stored(second)
  await writeFile(join(directory, '99-1.part'), 'left by a crash')
  const again = await openFolder(directory)
  for (const [blob, bytes] of kept)
    expect(Buffer.compare(await readBack(again, blob, bytes.byteLength), bytes)).toBe(0)
  expect(await readdir(directory)).not.toContain('99-1.part')
  await again.keepOnly(new Set([kept[1]?.[0].hash ?? '']))
  expect(await readdir(directory)).toEqual([kept[1]?.[0].hash])
})

test('a changed, cut, moved or missing piece is noticed, and what is broken is removed', async () => {
  const key = new Uint8Array(32).fill(5)
  const pieces = [sealPiece(key, 0, false, Uint8Array.of(1, 2)), sealPiece(key, 1, true, Uint8Array.of(3))]
  const [first = new Uint8Array(), second = new Uint8Array()] = pieces
  expect(openPiece(key, 0, false, first)).toEqual(Buffer.of(1, 2))
  for (const [index, isLast, sealed] of [
    [1, false, first],
    [0, true, first],
    [0, false, second],
    [0, false, first.subarray(1)],
    [0, false, first.subarray(0, -1)],
    [0, false, new Uint8Array(3)],
  ] as const)
    expect(() => openPiece(key, index, isLast, sealed)).toThrow('damaged')
  const directory = await temporaryFolder()
  const blobs = await openFolder(directory)
  const blob = await blobs.put(contentOf(new Uint8Array(3 * pieceBytes).fill(1)))
  await blobs.stored(blob)
  const path = join(directory, blob.hash)
  const bytes = await readFile(path)
  bytes[2 * pieceBytes] = (bytes[2 * pieceBytes] ?? 0) ^ 1
  await writeFile(path, bytes)
  await expect(readBack(blobs, blob, 3 * pieceBytes)).rejects.toMatchObject({ code: 'blob.corrupt' })
  expect([blobs.has(blob), blobs.heldBytes, await readdir(directory)]).toEqual([false, 0, []])
  await expect(readBack(blobs, blob, 3 * pieceBytes)).rejects.toMatchObject({ code: 'blob.missing' })
  // A length that is not the one of the content is not believed
  const other = await blobs.put(contentOf(Uint8Array.of(1, 2, 3)))
  await expect(readBack(blobs, other, 2)).rejects.toMatchObject({ code: 'blob.missing' })
})

test('a content that the disk does not take is told to who waits for it', async () => {
  const directory = await temporaryFolder()
  const blobs = await openFolder(directory)
  await rename(directory, `${directory}-gone`)
  onTestFinished(() => rm(`${directory}-gone`, { recursive: true, force: true }))
  const blob = await blobs.put(contentOf(new Uint8Array(100_000)))
  await expect(blobs.stored(blob)).rejects.toMatchObject({ code: 'disk.failed' })
  expect([blobs.has(blob), blobs.heldBytes]).toEqual([false, 0])
})
