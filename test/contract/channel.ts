/**
 * The contract of base/channel.ts as one suite that every implementation must pass: memory, noise and TLS alike.
 * No sleeps: a test waits for an event, or for a state that must come, within the test's own time limit.
 */
import { describe, expect, test } from 'vitest'
import type { Channel } from '../../src/base/channel.ts'
import { hasCode, SkeinError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'

/** Two ends of one fresh channel; disposing ends what carries them. */
export interface ChannelPair extends AsyncDisposable {
  readonly a: Channel
  readonly b: Channel
}

export interface ChannelContractOptions {
  /** Makes a pair whose watchdog is this short; absent where nothing can stall. */
  readonly withStallMs?: (stallMs: number) => Promise<ChannelPair>
}

export function channelContract(
  name: string,
  setup: () => Promise<ChannelPair>,
  options: ChannelContractOptions = {},
): void {
  describe(`${name} channel`, () => {
    deliveryContract(setup)
    pressureContract(setup)
    endContract(setup)
    abortContract(setup)
    const { withStallMs } = options
    if (withStallMs !== undefined) stallContract(withStallMs)
  })
}

const text = (message: Uint8Array): string => new TextDecoder().decode(message)
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)
const cut = (): SkeinError => new SkeinError('cancelled', 'cut by the test')

/** Collects what arrives, copied, and says when `count` are there. */
function collect(
  channel: Channel,
  count: number,
): { readonly messages: Uint8Array[]; readonly all: Promise<void> } {
  const messages: Uint8Array[] = []
  const done = Promise.withResolvers<void>()
  if (count === 0) done.resolve()
  channel.receive((message) => {
    messages.push(message.slice())
    if (messages.length === count) done.resolve()
  })
  return { messages, all: done.promise }
}

function deliveryContract(setup: () => Promise<ChannelPair>): void {
  test('delivers messages whole and in order, both ways', async () => {
    await using pair = await setup()
    const atA = collect(pair.a, 3)
    const atB = collect(pair.b, 3)
    for (const word of ['one', 'two', 'three']) {
      pair.a.send(bytes(`a ${word}`))
      pair.b.send(bytes('b '), bytes(word))
    }
    await Promise.all([atA.all, atB.all])
    expect(atB.messages.map(text)).toEqual(['a one', 'a two', 'a three'])
    expect(atA.messages.map(text)).toEqual(['b one', 'b two', 'b three'])
  })

  test('delivers 10,000 messages in order', async () => {
    await using pair = await setup()
    const count = 10_000
    const got = collect(pair.b, count)
    for (let index = 0; index < count; index++) {
      const message = new Uint8Array(4 + (index % 300))
      new DataView(message.buffer).setUint32(0, index)
      if (!pair.a.send(message)) await pair.a.drained()
    }
    await got.all
    got.messages.forEach((message, index) => {
      expect(message.byteLength).toBe(4 + (index % 300))
      expect(new DataView(message.buffer, message.byteOffset).getUint32(0)).toBe(index)
    })
  })

  test('delivers empty messages and the largest allowed, with every byte as it was', async () => {
    await using pair = await setup()
    const large = new Uint8Array(limits.messageBytes)
    for (let index = 0; index < large.byteLength; index++) large[index] = (index * 31 + (index >> 12)) & 0xff
    const sizes = [0, 1, 65_535, 0, 65_536, 262_144, 300_001, limits.messageBytes, 0, 0, 3]
    const got = collect(pair.b, sizes.length)
    for (const size of sizes) if (!pair.a.send(large.subarray(0, size).slice())) await pair.a.drained()
    await got.all
    expect(got.messages.map((message) => message.byteLength)).toEqual(sizes)
    for (const message of got.messages) {
      expect(Buffer.compare(message, large.subarray(0, message.byteLength))).toBe(0)
    }
  })

  test('joins the parts of a message, large and small mixed', async () => {
    await using pair = await setup()
    const got = collect(pair.b, 2)
    const large = new Uint8Array(100_000).fill(7)
    pair.a.send(bytes('head'), large, new Uint8Array(0), bytes('tail'))
    pair.a.send()
    await got.all
    const [first = new Uint8Array(0), second] = got.messages
    expect(first.byteLength).toBe(100_008)
    expect(text(first.subarray(0, 4)) + text(first.subarray(-4))).toBe('headtail')
    expect(first.subarray(4, -4).every((byte) => byte === 7)).toBe(true)
    expect(second?.byteLength).toBe(0)
  })

  test('refuses a message that is too long and stays usable', async () => {
    await using pair = await setup()
    const got = collect(pair.b, 1)
    expect(() => pair.a.send(new Uint8Array(limits.messageBytes), new Uint8Array(1))).toThrow(
      expect.objectContaining({ code: 'limit.exceeded' }),
    )
    pair.a.send(bytes('still here'))
    await got.all
    expect(text(got.messages[0] ?? new Uint8Array(0))).toBe('still here')
  })

  test('keeps messages that come before there is a receiver', async () => {
    await using pair = await setup()
    const sent = Array.from({ length: 200 }, (_, index) => `message ${index}`)
    for (const message of sent) pair.a.send(bytes(message))
    const seen = collect(pair.a, 1)
    pair.b.send(bytes('sync'))
    await seen.all
    const got = collect(pair.b, sent.length)
    await got.all
    expect(got.messages.map(text)).toEqual(sent)
  })

  test('hands over plain byte arrays: a slice is a copy', async () => {
    await using pair = await setup()
    const kept = Promise.withResolvers<Uint8Array>()
    pair.b.receive((message) => {
      expect(Buffer.isBuffer(message)).toBe(false)
      const copy = message.slice()
      message.fill(0)
      kept.resolve(copy)
    })
    pair.a.send(bytes('keep me'))
    expect(text(await kept.promise)).toBe('keep me')
  })

  test('has one receiver', async () => {
    await using pair = await setup()
    pair.a.receive(() => undefined)
    expect(() => pair.a.receive(() => undefined)).toThrow(/one receiver/)
  })
}

