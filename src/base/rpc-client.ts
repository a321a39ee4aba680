/** The calling half of RPC: matches answers to calls, with deadline, cancel and stream credit. */
import { assert } from './assert.ts'
import type { Channel } from './channel.ts'
import { abortReason, throwIfAborted } from './clock.ts'
import type { Validator } from './codec.ts'
import { decode, encode } from './codec.ts'
import { createDeadlines } from './deadlines.ts'
import type { Env } from './env.ts'
import { asSkeinError, fromWireError, hasCode, SkeinError } from './errors.ts'
import { limits } from './limits.ts'
import {
  frameHeaderBytes,
  frameType,
  newFrame,
  sendUnlessEnded,
  sendWithHead,
  splitHead,
  wireErrorShape,
  writeUint32,
} from './rpc-frame.ts'

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Default limits.rpcDeadlineMs for calls, none (0) for streams. The other side gets it too and stops working then. */
  readonly timeoutMs?: number
  /** Raw bytes that travel beside the parameters without passing through the codec. */
  readonly body?: Uint8Array
}

/** A reply with the raw bytes that came beside it, owned by the caller. */
export interface Answer<T> {
  readonly value: T
  readonly body: Uint8Array
}

/** One of our calls that waits for its answer. */
interface Waiting {
  answer(head: Uint8Array, body: Uint8Array): void
  item(value: Uint8Array): void
  end(): void
  fail(error: SkeinError): void
}

interface Pending extends Waiting {
  readonly deadlineMs: number
}

export interface RpcClient {
  callWithBody<T>(
    method: string,
    params: unknown,
    result: Validator<T>,
    options?: CallOptions,
  ): Promise<Answer<T>>
  stream<T>(method: string, params: unknown, item: Validator<T>, options?: CallOptions): AsyncIterable<T>
  /** An answering frame (response, error, item or end). @throws `codec.*` when it breaks the protocol. */
  answered(kind: number, id: number, rest: Uint8Array): void
  /** Fails everything that waits, now and later. */
  end(error: SkeinError): void
  readonly size: number
}

const empty = new Uint8Array(0)

interface Calls extends Omit<RpcClient, 'callWithBody' | 'stream'> {
  begin(ask: Ask<unknown>, waiting: Waiting): number
  cancel(id: number, error: SkeinError): void
  /** Allows the other side `items` more of this stream. */
  credit(id: number, items: number): void
}

/** What is asked: shape checks the value, or each item of a stream. */
interface Ask<T> {
  readonly method: string
  readonly params: unknown
  readonly shape: Validator<T>
  readonly options: CallOptions
  readonly wantsStream: boolean
}

export function createRpcClient(env: Env, channel: Channel): RpcClient {
  const calls = createCalls(env, channel)
  return {
    async callWithBody(method, params, result, options) {
      const startMs = env.clock.monotonicMs()
      const ask = { method, params, shape: result, options: options ?? {}, wantsStream: false }
      const answer = await callOnce(calls, ask)
      env.metrics.observe('rpc_seconds', (env.clock.monotonicMs() - startMs) / 1000)
      return answer
    },
    stream: (method, params, item, options) =>
      callStream(calls, { method, params, shape: item, options: options ?? {}, wantsStream: true }),
    answered: calls.answered,
    end: calls.end,
    get size() {
      return calls.size
    },
  }
}

