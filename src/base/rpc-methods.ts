/** What a device answers to: methods by name with a validator for their parameters, shared by all peers. */
import { assert } from './assert.ts'
import type { Validator } from './codec.ts'

/** What a handler knows of a call. R is what the server was told of the remote (a device, its key). */
export interface IncomingCall<R> {
  readonly remote: R
  /** Aborts when the caller cancels, its deadline passes or the channel ends. */
  readonly signal: AbortSignal
  /** Raw bytes sent beside the parameters, owned by the handler; empty when none. */
  readonly body: Uint8Array
}

/** A reply: the value, and raw bytes that do not pass through the codec. */
export interface Reply {
  readonly value?: unknown
  readonly body?: Uint8Array
}

export interface RequestMethod<R, P = unknown> {
  readonly kind: 'request'
  readonly params: Validator<P>
  handle(params: P, call: IncomingCall<R>): Promise<Reply> | Reply
}

export interface StreamMethod<R, P = unknown> {
  readonly kind: 'stream'
  readonly params: Validator<P>
  /** Items are pulled as the caller grants credit; returning ends the stream, a throw reaches the caller. */
  handle(params: P, call: IncomingCall<R>): AsyncIterable<unknown>
}

export type RpcMethod<R> = RequestMethod<R> | StreamMethod<R>

export interface RpcMethods<R> {
  /** @returns a handle that takes the method off. A name already taken is a programmer error. */
  request<P>(name: string, params: Validator<P>, handle: RequestMethod<R, P>['handle']): Disposable
  stream<P>(name: string, params: Validator<P>, handle: StreamMethod<R, P>['handle']): Disposable
  find(name: string): RpcMethod<R> | undefined
}

export function createRpcMethods<R>(): RpcMethods<R> {
  const methods = new Map<string, RpcMethod<R>>()
  const add = (name: string, method: RpcMethod<R>): Disposable => {
    assert(!methods.has(name), `method ${name} registered once`)
    methods.set(name, method)
    return { [Symbol.dispose]: () => void methods.delete(name) }
  }
  return {
    // because: `serve` only ever passes what the method's own validator returned
    request: (name, params, handle) => add(name, { kind: 'request', params, handle } as RequestMethod<R>),
    stream: (name, params, handle) => add(name, { kind: 'stream', params, handle } as StreamMethod<R>), // because: as above
    find: (name) => methods.get(name),
  }
}
