/**
 * Datagrams over UDP: one socket per IP family, on the address that the peer listens on and a port of the system's
 * choice. A family that cannot be bound is left out. Sending never fails loudly: who sends these expects loss.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import type { Env } from '../base/env.ts'
import { errorFields } from '../base/log.ts'
import type { Datagrams, DatagramSource } from './pulse.ts'

/** @param addresses IP literals as the peer listens on; the first of each family is taken. */
export async function openDatagramSockets(
  env: Env,
  addresses: readonly string[],
): Promise<Datagrams & AsyncDisposable> {
  const address4 = addresses.find((address) => !isIPv6(address))
  const address6 = addresses.find((address) => isIPv6(address))
  const socket4 = address4 === undefined ? undefined : await bind(env, createSocket('udp4'), address4)
  const socket6 =
    address6 === undefined
      ? undefined
      : await bind(env, createSocket({ type: 'udp6', ipv6Only: true }), address6)
  return {
    port4: socket4?.address().port,
    port6: socket6?.address().port,
    send(bytes, to) {
      const socket = isIPv6(to.address.split('%')[0] ?? '') ? socket6 : socket4
      // An error is a lost datagram
      socket?.send(bytes, to.port, to.address, () => undefined)
    },
    receive(receiver) {
      for (const socket of [socket4, socket6])
        socket?.on('message', (bytes, { address, port }) =>
          receiver(bytes, { address, port } satisfies DatagramSource),
        )
    },
    async [Symbol.asyncDispose]() {
      for (const socket of [socket4, socket6]) if (socket !== undefined) await close(socket)
    },
  }
}

async function bind(env: Env, socket: Socket, address: string): Promise<Socket | undefined> {
  socket.on('error', (error) => env.log.info('datagram socket', { address, ...errorFields(error) }))
  try {
    socket.bind({ address, port: 0, exclusive: true })
    await once(socket, 'listening')
    return socket
  } catch (error) {
    env.log.info('no datagrams here', { address, ...errorFields(error) })
    socket.close()
    return undefined
  }
}

const close = (socket: Socket): Promise<void> => new Promise((resolve) => socket.close(() => resolve()))
