import { describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { type BlobHash, hashOf } from '../../src/blobs/hash.ts'
import { createBaseKeep, type BaseKeep, type BaseKeepOptions } from '../../src/files/base-keep.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'

const env = createSystemEnv()
const random = createSeededRandom(5)
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const content = (text: string) => ({ hash: hashOf(bytes(text)), bytes: bytes(text) })

async function open(filesystem: Filesystem, options: Partial<BaseKeepOptions> = {}): Promise<BaseKeep> {
  if ((await filesystem.lstat('.skein')) === undefined) await filesystem.makeDirectory('.skein')
  return createBaseKeep(env, filesystem, { isCurrent: async () => false, ...options })
}

describe('the keep of merge bases', () => {
  test('gives back what it was given, also after a restart, and appends to it', async () => {
    const filesystem = createMemoryFilesystem()
    const [one, two] = [content('one\n'.repeat(100)), content('two')]
    {
      await using keep = await open(filesystem)
      expect(await keep.add([one, one], [{ nodeId: 'n', version: 'v:1', hash: one.hash }])).toBe(true)
      expect(await keep.sync()).toBe(true)
      expect(keep.sizeBytes).toBeLessThan(200)
    }
    {
      await using keep = await open(filesystem)
      expect(await keep.add([two], [])).toBe(true)
    }
    await using keep = await open(filesystem)
    expect(await keep.read(one.hash)).toEqual(one.bytes)
    expect(await keep.read(two.hash)).toEqual(two.bytes)
    expect(await keep.contentOf('n', 'v:1')).toBe(one.hash)
    expect(await keep.contentOf('n', 'v:2')).toBeUndefined()
    expect(await keep.has(content('three').hash)).toBe(false)
    expect((await filesystem.readDirectory('.skein/bases')).length).toBe(1)
  })

  test('knows a note at once, also while there is no time to write it down', async () => {
    const filesystem = createMemoryFilesystem()
    await using keep = await open(filesystem)
    const { hash } = content('one')
    const notes = [{ nodeId: 'n', version: 'v:1', hash }]
    keep.note(notes)
    expect(await keep.contentOf('n', 'v:1')).toBe(hash)
    expect(await filesystem.lstat('.skein/bases')).toBeUndefined()
    await keep.add([], notes)
    await using again = await open(filesystem)
    expect(await again.contentOf('n', 'v:1')).toBe(hash)
  })

  test('a torn or damaged entry is as good as none, what comes after is kept', async () => {
    const filesystem = createMemoryFilesystem()
    const [one, two, three] = [content('one'), content('two'), content('three')]
    let size = 0
    {
      await using keep = await open(filesystem)
      await keep.add([one], [])
      size = keep.sizeBytes
      await keep.add([two], [])
    }
    {
      await using file = await filesystem.open('.skein/bases/0', 'write')
      await file.write(Uint8Array.of(0xff, 0xff), size - 2)
      await file.truncate((await file.stat()).size - 1)
    }
    {
      await using keep = await open(filesystem)
      expect(await keep.read(one.hash)).toBeUndefined()
      expect(await keep.has(two.hash)).toBe(false)
      await keep.add([three], [])
    }
    await using keep = await open(filesystem)
    expect(await keep.read(three.hash)).toEqual(three.bytes)
  })

  test('stays below its bound: the oldest go, but not those that stand in the folder', async () => {
    const filesystem = createMemoryFilesystem()
    const wanted = content('stands in the folder')
    const isCurrent = async (hash: string): Promise<boolean> => hash === wanted.hash
    await using keep = await open(filesystem, { isCurrent, maxBytes: 100_000, segmentBytes: 10_000 })
    await keep.add([wanted], [])
    const added: BlobHash[] = []
    for (let index = 0; index < 300; index++) {
      const noise = random.bytes(1_000)
      added.push(hashOf(noise))
      await keep.add([{ hash: hashOf(noise), bytes: noise }], [])
    }
    expect(keep.sizeBytes).toBeLessThanOrEqual(111_000)
    const left = await Promise.all(added.map((hash) => keep.has(hash)))
    expect(left.slice(0, 190)).not.toContain(true)
    expect(left.slice(-80)).not.toContain(false)
    expect(await keep.read(wanted.hash)).toEqual(wanted.bytes)
  })

  test('a disk that refuses costs nothing but the help', async () => {
    const filesystem = createMemoryFilesystem()
    await using keep = createBaseKeep(env, filesystem, { isCurrent: async () => false })
    // No `.skein`: the root is gone or another one
    const one = content('one')
    expect(await keep.add([one], [])).toBe(false)
    expect(await keep.read(one.hash)).toBeUndefined()
    await filesystem.makeDirectory('.skein')
    expect(await keep.add([one], [])).toBe(true)
    expect(await keep.read(one.hash)).toEqual(one.bytes)
  })
})
