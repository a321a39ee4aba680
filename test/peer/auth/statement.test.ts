import fc from 'fast-check'
import { decode as decodeCbor, encode as encodeCbor } from 'cborg'
import { describe, expect, test } from 'vitest'
import { encodeCanonical } from '../../../src/base/codec.ts'
import { hasCode } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import { createSeededRandom } from '../../../src/base/random.ts'
import {
  createDeviceKey,
  deviceIdOf,
  importPublicKey,
  peerIdOf,
  publicKeyOf,
  verifySignature,
} from '../../../src/peer/auth/device-key.ts'
import { isDeviceName } from '../../../src/peer/auth/device-name.ts'
import { decodeStatement } from '../../../src/peer/auth/statement.ts'
import { actor, createWorld, keyFrom } from './roster-world.ts'

const [a, b] = [actor(1), actor(2)]
const world = createWorld(a, keyFrom(30))
const addB = world.add(a, b, [world.found])
const samples = [
  world.found,
  addB,
  world.remove(a, b, [addB]),
  world.rotate(b, keyFrom(20), [addB]),
  world.grant(a, b, [addB], 'guest'),
  world.rename(a, b, [addB], 'name'),
  world.recover(keyFrom(30), actor(3), [addB], [a, b]),
  world.witness(a, [addB]),
]

const refused = (wire: Uint8Array): string => {
  try {
    decodeStatement(wire)
    return 'accepted'
  } catch (error) {
    if (hasCode(error, 'auth.invalid', 'codec.invalid', 'codec.version', 'limit.exceeded')) return error.code
    throw error
  }
}

/** The payload taken apart, changed and signed again by whoever `key` is. */
function resigned(
  wire: Uint8Array,
  change: (payload: Record<string, unknown>) => void,
  key = a.key,
): Uint8Array {
  const parts = decodeCbor(wire) as readonly Uint8Array[] // because: made by us
  const payload = decodeCbor(parts[0] as Uint8Array) as Record<string, unknown> // because: as above
  change(payload)
  const bytes = encodeCanonical(payload)
  return encodeCanonical([bytes, key.sign('statement', bytes)])
}