function pressureContract(setup: () => Promise<ChannelPair>): void {
  test('waits for a receiver that is busy: the sender fills up, and nothing more is handed over', async () => {
    await using pair = await setup()
    const release = Promise.withResolvers<void>()
    let handed = 0
    let isReleased = false
    pair.b.receive(async () => {
      handed++
      if (!isReleased) await release.promise
    })
    const block = new Uint8Array(64 * 1024)
    let sent = 0
    // What is between the two ends: the send buffer, one window, the buffers of two sockets
    const mostBytes = 16 * 1024 * 1024
    while (pair.a.send(block)) {
      sent++
      expect(sent * block.byteLength).toBeLessThan(mostBytes)
      await new Promise((resolve) => setImmediate(resolve))
    }
    sent++
    expect(handed).toBeLessThanOrEqual(1)
    isReleased = true
    release.resolve()
    await pair.a.drained()
    expect(pair.a.send(block)).toBe(true)
    await pair.a.close()
    expect(handed).toBe(sent + 1)
  })

  test('a receiver is never called again before its promise settled', async () => {
    await using pair = await setup()
    let running = 0
    let overlaps = 0
    const done = Promise.withResolvers<void>()
    let count = 0
    pair.b.receive(async () => {
      if (running++ > 0) overlaps++
      await new Promise((resolve) => setImmediate(resolve))
      running--
      if (++count === 100) done.resolve()
    })
    for (let index = 0; index < 100; index++) pair.a.send(new Uint8Array(index * 50))
    await done.promise
    expect(overlaps).toBe(0)
  })

  test('drained resolves at once while there is room, and heeds its signal', async () => {
    await using pair = await setup()
    await pair.a.drained()
    const block = new Uint8Array(256 * 1024)
    while (pair.a.send(block)) await new Promise((resolve) => setImmediate(resolve))
    const controller = new AbortController()
    const waiting = pair.a.drained(controller.signal)
    controller.abort(cut())
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
    pair.b.receive(() => undefined)
    await pair.a.drained()
  })

  test('aborts a sender that ignores back-pressure', async () => {
    await using pair = await setup()
    const send = (): void => {
      // Each turn more than any buffer between the two ends takes
      for (let index = 0; index < 1024; index++) pair.a.send(new Uint8Array(256 * 1024))
    }
    expect(send).toThrow(expect.objectContaining({ code: 'channel.aborted' }))
    expect(await pair.a.closed).toMatchObject({ code: 'limit.exceeded' })
    expect(await pair.b.closed).toBeInstanceOf(SkeinError)
  })

  test('many drained waits follow each other', async () => {
    await using pair = await setup()
    let receivedBytes = 0
    pair.b.receive((message) => {
      receivedBytes += message.byteLength
    })
    let waits = 0
    const block = new Uint8Array(200_000)
    let sentBytes = 0
    while (waits < 20) {
      sentBytes += block.byteLength
      if (!pair.a.send(block)) {
        waits++
        await pair.a.drained()
      }
    }
    await pair.a.close()
    expect(receivedBytes).toBe(sentBytes)
  })
}

