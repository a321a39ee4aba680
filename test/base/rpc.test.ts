/** RPC over the in-memory channel, and what hostile frames do to it. */
import { expect, test } from 'vitest'
import { anything } from '../../src/base/codec.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createRpc } from '../../src/base/rpc.ts'
import { createRpcMethods } from '../../src/base/rpc-methods.ts'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { rpcContract } from '../contract/rpc.ts'

rpcContract('memory', () => {
  const [a, b] = createMemoryChannelPair()
  return Promise.resolve({
    a,
    b,
    [Symbol.asyncDispose]: async () => {
      a.abort(new SkeinError('channel.aborted', 'test over'))
      await a.closed
    },
  })
})

test('garbage frames end the channel and never throw past it', async () => {
  const random = createSeededRandom(1)
  for (let round = 0; round < 500; round++) {
    const [a, b] = createMemoryChannelPair()
    const rpc = createRpc(createSystemEnv(), b, createRpcMethods<string>(), 'stranger')
    a.receive(() => undefined)
    const frame = random.bytes(randomBelow(random, 64))
    if (frame.length > 0 && round % 2 === 0) frame[0] = randomBelow(random, 12)
    a.send(frame)
    a.close().catch(() => undefined)
    await rpc.closed
    expect(rpc.inFlight()).toEqual({ outgoing: 0, incoming: 0 })
  }
})

test('a call id used twice breaks the protocol', async () => {
  const [a, b] = createMemoryChannelPair()
  const methods = createRpcMethods<string>()
  methods.request('hang', anything, () => new Promise(() => undefined))
  createRpc(createSystemEnv(), b, methods, 'stranger')
  const caller = createRpc(createSystemEnv(), a, createRpcMethods<string>(), 'server')
  const waiting = caller.call('hang', null, anything).catch((error: unknown) => error)
  a.send(Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 0))
  expect(await waiting).toMatchObject({ code: 'peer.gone' })
})
