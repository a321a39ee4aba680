/** The second half of the Channel contract (channel.ts): how a channel ends, is cut off, or stalls. */
import { expect, test } from 'vitest'
import { hasCode, SkeinError } from '../../src/base/errors.ts'
import { bytes, collect, cut, text, type ChannelPair } from './channel-pair.ts'

export function endContract(setup: () => Promise<ChannelPair>): void {
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

export function abortContract(setup: () => Promise<ChannelPair>): void {
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

export function stallContract(withStallMs: (stallMs: number) => Promise<ChannelPair>): void {
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
