/**
 * The web console of a running peer: HTTP on the loopback addresses of this machine and nowhere else. Phones and other
 * devices join the mesh by pairing; this is never shown to the network. It asks the peer through the verbs of the api
 * alone, as the command line does.
 */
import type { Server } from 'node:http'
import { createServer } from 'node:http'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { createScope } from '../base/scope.ts'
import { errorFields } from '../base/log.ts'
import type { ConsoleHost, ConsoleParts } from '../peer/api-calls.ts'
import type { ConsoleLink } from '../peer/api-console.ts'
import type { Gateway } from './gateway.ts'
import { createGateway } from './gateway.ts'
import { createLive } from './live.ts'
import type { PageFiles } from './page-files.ts'
import { readPageFiles } from './page-files.ts'
import { createSessions } from './sessions.ts'

/** @throws `port.busy` when not even a free port can be bound on 127.0.0.1. */
export async function createConsole(env: Env, parts: ConsoleParts): Promise<ConsoleHost> {
  const scope = createScope(env, 'console')
  const server = createHttpServer()
  const port = await bind(server, '127.0.0.1', parts.port)
  const sessions = await createSessions(env, parts.keep)
  let files: Promise<PageFiles> | undefined
  const gateway = createGateway(env, {
    calls: parts.calls,
    sessions,
    live: createLive(env, scope, parts.calls),
    files: () => (files ??= readPageFiles()),
    port,
    signal: scope.signal,
  })
  attach(server, gateway)
  const servers = [server]
  const other = createHttpServer()
  attach(other, gateway)
  try {
    await listen(other, '::1', port)
    servers.push(other)
  } catch (error) {
    // because: a machine without IPv6, or another program on that one address: 127.0.0.1 is enough
    env.log.info('the console is on 127.0.0.1 alone', errorFields(error))
  }
  env.log.info('console open', { port })
  return {
    open(isForOwnUser): ConsoleLink {
      const { token, expiresAtMs } = sessions.launch(isForOwnUser)
      return { url: `http://127.0.0.1:${port}/#launch=${token}`, expiresAtMs, port }
    },
    sessions: () => sessions.list(),
    endSession: (id) => sessions.end(id),
    async [Symbol.asyncDispose]() {
      // First, so that a page whose stream ends finds nobody there, rather than a peer that does not know it any more
      const closing = servers.map((one) => new Promise<void>((resolve) => one.close(() => resolve())))
      for (const one of servers) one.closeAllConnections()
      await sessions.endAll()
      await scope.close()
      await Promise.all(closing)
    },
  }
}

function createHttpServer(): Server {
  const server = createServer({
    maxHeaderSize: limits.consoleHeaderBytes,
    headersTimeout: limits.consoleRequestMs,
    requestTimeout: limits.consoleRequestMs,
    connectionsCheckingInterval: limits.consoleRequestMs,
    insecureHTTPParser: false,
  })
  server.maxConnections = limits.consoleConnections
  return server
}

function attach(server: Server, gateway: Gateway): void {
  server.on('request', gateway.handle)
  server.on('upgrade', gateway.refuseUpgrade)
  // Whoever breaks off while speaking is gone; HTTP faults are answered by Node and say nothing of us
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const status =
      error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
  })
}

/** @param wanted taken when free; else any free one. @returns the port. */
async function bind(server: Server, host: string, wanted: number): Promise<number> {
  try {
    await listen(server, host, wanted)
  } catch (error) {
    const isBusy =
      error instanceof Error && 'code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES')
    if (!isBusy || wanted === 0) throw new SkeinError('port.busy', `no port on ${host}`, { cause: error })
    await listen(server, host, 0)
  }
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw new SkeinError('internal', 'a TCP server without an address')
  return address.port
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // Exclusive and with its address given: never on all interfaces by accident
    server.listen({ host, port, exclusive: true, ipv6Only: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
