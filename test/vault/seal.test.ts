/** Sealing: what comes back is what went in, the same bytes give the same id, and nothing changed goes unnoticed. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasCode } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { formatRecoveryCode, parseRecoveryCode } from '../../src/vault/recovery-code.ts'
import { blockPlainBytes, createSealer, recordBodyBytes } from '../../src/vault/seal.ts'

const key = fc.uint8Array({ minLength: 32, maxLength: 32 })
const fails = (work: () => unknown): boolean => {
  try {
    work()
    return false
  } catch (error) {
    return hasCode(error, 'blob.corrupt')
  }
}

test('a sealed record opens to the same bytes, and its length tells no more than a power of two', () => {
  fc.assert(
    fc.property(key, fc.uint8Array({ maxLength: 5_000 }), (space, body) => {
      const { id, bytes } = createSealer(space).sealRecord(body)
      expect(createSealer(space).openRecord(id, bytes)).toEqual(body)
      expect(Math.log2(bytes.byteLength - 16) % 1).toBe(0)
    }),
  )
})

test('the longest record fits, and one byte more is refused', () => {
  const sealer = createSealer(new Uint8Array(32).fill(7))
  const longest = new Uint8Array(recordBodyBytes).fill(9)
  const { id, bytes } = sealer.sealRecord(longest)
  expect(sealer.openRecord(id, bytes)).toEqual(longest)
  expect(bytes.byteLength).toBeLessThanOrEqual(limits.messageBytes)
  expect(() => sealer.sealRecord(new Uint8Array(recordBodyBytes + 1))).toThrow(/record of/)
})

test('all blocks have one length, and equal contents get equal blocks and ids', () => {
  const sealer = createSealer(new Uint8Array(32).fill(1))
  for (const length of [0, 1, 70_000, blockPlainBytes]) {
    const plain = new Uint8Array(length).fill(length & 0xff)
    const [one, two] = [sealer.sealBlock(plain), sealer.sealBlock(plain.slice())]
    expect(one).toEqual(two)
    expect(one.bytes.byteLength).toBe(limits.vaultBlockBytes)
    expect(sealer.openBlock(one.id, one.bytes).subarray(0, length)).toEqual(plain)
  }
})

test('any single flipped bit, of the bytes or of the id, is noticed', () => {
  const sealer = createSealer(new Uint8Array(32).fill(2))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(), fc.nat(7), (body, where, bit) => {
      const { id, bytes } = sealer.sealRecord(body)
      const all = Uint8Array.from([...id, ...bytes])
      const at = where % all.byteLength
      all[at] = (all[at] ?? 0) ^ (1 << bit)
      expect(fails(() => sealer.openRecord(all.subarray(0, 32), all.subarray(32)))).toBe(true)
    }),
  )
})

test('what was sealed under another key, or as something else, or cut short, does not open', () => {
  const [ours, theirs] = [createSealer(new Uint8Array(32).fill(3)), createSealer(new Uint8Array(32).fill(4))]
  const block = ours.sealBlock(new Uint8Array(100))
  const other = ours.sealBlock(new Uint8Array(101).fill(1))
  expect(ours.vault).not.toBe(theirs.vault)
  expect(theirs.sealBlock(new Uint8Array(100)).id).not.toEqual(block.id)
  expect(fails(() => theirs.openBlock(block.id, block.bytes))).toBe(true)
  expect(fails(() => ours.openBlock(block.id, other.bytes))).toBe(true)
  expect(fails(() => ours.openRecord(block.id, block.bytes))).toBe(true)
  expect(fails(() => ours.openBlock(block.id, block.bytes.subarray(1)))).toBe(true)
  expect(fails(() => ours.openRecord(block.id, new Uint8Array(8)))).toBe(true)
})

test('a recovery code brings the key back however it is typed', () => {
  fc.assert(
    fc.property(key, (space) => {
      const code = formatRecoveryCode(space)
      const sloppy = code.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l')
      expect(code).toMatch(/^SKEIN-SPACE-1(-[0-9A-Z]{4}){14}$/)
      expect(parseRecoveryCode(code)).toEqual(space)
      expect(parseRecoveryCode(`  ${sloppy.replace('skein space l', 'skein space 1')}\n`)).toEqual(space)
    }),
  )
})

test('a recovery code with one character wrong, missing or added is refused, without repeating it', () => {
  const code = formatRecoveryCode(new Uint8Array(32).fill(5))
  let refused = 0
  for (let at = 'SKEIN-SPACE-1-'.length; at < code.length; at++) {
    if (code[at] === '-') continue
    const wrong = code.slice(0, at) + (code[at] === 'A' ? 'B' : 'A') + code.slice(at + 1)
    try {
      parseRecoveryCode(wrong)
    } catch (error) {
      expect(String(error)).not.toContain(code.slice(20, 30))
      refused++
    }
  }
  expect(refused).toBe(56)
  for (const wrong of [code.slice(0, -1), `${code}A`, code.slice(6), '', 'SKEIN-SPACE-1'])
    expect(() => parseRecoveryCode(wrong)).toThrow(/not a recovery code/)
})
