import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Channel } from '../../src/base/channel.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { newDeviceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import type { BlobFile } from '../../src/blobs/wanted.ts'
import { type BlobExchange, createBlobExchange } from '../../src/blobs/exchange.ts'
import { type BlobHash, hashFromText, hashOf } from '../../src/blobs/hash.ts'
import { decodeFrames, encodeFrame } from '../../src/blobs/wire.ts'

const env = createSystemEnv()
const random = createSeededRandom(7)
const deviceA = newDeviceId(random)
const deviceB = newDeviceId(random)
const deviceC = newDeviceId(random)

function memoryFile(start = new Uint8Array()): BlobFile & { content: Uint8Array; writes: number } {
  return {
    content: start,
    writes: 0,
    stat() {
      return Promise.resolve({ size: this.content.byteLength })
    },
    read(into, position) {
      const part = this.content.subarray(position, position + into.byteLength)
      into.set(part)
      return Promise.resolve(part.byteLength)
    },
    write(bytes, position) {
      this.writes++
      const grown = new Uint8Array(Math.max(this.content.byteLength, position + bytes.byteLength))
      grown.set(this.content)
      grown.set(bytes, position)
      this.content = grown
      return Promise.resolve()
    },
    truncate(sizeBytes) {
      this.content = this.content.slice(0, sizeBytes)
      return Promise.resolve()
    },
  }
}

function serve(
  exchange: BlobExchange,
  contents: Map<string, Uint8Array>,
  note: { opened: number; closed: number },
): void {
  exchange.addSource((hash) => {
    const content = contents.get(hash)
    if (content === undefined) return Promise.resolve(undefined)
    note.opened++
    return Promise.resolve({
      sizeBytes: content.byteLength,
      read: (into, position) => {
        const part = content.subarray(position, position + into.byteLength)
        into.set(part)
        return Promise.resolve(part.byteLength)
      },
      [Symbol.asyncDispose]: () => {
        note.closed++
        return Promise.resolve()
      },
    })
  })
}

