/** Random ends of every kind under load, on both transports: nothing uncaught, nothing hung, nothing left open. */
import { expect, test } from 'vitest'
import type { Channel } from '../../src/base/channel.ts'
import { SkeinError } from '../../src/base/errors.ts'
import type { Connection, Host, Lane } from '../../src/base/link.ts'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import type { HostConnection } from '../../src/transport/libp2p-connection.ts'
import { startHost } from './hosts.ts'

const cycles = 200
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Cycle {
  readonly a: Channel
  readonly b: Channel
  readonly near: HostConnection
  readonly far: HostConnection
}

const cut = (): SkeinError => new SkeinError('cancelled', 'chaos')
/** What may happen to a channel; the last four take the connection with it. */
const ends: readonly ((cycle: Cycle) => void)[] = [
  ({ a }) => a.abort(cut()),
  ({ b }) => b.abort(cut()),
  ({ a }) => void a.close(),
  ({ b }) => void b.close(),
  ({ a, b }) => void Promise.all([a.close(), b.close()]),
  ({ a, b }) => {
    void a.close()
    b.abort(cut())
  },
  ({ a }) => void a[Symbol.asyncDispose](),
  ({ near }) => void near.close(),
  ({ far }) => far.abort(cut()),
  // because: the socket dies without a word to anybody
  ({ near }) => (near.maConn as unknown as { socket: { destroy(): void } }).socket.destroy(),
  ({ far }) =>
    (far.maConn as unknown as { socket: { resetAndDestroy?(): void; destroy(): void } }).socket.destroy(),
]

/** Sends until the channel ends. */
async function load(channel: Channel, sizeBytes: number): Promise<void> {
  try {
    for (;;) {
      if (!channel.send(new Uint8Array(sizeBytes))) await channel.drained()
      else await turn()
    }
  } catch (error) {
    expect(error).toBeInstanceOf(SkeinError)
  }
}

async function settled(what: string, promise: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`${what} hangs`)), 10_000)
  await Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}

async function runCycles(lane: Lane, dialler: Host, listener: Host): Promise<void> {
  const random = createSeededRandom(lane === 'bulk' ? 42 : 43)
  let inbound = Promise.withResolvers<readonly [Channel, Connection]>()
  listener.handle('/test/chaos/1', 'member', (channel, connection) => inbound.resolve([channel, connection]))
  let near: HostConnection | undefined
  for (let index = 0; index < cycles; index++) {
    if (near === undefined || near.maConn.status !== 'open') {
      // because: the tests of this folder look inside
      near = (await dialler.dial(listener.peerId, listener.addresses(), { lane })) as HostConnection
    }
    inbound = Promise.withResolvers()
    let a: Channel
    try {
      a = await near.open('/test/chaos/1')
    } catch (error) {
      // The last cycle ended the connection from the far side, and its end is on the way
      expect(error).toMatchObject({ code: 'peer.gone' })
      await settled('the connection', near.closed)
      continue
    }
    const [b, far] = await inbound.promise
    const slow = randomBelow(random, 3) === 0
    a.receive(() => undefined)
    b.receive(slow ? () => turn() : () => undefined)
    const loads = [load(a, 1 + randomBelow(random, 100_000)), load(b, 1 + randomBelow(random, 5_000))]
    for (let turns = randomBelow(random, 20); turns > 0; turns--) await turn()
    ends[randomBelow(random, ends.length)]?.({ a, b, near, far: far as HostConnection })
    await settled(`cycle ${index}`, Promise.all([a.closed, b.closed, ...loads]))
    if (near.maConn.status === 'open') {
      const open = near
      for (let turns = 0; open.streamCount() > 0 && turns < 1000; turns++) await turn()
      if (open.maConn.status === 'open') expect(open.streamCount()).toBe(0)
    }
  }
}

const socketCount = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length

for (const lane of ['control', 'bulk'] as const) {
  test(`${cycles} random ends leave nothing behind (${lane})`, async () => {
    const uncaught: unknown[] = []
    const onUncaught = (error: unknown): void => void uncaught.push(error)
    process.on('uncaughtException', onUncaught)
    process.on('unhandledRejection', onUncaught)
    const socketsBefore = socketCount()
    const listener = await startHost()
    const dialler = await startHost({ addresses: [] })
    try {
      await runCycles(lane, dialler, listener)
    } finally {
      await dialler[Symbol.asyncDispose]()
      await listener[Symbol.asyncDispose]()
    }
    for (let turns = 0; socketCount() > socketsBefore && turns < 1000; turns++) await turn()
    expect(socketCount()).toBe(socketsBefore)
    process.removeListener('uncaughtException', onUncaught)
    process.removeListener('unhandledRejection', onUncaught)
    expect(uncaught).toEqual([])
  }, 120_000)
}
