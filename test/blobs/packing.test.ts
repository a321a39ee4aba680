import { constants, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Channel } from '../../src/base/channel.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { type DeviceId, newDeviceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { createLog, type LogRecord } from '../../src/base/log.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { type BlobExchange, createBlobExchange } from '../../src/blobs/exchange.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { decodeFrames, encodeFrame, type Frame } from '../../src/blobs/wire.ts'
import { memoryBlobFile } from '../support/memory-blob-file.ts'

const random = createSeededRandom(61)
const mebibyte = 1024 * 1024
const lines = (sizeBytes: number): Uint8Array => {
  let text = ''
  for (let line = 0; text.length < sizeBytes; line++)
    text += `2026-11-22T01:02:03.${line % 1000}Z info served {"path":"/api/items/${(line * 7919) % 10_007}"}\n`
  return Buffer.from(text).subarray(0, sizeBytes)
}
const text = lines(5 * mebibyte + 4_321)
const hash = hashOf(text)
const wanted = { hash, sizeBytes: text.byteLength }

/** Counts what is sent, and may leave frames out that an older version does not know. */
function counted(channel: Channel, drops: (frame: Frame) => boolean = () => false): { sentBytes: number } {
  const count = { sentBytes: 0 }
  const send = channel.send.bind(channel)
  channel.send = (...parts) => {
    const message = Buffer.concat(parts)
    count.sentBytes += message.byteLength
    const kept = decodeFrames(message).filter((frame) => !drops(frame))
    return kept.length === 0 || send(...kept.flatMap((frame) => encodeFrame(frame)))
  }
  return count
}

describe('a content that compresses', () => {
  let asker: BlobExchange
  let records: LogRecord[]
  /** Resolved with the first warning. */
  let warned: PromiseWithResolvers<void>
  const open: AsyncDisposable[] = []
  const addSource = (
    content: Uint8Array,
    drops?: (frame: Frame) => boolean,
    ready: Promise<void> = Promise.resolve(),
  ): { sentBytes: number } => {
    const exchange = createBlobExchange(createSystemEnv())
    const [left, right] = createMemoryChannelPair('source')
    const count = counted(left)
    counted(right, drops)
    exchange.addSource(() =>
      Promise.resolve({
        sizeBytes: content.byteLength,
        async read(into, position) {
          await ready
          const part = content.subarray(position, position + into.byteLength)
          into.set(part)
          return part.byteLength
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    )
    exchange.attach(newDeviceId(random), left)
    asker.attach(newDeviceId(random), right)
    open.push(exchange)
    return count
  }
  /** Answers every want with these frames. */
  const addLiar = (answer: (request: number) => readonly Frame[]): DeviceId => {
    const [left, right] = createMemoryChannelPair('liar')
    const remote = newDeviceId(random)
    left.receive((message) => {
      for (const frame of decodeFrames(message)) {
        const { request } = frame
        if (frame.kind === 'list') left.send(...encodeFrame({ kind: 'gone', request, reason: 'missing' }))
        if (frame.kind === 'want') left.send(...answer(frame.request).flatMap((one) => encodeFrame(one)))
      }
    })
    asker.attach(remote, right)
    open.push({ [Symbol.asyncDispose]: () => left.close() })
    return remote
  }
  beforeEach(() => {
    records = []
    warned = Promise.withResolvers()
    const note = (record: LogRecord): void => {
      records.push(record)
      warned.resolve()
    }
    asker = createBlobExchange(createSystemEnv({ log: createLog(note, 'warn') }))
  })
  afterEach(async () => {
    await asker[Symbol.asyncDispose]()
    for (const one of open.splice(0)) await one[Symbol.asyncDispose]()
  })
  const isRight = (file: { readonly content: Uint8Array }): boolean => Buffer.from(file.content).equals(text)

  test('travels compressed', async () => {
    const sent = addSource(text)
    const file = memoryBlobFile(text.byteLength)
    await asker.fetch(wanted, file)
    expect(isRight(file)).toBe(true)
    expect(sent.sentBytes).toBeLessThan(text.byteLength / 2)
  })

  test('travels as it is to a device that does not say that it takes anything else', async () => {
    const sent = addSource(text, (frame) => frame.kind === 'accepts')
    const file = memoryBlobFile(text.byteLength)
    await asker.fetch(wanted, file)
    expect(isRight(file)).toBe(true)
    expect(sent.sentBytes).toBeGreaterThan(text.byteLength)
  })

  test('and one that does not: nothing is lost by trying', async () => {
    const noise = random.bytes(4 * mebibyte)
    const sent = addSource(noise)
    const file = memoryBlobFile(noise.byteLength)
    await asker.fetch({ hash: hashOf(noise), sizeBytes: noise.byteLength }, file)
    expect(Buffer.from(file.content).equals(noise)).toBe(true)
    expect(sent.sentBytes).toBeLessThan(noise.byteLength * 1.001)
  })

  const packed = (request: number, sizeBytes: number, bytes: Uint8Array): readonly Frame[] => [
    { kind: 'found', request, sizeBytes: text.byteLength },
    { kind: 'packed', request, sizeBytes, bytes },
    { kind: 'end', request },
  ]
  const bomb = zstdCompressSync(Buffer.alloc(64 * mebibyte))
  const wide = zstdCompressSync(Buffer.concat([random.bytes(1000), text.subarray(0, mebibyte - 1000)]), {
    params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 },
    pledgedSrcSize: undefined,
  })
  test.each([
    ['expands to more than announced', (request: number) => packed(request, mebibyte, bomb)],
    [
      'expands to less than announced',
      (request: number) => packed(request, mebibyte, zstdCompressSync(text.subarray(0, 99))),
    ],
    ['is no compressed data', (request: number) => packed(request, mebibyte, random.bytes(5_000))],
    [
      'is a frame after the end of what was asked for',
      (request: number) => [
        ...packed(request, mebibyte, zstdCompressSync(text.subarray(0, mebibyte))).slice(0, 2),
        ...packed(request, 1, zstdCompressSync(text.subarray(0, 1))).slice(1),
      ],
    ],
  ])('is refused when it %s; its sender is named, and the next device asked', async (_, answer) => {
    const liar = addLiar(answer)
    addSource(text, undefined, warned.promise)
    const before = process.memoryUsage().arrayBuffers
    const file = memoryBlobFile(text.byteLength)
    await asker.fetch(wanted, file)
    expect(isRight(file)).toBe(true)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 * mebibyte)
    const told = records.filter(({ message }) => message.includes('not asked for'))
    expect(new Set(told.map(({ fields }) => fields['remote']))).toEqual(new Set([liar]))
  })

  test('in a frame that wants much memory to be expanded is refused', async () => {
    addLiar((request) => packed(request, mebibyte, wide))
    await expect(asker.fetch(wanted, memoryBlobFile(text.byteLength))).rejects.toMatchObject({
      code: 'blob.corrupt',
    })
  })

  test('announced as longer than any range ends the channel', () => {
    const frame: Frame = {
      kind: 'packed',
      request: 1,
      sizeBytes: limits.blobRangeBytes + 1,
      bytes: bomb.subarray(0, 100),
    }
    expect(() => decodeFrames(Buffer.concat(encodeFrame(frame)))).toThrowError(/packed/)
  })
})