describe('blob exchange', () => {
  let a: BlobExchange
  let b: BlobExchange
  let ends: readonly [Channel, Channel]
  const contents = new Map<string, Uint8Array>()
  const note = { opened: 0, closed: 0 }
  const put = (bytes: Uint8Array): BlobHash => {
    const hash = hashOf(bytes)
    contents.set(hash, bytes)
    return hash
  }
  beforeEach(() => {
    contents.clear()
    note.opened = note.closed = 0
    a = createBlobExchange(env)
    b = createBlobExchange(env)
    ends = createMemoryChannelPair('blobs')
    serve(a, contents, note)
    a.attach(deviceB, ends[0])
    b.attach(deviceA, ends[1])
  })
  afterEach(async () => {
    await b[Symbol.asyncDispose]()
    await a[Symbol.asyncDispose]()
    expect(note.closed).toBe(note.opened)
  })

  test('fetches empty, small, exactly one chunk and many chunks, byte for byte', async () => {
    for (const sizeBytes of [0, 1, 1000, limits.blobChunkBytes, limits.blobChunkBytes + 1, 5_000_003]) {
      const bytes = random.bytes(sizeBytes)
      const file = memoryFile()
      await b.fetch({ hash: put(bytes), sizeBytes }, file)
      expect(Buffer.from(file.content).equals(bytes), `${sizeBytes}`).toBe(true)
    }
  })

  test('hundreds at once, of mixed sizes, all arrive and small ones travel together', async () => {
    const blobs = Array.from({ length: 250 }, (_, index) => random.bytes(index % 10 === 0 ? 600_000 : 900))
    await Promise.all(
      blobs.map(async (bytes) => {
        const file = memoryFile()
        await b.fetch({ hash: put(bytes), sizeBytes: bytes.byteLength }, file)
        expect(Buffer.from(file.content).equals(bytes)).toBe(true)
      }),
    )
  })

  test('what nobody has is missing, and a wrong size is no match', async () => {
    const bytes = random.bytes(100)
    await expect(b.fetch({ hash: hashOf(bytes), sizeBytes: 100 }, memoryFile())).rejects.toMatchObject({
      code: 'blob.missing',
    })
    await expect(b.fetch({ hash: put(bytes), sizeBytes: 99 }, memoryFile())).rejects.toMatchObject({
      code: 'blob.missing',
    })
  })

  test('an interrupted download goes on where it stopped', async () => {
    const bytes = random.bytes(3_000_000)
    const hash = put(bytes)
    const file = memoryFile()
    const controller = new AbortController()
    let received = 0
    const first = b.fetch(
      {
        hash,
        sizeBytes: bytes.byteLength,
        signal: controller.signal,
        onProgress: (size) => ((received += size) > 1_000_000 ? controller.abort() : undefined),
      },
      file,
    )
    await expect(first).rejects.toMatchObject({ code: 'cancelled' })
    const kept = file.content.byteLength
    expect(kept).toBeGreaterThan(1_000_000)
    expect(kept).toBeLessThan(bytes.byteLength)
    let again = 0
    await b.fetch({ hash, sizeBytes: bytes.byteLength, onProgress: (size) => (again += size) }, file)
    expect(Buffer.from(file.content).equals(bytes)).toBe(true)
    expect(again).toBe(bytes.byteLength)
  })

  test('a content that changed under the source is never delivered as complete', async () => {
    const bytes = random.bytes(700_000)
    const hash = put(bytes)
    const changed = bytes.slice()
    changed[650_000] = (changed[650_000] ?? 0) ^ 1
    contents.set(hash, changed)
    await expect(b.fetch({ hash, sizeBytes: bytes.byteLength }, memoryFile())).rejects.toMatchObject({
      code: 'blob.missing',
    })
  })

  test('a damaged prefix is thrown away and fetched again', async () => {
    const bytes = random.bytes(500_000)
    const hash = put(bytes)
    const file = memoryFile(new Uint8Array(300_000))
    await b.fetch({ hash, sizeBytes: bytes.byteLength }, file)
    expect(Buffer.from(file.content).equals(bytes)).toBe(true)
  })

  test('the next source is asked when one is gone or lies', async () => {
    const bytes = random.bytes(300_000)
    const hash = put(bytes)
    const liar = createBlobExchange(env)
    serve(liar, new Map([[hash, random.bytes(300_000)]]), { opened: 0, closed: 0 })
    const [left, right] = createMemoryChannelPair('liar')
    liar.attach(deviceB, left)
    b.attach(deviceC, right)
    const file = memoryFile()
    await b.fetch({ hash, sizeBytes: bytes.byteLength }, file, [deviceC])
    expect(Buffer.from(file.content).equals(bytes)).toBe(true)
    await liar[Symbol.asyncDispose]()
  })

  test('a slow disk holds the network back instead of filling memory', async () => {
    const bytes = random.bytes(8_000_000)
    const hash = put(bytes)
    const gate = Promise.withResolvers<void>()
    const file = memoryFile()
    const write = file.write.bind(file)
    let waiting = 0
    file.write = async (part, position) => {
      waiting++
      await gate.promise
      await write(part, position)
    }
    const fetching = b.fetch({ hash, sizeBytes: bytes.byteLength }, file)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(waiting).toBe(1)
    gate.resolve()
    await fetching
    expect(file.content.byteLength).toBe(bytes.byteLength)
  })

  test('a full disk fails that file alone', async () => {
    const bytes = random.bytes(600_000)
    const file = memoryFile()
    file.write = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
    await expect(b.fetch({ hash: put(bytes), sizeBytes: bytes.byteLength }, file)).rejects.toMatchObject({
      code: 'internal',
    })
    const good = memoryFile()
    await b.fetch({ hash: hashOf(bytes), sizeBytes: bytes.byteLength }, good)
    expect(good.content.byteLength).toBe(bytes.byteLength)
  })

  test('the end of the channel ends what is under way as missing', async () => {
    const hash = put(random.bytes(4_000_000))
    const file = memoryFile()
    const fetching = b.fetch({ hash, sizeBytes: 4_000_000, onProgress: () => void ends[0].close() }, file)
    await expect(fetching).rejects.toMatchObject({ code: 'blob.missing' })
    expect(b.peers).toEqual([])
  })
})

