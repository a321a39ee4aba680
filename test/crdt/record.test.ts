/** The record line: golden vectors, round trips, hostile text. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSeededRandom } from '../../src/base/random.ts'
import { newDeviceId } from '../../src/base/ids.ts'
import {
  newNodeIds,
  shardOf,
  splitNodeId,
  writerOf,
  type NodeId,
  type Writer,
} from '../../src/crdt/node-id.ts'
import { formatRecord, kindLetter, parseRecord, type TreeRecord } from '../../src/crdt/record.ts'
import { fakeHash } from './rig.ts'

// because: both are in the right form
const id = 'Abcdefghijklmnop' as NodeId
const parent = 'AAAAAAAAAAAAAAAA' as NodeId
const writer = '0123abcd456xyz' as Writer

const golden: readonly (readonly [string, string])[] = [
  ['a new file', `1f${id}${parent}|${writer}|1c|||${fakeHash('x')}|a|179be25cb5c0000|bo|||a.txt`],
  ['a directory', `1d${id}${parent}|${writer}|1|||||||||docs`],
  [
    'a moved and edited link',
    `1l${id}${parent}|${writer}|2s|a@zzzzzzzzzzzzzz|${writer}:2s,zzzzzzzzzzzzzz:a||||||../x%7Cy%25|li%25nk`,
  ],
  ['a tombstone', `1t${id}${parent}|${writer}|5|1@${writer}|${writer}:5,zzzzzzzzzzzzzz:3|||||||docs`],
  [
    'a file with fields of a later version',
    `1f${id}${parent}|${writer}|1c|||${fakeHash('x')}|0||||${''}|a|later|more`,
  ],
  ['a kind of a later version', `1q${id}${parent}|${writer}|1c|||||||||strange`],
]

describe('a record', () => {
  test.each(golden)('of %s is read and written back byte for byte', (_what, text) => {
    const parsed = parseRecord(text)
    if (!parsed.ok) throw new Error(parsed.reason)
    expect(formatRecord(parsed.record)).toBe(text)
  })

  test('keeps names with bars, per cents and line ends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), (raw) => {
        const name = raw.normalize('NFC').replaceAll(/[/\0]/g, '|')
        fc.pre(name !== '.' && name !== '..' && name.isWellFormed() && Buffer.byteLength(name) <= 255)
        const record: TreeRecord = {
          kind: 'dir',
          kindLetter: kindLetter('dir'),
          id,
          parent,
          name,
          writer,
          lamport: 7,
          place: { lamport: 3, writer },
          versions: new Map([[writer, 5]]),
          extension: '',
        }
        const parsed = parseRecord(formatRecord(record))
        expect(parsed).toMatchObject({ ok: true, record: { name, place: { lamport: 3 } } })
      }),
    )
  })

  const [, file = ''] = golden[0] ?? []
  const bad: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['another version', `2${file.slice(1)}`],
    ['too few fields', file.slice(0, 60)],
    ['itself as parent', `1f${id}${id}${file.slice(34)}`],
    ['the id of the top', `1f${parent}${id}${file.slice(34)}`],
    ['a name that climbs', file.replace('a.txt', '..')],
    ['a slash in the name', file.replace('a.txt', 'a/b')],
    ['a NUL in the name', file.replace('a.txt', 'a\0b')],
    ['half a character', file.replace('a.txt', '\ud800')],
    ['a decomposed name', file.replace('a.txt', 'e\u0301')],
    ['a long name', file.replace('a.txt', 'é'.repeat(128))],
    ['a bad escape', file.replace('a.txt', 'a%41')],
    ['a file without hash', file.replace(fakeHash('x'), '')],
    ['a number with leading zeros', file.replace('|1c|', '|01c|')],
    ['a Lamport time out of bounds', file.replace('|1c|', '|zzzzzzzzzzz|')],
    ['versions newer than the record', file.replace('|1c|||', `|1c||${writer}:2c|`)],
    ['versions that say nothing', file.replace('|1c|||', `|1c||${writer}:1c|`)],
    ['a place that says nothing', file.replace('|1c|||', `|1c|1c@${writer}||`)],
    ['more than 4 KiB', `${file}|${'x'.repeat(5000)}`],
  ]
  test.each(bad)('with %s is refused with a reason', (_what, text) => {
    const parsed = parseRecord(text)
    expect(parsed.ok).toBe(false)
    expect(!parsed.ok && parsed.reason.length > 2).toBe(true)
  })

  test('is never thrown at the reader, whatever is changed in it', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.string({ unit: 'binary', maxLength: 5 }), fc.nat(3), (at, put, cut) => {
        const text = file.slice(0, at) + put + file.slice(at + cut)
        const parsed = parseRecord(text)
        // What is accepted has one form: else two devices could disagree about the same line
        if (parsed.ok) expect(formatRecord(parsed.record)).toBe(text)
      }),
      { numRuns: 5000 },
    )
  })
})

test('ids of a shard say their shard, and splits give the same id everywhere', () => {
  const random = createSeededRandom(3)
  for (let shard = 0; shard < 256; shard++) {
    for (const one of newNodeIds(random, shard, 4)) expect(shardOf(one)).toBe(shard)
  }
  expect(splitNodeId(id, writer, 7)).toBe(splitNodeId(id, writer, 7))
  expect(splitNodeId(id, writer, 7)).not.toBe(splitNodeId(id, writer, 8))
  expect(writerOf(newDeviceId(random), 'abc123')).toMatch(/^[0-9a-z]{14}$/)
})