function createCalls(env: Env, channel: Channel): Calls {
  const pending = new Map<number, Pending>()
  let nextId = 1
  let ended: SkeinError | undefined
  const take = (id: number): Pending | undefined => {
    const call = pending.get(id)
    pending.delete(id)
    return call
  }
  const cancel = (id: number, error: SkeinError): void => {
    const call = take(id)
    if (call === undefined) return
    sendUnlessEnded(channel, newFrame(frameType.cancel, id))
    call.fail(error)
  }
  const deadlines = createDeadlines(env.clock, (nowMs) => {
    let nextMs = Infinity
    for (const [id, call] of pending) {
      if (call.deadlineMs > nowMs) nextMs = Math.min(nextMs, call.deadlineMs)
      else cancel(id, new SkeinError('deadline.exceeded', 'the other device did not answer in time'))
    }
    return nextMs
  })
  return {
    begin({ method, params, options, wantsStream }, waiting) {
      if (ended !== undefined) throw ended
      throwIfAborted(options.signal)
      const timeoutMs = Math.ceil(options.timeoutMs ?? (wantsStream ? 0 : limits.rpcDeadlineMs))
      const deadlineMs = timeoutMs === 0 ? Infinity : env.clock.monotonicMs() + timeoutMs
      const id = nextId
      nextId = nextId === 0xffff_ffff ? 1 : nextId + 1
      assert(!pending.has(id), 'call ids wrap only after 4 billion calls')
      pending.set(id, { ...waiting, deadlineMs })
      try {
        const head = encode([method, params ?? null, timeoutMs, wantsStream ? 1 : 0])
        sendWithHead(channel, newFrame(frameType.request, id, 4), head, options.body ?? empty)
      } catch (error) {
        pending.delete(id)
        if (!hasCode(error, 'channel.closed', 'channel.aborted', 'channel.stalled')) throw error
        throw new SkeinError('peer.gone', 'the connection to the other device ended', { cause: error })
      }
      if (deadlineMs !== Infinity) deadlines.arm(deadlineMs)
      return id
    },
    cancel,
    credit(id, items) {
      if (!pending.has(id)) return
      const credit = newFrame(frameType.credit, id, 4)
      writeUint32(credit, frameHeaderBytes, items)
      sendUnlessEnded(channel, credit)
    },
    answered(kind, id, rest) {
      if (kind === frameType.item) return pending.get(id)?.item(rest)
      // An answer to a call that was cancelled meanwhile has no reader: normal, dropped
      const call = take(id)
      if (call !== undefined) settle(call, kind, rest)
    },
    end(error) {
      ended = error
      deadlines[Symbol.dispose]()
      for (const call of pending.values()) call.fail(error)
      pending.clear()
    },
    get size() {
      return pending.size
    },
  }
}

function settle(call: Pending, kind: number, rest: Uint8Array): void {
  if (kind === frameType.end) return call.end()
  if (kind === frameType.response) {
    const { head, body } = splitHead(rest)
    return call.answer(head, body)
  }
  const { code, message, fix } = decode(rest, wireErrorShape, limits.rpcEnvelopeBytes)
  call.fail(fromWireError(fix === undefined ? { code, message } : { code, message, fix }))
}

/** Cancels the call when the signal aborts; the listener goes with `settled`. */
function followSignal(calls: Calls, id: number, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => undefined
  const onAbort = (): void => calls.cancel(id, abortReason(signal))
  signal.addEventListener('abort', onAbort, { once: true })
  return () => signal.removeEventListener('abort', onAbort)
}

async function callOnce<T>(calls: Calls, ask: Ask<T>): Promise<Answer<T>> {
  const settled = Promise.withResolvers<Answer<T>>()
  const id = calls.begin(ask, {
    answer(head, body) {
      try {
        const value = decode(head, ask.shape, limits.rpcEnvelopeBytes)
        settled.resolve({ value, body: body.byteLength === 0 ? empty : body.slice() })
      } catch (error) {
        settled.reject(asSkeinError(error))
      }
    },
    fail: (error) => settled.reject(error),
    item: () => undefined,
    end: () => settled.reject(new SkeinError('codec.invalid', `${ask.method} answered with a stream`)),
  })
  if (ask.options.signal === undefined) return settled.promise
  const unfollow = followSignal(calls, id, ask.options.signal)
  return settled.promise.finally(unfollow)
}

async function* callStream<T>(calls: Calls, ask: Ask<T>): AsyncGenerator<T> {
  const inbox: T[] = []
  let over = false
  let failure: SkeinError | undefined
  let wake: (() => void) | undefined
  const stop = (error?: SkeinError): void => {
    over = true
    failure ??= error
    wake?.()
  }
  const id = calls.begin(ask, {
    answer: () => stop(new SkeinError('codec.invalid', `${ask.method} did not answer with a stream`)),
    fail: stop,
    end: () => stop(),
    item(bytes) {
      // Credit bounds what an honest sender has on the way; one that sends more has broken the protocol
      if (inbox.length > limits.rpcStreamCredit) {
        return calls.cancel(id, new SkeinError('limit.exceeded', 'stream ignored its credit'))
      }
      try {
        inbox.push(decode(bytes, ask.shape, limits.messageBytes))
      } catch (error) {
        return calls.cancel(id, asSkeinError(error))
      }
      wake?.()
    },
  })
  const unfollow = followSignal(calls, id, ask.options.signal)
  let taken = 0
  try {
    for (;;) {
      if (inbox.length === 0) {
        if (failure !== undefined) throw failure
        if (over) return
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      // because: length was just checked, and T may itself include undefined
      const next = inbox.shift() as T
      if (++taken >= limits.rpcStreamCredit / 2) {
        calls.credit(id, taken)
        taken = 0
      }
      yield next
    }
  } finally {
    unfollow()
    calls.cancel(id, new SkeinError('cancelled', 'stream left'))
  }
}
