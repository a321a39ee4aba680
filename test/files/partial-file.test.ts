import { describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { newDeviceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import { createBlockListBuilder } from '../../src/blobs/block-list.ts'
import { type BlobExchange, createBlobExchange } from '../../src/blobs/exchange.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { joined, without } from '../../src/blobs/ranges.ts'
import type { Filesystem, OpenFile } from '../../src/files/filesystem.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { notesOf, openPartialFile } from '../../src/files/partial-file.ts'

const random = createSeededRandom(41)
const content = random.bytes(21 * 1024 * 1024 + 77)
const hash = hashOf(content)
const sizeBytes = content.byteLength
const path = 'staged'

interface Sources extends AsyncDisposable {
  readonly asker: BlobExchange
  servedBytes: number
}

/** Several devices that hold the content; each waits a little before it answers, as the dice say. */
function sourcesOf(count: number): Sources {
  const env = createSystemEnv()
  const asker = createBlobExchange(env)
  const exchanges: BlobExchange[] = []
  const sources: Sources = {
    asker,
    servedBytes: 0,
    async [Symbol.asyncDispose]() {
      await asker[Symbol.asyncDispose]()
      for (const exchange of exchanges) await exchange[Symbol.asyncDispose]()
    },
  }
  for (let index = 0; index < count; index++) {
    const exchange = createBlobExchange(env)
    const [left, right] = createMemoryChannelPair('source')
    exchange.addSource(() =>
      Promise.resolve({
        sizeBytes,
        async read(into, position) {
          for (let turns = randomBelow(random, 4); turns > 0; turns--)
            await new Promise((resolve) => setImmediate(resolve))
          const part = content.subarray(position, position + into.byteLength)
          into.set(part)
          sources.servedBytes += part.byteLength
          return part.byteLength
        },
        blockList() {
          const list = createBlockListBuilder(sizeBytes)
          list?.update(content)
          return Promise.resolve(list?.finish() ?? new Uint8Array())
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    )
    exchange.attach(newDeviceId(random), left)
    asker.attach(newDeviceId(random), right)
    exchanges.push(exchange)
  }
  return sources
}

/** A process on a disk: once it is dead nothing of it is written any more, not even what it was about to. */
function mortal(disk: Filesystem): { readonly disk: Filesystem; die(): void } {
  let isDead = false
  const never = new Promise<never>(() => undefined)
  const wrap = (file: OpenFile): OpenFile => ({
    ...file,
    write: (bytes, position) => (isDead ? never : file.write(bytes, position)),
    truncate: (length) => (isDead ? never : file.truncate(length)),
  })
  return {
    disk: {
      ...disk,
      foldsNames: false,
      open: async (at, mode) => (isDead ? await never : wrap(await disk.open(at, mode))),
      unlink: (at) => (isDead ? never : disk.unlink(at)),
    },
    die: () => void (isDead = true),
  }
}

const bytesAt = async (disk: Filesystem): Promise<Uint8Array | undefined> =>
  (await disk.readSmall(path, sizeBytes))?.bytes

describe('a large content whose receiver is killed', () => {
  for (const count of [1, 3]) {
    test(`again and again, asking ${count}: at most a range of what had come comes twice each time`, async () => {
      const disk = createMemoryFilesystem()
      let kills = 0
      for (let isComplete = false; !isComplete;) {
        await using sources = sourcesOf(count)
        const process = mortal(disk)
        const file = await openPartialFile(process.disk, path, sizeBytes)
        const killAtBytes = 1 + randomBelow(random, sizeBytes / 2)
        const killed = new AbortController()
        let received = -1
        const onProgress = (size: number): void => {
          // The first call tells what was there
          received = received < 0 ? 0 : received + size
          if (received < killAtBytes || killed.signal.aborted) return
          process.die()
          killed.abort()
        }
        const before = joined(file.kept()).reduce((sum, { length }) => sum + length, 0)
        const fetching = sources.asker.fetch({ hash, sizeBytes, onProgress, signal: killed.signal }, file)
        // A dead process never gets any further
        const outcome = await Promise.race([
          fetching.then(() => 'complete'),
          new Promise((resolve) => killed.signal.addEventListener('abort', () => setTimeout(resolve, 30))),
        ])
        isComplete = outcome === 'complete'
        if (isComplete) await file.complete()
        else kills++
        await using again = await openPartialFile(disk, path, sizeBytes)
        const after = again.kept().reduce((sum, { length }) => sum + length, 0)
        const further = (count - 1) * limits.blobChunkBytes
        expect(before + Math.max(0, received) - after).toBeLessThanOrEqual(
          limits.blobUnwrittenBytes + further,
        )
      }
      expect(kills).toBeGreaterThan(1)
      expect(Buffer.compare((await bytesAt(disk)) ?? new Uint8Array(), content)).toBe(0)
      expect(await disk.lstat(notesOf(path))).toBeUndefined()
    })
  }

  test('whose disk lost parts of it in a power cut: only the blocks that are wrong come again', async () => {
    const disk = createMemoryFilesystem()
    await disk.createSmall(path, damaged(content, [3, 100_000, sizeBytes - 1]), {
      mode: 0o644,
      mtimeNs: 0n,
      attributes: '',
    })
    await using sources = sourcesOf(2)
    await using file = await openPartialFile(disk, path, sizeBytes)
    await sources.asker.fetch({ hash, sizeBytes }, file)
    expect(Buffer.compare((await bytesAt(disk)) ?? new Uint8Array(), content)).toBe(0)
    expect(sources.servedBytes).toBeLessThanOrEqual(3 * 64 * 1024)
  })
})

function damaged(bytes: Uint8Array, places: readonly number[]): Uint8Array {
  const wrong = bytes.slice()
  for (const place of places) wrong[place] = (wrong[place] ?? 0) ^ 1
  return wrong
}

describe('notes beside a staged file', () => {
  test('are not made while all comes in order', async () => {
    const disk = createMemoryFilesystem()
    await using file = await openPartialFile(disk, path, sizeBytes)
    for (const offset of [0, 100, 200]) await file.write(content.subarray(offset, offset + 100), offset)
    expect(await disk.lstat(notesOf(path))).toBeUndefined()
    expect(file.kept()).toEqual([{ offset: 0, length: 300 }])
  })

  test('tell what lies apart, also when they are cut short or damaged', async () => {
    const disk = createMemoryFilesystem()
    {
      await using file = await openPartialFile(disk, path, sizeBytes)
      for (const offset of [0, 500, 300]) await file.write(content.subarray(offset, offset + 100), offset)
    }
    const kept = async (): Promise<unknown> => {
      await using file = await openPartialFile(disk, path, sizeBytes)
      return file.kept()
    }
    const [first, second, third] = [0, 500, 300].map((offset) => ({ offset, length: 100 }))
    expect(await kept()).toEqual([first, third, second])
    await using notes = await disk.open(notesOf(path), 'write')
    await notes.truncate(47)
    expect(await kept()).toEqual([first, second])
    await notes.write(Uint8Array.of(255), 20)
    expect(await kept()).toEqual([first])
  })

  test('without their file say nothing', async () => {
    const disk = createMemoryFilesystem()
    {
      await using file = await openPartialFile(disk, path, sizeBytes)
      await file.write(content.subarray(0, 100), 500)
    }
    await disk.unlink(path)
    await using file = await openPartialFile(disk, path, sizeBytes)
    expect(file.kept()).toEqual([])
    expect(await disk.lstat(notesOf(path))).toBeUndefined()
  })
})

test('what is left of ranges without others covers exactly the rest', () => {
  for (let round = 0; round < 200; round++) {
    const draw = (): { offset: number; length: number }[] =>
      Array.from({ length: randomBelow(random, 6) }, () => ({
        offset: randomBelow(random, 60),
        length: 1 + randomBelow(random, 20),
      }))
    const [ranges, kept] = [joined(draw()), joined(draw())]
    const covers = (set: readonly { offset: number; length: number }[], at: number): boolean =>
      set.some(({ offset, length }) => at >= offset && at < offset + length)
    const left = without(ranges, kept)
    for (let at = 0; at < 90; at++) expect(covers(left, at)).toBe(covers(ranges, at) && !covers(kept, at))
  }
})
