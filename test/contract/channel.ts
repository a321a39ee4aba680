/**
 * The contract of base/channel.ts as one suite that every implementation must pass: memory, noise and TLS alike.
 * No sleeps: a test waits for an event, or for a state that must come, within the test's own time limit.
 */
import { describe, expect, test } from 'vitest'
import { SkeinError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { abortContract, endContract, stallContract } from './channel-ends.ts'
import { bytes, collect, cut, text, type ChannelPair } from './channel-pair.ts'

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

  test('what a busy receiver holds stays as it is while more comes, and all of that comes whole', async () => {
    await using pair = await setup()
    const sizes = Array.from(
      { length: 120 },
      (_, index) => [90, 5_000, 16_384, 40_000, 300_000][index % 5] ?? 0,
    )
    const isRight = (message: Uint8Array, index: number): boolean =>
      message.byteLength === sizes[index] && message.every((byte) => byte === index)
    let wrong = 0
    let count = 0
    const all = Promise.withResolvers<void>()
    pair.b.receive(async (message) => {
      const index = count++
      // Many more come in the meantime
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
      if (!isRight(message, index)) wrong++
      if (count === sizes.length) all.resolve()
    })
    for (const [index, size] of sizes.entries())
      if (!pair.a.send(new Uint8Array(size).fill(index))) await pair.a.drained()
    await all.promise
    expect(wrong).toBe(0)
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
