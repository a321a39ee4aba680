/**
 * Serves the api to programs of the same user over a Unix socket (a named pipe on Windows). Access is by file
 * permission alone: the socket is 0600 in a directory of the owner, so who can connect is the owner. A socket file
 * left by a crash is replaced, which is safe because the caller holds the home's lock.
 */
import { chmod, lstat, mkdir, rm, writeFile } from 'node:fs/promises'
import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { untilAborted } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { SkeinError, toWireError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Api, ApiCall } from './api.ts'
import type { VerbCalls } from './api-calls.ts'
import { isStreamVerb, isVerb } from './control-params.ts'
import { createVerbCalls } from './verb-calls.ts'
import type { ClientMessage, ServerMessage } from '../program/control-protocol.ts'
import { createLineReader, encodeLine, parseClientMessage } from '../program/control-protocol.ts'
import { controlPointerPath, newControlAddress } from '../program/home-path.ts'

export interface ControlServer extends AsyncDisposable {
  readonly address: string
}

/** Patience with a client that does not read its last replies when the peer stops. */
const lingerMs = 500

/** @param home whose lock the caller holds. @throws `home.unusable` when the socket cannot be made. */
export async function createControlServer(env: Env, home: string, api: Api): Promise<ControlServer> {
  const address = newControlAddress(home)
  const sockets = new Map<Socket, () => void>()
  const calls = createVerbCalls(api)
  const server = createServer((socket) => {
    const end = serveConnection(env, calls, socket)
    sockets.set(socket, end)
    socket.once('close', () => sockets.delete(socket))
  })
  server.maxConnections = limits.controlConnections
  if (process.platform !== 'win32') await preparePath(address, home)
  await listen(server, address)
  server.on('error', (error) => env.log.error('control socket failed', errorFields(error)))
  if (process.platform !== 'win32') await chmod(address, 0o600)
  return {
    address,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const end of sockets.values()) end()
      const timer = env.clock.setTimer(lingerMs, () => sockets.forEach((_end, socket) => socket.destroy()))
      await closed
      timer[Symbol.dispose]()
      await rm(controlPointerPath(home), { force: true })
    },
  }
}

async function preparePath(address: string, home: string): Promise<void> {
  const directory = dirname(address)
  if (directory !== home) {
    await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    })
    const stat = await lstat(directory)
    // Its parent may be open to all (/tmp): somebody else may have been there first
    if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0) {
      throw new SkeinError('home.unusable', `${directory} is not a private directory of yours`, {
        fix: `remove it, or use a home with a shorter path: --home DIR`,
      })
    }
    await writeFile(controlPointerPath(home), address, { mode: 0o600 })
  }
  await rm(address, { force: true })
}

async function listen(server: Server, address: string): Promise<void> {
  // The socket is bound within `listen`, so it is never open to others, not even until chmod
  const umask = isMainThread ? process.umask(0o177) : undefined
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolve()
    })
  })
  if (umask !== undefined) process.umask(umask)
  await listening.catch((error: unknown) => {
    throw new SkeinError('home.unusable', `the control socket ${address} cannot be made`, {
      cause: error,
      fix: 'use a home on a local file system: --home DIR',
    })
  })
}

/** @returns what ends the connection in good order: calls are cancelled, what was written still goes out. */
function serveConnection(env: Env, verbs: VerbCalls, socket: Socket): () => void {
  const calls = new Map<number, AbortController>()
  const lines = createLineReader()
  const send = (message: ServerMessage): boolean => {
    if (!socket.writable) return true
    try {
      return socket.write(encodeLine(message))
    } catch (error) {
      return socket.write(encodeLine({ id: message.id, error: toWireError(error) }))
    }
  }
  const cancelAll = (): void => {
    for (const call of calls.values()) call.abort(new SkeinError('cancelled', 'the connection ended'))
  }
  const start = (id: number, verb: string, params: unknown): void => {
    if (calls.has(id)) throw new SkeinError('codec.invalid', `call ${id} is already in flight`)
    if (calls.size >= limits.controlCallsInFlight) {
      send({ id, error: toWireError(new SkeinError('limit.exceeded', 'too many calls in flight')) })
      return
    }
    const controller = new AbortController()
    calls.set(id, controller)
    void answer(
      verbs,
      { id, verb, params, signal: controller.signal },
      { send, drained: () => drained(socket) },
    )
      .catch((error: unknown) => {
        env.log.debug('control call failed', { verb, ...errorFields(error) })
        send({ id, error: toWireError(error) })
      })
      .finally(() => calls.delete(id))
  }
  const take = (message: ClientMessage): void => {
    if ('cancel' in message)
      calls.get(message.id)?.abort(new SkeinError('cancelled', 'cancelled by the caller'))
    else start(message.id, message.verb, message.params)
  }
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const line of lines.push(chunk)) take(parseClientMessage(line))
    } catch (error) {
      env.log.warn('control connection refused', errorFields(error))
      socket.destroy()
    }
  })
  socket.on('error', (error) => env.log.debug('control connection failed', errorFields(error)))
  socket.once('close', cancelAll)
  return () => {
    cancelAll()
    socket.end()
  }
}

/** Resolves once written bytes have left, or the socket is gone. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (!socket.writableNeedDrain || socket.destroyed) return resolve()
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}

interface Call extends ApiCall {
  readonly id: number
  readonly verb: string
  readonly params: unknown
}

interface Replies {
  /** @returns false when `drained` should be awaited before the next. */
  send(message: ServerMessage): boolean
  drained(): Promise<void>
}

/** Runs one call to its end. @throws whatever the handler threw, `rpc.unknown`, `codec.invalid`. */
async function answer(verbs: VerbCalls, call: Call, replies: Replies): Promise<void> {
  const { id, verb, signal } = call
  if (!isVerb(verb)) {
    throw new SkeinError('rpc.unknown', `the running peer does not know "${verb}"`, {
      fix: 'it is probably older than this command: skein down && skein up',
    })
  }
  const { params } = call
  if (!isStreamVerb(verb)) {
    const result = await untilAborted(verbs.request(verb, params, { signal }), signal)
    replies.send({ id, result })
    return
  }
  const items = verbs.stream(verb, params, { signal })[Symbol.asyncIterator]()
  try {
    for (let next = await untilAborted(items.next(), signal); next.done !== true;) {
      if (!replies.send({ id, item: next.value })) await untilAborted(replies.drained(), signal)
      next = await untilAborted(items.next(), signal)
    }
    replies.send({ id, end: true })
  } finally {
    // Not awaited: a source that is stuck must not keep the call open; its own signal has been aborted
    items.return?.().catch(() => undefined)
  }
}
