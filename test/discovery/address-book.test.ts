import { describe, expect, test } from 'vitest'
import { encode } from '../../src/base/codec.ts'
import { createMemoryKeep, type Keep } from '../../src/base/keep.ts'
import { limits } from '../../src/base/limits.ts'
import { createAddressBook } from '../../src/discovery/address-book.ts'
import { pass, peerIdOf, settle, virtualEnv } from './peers.ts'

const one = '/ip4/10.0.0.1/tcp/1'
const two = '/ip4/10.0.0.2/tcp/1'
const everyone = (): boolean => true

/** A keep that counts its writes, and fails them while told to. */
function countingKeep(): Keep & { writes: number; isBroken: boolean } {
  const inner = createMemoryKeep()
  return {
    ...inner,
    writes: 0,
    isBroken: false,
    write(name, value) {
      this.writes++
      return this.isBroken ? Promise.reject(new Error('disk full')) : inner.write(name, value)
    },
  }
}

describe('address book', () => {
  test('what worked or was given is there after a restart, in the same order; hints are not', async () => {
    const env = virtualEnv()
    const keep = createMemoryKeep()
    {
      await using book = await createAddressBook(env, keep, everyone)
      book.named(peerIdOf(1), [one, two], 'beacon')
      book.tried(peerIdOf(1), two, 'worked')
      book.named(peerIdOf(2), [one], 'typed')
      book.named(peerIdOf(3), [one], 'beacon')
    }
    await using book = await createAddressBook(env, keep, everyone)
    expect(book.addressesOf(peerIdOf(1))).toEqual([two])
    expect(book.addressesOf(peerIdOf(2))).toEqual([one])
    expect(book.addressesOf(peerIdOf(3))).toEqual([])
    // Counting goes on: a success now is newer than the one before the restart
    book.tried(peerIdOf(1), one, 'worked')
    expect(book.addressesOf(peerIdOf(1))[0]).toBe(one)
  })

  test('writes once for a burst of successes, and never for hints', async () => {
    const env = virtualEnv()
    const keep = countingKeep()
    const book = await createAddressBook(env, keep, everyone)
    for (let index = 0; index < 1_000; index++)
      book.named(peerIdOf(1), [`/ip4/10.0.1.${index % 250}/tcp/1`], 'beacon')
    await pass(env.clock, 10_000)
    expect(keep.writes).toBe(0)
    for (let index = 0; index < 100; index++) book.tried(peerIdOf(1), one, 'worked')
    await pass(env.clock, limits.addressSaveMs)
    expect(keep.writes).toBe(1)
    await book[Symbol.asyncDispose]()
    expect(keep.writes).toBe(1)
    expect(env.clock.nextDueMs()).toBeUndefined()
  })

  test('a failed write loses nothing that a later one writes', async () => {
    const env = virtualEnv()
    const keep = countingKeep()
    const book = await createAddressBook(env, keep, everyone)
    keep.isBroken = true
    book.tried(peerIdOf(1), one, 'worked')
    await pass(env.clock, limits.addressSaveMs)
    keep.isBroken = false
    book.tried(peerIdOf(2), two, 'worked')
    await pass(env.clock, limits.addressSaveMs)
    const again = await createAddressBook(env, keep, everyone)
    expect([again.addressesOf(peerIdOf(1)), again.addressesOf(peerIdOf(2))]).toEqual([[one], [two]])
  })

  test('starts empty when what is kept cannot be read', async () => {
    const env = virtualEnv()
    const peers = [{ peerId: 'nobody', endpoints: [] }]
    for (const value of [
      new Uint8Array([1, 2, 3]),
      encode({ version: 2, peers: [] }),
      encode({ version: 1, peers }),
    ]) {
      const keep = createMemoryKeep()
      await keep.write('addresses', value)
      const book = await createAddressBook(env, keep, everyone)
      expect(book.peerCount).toBe(0)
      book.tried(peerIdOf(1), one, 'worked')
      expect(book.addressesOf(peerIdOf(1))).toEqual([one])
    }
    const broken: Keep = { ...createMemoryKeep(), read: () => Promise.reject(new Error('unreadable')) }
    expect((await createAddressBook(env, broken, everyone)).peerCount).toBe(0)
  })

  test('an entry with an address in no known form is left out on reading', async () => {
    const keep = createMemoryKeep()
    const entry = { source: 'typed', workedAt: 1, failedAt: 0, namedAt: 1 }
    const endpoints = [
      { ...entry, addresses: ['rubbish'] },
      { ...entry, addresses: [one] },
      { ...entry, addresses: [] },
    ]
    await keep.write('addresses', encode({ version: 1, peers: [{ peerId: peerIdOf(1), endpoints }] }))
    const book = await createAddressBook(virtualEnv(), keep, everyone)
    expect(book.addressesOf(peerIdOf(1))).toEqual([one])
  })

  test('holds boundedly many peers: strangers go first, members with proven addresses last', async () => {
    const env = virtualEnv()
    const isMember = (peerId: string): boolean => peerId === peerIdOf(1) || peerId === peerIdOf(2)
    const book = await createAddressBook(env, createMemoryKeep(), isMember)
    book.tried(peerIdOf(1), one, 'worked')
    book.named(peerIdOf(2), [two], 'beacon')
    for (let index = 0; index < 1_000; index++) book.tried(peerIdOf(100 + index), one, 'worked')
    expect(book.peerCount).toBe(limits.devices)
    expect(book.addressesOf(peerIdOf(1))).toEqual([one])
    expect(book.addressesOf(peerIdOf(2))).toEqual([two])
    await settle()
  })

  test('a goodbye forgets hints only, and a peer of whom nothing is left', async () => {
    const book = await createAddressBook(virtualEnv(), createMemoryKeep(), everyone)
    book.named(peerIdOf(1), [one], 'beacon')
    book.named(peerIdOf(2), [one], 'beacon')
    book.tried(peerIdOf(2), one, 'worked')
    for (const peer of [1, 2]) book.left(peerIdOf(peer))
    expect(book.peerCount).toBe(1)
    expect(book.addressesOf(peerIdOf(2))).toEqual([one])
  })
})
