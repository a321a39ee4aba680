/** The control socket: calls, streams, cancelling, back-pressure, limits, hostile bytes, and stopping. */
import { once } from 'node:events'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { Client } from '../../src/cli/client.ts'
import { connectClient } from '../../src/cli/client.ts'
import type { Api, EventItem } from '../../src/peer/api.ts'
import {
  createLineReader,
  encodeLine,
  parseClientMessage,
  parseServerMessage,
} from '../../src/program/control-protocol.ts'
import type { ControlServer } from '../../src/peer/control-server.ts'
import { createControlServer } from '../../src/peer/control-server.ts'
import { findControlAddress } from '../../src/program/home-path.ts'
import { temporaryDirectory } from '../support/temporary-home.ts'

const env = createSystemEnv()

interface Served {
  readonly home: string
  readonly server: ControlServer
  readonly connect: () => Promise<Client>
  readonly stop: () => Promise<void>
}

/** Serves only what a test needs; anything else is not called. */
async function serve(api: Partial<Api>, name = 'home'): Promise<Served> {
  const home = join(await temporaryDirectory(), name)
  await mkdir(home, { recursive: true, mode: 0o700 })
  // because: a verb that a test does not give is a fault of the test when called
  const server = await createControlServer(env, home, api as Api)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return {
    home,
    server,
    stop: async () => server[Symbol.asyncDispose](),
    connect: async () => {
      const client = await connectClient(home)
      onTestFinished(() => client[Symbol.dispose]())
      return client
    },
  }
}

test('a call is answered, and its error keeps code, message and fix', async () => {
  const { home, connect: open } = await serve({
    spaces: () => Promise.resolve([]),
    revoke: ({ device }) =>
      Promise.reject(new SkeinError('peer.unknown', `no ${device}`, { fix: 'skein devices' })),
  })
  const client = await open()
  expect(await client.call('spaces', {})).toEqual([])
  await expect(client.call('revoke', { device: 'x' })).rejects.toMatchObject({
    code: 'peer.unknown',
    message: 'no x',
    fix: 'skein devices',
  })
  expect((await stat(join(home, 'control.sock'))).mode & 0o777).toBe(0o600)
})

test('parameters are checked before the handler sees them', async () => {
  let calls = 0
  const { connect: open } = await serve({ share: () => Promise.reject(new Error(`called ${++calls}`)) })
  const client = await open()
  for (const directory of ['', 'relative', 'x'.repeat(5000), 7, null]) {
    // because: the wrong type is the point
    const params = { directory } as { directory: string }
    await expect(client.call('share', params)).rejects.toMatchObject({ code: 'usage' })
  }
  expect(calls).toBe(0)
})

test('an unknown verb, also one that every object has, is refused by name', async () => {
  const { connect: open } = await serve({})
  const client = await open()
  for (const verb of ['nonsense', 'constructor', '__proto__', 'toString']) {
    // because: the wrong name is the point
    await expect(client.call(verb as 'spaces', {})).rejects.toMatchObject({ code: 'rpc.unknown' })
  }
})

test('a stream gives its items in order and ends; leaving the loop cancels it at the peer', async () => {
  const ended = Promise.withResolvers<number>()
  const { connect: open } = await serve({
    async *events(_params, call): AsyncGenerator<EventItem> {
      let count = 0
      try {
        for (; !call.signal.aborted; count++) yield { name: 'tick', atMs: count, data: {} }
      } finally {
        ended.resolve(count)
      }
    },
    async *logs() {
      for (let atMs = 0; atMs < 1000; atMs++) {
        await Promise.resolve()
        yield { atMs, level: 'info' as const, scope: '', message: 'x', fields: {} }
      }
    },
  })
  const client = await open()
  const lines: number[] = []
  for await (const line of client.stream('logs', {})) lines.push(line.atMs)
  expect(lines).toEqual(Array.from({ length: 1000 }, (_value, index) => index))
  let seen = 0
  for await (const event of client.stream('events', {})) {
    expect(event.atMs).toBe(seen)
    if (++seen === 50) break
  }
  expect(await ended.promise).toBeGreaterThanOrEqual(50)
})

test('a reader that stops reading makes the source wait instead of filling memory', async () => {
  let produced = 0
  const { home } = await serve({
    async *events(_params, call): AsyncGenerator<EventItem> {
      for (; !call.signal.aborted; produced++) {
        await Promise.resolve()
        yield { name: 'x'.repeat(1000), atMs: 0, data: {} }
      }
    },
  })
  const socket = connect(findControlAddress(home))
  onTestFinished(() => void socket.destroy())
  socket.pause()
  socket.write(encodeLine({ id: 1, verb: 'events', params: {} }))
  let before = -1
  // Settles: the source stands still once all buffers are full
  while (produced === 0 || produced !== before) {
    before = produced
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  expect(produced).toBeLessThan(5_000)
})

test('a client that goes away ends its calls, and a cancelled call ends alone', async () => {
  const aborted: string[] = []
  const waiting = (name: string, signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted.push(name)
        reject(new SkeinError('cancelled', 'gone'))
      })
    })
  const { home } = await serve({
    sync: (params, { signal }) => waiting(params.space ?? '', signal),
    spaces: () => Promise.resolve([]),
  })
  const socket = connect(findControlAddress(home))
  const reader = createLineReader()
  const replies: unknown[] = []
  socket.on('data', (chunk: Buffer) => replies.push(...reader.push(chunk).map(parseServerMessage)))
  socket.write(
    encodeLine({ id: 1, verb: 'sync', params: { space: 'a' } }) +
      encodeLine({ id: 2, verb: 'sync', params: { space: 'b' } }),
  )
  socket.write(encodeLine({ id: 1, cancel: true }) + encodeLine({ id: 3, verb: 'spaces', params: {} }))
  while (replies.length < 2) await once(socket, 'data')
  expect(aborted).toEqual(['a'])
  expect(replies).toContainEqual({ id: 3, result: [] })
  expect(replies).toContainEqual({ id: 1, error: { code: 'cancelled', message: expect.any(String) } })
  socket.destroy()
  while (aborted.length < 2) await new Promise((resolve) => setImmediate(resolve))
  expect(aborted).toEqual(['a', 'b'])
})

