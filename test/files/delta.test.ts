import { copyFile, open, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSeededRandom } from '../../src/base/random.ts'
import type { Range } from '../../src/blobs/ranges.ts'
import { createBlockListBuilder } from '../../src/blobs/block-list.ts'
import { converged, createPair, type Device, type Pair, until } from '../support/two-folders.ts'

const random = createSeededRandom(5)
const mebibyte = 1024 * 1024

/** What a device fetches from now on. */
function watchFetches({ exchange }: Device): { partBytes: number; whole: number; lists: number } {
  const seen = { partBytes: 0, whole: 0, lists: 0 }
  const fetch = exchange.fetch.bind(exchange)
  const fetchParts = exchange.fetchParts.bind(exchange)
  const fetchList = exchange.fetchList.bind(exchange)
  exchange.fetch = (...args) => {
    seen.whole++
    return fetch(...args)
  }
  exchange.fetchList = (wanted) => {
    seen.lists++
    return fetchList(wanted)
  }
  exchange.fetchParts = (wanted, ranges: readonly Range[], file) => {
    for (const { length } of ranges) seen.partBytes += length
    return fetchParts(wanted, ranges, file)
  }
  return seen
}

/** Written in place it could be seen half-written, which is a version as well. */
async function replaceAtOnce({ root }: Device, name: string, content: Uint8Array): Promise<void> {
  await writeFile(`${root}-new`, content)
  await rename(`${root}-new`, join(root, name))
}

const same = async (pair: Pair, name: string): Promise<boolean> =>
  (await readFile(join(pair.a.root, name))).equals(await readFile(join(pair.b.root, name)))

async function pairWith(content: Uint8Array): Promise<Pair> {
  const pair = await createPair()
  await writeFile(join(pair.a.root, 'big.bin'), content)
  await converged([pair.a, pair.b])
  expect(await same(pair, 'big.bin')).toBe(true)
  return pair
}

describe('an edited large file', () => {
  test('costs the changed block when it was overwritten, again and again, both ways', async () => {
    await using pair = await pairWith(random.bytes(9 * mebibyte))
    for (const [from, to] of [
      [pair.a, pair.b],
      [pair.a, pair.b],
      [pair.b, pair.a],
    ] as const) {
      const seen = watchFetches(to)
      const file = await open(join(from.root, 'big.bin'), 'r+')
      await file.write(random.bytes(4096), 0, 4096, 5_000_000)
      await file.close()
      await until(() => same(pair, 'big.bin'), [pair.a, pair.b])
      await converged([pair.a, pair.b])
      expect(seen).toMatchObject({ whole: 0, lists: 1 })
      expect(seen.partBytes).toBeLessThanOrEqual(2 * 65_536)
    }
  })

  test('costs one block when a byte was put in front', async () => {
    const content = random.bytes(9 * mebibyte)
    await using pair = await pairWith(content)
    const seen = watchFetches(pair.b)
    await replaceAtOnce(pair.a, 'big.bin', Buffer.concat([Buffer.from('!'), content]))
    await until(() => same(pair, 'big.bin'), [pair.a, pair.b])
    await converged([pair.a, pair.b])
    expect(seen.whole).toBe(0)
    expect(seen.partBytes).toBeLessThanOrEqual(2 * 65_536)
  })

  test('is fetched whole when the list was forged, and is right', async () => {
    await using pair = await pairWith(random.bytes(9 * mebibyte))
    const old = await readFile(join(pair.a.root, 'big.bin'))
    const seen = watchFetches(pair.b)
    // A right form and wrong hashes: that of the old content under the name of the new one
    pair.b.exchange.fetchList = () => {
      const list = createBlockListBuilder(old.byteLength)
      list?.update(old)
      return Promise.resolve(list?.finish() ?? new Uint8Array())
    }
    const changed = Buffer.from(old)
    changed.fill(7, 1_000_000, 1_100_000)
    await replaceAtOnce(pair.a, 'big.bin', changed)
    await until(() => same(pair, 'big.bin'), [pair.a, pair.b])
    await converged([pair.a, pair.b])
    expect(seen.whole).toBe(1)
  })

  test('that changes all the time arrives as it is at the end', async () => {
    await using pair = await pairWith(random.bytes(9 * mebibyte))
    const path = join(pair.a.root, 'big.bin')
    const states = Array.from({ length: 6 }, (_, state) => Buffer.alloc(9 * mebibyte, state + 1))
    for (const state of states) {
      const file = await open(path, 'r+')
      for (let at = 0; at < state.byteLength; at += mebibyte) await file.write(state, at, mebibyte, at)
      await file.close()
    }
    await until(() => same(pair, 'big.bin'), [pair.a, pair.b])
    await converged([pair.a, pair.b])
    expect(states.at(-1)?.equals(await readFile(join(pair.b.root, 'big.bin')))).toBe(true)
  })

  test('copied in the folder is copied on the other side as well: nothing is fetched', async () => {
    await using pair = await pairWith(random.bytes(9 * mebibyte))
    const seen = watchFetches(pair.b)
    await copyFile(join(pair.a.root, 'big.bin'), `${pair.a.root}-copy`)
    await rename(`${pair.a.root}-copy`, join(pair.a.root, 'copy.bin'))
    await converged([pair.a, pair.b])
    expect(await same(pair, 'copy.bin')).toBe(true)
    expect(seen).toEqual({ partBytes: 0, whole: 0, lists: 0 })
  })
})
