import { describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { limits } from '../../src/base/limits.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { createBaseKeep, type BaseKeep } from '../../src/files/base-keep.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'

const env = createSystemEnv()
const random = createSeededRandom(5)
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const content = (text: string) => ({ hash: hashOf(bytes(text)), bytes: bytes(text) })

async function open(
  filesystem: Filesystem,
  isCurrent: (hash: string) => boolean = () => false,
): Promise<BaseKeep> {
  if ((await filesystem.lstat('.skein')) === undefined) await filesystem.makeDirectory('.skein')
  return createBaseKeep(env, filesystem, async (hash) => isCurrent(hash))
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
    await using keep = await open(filesystem, (hash) => hash === wanted.hash)
    await keep.add([wanted], [])
    const [first] = [{ bytes: random.bytes(1024 * 1024), hash: hashOf(bytes('')) }]
    let oldest = first.hash
    for (let index = 0; index < limits.mergeBasesBytes / 2 ** 20 + 12; index++) {
      const noise = random.bytes(1024 * 1024)
      const hash = hashOf(noise)
      if (index === 0) oldest = hash
      await keep.add([{ hash, bytes: noise }], [])
    }
    expect(keep.sizeBytes).toBeLessThanOrEqual(limits.mergeBasesBytes + 2 * 2 ** 20)
    expect(await keep.has(oldest)).toBe(false)
    expect(await keep.read(wanted.hash)).toEqual(wanted.bytes)
  }, 60_000)

  test('a disk that refuses costs nothing but the help', async () => {
    const filesystem = createMemoryFilesystem()
    await using keep = createBaseKeep(env, filesystem, async () => false)
    // No `.skein`: the root is gone or another one
    const one = content('one')
    expect(await keep.add([one], [])).toBe(false)
    expect(await keep.read(one.hash)).toBeUndefined()
    await filesystem.makeDirectory('.skein')
    expect(await keep.add([one], [])).toBe(true)
    expect(await keep.read(one.hash)).toEqual(one.bytes)
  })
})