function endContract(setup: () => Promise<ChannelPair>): void {
  test('close delivers all that was sent before, then both sides end without an error', async () => {
    await using pair = await setup()
    const got = collect(pair.b, 500)
    for (let index = 0; index < 500; index++) {
      if (!pair.a.send(new Uint8Array(index * 40))) await pair.a.drained()
    }
    await pair.a.close()
    expect(got.messages).toHaveLength(500)
    expect(await pair.a.closed).toBeUndefined()
    expect(await pair.b.closed).toBeUndefined()
  })

  test('what the other side had sent before it saw the close still arrives', async () => {
    await using pair = await setup()
    const got = collect(pair.a, 50)
    pair.b.receive(() => undefined)
    for (let index = 0; index < 50; index++) pair.b.send(new Uint8Array(2000))
    await pair.a.close()
    expect(got.messages).toHaveLength(50)
  })

  test('a closed channel still hands its messages to a late receiver', async () => {
    await using pair = await setup()
    pair.a.send(bytes('early'))
    pair.a.send(bytes('bird'))
    await pair.a.close()
    const got = collect(pair.b, 2)
    await got.all
    expect(got.messages.map(text)).toEqual(['early', 'bird'])
  })

  test('close waits for a busy receiver', async () => {
    await using pair = await setup()
    const release = Promise.withResolvers<void>()
    const busy = Promise.withResolvers<void>()
    let handed = 0
    pair.b.receive(async () => {
      handed++
      busy.resolve()
      await release.promise
    })
    for (let index = 0; index < 10; index++) pair.a.send(new Uint8Array(30_000))
    await busy.promise
    let isClosed = false
    const closing = pair.a.close().then(() => (isClosed = true))
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(isClosed).toBe(false)
    release.resolve()
    await closing
    expect(handed).toBe(10)
  })

  test('closing twice, from both sides, or after the end is the same as once', async () => {
    await using pair = await setup()
    pair.a.receive(() => undefined)
    pair.b.receive(() => undefined)
    await Promise.all([pair.a.close(), pair.a.close(), pair.b.close()])
    await pair.a.close()
    await pair.b.close()
    expect(await pair.a.closed).toBeUndefined()
    expect(await pair.b.closed).toBeUndefined()
  })

  test('nothing can be sent after the end', async () => {
    await using pair = await setup()
    const closing = pair.a.close()
    expect(() => pair.a.send(bytes('late'))).toThrow(expect.objectContaining({ code: 'channel.closed' }))
    await closing
    expect(() => pair.b.send(bytes('late'))).toThrow(expect.objectContaining({ code: 'channel.closed' }))
    await expect(pair.a.drained()).rejects.toMatchObject({ code: 'channel.closed' })
  })

  test('an abort after a clean end changes nothing', async () => {
    await using pair = await setup()
    await pair.a.close()
    pair.a.abort(cut())
    pair.b.abort(cut())
    expect(await pair.a.closed).toBeUndefined()
    expect(await pair.b.closed).toBeUndefined()
  })
}

