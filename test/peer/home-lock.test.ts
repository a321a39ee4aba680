/** One process per home: by race, after crashes, and across what cannot be judged from here. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { acquireHomeLock, readLockOwner } from '../../src/program/home-lock.ts'
import { compileCachePath } from '../../src/program/program.ts'
import { temporaryDirectory } from '../support/temporary-home.ts'

const random = createSystemRandom()
const taker = fileURLToPath(new URL('../support/lock-taker.ts', import.meta.url))

interface Taker {
  readonly child: ChildProcess
  answer: string
}

async function startTaker(directory: string): Promise<Taker> {
  const child = spawn(process.execPath, [taker, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCachePath() },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const started: Taker = { child, answer: '' }
  const waiting = Promise.withResolvers<void>()
  child.stdout.on('data', (chunk: Buffer) => {
    started.answer += chunk.toString()
    if (started.answer.includes('waiting')) waiting.resolve()
  })
  await waiting.promise
  started.answer = ''
  return started
}

const answered = async (started: Taker): Promise<string> => {
  while (!started.answer.includes('\n')) await once(started.child.stdout ?? process.stdin, 'data')
  return started.answer.trim()
}

test('of twenty processes that race, one holds the lock; when it is killed one of the next twenty does', async () => {
  const directory = join(await temporaryDirectory(), 'lock')
  for (let round = 0; round < 3; round++) {
    const takers = await Promise.all(Array.from({ length: 20 }, () => startTaker(directory)))
    for (const { child } of takers) child.stdin?.write('go')
    const answers = await Promise.all(takers.map(answered))
    expect(answers.toSorted()).toEqual(['held', ...Array<string>(19).fill('home.locked')])
    const holder = takers.find(({ answer }) => answer.startsWith('held'))
    expect((await readLockOwner(directory))?.pid).toBe(holder?.child.pid)
    const ended = once(holder?.child ?? process.stdin, 'exit')
    holder?.child.kill('SIGKILL')
    await ended
    expect(await readLockOwner(directory)).toBeUndefined()
  }
  expect((await readdir(directory)).filter((name) => name.endsWith('.tmp'))).toEqual([])
}, 60_000)

test('within one process too there is one holder, and letting go is seen at once', async () => {
  const directory = join(await temporaryDirectory(), 'lock')
  for (let round = 0; round < 5; round++) {
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, () => acquireHomeLock(directory, '', random)),
    )
    const held = tries.filter((tried) => tried.status === 'fulfilled')
    expect(held.length).toBe(1)
    expect((await readLockOwner(directory))?.pid).toBe(process.pid)
    await held[0]?.value[Symbol.asyncDispose]()
    await held[0]?.value[Symbol.asyncDispose]()
    expect(await readLockOwner(directory)).toBeUndefined()
  }
})

/** Leaves a lock as another process would have, with these facts changed. */
async function leaveLock(change: Readonly<Record<string, unknown>>): Promise<string> {
  const directory = join(await temporaryDirectory(), 'lock')
  const mine = await acquireHomeLock(directory, '', random)
  const [name = ''] = await readdir(directory)
  await writeFile(join(directory, name), JSON.stringify({ ...mine.record, ...change }))
  return directory
}

test('a process id that was given to another process since is not the holder', async () => {
  const directory = await leaveLock({ started: '1' })
  await using lock = await acquireHomeLock(directory, '', random)
  expect(lock.record.pid).toBe(process.pid)
})

test('a lock from before the last boot is stale', async () => {
  const directory = await leaveLock({ boot: 'earlier', pid: 1 })
  await using _lock = await acquireHomeLock(directory, '', random)
})

test('a lock of another machine is not judged from here', async () => {
  const directory = await leaveLock({ boot: 'earlier', machine: 'another' })
  await expect(acquireHomeLock(directory, '', random)).rejects.toMatchObject({ code: 'home.locked' })
})

test('a holder in another container counts as long as its socket answers', async () => {
  const base = await temporaryDirectory()
  const socket = join(base, 's')
  const server = createServer((connection) => connection.end()).listen(socket)
  await once(server, 'listening')
  const directory = await leaveLock({ pidNamespace: 'pid:[1]', pid: 99_999_999, socket })
  await expect(acquireHomeLock(directory, '', random)).rejects.toMatchObject({ code: 'home.locked' })
  server.close()
  await once(server, 'close')
  await using _lock = await acquireHomeLock(directory, '', random)
})

test('a damaged lock stops the start and names the fix', async () => {
  const directory = join(await temporaryDirectory(), 'lock')
  await mkdir(directory)
  await writeFile(join(directory, '3'), 'not json')
  await expect(acquireHomeLock(directory, '', random)).rejects.toMatchObject({
    code: 'store.corrupt',
    fix: expect.stringContaining('rm -r'),
  })
})

test('a slow taker whose number was used and cleaned up steps back', async () => {
  const directory = join(await temporaryDirectory(), 'lock')
  const first = await acquireHomeLock(directory, '', random)
  await first[Symbol.asyncDispose]()
  await using _second = await acquireHomeLock(directory, '', random)
  const [highest] = await readdir(directory)
  // The slow taker's file, linked under an old number after the fact
  await writeFile(join(directory, '1'), await readFile(join(directory, highest ?? '')))
  await expect(acquireHomeLock(directory, '', random)).rejects.toMatchObject({ code: 'home.locked' })
})
