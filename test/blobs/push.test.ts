import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Channel } from '../../src/base/channel.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { createLog } from '../../src/base/log.ts'
import { type DeviceId, newDeviceId, newSpaceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { type ContentPush, createContentPush, type PushAccess, type SpacePush } from '../../src/blobs/push.ts'
import { decodePushMessage, encodeHold, encodePush } from '../../src/blobs/push-wire.ts'

const env = createSystemEnv({ log: createLog(() => undefined, 'error') })
const random = createSeededRandom(5)
const [deviceA, deviceB, deviceC] = [newDeviceId(random), newDeviceId(random), newDeviceId(random)]
const space = newSpaceId(random)
const other = newSpaceId(random)
const open: PushAccess = { mayRead: () => true, mayWrite: () => true }
const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))

async function until(check: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 5_000; !check();) {
    if (Date.now() > endMs) throw new Error('not in time')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

describe('pushed contents', () => {
  let a: ContentPush
  let b: ContentPush
  let ends: readonly [Channel, Channel]
  const link = (): void => {
    ends = createMemoryChannelPair('push')
    a.attach(deviceB, ends[0])
    b.attach(deviceA, ends[1])
  }
  beforeEach(() => {
    a = createContentPush(env)
    b = createContentPush(env)
    link()
  })
  afterEach(() => {
    a[Symbol.dispose]()
    b[Symbol.dispose]()
  })
  const bothOpen = async (access: PushAccess = open): Promise<readonly [SpacePush, SpacePush]> => {
    const [mine, theirs] = [a.open(space, access), b.open(space, open)]
    if (access.mayRead(deviceB)) await until(() => mine.hasTakers)
    return [mine, theirs]
  }

  test('arrive at who holds the space, named by what they are', async () => {
    const [mine, theirs] = await bothOpen()
    const contents = [0, 1, 5_000, limits.pushedContentBytes].map((size) => random.bytes(size))
    for (const content of contents) mine.offer(content)
    await mine.room(new AbortController().signal)
    for (const content of contents) {
      await until(() => theirs.get(hashOf(content)) !== undefined)
      expect(theirs.get(hashOf(content))).toEqual(content)
      theirs.drop(hashOf(content))
    }
    expect(b.heldBytes).toBe(0)
  })

  test('go to nobody who does not hold the space, has left it, or may not read it', async () => {
    const denied = a.open(space, { ...open, mayRead: () => false })
    const unheld = a.open(other, open)
    const theirs = b.open(space, open)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect([denied.hasTakers, unheld.hasTakers]).toEqual([false, false])
    denied.offer(random.bytes(10))
    unheld.offer(random.bytes(10))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(b.heldBytes).toBe(0)
    const mine = a.open(space, open)
    expect(mine.hasTakers).toBe(true)
    theirs[Symbol.dispose]()
    await until(() => !mine.hasTakers)
  })

  test('of a space that is not held here are dropped without blame', async () => {
    const [, theirs] = await bothOpen()
    const [stray, wanted] = [random.bytes(100), random.bytes(100)]
    ends[0].send(...encodePush(other, [stray]))
    ends[0].send(...encodePush(space, [wanted]))
    await until(() => theirs.get(hashOf(wanted)) !== undefined)
    expect(theirs.get(hashOf(stray))).toBeUndefined()
  })

  test('a device that may not write the space is cut off and leaves nothing', async () => {
    b.open(space, { mayRead: () => true, mayWrite: (remote) => remote !== deviceA })
    ends[0].send(...encodePush(space, [random.bytes(100)]))
    expect(await ends[1].closed).toMatchObject({ code: 'auth.denied' })
    expect(b.heldBytes).toBe(0)
  })

  test.each([
    [
      'too long a content',
      encodePush(space, [new Uint8Array(limits.pushedContentBytes + 1)]),
      'limit.exceeded',
    ],
    ['a content cut short', [joined(encodePush(space, [random.bytes(50)])).subarray(0, 60)], 'codec.invalid'],
    ['a length without a content', [joined(encodePush(space, [])), new Uint8Array(3)], 'codec.invalid'],
    ['no space', [Uint8Array.of(2, ...new TextEncoder().encode('!'.repeat(26)))], 'codec.invalid'],
    [
      'too many spaces',
      [encodeHold(Array.from({ length: limits.spaces + 1 }, () => space))],
      'limit.exceeded',
    ],
    ['a list of spaces cut short', [encodeHold([space]).subarray(0, 20)], 'codec.invalid'],
  ] as const)('%s ends the channel', async (_what, parts, code) => {
    b.open(space, open)
    ends[0].send(...parts)
    expect(await ends[1].closed).toMatchObject({ code })
    expect(b.heldBytes).toBe(0)
  })

  test('cannot be passed off as something else', async () => {
    const [, theirs] = await bothOpen()
    const [real, forged] = [random.bytes(100), random.bytes(100)]
    ends[0].send(...encodePush(space, [forged]))
    await until(() => theirs.get(hashOf(forged)) !== undefined)
    expect(theirs.get(hashOf(real))).toBeUndefined()
    expect(await theirs.expect(hashOf(real))).toBeUndefined()
  })

  test('of a device that floods are bounded and push out nothing that others sent', async () => {
    const [, theirs] = await bothOpen()
    const [flood, honest] = createMemoryChannelPair('push')
    b.attach(deviceC, honest)
    const kept = random.bytes(1_000)
    ends[0].send(...encodePush(space, [kept]))
    await until(() => theirs.get(hashOf(kept)) !== undefined)
    const contents = Array.from({ length: 4 }, () => random.bytes(limits.pushedContentBytes))
    const sentBytes = { total: 0 }
    let peakBytes = 0
    // Without waiting for room the flood meets the end of its channel, or of our patience: never of our memory
    for (let round = 0; round < 40; round++) {
      for (const content of contents) content[round] = (content[round] ?? 0) ^ 0xff
      try {
        flood.send(...encodePush(space, contents))
      } catch {
        break // because: cut off, which is as good
      }
      sentBytes.total += 4 * limits.pushedContentBytes
      await new Promise((resolve) => setTimeout(resolve, 1))
      peakBytes = Math.max(peakBytes, b.heldBytes)
    }
    expect(sentBytes.total).toBeGreaterThan(8 * 1024 * 1024)
    expect(peakBytes).toBeLessThan(limits.pushedBytesPerDevice + limits.messageBytes + 10_000)
    expect(theirs.get(hashOf(kept))).toEqual(kept)
  })

  test('many empty ones cost memory too and are bounded', async () => {
    await bothOpen()
    const tiny = Array.from({ length: 2_000 }, (_, index) => Uint8Array.of(index, index >> 8))
    ends[0].send(...encodePush(space, tiny))
    await until(() => b.heldBytes > 2_000 * 200)
  })

  test('leave many to a message, however they were offered', async () => {
    const [near, far] = createMemoryChannelPair('push')
    let messages = 0
    far.receive((message) => {
      if (decodePushMessage(message)?.kind === 'push') messages++
    })
    a.attach(deviceC, near)
    using mine = a.open(space, open)
    far.send(encodeHold([space]))
    await until(() => mine.hasTakers)
    for (let index = 0; index < 100; index++) {
      mine.offer(random.bytes(1_000))
      await Promise.resolve()
    }
    await mine.room(new AbortController().signal)
    await until(() => messages > 0)
    expect(messages).toBe(1)
  })

  test('are waited for while contents come in, and not when nothing comes', async () => {
    const [mine, theirs] = await bothOpen()
    const [first, second] = [random.bytes(10), random.bytes(10)]
    expect(await theirs.expect(hashOf(second))).toBeUndefined()
    mine.offer(first)
    await mine.room(new AbortController().signal)
    await until(() => theirs.get(hashOf(first)) !== undefined)
    const waiting = theirs.expect(hashOf(second))
    mine.offer(second)
    await mine.room(new AbortController().signal)
    expect(await waiting).toEqual(second)
    expect(await theirs.expect(hashOf(random.bytes(9)))).toBeUndefined()
  })

  test('that do not fit into the queue of a line are left out; who waits for room waits for no slow line', async () => {
    const [mine] = await bothOpen()
    const line = createMemoryChannelPair('slow')
    const stalled: DeviceId = deviceC
    a.attach(stalled, line[0])
    line[1].receive(() => new Promise(() => undefined))
    line[1].send(encodeHold([space]))
    await new Promise((resolve) => setTimeout(resolve, 10))
    for (let index = 0; index < 120; index++) mine.offer(random.bytes(limits.pushedContentBytes))
    await mine.room(new AbortController().signal)
    const startMs = performance.now()
    mine.offer(random.bytes(limits.pushedContentBytes))
    await mine.room(new AbortController().signal)
    expect(performance.now() - startMs).toBeLessThan(1_000)
  })

  test('a second channel of a device takes the place of the first', async () => {
    const [mine, theirs] = await bothOpen()
    const [first] = ends
    link()
    expect(await first.closed).toBeUndefined()
    await until(() => mine.hasTakers)
    const content = random.bytes(100)
    mine.offer(content)
    await mine.room(new AbortController().signal)
    await until(() => theirs.get(hashOf(content)) !== undefined)
  })
})

describe('push wire format', () => {
  test('is what it was', () => {
    const id = '0123456789abcdefghjkmnpqrs' as typeof space // because: an id in the right form
    expect(Buffer.from(encodeHold([id])).toString('latin1')).toBe(`\x01${id}`)
    const message = joined(encodePush(id, [Uint8Array.of(7, 8), new Uint8Array()]))
    expect(Buffer.from(message).toString('latin1')).toBe(`\x02${id}\0\0\0\x02\x07\x08\0\0\0\0`)
    expect(decodePushMessage(message)).toEqual({
      kind: 'push',
      space: id,
      contents: [Uint8Array.of(7, 8), new Uint8Array()],
    })
    expect(decodePushMessage(Uint8Array.of(9, 1, 2))).toBeUndefined()
  })

  test('random bytes never do anything but decode or be refused', () => {
    for (let round = 0; round < 5_000; round++) {
      const message = random.bytes(round % 200)
      message[0] = 1 + (round % 3)
      try {
        decodePushMessage(message)
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(codec.invalid|limit.exceeded)$/) })
      }
    }
  })
})
