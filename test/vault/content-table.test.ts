/** The packed table of contents against a plain Map, over random changes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BlobHash, hashOf } from '../../src/blobs/hash.ts'
import { type ContentPlace, ContentTable, type Piece } from '../../src/vault/content-table.ts'

const hashes: readonly BlobHash[] = Array.from({ length: 200 }, (_, index) => hashOf(Uint8Array.of(index)))
const piece: fc.Arbitrary<Piece> = fc.record({
  from: fc.oneof(fc.constantFrom('block a', 'block b', 'block c'), fc.nat(5)),
  offset: fc.nat(2 ** 32 - 1),
  length: fc.nat(2 ** 32 - 1),
})
const whole = piece.map((only): ContentPlace => ({ sizeBytes: only.length, isDone: true, pieces: [only] }))
const other: fc.Arbitrary<ContentPlace> = fc.record({
  sizeBytes: fc.maxSafeNat(),
  isDone: fc.boolean(),
  pieces: fc.array(piece, { maxLength: 3 }),
})
const change = fc.record({
  hash: fc.constantFrom(...hashes),
  // Undefined deletes
  place: fc.option(fc.oneof({ weight: 3, arbitrary: whole }, other), { nil: undefined }),
})

test('holds what a Map would hold, in its order, whatever is set and deleted', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 400 }), (changes) => {
      const table = new ContentTable()
      const model = new Map<BlobHash, ContentPlace>()
      for (const { hash, place } of changes) {
        if (place === undefined) {
          expect(table.delete(hash)).toBe(model.delete(hash))
          continue
        }
        // A new one stands last, also where there was one
        model.delete(hash)
        model.set(hash, place)
        table.set(hash, place)
      }
      expect([...table]).toEqual([...model])
      expect([...table.keys()]).toEqual([...model.keys()])
      expect(table.size).toBe(model.size)
      for (const hash of hashes) {
        expect(table.get(hash)).toEqual(model.get(hash))
        expect(table.has(hash)).toBe(model.has(hash))
      }
    }),
    { numRuns: 200, examples: [[hashes.map((hash, at) => ({ hash, place: rowAt(at) }))]] },
  )
})

/** More rows than a table starts with. */
const rowAt = (at: number): ContentPlace => ({
  sizeBytes: at,
  isDone: true,
  pieces: [{ from: at % 7, offset: at * 10, length: at }],
})
