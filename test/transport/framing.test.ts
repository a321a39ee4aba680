/** Framing and yamux frames against hostile and broken input: bounded memory, one clear error, no lost byte. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { createFramer } from '../../src/transport/framing.ts'
import { createOutbox } from '../../src/transport/outbox.ts'
import { createYamuxDecoder, encodeHeader, type YamuxFrame } from '../../src/transport/yamux-frames.ts'

const join = (pieces: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(pieces))

/** Cuts bytes at the given places (taken modulo what is left). */
function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let at = 0
  for (const cut of cuts) {
    const size = cut % (bytes.byteLength - at + 1)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return [...pieces, bytes.subarray(at)]
}

test('what the outbox writes the framer reads, however it is cut', () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.integer({ min: 0, max: 200_000 }).map((size) => new Uint8Array(size).fill(size & 0xff)),
  )
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 12 }),
      fc.array(fc.nat(100_000), { maxLength: 30 }),
      (messages, cuts) => {
        const outbox = createOutbox()
        for (const each of messages) {
          const middle = each.byteLength >> 1
          outbox.add([each.subarray(0, middle), each.subarray(middle)], each.byteLength)
        }
        const written: Uint8Array[] = []
        while (outbox.waitingBytes > 0) written.push(...outbox.take(50_000))
        const framer = createFramer()
        let turn = 0
        const got: Uint8Array[] = []
        for (const piece of cutAt(join(written), cuts)) {
          const lent = piece.slice()
          framer.push(lent)
          // Every third time nobody takes anything
          for (
            let next = turn++ % 3 === 0 ? undefined : framer.next();
            next !== undefined;
            next = framer.next()
          )
            got.push(next.slice())
          framer.keep()
          lent.fill(0xee)
        }
        for (let next = framer.next(); next !== undefined; next = framer.next()) got.push(next.slice())
        expect(framer.heldBytes).toBe(0)
        expect(got.map((each) => Buffer.from(each).toString('base64'))).toEqual(
          messages.map((each) => Buffer.from(each).toString('base64')),
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('a length that is too long is refused at its header, whatever follows', () => {
  for (const length of [limits.messageBytes + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
    const header = new Uint8Array(4)
    new DataView(header.buffer).setUint32(0, length)
    const framer = createFramer()
    const before = process.memoryUsage().arrayBuffers
    framer.push(header.subarray(0, 3))
    expect(framer.next()).toBeUndefined()
    framer.push(header.subarray(3))
    expect(() => framer.next()).toThrow(expect.objectContaining({ code: 'limit.exceeded' }))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
  }
})

test('a bare header reserves nothing: memory grows with bytes that came', () => {
  const framers = Array.from({ length: 1000 }, () => createFramer())
  const before = process.memoryUsage().arrayBuffers
  for (const framer of framers) {
    framer.push(new Uint8Array([0, 0x10, 0, 0, 1])) // announces 1 MiB, sends one byte
    expect(framer.next()).toBeUndefined()
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1024 * 1024)
})

test('garbage either waits for more or is refused', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }), (pieces) => {
      const framer = createFramer(1000)
      let total = 0
      let taken = 0
      try {
        for (const piece of pieces) {
          total += piece.byteLength
          framer.push(piece)
          for (let next = framer.next(); next !== undefined; next = framer.next())
            taken += next.byteLength + 4
        }
        expect(framer.heldBytes + taken).toBe(total)
      } catch (error) {
        expect(error).toMatchObject({ code: 'limit.exceeded' })
      }
    }),
  )
})

test('yamux data is handed on in pieces, the end of a stream after its last byte', () => {
  const header = encodeHeader({ type: 0, flag: 1 | 4, streamID: 0x80000001, length: 10 })
  fc.assert(
    fc.property(fc.array(fc.nat(40), { maxLength: 8 }), (cuts) => {
      const frames: YamuxFrame[] = []
      const decode = createYamuxDecoder((frame) => frames.push(frame))
      const update = encodeHeader({ type: 1, flag: 2, streamID: 7, length: 0xffffffff })
      for (const piece of cutAt(join([header, new Uint8Array(10).fill(9), update]), cuts)) decode(piece)
      const last = frames.pop()
      expect(last?.header).toEqual({ type: 1, flag: 2, streamID: 7, length: 0xffffffff })
      const end = frames.pop()
      expect(end?.header).toEqual({ type: 1, flag: 4, streamID: 0x80000001, length: 0 })
      expect(join(frames.map((frame) => frame.data ?? new Uint8Array(0)))).toEqual(new Uint8Array(10).fill(9))
      // SYN exactly once, and lengths are those of the pieces
      expect(frames.filter((frame) => frame.header.flag === 1)).toHaveLength(1)
      for (const frame of frames) expect(frame.header.length).toBe(frame.data?.byteLength)
    }),
  )
})

test('a yamux frame of 4 GiB holds nothing back', () => {
  let handed = 0
  const decode = createYamuxDecoder((frame) => (handed += frame.data?.byteLength ?? 0))
  decode(encodeHeader({ type: 0, flag: 0, streamID: 1, length: 0xffffffff }))
  const piece = new Uint8Array(1_000_000)
  for (let index = 0; index < 50; index++) decode(piece)
  expect(handed).toBe(50_000_000)
})

test('another yamux version is refused', () => {
  const decode = createYamuxDecoder(() => undefined)
  expect(() => decode(new Uint8Array(12).fill(1))).toThrow(expect.objectContaining({ code: 'codec.invalid' }))
})
