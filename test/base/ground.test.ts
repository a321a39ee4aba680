/** The small parts of the ground: queue, events, clock, random, ids, back-off. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs } from '../../src/base/backoff.ts'
import { withDeadline } from '../../src/base/clock.ts'
import { createEmitter } from '../../src/base/events.ts'
import { encodeId, isDeviceId, newDeviceId } from '../../src/base/ids.ts'
import { createLog, errorFields } from '../../src/base/log.ts'
import { createQueue } from '../../src/base/queue.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { createSystemClock } from '../../src/base/system-clock.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'

test('a full queue refuses offers and lets pushes wait until there is room', async () => {
  const queue = createQueue<number>(2)
  expect([queue.offer(1), queue.offer(2), queue.offer(3)]).toEqual([true, true, false])
  let pushed = false
  const pushing = queue.push(3).then(() => {
    pushed = true
  })
  await Promise.resolve()
  expect(pushed).toBe(false)
  expect(await queue.take()).toBe(1)
  await pushing
  queue.end()
  expect([await queue.take(), await queue.take(), await queue.take()]).toEqual([2, 3, undefined])
  await expect(queue.push(4)).rejects.toMatchObject({ code: 'channel.closed' })
})

test('an aborted wait leaves the queue as it was', async () => {
  const queue = createQueue<number>(1)
  const controller = new AbortController()
  const taking = queue.take(controller.signal)
  controller.abort()
  await expect(taking).rejects.toMatchObject({ code: 'cancelled' })
  queue.offer(1)
  expect(await queue.take()).toBe(1)
})

test('an item heavier than the capacity passes through an empty queue', () => {
  const queue = createQueue<Uint8Array>(10, (bytes) => bytes.length)
  expect(queue.offer(new Uint8Array(50))).toBe(true)
  expect(queue.offer(new Uint8Array(1))).toBe(false)
})

test('a listener that throws does not reach the emitter nor the listeners after it', () => {
  const messages: string[] = []
  const emitter = createEmitter<{ happened: number }>(createLog((record) => messages.push(record.message)))
  const seen: number[] = []
  emitter.on('happened', () => {
    throw new Error('listener')
  })
  using _ = emitter.on('happened', (value) => void seen.push(value))
  emitter.emit('happened', 5)
  expect(seen).toEqual([5])
  expect(messages).toEqual(['event listener failed'])
})

test('a virtual clock fires timers in due order, ties in creation order, and honours cancel', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 40 }), fc.nat(10), (delays, cancelled) => {
      const clock = createVirtualClock()
      const fired: number[] = []
      const timers = delays.map((delay, index) => clock.setTimer(delay, () => fired.push(index)))
      timers[cancelled]?.[Symbol.dispose]()
      clock.advance(100)
      const expected = delays
        .map((delay, index) => ({ delay, index }))
        .filter(({ index }) => index !== cancelled)
        .sort((left, right) => left.delay - right.delay || left.index - right.index)
        .map(({ index }) => index)
      expect(fired).toEqual(expected)
      expect(clock.monotonicMs()).toBe(100)
    }),
  )
})

test('a wall clock jump does not move the monotonic clock', () => {
  const clock = createVirtualClock()
  const before = clock.nowMs()
  clock.jumpWall(-86_400_000)
  expect([clock.nowMs() - before, clock.monotonicMs()]).toEqual([-86_400_000, 0])
})

test('work that outlives its deadline fails with the name of the work', async () => {
  const clock = createSystemClock()
  const outcome = withDeadline(
    clock,
    { timeoutMs: 20, what: 'dialling' },
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late')))),
  )
  await expect(outcome).rejects.toMatchObject({
    code: 'deadline.exceeded',
    message: 'dialling took longer than 20 ms',
  })
})

test('the same seed gives the same stream, neighbouring seeds unrelated ones', () => {
  const [a, b, c] = [createSeededRandom(5), createSeededRandom(5), createSeededRandom(6)]
  expect(a.bytes(64)).toEqual(b.bytes(64))
  expect(a.bytes(64)).not.toEqual(c.bytes(64))
  const counts = Array.from({ length: 16 }, () => 0)
  for (let index = 0; index < 16_000; index++) {
    const slot = Math.floor(a.float() * 16)
    counts[slot] = (counts[slot] ?? 0) + 1
  }
  for (const count of counts) expect(count).toBeGreaterThan(800)
})

test('ids are 26 characters that hold 128 bits', () => {
  expect(encodeId(new Uint8Array(16))).toBe('0'.repeat(26))
  expect(encodeId(new Uint8Array(16).fill(255))).toBe('7' + 'z'.repeat(25))
  const ids = new Set(Array.from({ length: 1000 }, () => newDeviceId(createSystemRandom())))
  expect(ids.size).toBe(1000)
  for (const id of ids) expect(isDeviceId(id)).toBe(true)
  for (const bad of ['', 'x', '8' + '0'.repeat(25), 'I'.repeat(26)]) expect(isDeviceId(bad)).toBe(false)
})

test('back-off doubles to its ceiling and is spread', () => {
  const random = createSeededRandom(3)
  for (let attempt = 0; attempt < 40; attempt++) {
    const ceiling = Math.min(5000, 250 * 2 ** attempt)
    const delay = backoffMs(attempt, { firstMs: 250, maxMs: 5000 }, random)
    expect(delay).toBeGreaterThanOrEqual(ceiling / 2)
    expect(delay).toBeLessThanOrEqual(ceiling)
  }
})

test('error fields carry the chain of causes without stacks', () => {
  const fields = errorFields(new Error('outer', { cause: new Error('inner') }))
  expect(fields).toEqual({ error: 'Error: outer <- Error: inner' })
})