test('garbage, too long a line, a doubled id and too many calls cost only the one who sent them', async () => {
  const { home, connect: open } = await serve({
    spaces: () => Promise.resolve([]),
    sync: (_params, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
  })
  const line = (id: number): string => encodeLine({ id, verb: 'sync', params: {} })
  const hostile = [
    'garbage\n',
    '\n',
    '[]\n',
    '{"id":-1}\n',
    '{"id":1}\n',
    '\u0000'.repeat(limits.controlMessageBytes + 1),
    line(1) + line(1),
  ]
  for (const bytes of [...hostile, Buffer.from([0xff, 0xfe, 0x0a])]) {
    const socket = connect(findControlAddress(home))
    socket.on('error', () => undefined)
    socket.write(bytes)
    await once(socket, 'close')
  }
  const many = connect(findControlAddress(home))
  onTestFinished(() => void many.destroy())
  many.write(Array.from({ length: limits.controlCallsInFlight + 1 }, (_value, id) => line(id)).join(''))
  const [reply] = await once(many, 'data')
  expect(parseServerMessage(String(reply).trim())).toMatchObject({ error: { code: 'limit.exceeded' } })
  expect(await (await open()).call('spaces', {})).toEqual([])
})

test('a result that is too long becomes an error, and the connection goes on', async () => {
  const { connect: open } = await serve({
    metrics: () => Promise.resolve({ text: 'x'.repeat(limits.controlMessageBytes) }),
    spaces: () => Promise.resolve([]),
  })
  const client = await open()
  await expect(client.call('metrics', {})).rejects.toMatchObject({ code: 'limit.exceeded' })
  expect(await client.call('spaces', {})).toEqual([])
})

test('a socket left by a crash is replaced; without a server the client says what to do', async () => {
  const { home, stop, connect: open } = await serve({ spaces: () => Promise.resolve([]) })
  await stop()
  await expect(open()).rejects.toMatchObject({ code: 'not.running', fix: 'skein up' })
  await writeFile(join(home, 'control.sock'), 'left over')
  // because: no verb is called
  await using _next = await createControlServer(env, home, {} as Api)
  const client = await open()
  await expect(client.call('devices', {})).rejects.toMatchObject({ code: 'internal' })
})

test('stopping ends streams and calls with an error and leaves no socket behind', async () => {
  const {
    home,
    stop,
    connect: open,
  } = await serve({
    sync: (_params, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
  })
  const client = await open()
  const call = client.call('sync', {})
  call.catch(() => undefined)
  await stop()
  await expect(call).rejects.toBeInstanceOf(SkeinError)
  await client.closed
  await expect(stat(join(home, 'control.sock'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a home with a path longer than a socket address is served all the same', async () => {
  const { home, server, connect: open } = await serve({ spaces: () => Promise.resolve([]) }, 'x'.repeat(120))
  expect(await readFile(join(home, 'control.path'), 'utf8')).toBe(server.address)
  expect((await stat(dirname(server.address))).mode & 0o777).toBe(0o700)
  expect(await (await open()).call('spaces', {})).toEqual([])
})

test('lines survive any cut, and nothing but a message is taken for one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'binary' }), { maxLength: 20 }),
      fc.array(fc.nat(50), { minLength: 1 }),
      (texts, cuts) => {
        const bytes = Buffer.from(
          texts.map((text) => encodeLine({ id: 1, verb: 'v', params: text })).join(''),
        )
        const reader = createLineReader()
        const lines: string[] = []
        for (let offset = 0, turn = 0; offset < bytes.byteLength; turn++) {
          const size = 1 + (cuts[turn % cuts.length] ?? 0)
          lines.push(...reader.push(bytes.subarray(offset, offset + size)))
          offset += size
        }
        // because: every line is a request by construction
        const params = lines.map((line) => (parseClientMessage(line) as { params: unknown }).params)
        expect(params).toEqual(texts)
      },
    ),
  )
  fc.assert(
    fc.property(fc.json(), (line) => {
      for (const parse of [parseClientMessage, parseServerMessage]) {
        try {
          expect(Number.isSafeInteger(parse(line).id)).toBe(true)
        } catch (error) {
          expect(error).toMatchObject({ code: 'codec.invalid' })
        }
      }
    }),
  )
})
