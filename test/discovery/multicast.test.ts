/** The UDP implementation on loopback, and what it does when the system refuses. */
import { createSocket, type Socket } from 'node:dgram'
import { describe, expect, test } from 'vitest'
import { createSystemEnv, type Env } from '../../src/base/env.ts'
import { createLog, type LogRecord } from '../../src/base/log.ts'
import { createMulticast } from '../../src/discovery/multicast.ts'
import { interfaceOf } from './peers.ts'

const lo = interfaceOf('lo', '127.0.0.1/8')

function loggedEnv(): { readonly env: Env; readonly logged: readonly LogRecord[] } {
  const logged: LogRecord[] = []
  return { logged, env: createSystemEnv({ log: createLog((record) => logged.push(record), 'info') }) }
}

/** A port nobody shares, held by a socket. */
async function holdPort(): Promise<Socket & { readonly port: number }> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '0.0.0.0', resolve))
  return Object.assign(socket, { port: socket.address().port })
}

const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.close(() => resolve()))

describe('multicast over UDP', () => {
  test('all links on an interface hear each packet, the sender’s too, until they are closed', async () => {
    const { env, logged } = loggedEnv()
    const holder = await holdPort()
    await closed(holder)
    const multicast = createMulticast(env, holder.port)
    const got = Promise.withResolvers<void>()
    const heard: string[] = []
    const hear = (name: string) => (bytes: Uint8Array, source: string) => {
      heard.push(`${name} ${Buffer.from(bytes).toString()} from ${source}`)
      if (heard.length === 2) got.resolve()
    }
    const [one, two] = [multicast.open(lo, hear('one')), multicast.open(lo, hear('two'))]
    await two.send(new Uint8Array()) // because: both must be bound before the packet that is looked for
    await one.send(Buffer.from('hello'))
    await got.promise
    expect(heard.filter((line) => line.includes('hello')).toSorted()).toEqual(
      expect.arrayContaining(['one hello from 127.0.0.1']),
    )
    await Promise.all([one[Symbol.asyncDispose](), two[Symbol.asyncDispose]()])
    await one.send(Buffer.from('late'))
    expect(heard.some((line) => line.includes('late'))).toBe(false)
    expect(logged).toEqual([])
  })

  test('a port that is taken is logged once and used as soon as it is free', async () => {
    const { env, logged } = loggedEnv()
    const holder = await holdPort()
    const link = createMulticast(env, holder.port).open(lo, () => got.resolve())
    const got = Promise.withResolvers<void>()
    for (let index = 0; index < 5; index++) await link.send(Buffer.from('x'))
    expect(logged.map(({ fields }) => String(fields['error']))).toEqual([
      expect.stringContaining('EADDRINUSE'),
    ])
    await closed(holder)
    await link.send(Buffer.from('x'))
    await got.promise
    await link[Symbol.asyncDispose]()
  })

  test('an address that is no interface’s is logged once, and sending and closing end all the same', async () => {
    const { env, logged } = loggedEnv()
    const holder = await holdPort()
    await closed(holder)
    const link = createMulticast(env, holder.port).open(
      interfaceOf('lo', '10.255.254.253/32'),
      () => undefined,
    )
    for (let index = 0; index < 3; index++) await link.send(Buffer.from('x'))
    await link[Symbol.asyncDispose]()
    expect(logged.map(({ fields }) => String(fields['error']))).toEqual([
      expect.stringMatching(/ENODEV|EADDRNOTAVAIL/),
    ])
  })
})
