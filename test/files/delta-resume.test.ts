import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { createBlockListBuilder } from '../../src/blobs/block-list.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { bringByDelta, type PartialContents } from '../../src/files/delta.ts'
import { createHashWorkers, type HashWorkers } from '../../src/files/hash-workers.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'
import { hasNotes } from '../../src/files/partial-file.ts'

const random = createSeededRandom(71)
const mebibyte = 1024 * 1024
const blockBytes = 64 * 1024
const old = random.bytes(8 * mebibyte)
/** Every other block of the second half is new. */
const content = Buffer.from(old)
const newBlocks = Array.from({ length: 32 }, (_, index) => 4 * mebibyte + 2 * index * blockBytes)
for (const offset of newBlocks) content.set(random.bytes(blockBytes), offset)
const sizeBytes = content.byteLength
const hash = hashOf(content)
const newBytes = newBlocks.length * blockBytes

let root: string
let filesystem: Filesystem
let workers: HashWorkers
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'skein-delta-'))
  await writeFile(join(root, 'old'), old)
  filesystem = createNodeFilesystem(root)
  workers = createHashWorkers(root, filesystem)
})
afterEach(async () => {
  await workers[Symbol.asyncDispose]()
  await rm(root, { recursive: true, force: true })
})

/** Sends what is asked for until so much is sent; then it is as if the process had been killed. */
function source(untilBytes: number): PartialContents & { sentBytes: number } {
  return {
    sentBytes: 0,
    fetchList() {
      const list = createBlockListBuilder(sizeBytes)
      list?.update(content)
      return Promise.resolve(list?.finish() ?? new Uint8Array())
    },
    async fetchParts(_, ranges, file) {
      for (const { offset, length } of ranges) {
        if (this.sentBytes + length > untilBytes) throw new Error('killed')
        this.sentBytes += length
        await file.write(content.subarray(offset, offset + length), offset)
      }
    },
  }
}

const bring = (partial: PartialContents): Promise<boolean> => {
  const wanted = { hash, sizeBytes, signal: new AbortController().signal, onProgress: () => undefined }
  return bringByDelta(createSystemEnv(), { filesystem, workers, partial }, wanted, {
    oldPath: 'old',
    to: 'new',
  })
}

test('a delta that was cut off goes on where it was: what had come does not come twice', async () => {
  const first = source(newBytes / 2)
  expect(await bring(first)).toBe(false)
  expect(await hasNotes(filesystem, 'new')).toBe(true)
  const second = source(Infinity)
  expect(await bring(second)).toBe(true)
  expect(first.sentBytes + second.sentBytes).toBe(newBytes)
  expect((await readFile(join(root, 'new'))).equals(content)).toBe(true)
  expect(await hasNotes(filesystem, 'new')).toBe(false)
})

test('what was noted and is wrong makes no wrong file: it is begun anew', async () => {
  await bring(source(newBytes / 2))
  const file = await filesystem.open('new', 'write')
  await file.write(random.bytes(100), newBlocks[0] ?? 0)
  await file.close()
  expect(await bring(source(Infinity))).toBe(false)
  expect(await filesystem.lstat('new')).toBeUndefined()
  expect(await hasNotes(filesystem, 'new')).toBe(false)
  expect(await bring(source(Infinity))).toBe(true)
  expect((await readFile(join(root, 'new'))).equals(content)).toBe(true)
})
