/**
 * Calls over one Channel: request, stream, cancel, deadline, heartbeat. One long-lived channel per peer, never a
 * stream per call (measured: 5-10 times the latency). The wire form is in rpc-frame.ts.
 */
import type { Channel } from './channel.ts'
import type { Validator } from './codec.ts'
import type { Env } from './env.ts'
import { SkeinError } from './errors.ts'
import type { Answer, CallOptions } from './rpc-client.ts'
import { createRpcClient } from './rpc-client.ts'
import { frameHeaderBytes, frameType, newFrame, readUint32, sendUnlessEnded } from './rpc-frame.ts'
import type { RpcMethods } from './rpc-methods.ts'
import { createRpcServer } from './rpc-server.ts'

export interface Rpc extends AsyncDisposable {
  /** @throws what the handler threw (code kept), `deadline.exceeded`, `cancelled`, `peer.gone`, `rpc.unknown`. */
  call<T>(method: string, params: unknown, result: Validator<T>, options?: CallOptions): Promise<T>
  /** As `call`, with the raw bytes of the reply. */
  callWithBody<T>(
    method: string,
    params: unknown,
    result: Validator<T>,
    options?: CallOptions,
  ): Promise<Answer<T>>
  /** Items in order. Leaving the loop cancels the call. */
  stream<T>(method: string, params: unknown, item: Validator<T>, options?: CallOptions): AsyncIterable<T>
  /** Sends a heartbeat frame; its answer is reported by `onRoundTrip`. */
  heartbeat(): void
  /** Sends a sign of life that asks for no answer: half the cost of a heartbeat. */
  beat(): void
  /** Called with the round-trip time of each answered heartbeat. */
  onRoundTrip(listener: (rttMs: number) => void): Disposable
  /** Monotonic ms of the last frame received; of the start before the first. */
  lastHeardMs(): number
  /** Calls of ours that still wait and calls of theirs that still run: for leak checks. */
  inFlight(): { readonly outgoing: number; readonly incoming: number }
  readonly closed: Promise<SkeinError | undefined>
}

/** Heartbeats that may be unanswered at once; beyond it the oldest is forgotten. */
const heartbeatsKept = 64

/**
 * Serves `methods` on the channel and makes calls over it. Takes over the channel's receiver.
 * @param remote what handlers are told of the other side.
 */
export function createRpc<R>(env: Env, channel: Channel, methods: RpcMethods<R>, remote: R): Rpc {
  const client = createRpcClient(env, channel)
  const server = createRpcServer(env, channel, methods, remote)
  const roundTrips = new Set<(rttMs: number) => void>()
  const sentMs = new Map<number, number>()
  let lastHeardMs = env.clock.monotonicMs()
  let sequence = 0

  const pong = (id: number): void => {
    const startMs = sentMs.get(id)
    if (startMs === undefined) return
    sentMs.delete(id)
    for (const listener of roundTrips) listener(lastHeardMs - startMs)
  }
  channel.receive((message) => {
    if (message.byteLength < frameHeaderBytes) throw new SkeinError('codec.invalid', 'rpc frame too short')
    lastHeardMs = env.clock.monotonicMs()
    const kind = message[0] ?? 0
    const id = readUint32(message, 1)
    const rest = message.subarray(frameHeaderBytes)
    if (kind === frameType.request) server.request(id, rest)
    else if (kind >= frameType.response && kind <= frameType.end) client.answered(kind, id, rest)
    else if (kind === frameType.cancel) server.cancel(id)
    else if (kind === frameType.credit && rest.byteLength === 4) server.credit(id, readUint32(rest, 0))
    else if (kind === frameType.heartbeat) sendUnlessEnded(channel, newFrame(frameType.pong, id))
    else if (kind === frameType.pong) pong(id)
    else if (kind === frameType.beat) return
    else throw new SkeinError('codec.version', `rpc frame of unknown type ${kind}`)
  })
  void channel.closed.then((cause) => {
    const gone = new SkeinError('peer.gone', 'the connection to the other device ended', cause && { cause })
    client.end(gone)
    server.end(gone)
    roundTrips.clear()
    sentMs.clear()
  })
  return {
    callWithBody: (method, params, result, options) => client.callWithBody(method, params, result, options),
    async call(method, params, result, options) {
      return (await client.callWithBody(method, params, result, options)).value
    },
    stream: (method, params, item, options) => client.stream(method, params, item, options),
    heartbeat() {
      sequence = (sequence + 1) >>> 0
      sentMs.set(sequence, env.clock.monotonicMs())
      if (sentMs.size > heartbeatsKept) sentMs.delete(sentMs.keys().next().value ?? 0)
      sendUnlessEnded(channel, newFrame(frameType.heartbeat, sequence))
    },
    beat: () => sendUnlessEnded(channel, newFrame(frameType.beat, 0)),
    onRoundTrip(listener) {
      roundTrips.add(listener)
      return { [Symbol.dispose]: () => void roundTrips.delete(listener) }
    },
    lastHeardMs: () => lastHeardMs,
    inFlight: () => ({ outgoing: client.size, incoming: server.size }),
    closed: channel.closed,
    async [Symbol.asyncDispose]() {
      await channel.close()
    },
  }
}
