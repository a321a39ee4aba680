/** The answering half of RPC: runs the other side's calls, with their deadline, credit and cancel. */
import type { Channel } from './channel.ts'
import { decode, encode, isObject } from './codec.ts'
import { createDeadlines } from './deadlines.ts'
import type { Env } from './env.ts'
import { asSkeinError, hasCode, SkeinError, toWireError } from './errors.ts'
import { limits } from './limits.ts'
import type { LogFields } from './log.ts'
import { errorFields } from './log.ts'
import {
  frameType,
  newFrame,
  requestHeadShape,
  sendUnlessEnded,
  sendWithHead,
  splitHead,
} from './rpc-frame.ts'
import type { IncomingCall, RpcMethod, RpcMethods } from './rpc-methods.ts'

/** Aborts of a call of theirs, and what wakes it when it waits for credit. */
interface Running {
  deadlineMs: number
  credit: number
  abortedBy: SkeinError | undefined
  controller: AbortController | undefined
  wake: (() => void) | undefined
}

export interface RpcServer {
  /** A request frame. @throws `codec.invalid` when the frame breaks the protocol: the channel must end. */
  request(id: number, rest: Uint8Array): void
  cancel(id: number): void
  credit(id: number, items: number): void
  /** Aborts everything that runs: the channel is gone. */
  end(error: SkeinError): void
  readonly size: number
}

const empty = new Uint8Array(0)

export function createRpcServer<R>(env: Env, channel: Channel, methods: RpcMethods<R>, remote: R): RpcServer {
  const running = new Map<number, Running>()
  const deadlines = createDeadlines(env.clock, (nowMs) => {
    let nextMs = Infinity
    for (const call of running.values()) {
      if (call.deadlineMs <= nowMs)
        abort(call, new SkeinError('deadline.exceeded', 'the caller stopped waiting'))
      else nextMs = Math.min(nextMs, call.deadlineMs)
    }
    return nextMs
  })
  const report = createFaultLog(env, remote)
  const serve = async (id: number, call: Running, rest: Uint8Array): Promise<void> => {
    try {
      const { head, body } = splitHead(rest)
      const [name, params, timeoutMs, wantsStream] = decode(head, requestHeadShape, limits.rpcEnvelopeBytes)
      const method = methods.find(name)
      if (method === undefined || (method.kind === 'stream') !== wantsStream) {
        throw new SkeinError('rpc.unknown', `no method ${JSON.stringify(name)}`, {
          fix: 'Update Skein on both devices.',
        })
      }
      if (timeoutMs !== 0) {
        call.deadlineMs = env.clock.monotonicMs() + timeoutMs
        deadlines.arm(call.deadlineMs)
      }
      const context = contextOf(call, remote, body)
      await (method.kind === 'request'
        ? answer(channel, id, call, method.handle(method.params(params, 'params'), context))
        : answerStream(channel, id, call, method.handle(method.params(params, 'params'), context)))
    } catch (error) {
      const known = asSkeinError(error)
      report(known)
      sendError(channel, id, known)
    } finally {
      running.delete(id)
    }
  }
  return {
    request(id, rest) {
      if (running.has(id)) throw new SkeinError('codec.invalid', `call id ${id} used twice`)
      if (running.size >= limits.rpcCallsInFlight) {
        return sendError(channel, id, new SkeinError('limit.exceeded', 'too many calls at once'))
      }
      const call = newCall()
      running.set(id, call)
      void serve(id, call, rest)
    },
    cancel(id) {
      const call = running.get(id)
      if (call !== undefined) abort(call, new SkeinError('cancelled', 'the caller cancelled'))
    },
    credit(id, items) {
      const call = running.get(id)
      if (call === undefined) return
      call.credit = Math.min(call.credit + items, limits.rpcStreamCredit)
      call.wake?.()
    },
    end(error) {
      deadlines[Symbol.dispose]()
      for (const call of running.values()) abort(call, error)
    },
    get size() {
      return running.size
    },
  }
}

/** What the caller broke is laid at its door, ever more rarely, so that nobody fills the log; our own faults always. */
function createFaultLog(env: Env, remote: unknown): (error: SkeinError) => void {
  let refusals = 0
  return (error) => {
    if (error.code === 'internal') return env.log.error('call failed', errorFields(error))
    if (!hasCode(error, 'codec.invalid', 'codec.version', 'limit.exceeded', 'auth.denied', 'auth.invalid'))
      return
    refusals++
    if ((refusals & (refusals - 1)) !== 0) return
    env.log.warn('call refused', {
      ...whoIs(remote),
      code: error.code,
      reason: error.message,
      count: refusals,
    })
  }
}

/** The device, where the server was told of one. */
const whoIs = (remote: unknown): LogFields =>
  isObject(remote) && typeof remote['deviceId'] === 'string' ? { deviceId: remote['deviceId'] } : {}

function newCall(): Running {
  return {
    deadlineMs: Infinity,
    credit: limits.rpcStreamCredit,
    abortedBy: undefined,
    controller: undefined,
    wake: undefined,
  }
}

function sendError(channel: Channel, id: number, error: SkeinError): void {
  sendUnlessEnded(channel, newFrame(frameType.error, id), encode(toWireError(error)))
}

function abort(call: Running, error: SkeinError): void {
  call.abortedBy ??= error
  call.controller?.abort(error)
  call.wake?.()
}

function contextOf<R>(call: Running, remote: R, body: Uint8Array): IncomingCall<R> {
  return {
    remote,
    body: body.byteLength === 0 ? empty : body.slice(),
    get signal() {
      // Made when asked for: most handlers never look, and a controller costs more than a small call
      call.controller ??= new AbortController()
      if (call.abortedBy !== undefined) call.controller.abort(call.abortedBy)
      return call.controller.signal
    },
  }
}

type Handled = ReturnType<Extract<RpcMethod<never>, { kind: 'request' }>['handle']>

async function answer(channel: Channel, id: number, call: Running, pending: Handled): Promise<void> {
  const reply = pending instanceof Promise ? await pending : pending
  if (call.abortedBy !== undefined) return
  sendWithHead(channel, newFrame(frameType.response, id, 4), encode(reply.value ?? null), reply.body ?? empty)
}

async function answerStream(
  channel: Channel,
  id: number,
  call: Running,
  items: AsyncIterable<unknown>,
): Promise<void> {
  for await (const item of items) {
    while (call.credit === 0 && call.abortedBy === undefined) {
      await new Promise<void>((resolve) => {
        call.wake = resolve
      })
    }
    if (call.abortedBy !== undefined) return
    call.credit--
    if (!channel.send(newFrame(frameType.item, id), encode(item))) await channel.drained()
  }
  if (call.abortedBy === undefined) sendUnlessEnded(channel, newFrame(frameType.end, id))
}
