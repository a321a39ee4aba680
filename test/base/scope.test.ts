/** Structured concurrency: what a scope owns ends with it, in order, and one failure stays in its scope. */
import { expect, test } from 'vitest'
import { sleep } from '../../src/base/clock.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { createLog } from '../../src/base/log.ts'
import { createScope } from '../../src/base/scope.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'

test('closing aborts tasks, waits for them, then disposes in reverse order', async () => {
  const scope = createScope(createSystemEnv(), 'work')
  const seen: string[] = []
  scope.defer(() => void seen.push('first owned'))
  scope.own({ [Symbol.asyncDispose]: () => Promise.resolve(void seen.push('second owned')) })
  scope.spawn('loop', async (signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    await Promise.resolve()
    seen.push('task over')
  })
  await Promise.resolve()
  await Promise.resolve()
  await Promise.all([scope.close(), scope.close()])
  expect(seen).toEqual(['task over', 'second owned', 'first owned'])
})

test('a failing task is logged once and closes its own scope only', async () => {
  const errors: string[] = []
  const env = createSystemEnv({ log: createLog((record) => errors.push(record.message)) })
  const parent = createScope(env, 'parent')
  const child = parent.child('child')
  let cleaned = false
  child.defer(() => {
    cleaned = true
  })
  child.spawn('breaks', () => Promise.reject(new Error('boom')))
  await expect.poll(() => cleaned).toBe(true)
  expect(errors).toEqual(['task failed'])
  expect(parent.signal.aborted).toBe(false)
  await parent.close()
})

test('closing a parent ends children even while its own task waits for them', async () => {
  const scope = createScope(createSystemEnv(), 'parent')
  const child = scope.child('child')
  scope.spawn('waits for the child', () => new Promise((resolve) => child.defer(() => resolve())))
  await Promise.resolve()
  await scope.close()
  expect(child.signal.aborted).toBe(true)
})

test('what is owned after the end is disposed at once', async () => {
  const scope = createScope(createSystemEnv(), 'work')
  await scope.close()
  let disposed = false
  scope.defer(() => {
    disposed = true
  })
  await expect.poll(() => disposed).toBe(true)
})

test('a sleep ends with its scope and leaves no timer behind', async () => {
  const clock = createVirtualClock()
  const scope = createScope(createSystemEnv({ clock }), 'work')
  scope.spawn('sleeper', (signal) => sleep(clock, 1000, signal))
  await Promise.resolve()
  await Promise.resolve()
  expect(clock.nextDueMs()).toBe(1000)
  await scope.close()
  expect(clock.nextDueMs()).toBeUndefined()
})
