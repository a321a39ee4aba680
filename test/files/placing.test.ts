/** Notes of files that get their names before they are durable (files/placing.ts). */
import { describe, expect, test } from 'vitest'
import { hashOf } from '../../src/blobs/hash.ts'
import type { Intent, Intents } from '../../src/crdt/intents.ts'
import type { FileStat } from '../../src/files/filesystem.ts'
import { createPlacing, type PlacedFile } from '../../src/files/placing.ts'

const second = 1_000_000_000n
const mtimeNs = 5n * second + 500n
const whole = new TextEncoder().encode('all of the bytes')
const file: PlacedFile = { path: 'a/new\nname', size: whole.byteLength, mtimeNs, hash: hashOf(whole) }
const torn = hashOf(whole.subarray(0, 3))
const stat0: FileStat = {
  kind: 'file',
  size: 3,
  mtimeNs,
  ctimeNs: 9n * second,
  dev: 1n,
  ino: 1n,
  mode: 0o644,
  links: 1,
}

function createIntents(): Intents & { readonly all: Map<number, string> } {
  const all = new Map<number, string>()
  const remove = (done: readonly number[]): void => done.forEach((number) => all.delete(number))
  return {
    all,
    add: ({ number, text }: Intent, done) => {
      remove(done)
      all.set(number, text)
      return Promise.resolve()
    },
    remove: (done) => Promise.resolve(remove(done)),
    read: () => Promise.resolve([...all].map(([number, text]) => ({ number, text }))),
  }
}

describe('a note of files about to be placed', () => {
  test('stands until they are durable, and goes with the next one or at the end', async () => {
    const intents = createIntents()
    const placing = createPlacing(intents)
    await placing.note([file])
    expect(placing.isNoted(file.path, file.hash)).toBe(true)
    expect(placing.isNoted(file.path, torn)).toBe(false)
    const first = placing.take()
    expect(placing.isNoted(file.path, file.hash)).toBe(false)
    await placing.note([{ ...file, path: 'b' }])
    expect(intents.all.size).toBe(2)
    placing.settled(first)
    placing.settled(placing.take())
    await placing.note([{ ...file, path: 'c' }])
    expect(intents.all.size).toBe(1)
    placing.settled(placing.take())
    await placing.tidy()
    expect(intents.all.size).toBe(0)
  })

  test('tells after the next start what a power cut left short, and only that', async () => {
    const intents = createIntents()
    const before = createPlacing(intents)
    await before.note([{ ...file, path: 'x', size: 2 }, file])
    // In the run that placed it nothing is torn
    expect(before.isTorn(file.path, stat0, torn)).toBe(false)
    const placing = createPlacing(intents)
    await placing.load()
    expect(placing.isTorn(file.path, stat0, torn)).toBe(true)
    // Bytes that were never written
    expect(placing.isTorn(file.path, { ...stat0, size: file.size }, torn)).toBe(true)
    // It is whole, longer, of another time, or no file
    expect(placing.isTorn(file.path, { ...stat0, size: file.size }, file.hash)).toBe(false)
    expect(placing.isTorn(file.path, { ...stat0, size: file.size + 1 }, torn)).toBe(false)
    expect(placing.isTorn(file.path, { ...stat0, mtimeNs: 7n * second + 1n }, torn)).toBe(false)
    expect(placing.isTorn(file.path, { ...stat0, kind: 'symlink' }, torn)).toBe(false)
    // Moved since: known by its time, unless a write here set both times
    expect(placing.isTorn('b', stat0, torn)).toBe(true)
    expect(placing.isTorn('b', { ...stat0, ctimeNs: mtimeNs + 1_000n }, torn)).toBe(false)
    // A disk with whole seconds: known by its path alone
    const coarse = { ...stat0, mtimeNs: 5n * second, ctimeNs: 5n * second }
    expect(placing.isTorn(file.path, coarse, torn)).toBe(true)
    expect(placing.isTorn('b', coarse, torn)).toBe(false)
    placing.forgetLeft()
    expect(placing.isTorn(file.path, stat0, torn)).toBe(false)
    await placing.tidy()
    expect(intents.all.size).toBe(0)
  })

  test('of another layout counts as none', async () => {
    const intents = createIntents()
    intents.all.set(1, 'what a later version wrote')
    intents.all.set(2, `1\0x\0${file.hash}\0path`)
    const placing = createPlacing(intents)
    await placing.load()
    expect(placing.isTorn(file.path, stat0, torn)).toBe(false)
    // Its number is not used again
    await placing.note([file])
    expect([...intents.all.keys()]).toEqual([1, 2, 3])
  })
})
