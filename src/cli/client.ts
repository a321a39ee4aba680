/**
 * Talks to the running peer of one home over its control socket. Light on purpose: `node:net` and JSON, so that a
 * command has its answer within milliseconds of its start.
 */
import { lstatSync } from 'node:fs'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { fromWireError, SkeinError } from '../base/errors.ts'
import type { ItemOf, ParamsOf, RequestVerb, ResultOf, StreamVerb } from '../peer/api.ts'
import type { ClientMessage, ServerMessage } from '../program/control-protocol.ts'
import { createLineReader, encodeLine, parseServerMessage } from '../program/control-protocol.ts'
import { findControlAddress } from '../program/home-path.ts'

export interface Client extends Disposable {
  /** @throws what the peer answered, `not.running` when it goes away, `deadline.exceeded`. */
  call<V extends RequestVerb>(verb: V, params: ParamsOf<V>, timeoutMs?: number): Promise<ResultOf<V>>
  /** Items in order. Leaving the loop, or the signal, cancels it at the peer. */
  stream<V extends StreamVerb>(verb: V, params: ParamsOf<V>, signal?: AbortSignal): AsyncIterable<ItemOf<V>>
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
}

/** A peer that does not answer for so long is hung, not busy: it answers these calls from memory. */
const defaultTimeoutMs = 20_000
/** Items held for a slow terminal before the peer is asked, by back-pressure, to wait. */
const heldItems = 256

const notRunning = (home: string, cause: unknown): SkeinError =>
  new SkeinError('not.running', `no skein is running on ${home}`, { fix: 'skein up', cause })

/** @throws `not.running`, `home.unusable` when the socket is not ours. */
export async function connectClient(home: string): Promise<Client> {
  const address = findControlAddress(home)
  if (!address.startsWith(home)) requireOwn(address)
  const socket = connect(address)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', (error: NodeJS.ErrnoException) => reject(describeConnectError(error, home, address)))
  })
  return createClient(socket, home)
}

/** A short socket path may lie in a directory open to all: whoever made it must be this user. */
function requireOwn(address: string): void {
  if (process.platform === 'win32') return
  const stat = lstatSync(dirname(address), { throwIfNoEntry: false })
  if (stat === undefined || stat.uid === process.getuid?.()) return
  throw new SkeinError('home.unusable', `${dirname(address)} belongs to another user`, {
    fix: 'use a home with a shorter path: --home DIR',
  })
}

function describeConnectError(error: NodeJS.ErrnoException, home: string, address: string): SkeinError {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTDIR')
    return notRunning(home, error)
  const fix = 'run the command as the user whose peer it is'
  return new SkeinError('home.unusable', `cannot connect to ${address}: ${error.message}`, {
    cause: error,
    fix,
  })
}

interface Pending {
  take(message: ServerMessage): void
  lost(error: SkeinError): void
}

function createClient(socket: Socket, home: string): Client {
  const pending = new Map<number, Pending>()
  const closed = Promise.withResolvers<void>()
  let nextId = 1
  let failure: unknown
  const send = (message: ClientMessage): void => void socket.write(encodeLine(message))
  receive(
    socket,
    (message) => pending.get(message.id)?.take(message),
    (error) => {
      failure = error
      const stopped = new SkeinError('not.running', 'the peer has stopped', { cause: error, fix: 'skein up' })
      for (const entry of pending.values()) entry.lost(error instanceof SkeinError ? error : stopped)
      closed.resolve()
    },
  )
  const open = (verb: string, params: unknown, entry: Pending): number => {
    if (socket.destroyed) throw notRunning(home, failure)
    const id = nextId++
    pending.set(id, entry)
    send({ id, verb, params })
    return id
  }
  return {
    closed: closed.promise,
    call: (verb, params, timeoutMs = defaultTimeoutMs) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => finish(() => reject(noAnswer(verb, timeoutMs))), timeoutMs)
        const finish = (settle: () => void): void => {
          clearTimeout(timer)
          pending.delete(id)
          settle()
        }
        const id = open(verb, params, {
          take: (message) =>
            finish(() => {
              if ('error' in message) reject(fromWireError(message.error))
              // because: the peer of one's own home is trusted to answer with the verb's result
              else resolve(('result' in message ? message.result : undefined) as ResultOf<typeof verb>)
            }),
          lost: (error) => finish(() => reject(error)),
        })
      }),
    stream: (verb, params, signal) => {
      const source = createItems<ItemOf<typeof verb>>(socket)
      const id = open(verb, params, source)
      const cancel = (): void => {
        if (!socket.destroyed && pending.has(id)) send({ id, cancel: true })
      }
      const onAbort = (): void => {
        cancel()
        source.lost(new SkeinError('cancelled', 'interrupted'))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted === true) onAbort()
      return source.items(() => {
        signal?.removeEventListener('abort', onAbort)
        if (!source.isEnded()) cancel()
        pending.delete(id)
      })
    },
    [Symbol.dispose]: () => socket.destroy(),
  }
}

/** Hands each message over. @param onEnd gets what broke the connection, if anything did. */
function receive(
  socket: Socket,
  onMessage: (message: ServerMessage) => void,
  onEnd: (error: unknown) => void,
): void {
  const lines = createLineReader()
  let failure: unknown
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const line of lines.push(chunk)) onMessage(parseServerMessage(line))
    } catch (error) {
      failure = error
      socket.destroy()
    }
  })
  socket.on('error', (error) => (failure ??= error))
  socket.once('close', () => onEnd(failure))
}

const noAnswer = (verb: string, timeoutMs: number): SkeinError =>
  new SkeinError('deadline.exceeded', `the peer did not answer "${verb}" within ${timeoutMs / 1000} s`, {
    fix: 'look at skein logs; if it hangs, end its process (skein doctor names it) and run skein up',
  })

interface Items<I> extends Pending {
  isEnded(): boolean
  items(cleanup: () => void): AsyncIterable<I>
}

/** What has arrived of a stream; the socket rests while too much waits. */
function createItems<I>(socket: Socket): Items<I> {
  const held: I[] = []
  let ended = false
  let error: SkeinError | undefined
  let wake: (() => void) | undefined
  const end = (why: SkeinError | undefined): void => {
    if (!ended) error = why
    ended = true
    wake?.()
  }
  async function* items(cleanup: () => void): AsyncGenerator<I> {
    try {
      for (;;) {
        if (held.length > 0) {
          // because: length was just checked, and I may itself include undefined
          const item = held.shift() as I
          if (held.length < heldItems / 2) socket.resume()
          yield item
        } else if (error !== undefined) throw error
        else if (ended) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      cleanup()
      socket.resume()
    }
  }
  return {
    isEnded: () => ended,
    items,
    take(message) {
      if ('error' in message) end(fromWireError(message.error))
      else if ('item' in message) {
        // because: the peer of one's own home is trusted to send the verb's items
        held.push(message.item as I)
        if (held.length > heldItems) socket.pause()
        wake?.()
      } else end(undefined)
    },
    lost: end,
  }
}
