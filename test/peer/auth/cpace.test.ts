import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hasCode } from '../../../src/base/errors.ts'
import { createSeededRandom } from '../../../src/base/random.ts'
import type { CpaceInput } from '../../../src/peer/auth/cpace.ts'
import {
  generatorString,
  isSameBytes,
  multiplyVerified,
  scalarOf,
  startCpace,
} from '../../../src/peer/auth/cpace.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'))
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
const utf8 = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value))

describe('test vectors of draft-irtf-cfrg-cpace-21, B.3', () => {
  const input: CpaceInput = {
    password: utf8('Password'),
    channel: bytes('0b415f696e69746961746f720b425f726573706f6e646572'),
    session: bytes('7e4b4791d6a8ef019b936c79fb7f2c57'),
  }
  const ya = bytes('da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4f f0976d08')
  const yb = bytes('d2316b454718c35362d83d69df6320f38578ed5984651435e2949762 d900b80d')
  const shareA = 'd6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157'
  const shareB = '3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258'

  test('the generator string and its hash', () => {
    const value = generatorString(input)
    expect(value.byteLength).toBe(170)
    expect(createHash('sha512').update(value).digest('hex')).toBe(
      'da6d3ddc8802fca9058755ffd3ebde08a9c2c74945901a258482a288b6663af06bf645c93cd1c51512307199c80e84908916d983b34af77205f90851a657ee27',
    )
  })

  test('both shares, and the key of both sides', () => {
    const a = startCpace(input, ya)
    const b = startCpace(input, yb)
    expect(hex(a.share)).toBe(shareA)
    expect(hex(b.share)).toBe(shareB)
    const sideA = { share: a.share, associated: utf8('ADa') }
    const sideB = { share: b.share, associated: utf8('ADb') }
    const key =
      'b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447'
    expect(hex(a.finish(sideA, sideB, b.share))).toBe(key)
    expect(hex(b.finish(sideA, sideB, a.share))).toBe(key)
  })

  test('the shared point, a valid multiplication and the invalid inputs', () => {
    expect(hex(multiplyVerified(scalarOf(ya), bytes(shareB)))).toBe(
      '80b69a8a76457ab6a4d7f887a4bf6b55a2f80ac19c333f917a05fc9887c8b40f',
    )
    const scalar = scalarOf(bytes('7cd0e075fa7955ba52c02759a6c90dbbfc10e6d40aea8d283e407d88 cf538a05'))
    const valid = bytes('2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d6 54b4a51c')
    expect(hex(multiplyVerified(scalar, valid))).toBe(
      '7c13645fe790a468f62c39beb7388e541d8405d1ade69d1778c5fe3e7f6b600e',
    )
    const invalid = [
      bytes('2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d6 54b4a51c'),
      new Uint8Array(32),
      new Uint8Array(31),
    ]
    for (const share of invalid) {
      expect(() => multiplyVerified(scalar, share)).toThrow(expect.objectContaining({ code: 'auth.invalid' }))
    }
  })
})

const run = (left: CpaceInput, right: CpaceInput, seed: number): readonly [Uint8Array, Uint8Array] => {
  const random = createSeededRandom(seed)
  const a = startCpace(left, random.bytes(32))
  const b = startCpace(right, random.bytes(32))
  const sideA = { share: a.share, associated: utf8('a') }
  const sideB = { share: b.share, associated: utf8('b') }
  return [a.finish(sideA, sideB, b.share), b.finish(sideA, sideB, a.share)]
}

test('a wrong code, another channel or another session gives another key', () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom('password', 'channel', 'session'), (seed, field) => {
      const input = { password: utf8('ab12cd'), channel: utf8('one|other'), session: utf8('session!') }
      const [key, same] = run(input, input, seed)
      expect(isSameBytes(key, same)).toBe(true)
      const [mine, theirs] = run(input, { ...input, [field]: utf8(`wrong ${seed}`) }, seed)
      expect(isSameBytes(mine, theirs)).toBe(false)
    }),
    { numRuns: 20 },
  )
})

test('no bytes sent as a share do more than fail in one way', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (share) => {
      try {
        multiplyVerified(scalarOf(createSeededRandom(1).bytes(32)), share)
      } catch (error) {
        expect(hasCode(error, 'auth.invalid')).toBe(true)
      }
    }),
    { numRuns: 200 },
  )
})
