/**
 * Packets to and from all devices on one network interface: the seam below the beacon, and its UDP implementation.
 * One socket per interface and IP family, because the sending interface and the membership are properties of the
 * socket; that is what works without a default route or with a VPN that owns it. Never throws: what an interface
 * refuses is logged once, and tried again with the next packet sent.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { errorFields } from '../base/log.ts'
import { createOnLinkCheck, type NetworkInterface } from './interfaces.ts'

/** @param source address of the sender, only to tell senders apart: it can be forged. */
export type PacketHandler = (bytes: Uint8Array, source: string) => void

export interface MulticastLink extends AsyncDisposable {
  /** Resolves when the system took it, or refused it. */
  send(bytes: Uint8Array): Promise<void>
}

export interface Multicast {
  /** Own packets come back like all others. `onPacket` is not called after disposal. */
  open(on: NetworkInterface, onPacket: PacketHandler): MulticastLink
}

export const mdnsPort = 5353
const groups = { 4: '224.0.0.251', 6: 'ff02::fb' } as const
/** RFC 6762 section 11; on-link packets all the same, since routers do not forward these groups. */
const hopLimit = 255

type Family = 4 | 6

export function createMulticast(env: Env, port: number = mdnsPort): Multicast {
  const complaints = new Set<string>()
  const complain = (on: NetworkInterface, family: Family, error: unknown): void => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    const key = `${on.name} ${family} ${code}`
    if (complaints.has(key) || complaints.size > 256) return
    complaints.add(key)
    env.log.warn('multicast is not available', {
      interfaceName: on.name,
      ipVersion: family,
      ...errorFields(error),
    })
  }
  return {
    open(on, onPacket) {
      const families = new Set(on.addresses.map(({ family }) => family))
      const sockets = [...families].map((family) =>
        createGroupSocket({
          on,
          family,
          port,
          onPacket,
          onError: (error) => complain(on, family, error),
          // Ordinary for a while, on an interface whose IPv6 address is still being checked or whose cable is out
          onUnsent: (error) =>
            env.log.debug('packet not sent', { interfaceName: on.name, ...errorFields(error) }),
        }),
      )
      return {
        send: async (bytes) => void (await Promise.all(sockets.map((socket) => socket.send(bytes)))),
        [Symbol.asyncDispose]: async () => void (await Promise.all(sockets.map((socket) => socket.close()))),
      }
    },
  }
}

interface GroupSocketOptions {
  readonly on: NetworkInterface
  readonly family: Family
  readonly port: number
  readonly onPacket: PacketHandler
  /** The socket cannot be used. */
  readonly onError: (error: unknown) => void
  /** One packet was refused. */
  readonly onUnsent: (error: unknown) => void
}

interface GroupSocket {
  send(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

function createGroupSocket({ on, family, port, ...report }: GroupSocketOptions): GroupSocket {
  const { onPacket, onError, onUnsent } = report
  const isOnLink = createOnLinkCheck(on)
  let ready: Promise<Socket | undefined> | undefined
  let isClosed = false

  const receive = (bytes: Uint8Array, { address }: RemoteInfo): void => {
    // The system hands each socket of the port the packets of all interfaces: the sender tells whose it is
    if (!isClosed && isOnLink(address, family)) onPacket(bytes, address)
  }
  const open = async (): Promise<Socket | undefined> => {
    try {
      const socket = await bindToGroup(on, family, port)
      socket.on('message', receive)
      socket.on('error', (error) => {
        onError(error)
        ready = undefined
        void closeSocket(socket)
      })
      return socket
    } catch (error) {
      onError(error)
      ready = undefined
      return undefined
    }
  }
  ready = open()
  const destination = family === 4 ? groups[4] : `${groups[6]}%${zoneOf(on)}`
  return {
    async send(bytes) {
      if (isClosed) return
      ready ??= open()
      const socket = await ready
      if (socket === undefined || isClosed) return
      await new Promise<void>((resolve) => {
        const done = (error: Error | null): void => {
          if (error !== null) onUnsent(error)
          resolve()
        }
        try {
          socket.send(bytes, port, destination, done)
        } catch (error) {
          onUnsent(error) // because: closed by an error in between; the next packet opens it anew
          resolve()
        }
      })
    },
    async close() {
      isClosed = true
      const socket = await ready
      if (socket !== undefined) await closeSocket(socket)
    },
  }
}

/** @throws what the system says when it cannot be bound, joined or set up, `not.found` without the interface. */
async function bindToGroup(on: NetworkInterface, family: Family, port: number): Promise<Socket> {
  assertPresent(on)
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    reuseAddr: true,
    ipv6Only: family === 6,
  })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ port, address: family === 4 ? '0.0.0.0' : '::', exclusive: true }, () => {
        socket.off('error', reject)
        resolve()
      })
    })
    const local =
      family === 4 ? (on.addresses.find((own) => own.family === 4)?.address ?? '') : `::%${zoneOf(on)}`
    socket.addMembership(groups[family], local)
    socket.setMulticastInterface(local)
    socket.setMulticastTTL(hopLimit)
    socket.setMulticastLoopback(true)
    return socket
  } catch (error) {
    await closeSocket(socket)
    throw error
  }
}

/**
 * libuv takes an unknown IPv6 zone for "any", so a join on an interface that has just gone would speak on the default
 * one, where nobody asked us to.
 */
function assertPresent({ name }: NetworkInterface): void {
  if (Object.hasOwn(networkInterfaces(), name)) return
  throw new SkeinError('not.found', `there is no network interface ${name}`)
}

/** Zones are names on Unix and indexes on Windows. */
function zoneOf({ name, addresses }: NetworkInterface): string {
  if (process.platform !== 'win32') return name
  return String(addresses.find(({ scopeId }) => scopeId !== 0)?.scopeId ?? 0)
}

function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    try {
      socket.close(() => resolve())
    } catch {
      resolve() // because: closing twice is what throws here, and closed is what was wanted
    }
  })
}
