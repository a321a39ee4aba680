/** What every RPC pair must do, whatever channel carries it. Run by the memory, noise and TLS channels. */
import { describe, expect, test } from 'vitest'
import type { Channel } from '../../src/base/channel.ts'
import { anything, integer, object, text } from '../../src/base/codec.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { Rpc } from '../../src/base/rpc.ts'
import { createRpc } from '../../src/base/rpc.ts'
import type { RpcMethods } from '../../src/base/rpc-methods.ts'
import { createRpcMethods } from '../../src/base/rpc-methods.ts'

export interface ChannelPair extends AsyncDisposable {
  readonly a: Channel
  readonly b: Channel
}

interface Pair extends AsyncDisposable {
  readonly caller: Rpc
  readonly server: Rpc
  readonly methods: RpcMethods<string>
}

export function rpcContract(name: string, open: () => Promise<ChannelPair>): void {
  const setup = async (): Promise<Pair> => {
    const env = createSystemEnv()
    const channels = await open()
    const methods = createRpcMethods<string>()
    const server = createRpc(env, channels.b, methods, 'the caller')
    const caller = createRpc(env, channels.a, createRpcMethods<string>(), 'the server')
    return { caller, server, methods, [Symbol.asyncDispose]: () => channels[Symbol.asyncDispose]() }
  }
  const echo = (methods: RpcMethods<string>): void => {
    methods.request('echo', object({ text: text(100) }), (params, call) => ({
      value: params.text,
      body: call.body,
    }))
  }

  describe(`rpc over ${name}`, () => {
    test('a call returns the value and the raw bytes', async () => {
      await using pair = await setup()
      echo(pair.methods)
      const body = new Uint8Array(200_000).fill(7)
      const answer = await pair.caller.callWithBody('echo', { text: 'ü' }, text(100), { body: body.slice() })
      expect(answer.value).toBe('ü')
      expect(answer.body).toEqual(body)
      expect(pair.caller.inFlight()).toEqual({ outgoing: 0, incoming: 0 })
    })

    test('1,000 calls in flight are answered each with its own value, in any order', async () => {
      await using pair = await setup()
      pair.methods.request('slow', integer(), async (wait) => {
        for (let turn = 0; turn < wait % 7; turn++) await Promise.resolve()
        return { value: wait }
      })
      const calls = Array.from({ length: 1000 }, (_, index) => pair.caller.call('slow', index, integer()))
      expect(await Promise.all(calls)).toEqual(Array.from({ length: 1000 }, (_, index) => index))
    })

    test('an error keeps its code, message and fix', async () => {
      await using pair = await setup()
      pair.methods.request('fail', anything, () => {
        throw new SkeinError('auth.denied', 'not for you', { fix: 'ask the owner' })
      })
      const failure = await pair.caller.call('fail', null, anything).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'auth.denied', message: 'not for you', fix: 'ask the owner' })
    })

    test('an unknown method, wrong parameters and a wrong result are refused by name', async () => {
      await using pair = await setup()
      echo(pair.methods)
      await expect(pair.caller.call('nothing', null, anything)).rejects.toMatchObject({ code: 'rpc.unknown' })
      await expect(pair.caller.call('echo', { text: 5 }, anything)).rejects.toMatchObject({
        code: 'codec.invalid',
      })
      await expect(pair.caller.call('echo', { text: 'x' }, integer())).rejects.toMatchObject({
        code: 'codec.invalid',
      })
      expect(await pair.caller.call('echo', { text: 'still fine' }, text(100))).toBe('still fine')
    })

    test('a deadline ends the call on both sides', async () => {
      await using pair = await setup()
      const stopped = Promise.withResolvers<string>()
      pair.methods.request('hang', anything, (_, call) => {
        call.signal.addEventListener('abort', () => stopped.resolve((call.signal.reason as SkeinError).code)) // because: rpc aborts with SkeinErrors only
        return new Promise(() => undefined)
      })
      await expect(pair.caller.call('hang', null, anything, { timeoutMs: 50 })).rejects.toMatchObject({
        code: 'deadline.exceeded',
      })
      expect(['deadline.exceeded', 'cancelled']).toContain(await stopped.promise)
    })

    test('cancelling a call aborts the handler and forgets the call', async () => {
      await using pair = await setup()
      const started = Promise.withResolvers<void>()
      const stopped = Promise.withResolvers<void>()
      pair.methods.request('hang', anything, async (_, call) => {
        started.resolve()
        await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve()))
        stopped.resolve()
        return {}
      })
      const controller = new AbortController()
      const call = pair.caller.call('hang', null, anything, { signal: controller.signal })
      await started.promise
      controller.abort(new SkeinError('cancelled', 'enough'))
      await expect(call).rejects.toMatchObject({ code: 'cancelled' })
      await stopped.promise
      await expect.poll(() => pair.server.inFlight().incoming).toBe(0)
    })

    test('a stream delivers its items in order and ends', async () => {
      await using pair = await setup()
      pair.methods.stream('count', integer(), async function* (upTo) {
        for (let index = 0; index < upTo; index++) yield await Promise.resolve(index)
      })
      const seen: number[] = []
      for await (const item of pair.caller.stream('count', 1000, integer())) seen.push(item)
      expect(seen).toEqual(Array.from({ length: 1000 }, (_, index) => index))
      expect(pair.caller.inFlight().outgoing).toBe(0)
    })

    test('a stream that is not read produces no more than its credit', async () => {
      await using pair = await setup()
      let produced = 0
      pair.methods.stream('flood', anything, async function* () {
        for (;;) yield await Promise.resolve(produced++)
      })
      const iterator = pair.caller.stream('flood', null, integer())[Symbol.asyncIterator]()
      expect((await iterator.next()).value).toBe(0)
      await pair.caller.call('nothing', null, anything).catch(() => undefined)
      expect(produced).toBeLessThanOrEqual(limits.rpcStreamCredit + 2)
      await iterator.return?.()
      await expect.poll(() => pair.server.inFlight().incoming).toBe(0)
    })

    test('leaving a stream early runs the handler’s cleanup', async () => {
      await using pair = await setup()
      const cleaned = Promise.withResolvers<void>()
      pair.methods.stream('ticks', anything, async function* () {
        try {
          for (let index = 0; ; index++) yield await Promise.resolve(index)
        } finally {
          cleaned.resolve()
        }
      })
      for await (const item of pair.caller.stream('ticks', null, integer())) if (item === 3) break
      await cleaned.promise
    })

    test('an error in the middle of a stream reaches the reader after the items before it', async () => {
      await using pair = await setup()
      pair.methods.stream('breaks', anything, async function* () {
        yield await Promise.resolve(1)
        throw new SkeinError('blob.missing', 'gone')
      })
      const seen: number[] = []
      const reading = (async () => {
        for await (const item of pair.caller.stream('breaks', null, integer())) seen.push(item)
      })()
      await expect(reading).rejects.toMatchObject({ code: 'blob.missing' })
      expect(seen).toEqual([1])
    })

    test('a heartbeat is answered and its round trip reported', async () => {
      await using pair = await setup()
      const rtt = Promise.withResolvers<number>()
      pair.caller.onRoundTrip(rtt.resolve)
      pair.caller.heartbeat()
      expect(await rtt.promise).toBeGreaterThanOrEqual(0)
    })

    test('losing the channel fails every call and aborts every handler', async () => {
      await using pair = await setup()
      const stopped = Promise.withResolvers<void>()
      pair.methods.request('hang', anything, (_, call) => {
        call.signal.addEventListener('abort', () => stopped.resolve())
        started.resolve()
        return new Promise(() => undefined)
      })
      const started = Promise.withResolvers<void>()
      const calls = [1, 2, 3].map(() => pair.caller.call('hang', null, anything))
      const failures = Promise.allSettled(calls)
      await started.promise
      await pair.caller[Symbol.asyncDispose]()
      for (const outcome of await failures) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'peer.gone' } })
      }
      await stopped.promise
      await expect(pair.caller.call('hang', null, anything)).rejects.toMatchObject({ code: 'peer.gone' })
    })
  })
}
