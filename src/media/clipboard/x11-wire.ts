/**
 * The socket as the `x11` package sees it. A parser that throws on what a display sent, a display that goes away and
 * one that does not answer end this one connection and nothing else.
 */
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'

export interface XWire {
  /** What `x11` takes as its stream. */
  readonly stream: unknown
  /** One request and its answer. @throws why the connection is over; an error of the display as it is. */
  ask<T>(send: (done: Done<T>) => void): Promise<T>
  /** What came over the socket; the wire keeps none of it. */
  receive(chunk: Uint8Array): void
  /** From now on everything received goes there. */
  receiveBy(take: (chunk: Uint8Array) => void): void
  /** Ends it at once. Idempotent; the first reason counts. */
  readonly fail: (reason: SkeinError) => void
  /** Settles when the connection is gone, with the reason. */
  readonly closed: Promise<SkeinError>
}

/** A callback as the package wants it: true says that an error was taken notice of. */
export type Done<T> = (error: unknown, value?: T) => boolean

/** @param socket connected; owned by the wire from here, but for what it receives. */
export function createXWire(env: Env, socket: Socket): XWire {
  const emitter = new EventEmitter()
  const { promise: closed, resolve: close } = Promise.withResolvers<SkeinError>()
  const waiting = new Set<(reason: SkeinError) => void>()
  let over: SkeinError | undefined
  const fail = (reason: SkeinError): void => {
    if (over !== undefined) return
    over = reason
    socket.destroy()
    close(reason)
    for (const reject of waiting) reject(reason)
    emitter.emit('close')
  }
  socket.on('drain', () => emitter.emit('drain'))
  const gone = (cause?: Error): void => fail(new SkeinError('peer.gone', 'the display is gone', { cause }))
  socket.on('error', gone)
  socket.on('end', () => gone())
  socket.on('close', () => gone())
  const stream = packageStream(socket, emitter, () => over !== undefined, fail)
  // The package keeps what it is given
  let take = (chunk: Uint8Array): void => void emitter.emit('data', Buffer.from(chunk))
  return {
    stream,
    closed,
    fail,
    receiveBy: (next) => void (take = next),
    receive(chunk) {
      if (over !== undefined) return
      try {
        take(chunk)
      } catch (error) {
        const cause = error instanceof SkeinError ? error : undefined
        fail(
          cause ??
            new SkeinError('codec.invalid', 'the display sent what no display sends', { cause: error }),
        )
      }
    },
    async ask<T>(send: (done: Done<T>) => void) {
      if (over !== undefined) throw over
      const { promise, resolve, reject } = Promise.withResolvers<T>()
      waiting.add(reject)
      const timer = env.clock.setTimer(limits.displayAnswerMs, () =>
        fail(new SkeinError('deadline.exceeded', 'the display does not answer')),
      )
      try {
        send((error, value) => {
          if (error) reject(error)
          // because: without an error there is a value
          else resolve(value as T)
          return true
        })
        return await promise
      } finally {
        waiting.delete(reject)
        timer[Symbol.dispose]()
      }
    },
  }
}

/** What the package uses of a stream. */
function packageStream(
  socket: Socket,
  emitter: EventEmitter,
  isOver: () => boolean,
  fail: (reason: SkeinError) => void,
): unknown {
  return {
    connecting: false,
    get destroyed() {
      return isOver()
    },
    get writableEnded() {
      return isOver()
    },
    get writableLength() {
      return socket.writableLength
    },
    on: (name: string, listener: (...args: unknown[]) => void) => void emitter.on(name, listener),
    // Empty ones too would fail where the display has closed, before what it said is read
    write: (chunk: Uint8Array, done?: () => void) =>
      isOver() || (chunk.byteLength === 0 && done === undefined) || socket.write(chunk, () => done?.()),
    end: () => fail(new SkeinError('cancelled', 'closed')),
  }
}
