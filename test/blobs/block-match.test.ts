import { describe, expect, test } from 'vitest'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import {
  blockBytesFor,
  blockListBytes,
  createBlockListBuilder,
  decodeBlockList,
} from '../../src/blobs/block-list.ts'
import { matchBlocks } from '../../src/blobs/block-match.ts'
import { limits } from '../../src/base/limits.ts'

const random = createSeededRandom(11)
const blockBytes = 64 * 1024

function listOf(content: Uint8Array): Uint8Array {
  const builder = createBlockListBuilder(content.byteLength)
  if (builder === undefined) throw new Error('too long')
  builder.update(content)
  return builder.finish()
}

/** Puts `wanted` together from `old` and, where that lacks something, from itself. */
function rebuild(
  old: Uint8Array,
  wanted: Uint8Array,
): { content: Uint8Array; fetchedBytes: number; viewedBytes: number } {
  const content = new Uint8Array(wanted.byteLength)
  let viewedBytes = 0
  const missing = matchBlocks(
    decodeBlockList(listOf(wanted), wanted.byteLength),
    {
      sizeBytes: old.byteLength,
      view(position, lengthBytes) {
        viewedBytes += lengthBytes
        return position + lengthBytes > old.byteLength
          ? undefined
          : old.subarray(position, position + lengthBytes)
      },
    },
    (position, bytes) => content.set(bytes, position),
  )
  let fetchedBytes = 0
  let last = -1
  for (const { offset, length } of missing) {
    expect(offset).toBeGreaterThan(last)
    last = offset + length
    fetchedBytes += length
    content.set(wanted.subarray(offset, offset + length), offset)
  }
  return { content, fetchedBytes, viewedBytes }
}

const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))

describe('matching blocks', () => {
  const old = random.bytes(40 * blockBytes + 1234)

  const cases: readonly (readonly [string, Uint8Array, number])[] = [
    ['the same content needs nothing', old, 0],
    [
      'an overwrite inside one block needs that block',
      join(old.subarray(0, 700_000), random.bytes(4096), old.subarray(704_096)),
      1,
    ],
    [
      'an overwrite across a border needs both',
      join(old.subarray(0, 5 * blockBytes - 100), random.bytes(200), old.subarray(5 * blockBytes + 100)),
      2,
    ],
    ['one byte in front needs the first block', join(Uint8Array.of(33), old), 1],
    [
      'a byte in the middle needs one block',
      join(old.subarray(0, 1_000_000), Uint8Array.of(1), old.subarray(1_000_000)),
      1,
    ],
    ['a part cut out needs the block of the cut', join(old.subarray(0, 500_000), old.subarray(900_000)), 1],
    [
      '300 kB put in need those and the border',
      join(old.subarray(0, 500_000), random.bytes(300_000), old.subarray(500_000)),
      6,
    ],
    ['something behind needs the last block', join(old, random.bytes(10)), 1],
    ['cut short needs the last block', old.subarray(0, 20 * blockBytes + 10), 1],
    ['two parts exchanged need the borders', join(old.subarray(1_500_000), old.subarray(0, 1_500_000)), 3],
  ]
  for (const [title, wanted, blocks] of cases) {
    test(title, () => {
      const { content, fetchedBytes } = rebuild(old, wanted)
      expect(Buffer.from(content).equals(wanted)).toBe(true)
      expect(Math.ceil(fetchedBytes / blockBytes)).toBeLessThanOrEqual(blocks)
    })
  }

  test('random edits: always right, and never much more than what changed', () => {
    for (let round = 0; round < 60; round++) {
      let wanted: Uint8Array = old
      const edits = 1 + randomBelow(random, 4)
      for (let edit = 0; edit < edits; edit++) {
        const at = randomBelow(random, wanted.byteLength)
        const removed = randomBelow(random, 2) * randomBelow(random, 100_000)
        const put = random.bytes(randomBelow(random, 50_000))
        wanted = join(wanted.subarray(0, at), put, wanted.subarray(Math.min(wanted.byteLength, at + removed)))
      }
      const { content, fetchedBytes } = rebuild(old, wanted)
      expect(Buffer.from(content).equals(wanted)).toBe(true)
      expect(fetchedBytes).toBeLessThanOrEqual(edits * 5 * blockBytes)
    }
  })

  test('zeros and repetitions cost neither the result nor endless searching', () => {
    const pattern = new Uint8Array(30 * blockBytes)
    for (let at = 0; at < pattern.byteLength; at++) pattern[at] = at % 13
    const zeros = new Uint8Array(30 * blockBytes)
    for (const [from, to] of [
      [zeros, pattern],
      [pattern, join(Uint8Array.of(1), pattern)],
      [join(zeros, old), join(old, zeros)],
      [zeros, join(zeros, Uint8Array.of(1))],
    ] as const) {
      const { content, viewedBytes } = rebuild(from, to)
      expect(Buffer.from(content).equals(to)).toBe(true)
      expect(viewedBytes).toBeLessThan(2_000 * blockBytes)
    }
  })
})

describe('block lists', () => {
  test('golden bytes', () => {
    expect(Buffer.from(listOf(new TextEncoder().encode('skein'))).toString('hex')).toMatchInlineSnapshot(
      `"53424c31000100000000000000000005736b65696e000000c0f74d15ce1949c15c723d80b58fb689"`,
    )
  })

  test('stay small: blocks double with the content, and what is too long has none', () => {
    expect(blockBytesFor(2 ** 30)).toBe(blockBytes)
    expect(blockBytesFor(2 ** 31 + 1)).toBe(2 * blockBytes)
    expect(blockBytesFor(2 ** 35)).toBe(limits.blobRangeBytes)
    expect(blockBytesFor(2 ** 35 + 1)).toBeUndefined()
    expect(blockBytesFor(2 ** 53 - 1)).toBeUndefined()
    expect(blockListBytes(2 ** 35, limits.blobRangeBytes)).toBeLessThan(2 ** 20)
  })

  test('forged ones are refused: another size, another block length, 2^53, cut, longer', () => {
    const content = random.bytes(5 * blockBytes + 7)
    const good = listOf(content)
    const size = content.byteLength
    expect(decodeBlockList(good, size).count).toBe(6)
    const forge = (change: (view: DataView) => void): Uint8Array => {
      const copy = good.slice()
      change(new DataView(copy.buffer))
      return copy
    }
    const forged = [
      forge((view) => view.setUint32(0, 0)),
      forge((view) => view.setUint32(4, 1)),
      forge((view) => view.setUint32(4, 0xffff_ffff)),
      forge((view) => view.setBigUint64(8, 2n ** 53n)),
      forge((view) => view.setBigUint64(8, 2n ** 64n - 1n)),
      good.subarray(0, good.byteLength - 1),
      join(good, new Uint8Array(24)),
      new Uint8Array(),
    ]
    for (const bytes of forged) expect(() => decodeBlockList(bytes, size)).toThrowError(/block list refused/)
    expect(() => decodeBlockList(good, size + 1)).toThrowError(/block list refused/)
  })
})