describe('statements from outside', () => {
  test('what was said is read back, and its bytes are kept', () => {
    for (const statement of samples) expect(decodeStatement(statement.bytes)).toEqual(statement)
  })

  test('golden: the founding statement of fixed keys has this hash and these first bytes', () => {
    expect(Buffer.from(world.found.bytes.subarray(0, 24)).toString('hex')).toBe(
      '8258f0a8617601636b65795820bff51e1604f7e5aef3d29d',
    )
    expect(world.found.hash).toBe('cc4186bae1515ccb7a5081456a3435677485227e34e932c2032a12d4450d7367')
    expect(addB.hash).toBe('363f8a796f68f4370a531e8d3caa47a342e6599dc18775af8b01bd6ca78fa1e1')
  })

  test('with any bit changed they are refused', () => {
    fc.assert(
      fc.property(fc.constantFrom(...samples), fc.nat(), (statement, where) => {
        const wire = Uint8Array.from(statement.bytes)
        const bit = where % (wire.byteLength * 8)
        wire[bit >> 3] = (wire[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(refused(wire)).not.toBe('accepted')
      }),
      { numRuns: 2000 },
    )
  })

  test('cut short, with more after the end, or of random bytes they are refused', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (statement, at, more) => {
          expect(refused(statement.bytes.subarray(0, at % statement.bytes.byteLength))).not.toBe('accepted')
          expect(refused(Buffer.concat([statement.bytes, more]))).not.toBe('accepted')
          expect(refused(more)).not.toBe('accepted')
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('lengths of 2^53 and 2^64 - 1, deep nesting and long ones are refused without being believed', () => {
    for (const head of [0x5b, 0x7b, 0x9b, 0xbb]) {
      for (const length of [2n ** 53n, 2n ** 64n - 1n, 2n ** 32n]) {
        const wire = Buffer.alloc(9)
        wire[0] = head
        wire.writeBigUInt64BE(length, 1)
        expect(refused(wire)).toBe('codec.invalid')
        expect(refused(Buffer.concat([Uint8Array.of(0x82), wire, wire]))).toBe('codec.invalid')
      }
    }
    expect(refused(new Uint8Array(limits.rosterStatementBytes).fill(0x81))).toBe('codec.invalid')
    expect(refused(new Uint8Array(limits.rosterStatementBytes + 1))).toBe('limit.exceeded')
  })

  test('one in another byte form than the canonical one is refused', () => {
    const parts = decodeCbor(addB.bytes) as readonly Uint8Array[] // because: made by us
    const [payload = new Uint8Array(), signature = new Uint8Array()] = parts
    const indefinite = Buffer.concat([
      Uint8Array.of(0x9f),
      encodeCbor(payload),
      encodeCbor(signature),
      Uint8Array.of(0xff),
    ])
    expect(refused(indefinite)).toBe('codec.invalid')
  })

  test('a signature for another purpose or by another key does not count', () => {
    const parts = decodeCbor(addB.bytes) as readonly Uint8Array[] // because: made by us
    const payload = parts[0] as Uint8Array // because: as above
    expect(refused(encodeCanonical([payload, a.key.sign('audit-head', payload)]))).toBe('auth.invalid')
    expect(refused(encodeCanonical([payload, b.key.sign('statement', payload)]))).toBe('auth.invalid')
    expect(refused(encodeCanonical([payload, parts[1], parts[1]]))).toBe('auth.invalid')
    expect(refused(encodeCanonical([payload]))).toBe('codec.invalid')
  })

  test('versions, kinds, parents and clocks that cannot be are refused, unknown fields are not', () => {
    const reads = (change: (payload: Record<string, unknown>) => void): string =>
      refused(resigned(addB.bytes, change))
    expect(reads((payload) => (payload['extra'] = 1))).toBe('accepted')
    expect(reads((payload) => (payload['v'] = 2))).toBe('codec.version')
    expect(reads((payload) => (payload['kind'] = '__proto__'))).toBe('codec.invalid')
    expect(reads((payload) => (payload['parents'] = []))).toBe('codec.invalid')
    expect(reads((payload) => (payload['clock'] = 0))).toBe('codec.invalid')
    expect(reads((payload) => (payload['clock'] = 2 ** 53))).toBe('codec.invalid')
    expect(reads((payload) => (payload['mesh'] = new Uint8Array()))).toBe('codec.invalid')
    const twice = [new Uint8Array(32), new Uint8Array(32)]
    expect(reads((payload) => (payload['parents'] = twice))).toBe('codec.invalid')
    const many = Array.from({ length: limits.rosterParents + 1 }, (_, index) =>
      new Uint8Array(32).fill(index),
    )
    expect(reads((payload) => (payload['parents'] = many))).toBe('codec.invalid')
    const name = (value: string) =>
      reads((payload) => Object.assign(payload['body'] as object, { name: value })) // because: a map
    expect(name('fine')).toBe('accepted')
    for (const value of ['', ' x', 'a\nb', 'a\u202eb', 'a\u0000', '\u001b[31m', 'x'.repeat(65), 'e\u0301']) {
      expect(name(value)).toBe('codec.invalid')
    }
  })

  test('a rotation that the new key did not sign is refused', () => {
    const rotate = world.rotate(b, keyFrom(20), [addB])
    const parts = decodeCbor(rotate.bytes) as readonly Uint8Array[] // because: made by us
    const [payload = new Uint8Array(), signature] = parts
    expect(refused(encodeCanonical([payload, signature]))).toBe('auth.invalid')
    expect(refused(encodeCanonical([payload, signature, keyFrom(21).sign('rotation', payload)]))).toBe(
      'auth.invalid',
    )
    expect(refused(encodeCanonical([payload, signature, keyFrom(20).sign('statement', payload)]))).toBe(
      'auth.invalid',
    )
  })

  test('a founder or a recovered device is who its key says', () => {
    expect(refused(resigned(world.found.bytes, (payload) => (payload['author'] = b.id)))).toBe('auth.invalid')
    expect(refused(resigned(world.found.bytes, () => undefined, b.key))).toBe('auth.invalid')
  })
})

describe('keys', () => {
  test('PeerId text and raw key are each other`s image; golden values hold', () => {
    const key = createDeviceKey(new Uint8Array(32))
    // RFC 8032: the public key of the all-zero seed
    expect(Buffer.from(key.publicKey).toString('hex')).toBe(
      '3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29',
    )
    expect(key.peerId).toBe('12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN')
    expect(publicKeyOf(key.peerId)).toEqual(key.publicKey)
    expect(peerIdOf(publicKeyOf(key.peerId))).toBe(key.peerId)
    expect(deviceIdOf(key.publicKey)).toMatch(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/)
  })

  test('keys of small order and bytes that are no point are not taken', () => {
    const weak = [
      '00'.repeat(32),
      `01${'00'.repeat(31)}`,
      `ec${'ff'.repeat(30)}7f`,
      'ff'.repeat(32),
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    ]
    for (const text of weak)
      expect(importPublicKey(Uint8Array.from(Buffer.from(text, 'hex')))).toBeUndefined()
  })

  test('a signature is for its purpose, its message and its key', () => {
    const key = createDeviceKey(createSeededRandom(5).bytes(32))
    const message = Uint8Array.of(1, 2, 3)
    const signature = key.sign('update', message)
    expect(verifySignature(key.publicKey, 'update', message, signature)).toBe(true)
    expect(verifySignature(key.publicKey, 'envelope', message, signature)).toBe(false)
    expect(verifySignature(key.publicKey, 'update', Uint8Array.of(1, 2), signature)).toBe(false)
    expect(verifySignature(b.key.publicKey, 'update', message, signature)).toBe(false)
    expect(verifySignature(key.publicKey, 'update', message, signature.subarray(1))).toBe(false)
  })

  test('names take what people write and nothing hidden', () => {
    for (const name of ['laptop', 'Ännas Büro', '事務所', 'a b']) expect(isDeviceName(name)).toBe(true)
    for (const name of ['', '\u200b', 'a\u2066b', '\ud800', 'x'.repeat(65)])
      expect(isDeviceName(name)).toBe(false)
  })
})
