import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { type DeviceId, newDeviceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { createLog, type LogRecord } from '../../src/base/log.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { type BlobExchange, createBlobExchange } from '../../src/blobs/exchange.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { createBlockListBuilder, decodeBlockList } from '../../src/blobs/block-list.ts'
import { type MemoryBlobFile, memoryBlobFile } from '../support/memory-blob-file.ts'

const random = createSeededRandom(23)
const bytes = random.bytes(24 * 1024 * 1024 + 12_345)
const hash = hashOf(bytes)
const sizeBytes = bytes.byteLength

const fileOf = (start?: Uint8Array): MemoryBlobFile => memoryBlobFile(sizeBytes, start)

function listOf(content: Uint8Array): Uint8Array {
  const list = createBlockListBuilder(content.byteLength)
  list?.update(content)
  return list?.finish() ?? new Uint8Array()
}

/** Of the right length, and nothing else. */
const forged = (content: Uint8Array): Uint8Array => new Uint8Array(listOf(content).byteLength).fill(255)

interface Source {
  readonly remote: DeviceId
  readonly exchange: BlobExchange
  servedBytes: number
  cut(): void
}

describe('a large content', () => {
  let asker: BlobExchange
  let sources: Source[]
  let records: LogRecord[]
  const addSource = (
    content: Uint8Array,
    beforeRead: () => Promise<void> | void = () => undefined,
    makeList = listOf,
  ): Source => {
    const exchange = createBlobExchange(createSystemEnv())
    const [left, right] = createMemoryChannelPair('source')
    const remote = newDeviceId(random)
    const source: Source = {
      remote,
      exchange,
      servedBytes: 0,
      cut: () => left.abort(new SkeinError('channel.aborted', 'cut')),
    }
    exchange.addSource(() =>
      Promise.resolve({
        sizeBytes: content.byteLength,
        async read(into, position) {
          await beforeRead()
          const part = content.subarray(position, position + into.byteLength)
          into.set(part)
          source.servedBytes += part.byteLength
          return part.byteLength
        },
        blockList() {
          return Promise.resolve(makeList(content))
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    )
    exchange.attach(newDeviceId(random), left)
    asker.attach(remote, right)
    sources.push(source)
    return source
  }
  beforeEach(() => {
    sources = []
    records = []
    asker = createBlobExchange(createSystemEnv({ log: createLog((record) => records.push(record), 'warn') }))
  })
  afterEach(async () => {
    await asker[Symbol.asyncDispose]()
    for (const { exchange } of sources) await exchange[Symbol.asyncDispose]()
  })
  const isRight = (file: { readonly content: Uint8Array; readonly size: number }): boolean =>
    file.size === sizeBytes && Buffer.from(file.content).equals(bytes)

  test('comes from several devices at once', async () => {
    const [one, two] = [addSource(bytes), addSource(bytes)]
    const file = fileOf()
    await asker.fetch({ hash, sizeBytes }, file)
    expect(isRight(file)).toBe(true)
    for (const { servedBytes } of [one, two]) expect(servedBytes).toBeGreaterThan(sizeBytes / 5)
  })

  test('goes on from the others when one device goes away in the middle, and nothing comes twice', async () => {
    const [one] = [addSource(bytes), addSource(bytes)]
    const file = fileOf()
    let got = 0
    const onProgress = (size: number): void => {
      got += size
      if (got > sizeBytes / 3) one.cut()
    }
    await asker.fetch({ hash, sizeBytes, onProgress }, file)
    expect(isRight(file)).toBe(true)
    expect(got).toBe(sizeBytes)
  })

  test('does not wait for a device that hangs', async () => {
    addSource(bytes, () => new Promise(() => undefined))
    addSource(bytes)
    const file = fileOf()
    await asker.fetch({ hash, sizeBytes }, file)
    expect(isRight(file)).toBe(true)
    sources[0]?.cut()
  })

  test('is right although one device lies about a byte; it is named, and asked last from then on', async () => {
    const wrong = bytes.slice()
    for (let at = 0; at < wrong.byteLength; at += limits.blobRangeBytes) wrong[at] = (wrong[at] ?? 0) ^ 1
    const liar = addSource(wrong)
    addSource(bytes)
    const file = fileOf()
    await asker.fetch({ hash, sizeBytes }, file)
    expect(isRight(file)).toBe(true)
    const told = records.filter(({ message }) => message.includes('not asked for'))
    expect(told.map(({ fields }) => fields['remote'])).toEqual([liar.remote])
  })

  test('is corrupt when the only device lies, and the file is empty', async () => {
    addSource(random.bytes(sizeBytes))
    const file = fileOf()
    await expect(asker.fetch({ hash, sizeBytes }, file)).rejects.toMatchObject({ code: 'blob.corrupt' })
    expect(file.size).toBe(0)
  })

  test('killed in the middle, all but what was on its way stands on the disk and is not sent again', async () => {
    const source = addSource(bytes)
    const file = fileOf()
    const killed = new AbortController()
    let received = 0
    let onDisk: Uint8Array | undefined
    const onProgress = (size: number): void => {
      received += size
      if (received < sizeBytes / 2 || onDisk !== undefined) return
      // A killed process writes nothing more: this is what it leaves
      onDisk = file.content.slice(0, file.size)
      killed.abort()
    }
    const first = asker.fetch({ hash, sizeBytes, onProgress, signal: killed.signal }, file)
    await expect(first).rejects.toMatchObject({ code: 'cancelled' })
    const left = onDisk ?? new Uint8Array()
    expect(received - left.byteLength).toBeLessThanOrEqual(limits.blobUnwrittenBytes)
    source.servedBytes = 0
    const again = fileOf(left)
    await asker.fetch({ hash, sizeBytes }, again)
    expect(isRight(again)).toBe(true)
    expect(source.servedBytes).toBe(sizeBytes - left.byteLength)
  })

  test('a disk that does not keep up stops the asking: what waits in memory is bounded', async () => {
    const source = addSource(bytes)
    const file = fileOf()
    const gate = Promise.withResolvers<void>()
    const write = file.write.bind(file)
    file.write = async (part, position) => {
      await gate.promise
      await write(part, position)
    }
    let received = 0
    const onProgress = (size: number): void => void (received += size)
    const fetching = asker.fetch({ hash, sizeBytes, onProgress }, file)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(source.servedBytes).toBeLessThanOrEqual(limits.blobWindowBytes)
    expect(received).toBeGreaterThan(0)
    expect(received).toBeLessThanOrEqual(limits.blobUnwrittenBytes)
    gate.resolve()
    await fetching
    expect(isRight(file)).toBe(true)
  })

  test('gives its block list; one that is none is refused, its sender named and the next device asked', async () => {
    const forger = addSource(bytes, undefined, forged)
    addSource(bytes)
    const list = await asker.fetchList({ hash, sizeBytes })
    expect(decodeBlockList(list, sizeBytes).count).toBe(Math.ceil(sizeBytes / 65_536))
    const told = records.filter(({ message }) => message.includes('not asked for'))
    expect(told.map(({ fields }) => fields['remote'])).toEqual([forger.remote])
  })

  test('gives parts of it, and nothing beside them', async () => {
    addSource(bytes)
    const parts = fileOf()
    parts.size = sizeBytes
    await asker.fetchParts({ hash, sizeBytes }, [{ offset: 100, length: 3_000_000 }], parts)
    expect(Buffer.from(parts.content.subarray(100, 3_000_100)).equals(bytes.subarray(100, 3_000_100))).toBe(
      true,
    )
    expect([parts.content[99], parts.content[3_000_100]]).toEqual([0, 0])
  })
})