function abortContract(setup: () => Promise<ChannelPair>): void {
  test('an abort is seen by both sides, here with its own error', async () => {
    await using pair = await setup()
    const error = cut()
    pair.a.abort(error)
    expect(await pair.a.closed).toBe(error)
    expect(await pair.b.closed).toMatchObject({ code: 'channel.aborted' })
    expect(() => pair.a.send(bytes('late'))).toThrow(expect.objectContaining({ code: 'channel.aborted' }))
    expect(() => pair.b.send(bytes('late'))).toThrow(expect.objectContaining({ code: 'channel.aborted' }))
  })

  test('the first abort counts, and closing afterwards returns', async () => {
    await using pair = await setup()
    const error = cut()
    pair.a.abort(error)
    pair.a.abort(new SkeinError('internal', 'another'))
    await pair.a.close()
    expect(await pair.a.closed).toBe(error)
  })

  test('an abort wakes those who wait for room', async () => {
    await using pair = await setup()
    const block = new Uint8Array(256 * 1024)
    while (pair.a.send(block)) await new Promise((resolve) => setImmediate(resolve))
    const waiting = pair.a.drained()
    pair.b.abort(cut())
    await expect(waiting).rejects.toSatisfy((error) => hasCode(error, 'channel.aborted'))
  })

  test('a receiver that throws aborts the channel with that error', async () => {
    await using pair = await setup()
    const error = new SkeinError('codec.invalid', 'not for me')
    let calls = 0
    pair.b.receive(() => {
      calls++
      throw error
    })
    pair.a.send(bytes('one'))
    pair.a.send(bytes('two'))
    expect(await pair.b.closed).toBe(error)
    expect(await pair.a.closed).toMatchObject({ code: 'channel.aborted' })
    expect(calls).toBe(1)
  })

  test('a receiver that rejects aborts the channel with that error', async () => {
    await using pair = await setup()
    pair.b.receive(() => Promise.reject(new Error('broken')))
    pair.a.send(bytes('one'))
    expect(await pair.b.closed).toMatchObject({ code: 'internal', message: 'broken' })
    expect(await pair.a.closed).toMatchObject({ code: 'channel.aborted' })
  })

  test('disposing cuts off', async () => {
    await using pair = await setup()
    await pair.a[Symbol.asyncDispose]()
    expect(await pair.a.closed).toMatchObject({ code: 'channel.aborted' })
    expect(await pair.b.closed).toMatchObject({ code: 'channel.aborted' })
  })

  test('nothing is handed over after an abort', async () => {
    await using pair = await setup()
    let late = 0
    const first = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    pair.b.receive(async () => {
      late++
      first.resolve()
      await release.promise
    })
    for (let index = 0; index < 20; index++) pair.a.send(bytes('x'))
    await first.promise
    pair.b.abort(cut())
    release.resolve()
    await pair.a.closed
    await new Promise((resolve) => setImmediate(resolve))
    expect(late).toBe(1)
  })
}

function stallContract(withStallMs: (stallMs: number) => Promise<ChannelPair>): void {
  test('unsent bytes that do not move end the channel as stalled', async () => {
    await using pair = await withStallMs(150)
    pair.b.receive(() => new Promise(() => undefined))
    const block = new Uint8Array(256 * 1024)
    while (pair.a.send(block)) await new Promise((resolve) => setImmediate(resolve))
    expect(await pair.a.closed).toMatchObject({ code: 'channel.stalled' })
    expect(await pair.b.closed).toMatchObject({ code: 'channel.aborted' })
  })

  test('a close that nobody answers ends as stalled', async () => {
    await using pair = await withStallMs(150)
    pair.b.receive(() => new Promise(() => undefined))
    pair.a.send(new Uint8Array(10))
    await pair.a.close()
    expect(await pair.a.closed).toMatchObject({ code: 'channel.stalled' })
  })

  test('a slow but moving receiver is not stalled', async () => {
    const stallMs = 1000
    await using pair = await withStallMs(stallMs)
    let received = 0
    pair.b.receive(async () => {
      received++
      await new Promise((resolve) => setTimeout(resolve, 20))
    })
    const start = performance.now()
    const block = new Uint8Array(128 * 1024)
    for (let sent = 0; sent < 100; sent++) if (!pair.a.send(block)) await pair.a.drained()
    await pair.a.close()
    expect(await pair.a.closed).toBeUndefined()
    expect(received).toBe(100)
    expect(performance.now() - start).toBeGreaterThan(stallMs)
  })
}