describe('blob wire format', () => {
  test('golden bytes', () => {
    const hash = hashOf(new TextEncoder().encode('skein'))
    const hex = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString('hex')
    expect(hex(encodeFrame({ kind: 'want', request: 7, hash, offset: 2 ** 33 }))).toBe(
      `010000000700000028${Buffer.from(hashFromText(hash)).toString('hex')}0000000200000000`,
    )
    expect(hex(encodeFrame({ kind: 'want', request: 7, hash, offset: 2 ** 33, length: 2 ** 20 }))).toBe(
      `010000000700000030${Buffer.from(hashFromText(hash)).toString('hex')}00000002000000000000000000100000`,
    )
    expect(hex(encodeFrame({ kind: 'list', request: 9, hash }))).toBe(
      `100000000900000020${Buffer.from(hashFromText(hash)).toString('hex')}`,
    )
    expect(hex(encodeFrame({ kind: 'cancel', request: 1 }))).toBe('020000000100000000')
    expect(hex(encodeFrame({ kind: 'found', request: 1, sizeBytes: 258 }))).toBe(
      '0300000001000000080000000000000102',
    )
    expect(hex(encodeFrame({ kind: 'chunk', request: 2, bytes: Uint8Array.of(1, 2, 3) }))).toBe(
      '040000000200000003010203',
    )
    expect(hex(encodeFrame({ kind: 'end', request: 3 }))).toBe('050000000300000000')
    expect(hex(encodeFrame({ kind: 'accepts', request: 0, takesPacked: true }))).toBe('11000000000000000101')
    const packed = { kind: 'packed', request: 2, sizeBytes: 2 ** 20, bytes: Uint8Array.of(1, 2) } as const
    expect(hex(encodeFrame(packed))).toBe('120000000200000006001000000102')
    expect(decodeFrames(new Uint8Array(Buffer.concat(encodeFrame(packed))))).toEqual([packed])
    expect(hex(encodeFrame({ kind: 'gone', request: 3, reason: 'changed' }))).toBe('06000000030000000102')
  })

  test('several frames in one message, unknown types skipped', () => {
    const parts = [
      ...encodeFrame({ kind: 'end', request: 3 }),
      Uint8Array.of(99, 0, 0, 0, 1, 0, 0, 0, 2, 5, 5),
      ...encodeFrame({ kind: 'cancel', request: 4 }),
    ]
    expect(decodeFrames(Buffer.concat(parts)).map((frame) => frame.kind)).toEqual(['end', 'cancel'])
  })

  test('hostile lengths and bodies are refused', () => {
    const bad = [
      '01', // cut header
      '050000000300000001', // body missing
      '0500000003000000010a', // end with a body
      '04000000020000000000', // trailing byte
      '040000000200000000', // empty chunk
      '0300000001000000080020000000000000', // size 2^53
      '030000000100000008ffffffffffffffff',
      '01000000010000000400000000',
      '04ffffffffffffffff00',
      `010000000100000030${'00'.repeat(40)}0000000000000000`, // a range of nothing
      `010000000100000030${'00'.repeat(40)}0000000000100001`, // longer than one read
      `010000000100000030${'00'.repeat(40)}0020000000000000`, // 2^53
      `010000000100000030${'00'.repeat(40)}ffffffffffffffff`,
      `10000000010000001f${'00'.repeat(31)}`, // a hash cut short
    ]
    for (const hex of bad) expect(() => decodeFrames(Buffer.from(hex, 'hex')), hex).toThrowError(/blob/)
  })

  test('random bytes never do anything but decode or be refused', () => {
    const bytes = createSeededRandom(99)
    for (let round = 0; round < 20_000; round++) {
      const message = bytes.bytes(1 + (round % 64))
      message[0] = round % 8
      try {
        decodeFrames(message)
      } catch (error) {
        expect(['codec.invalid', 'limit.exceeded']).toContain((error as { code: string }).code)
      }
    }
  })

  test('a malformed message ends the channel of its sender only', async () => {
    const exchange = createBlobExchange(env)
    const [left, right] = createMemoryChannelPair('bad')
    exchange.attach(deviceB, left)
    right.receive(() => undefined)
    right.send(Uint8Array.of(1, 2, 3))
    expect((await right.closed)?.code).toBe('channel.aborted')
    expect(exchange.peers).toEqual([])
    await exchange[Symbol.asyncDispose]()
  })
})
