/** The connections of a host and the gate before them: what libp2p asks, what is open, and who must leave. */
import type { Connection as Libp2pConnection, ConnectionGater, MultiaddrConnection } from '@libp2p/interface'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { createEmitter } from '../base/events.ts'
import { limits } from '../base/limits.ts'
import type { Access, Connection, Membership } from '../base/link.ts'
import { createAdmission, type Admission, type Newcomer } from './admission.ts'
import { createGate, type Standing } from './gate.ts'
import { wrapConnection, type HostConnection } from './libp2p-connection.ts'
import { TlsConnection } from './tls-connection.ts'

export interface ConnectionTable {
  /** For handshakes, of both transports. */
  readonly admission: Admission
  readonly gater: ConnectionGater
  /** libp2p made a connection. */
  opened(libp2p: Libp2pConnection): void
  find(libp2p: Libp2pConnection): HostConnection | undefined
  mayOpen(connection: Connection, access: Access): boolean
  onInbound(listener: (connection: Connection) => void): Disposable
  recheck(): void
  /** Nobody gets in from here on. */
  close(): void
}

interface Entry {
  standing: Standing
  readonly peerId: string
  connection: HostConnection | undefined
}

export function createConnectionTable(env: Env, membership: Membership): ConnectionTable {
  const admission = createAdmission()
  const events = createEmitter<{ inbound: Connection }>(env.log)
  const entries = new Map<MultiaddrConnection, Entry>()
  const wrapped = new WeakMap<Libp2pConnection, HostConnection>()
  let isClosed = false
  const count = (wanted: (entry: Entry) => boolean): number => [...entries.values()].filter(wanted).length
  const gate = createGate(membership, {
    strangers: () => count((entry) => entry.standing === 'stranger'),
    peer: (peerId) => count((entry) => entry.peerId === peerId),
  })
  const isDenied = (peerId: string, maConn: MultiaddrConnection, ours: boolean): boolean => {
    const standing = isClosed ? undefined : gate.standingOf(peerId, ours)
    if (standing === undefined || maConn.status !== 'open') {
      env.log.debug('connection refused', { peerId, address: maConn.remoteAddr.toString() })
      env.metrics.count('connections_refused_total')
      return true
    }
    entries.set(maConn, { standing, peerId, connection: undefined })
    maConn.addEventListener('close', () => entries.delete(maConn), { once: true })
    return false
  }
  const noiseDoor = createNoiseDoor(env, admission)

  return {
    admission,
    gater: {
      denyInboundConnection: (maConn) => noiseDoor.isDenied(maConn),
      denyInboundEncryptedConnection(peerId, maConn) {
        noiseDoor.release(maConn)
        return isDenied(peerId.toString(), maConn, false)
      },
      denyOutboundEncryptedConnection(peerId, maConn) {
        const wanted = maConn.remoteAddr.getComponents().findLast((part) => part.name === 'p2p')?.value
        // None: the caller takes whoever is there and looks at the key afterwards, as pairing by address does
        if (wanted !== undefined && wanted !== peerId.toString()) return true
        return isDenied(peerId.toString(), maConn, true)
      },
    },
    opened(libp2p) {
      const connection = wrapConnection(env, libp2p)
      env.metrics.count('connections_opened_total')
      env.metrics.count('connections_closed_total', 0)
      void connection.closed.then(() => env.metrics.count('connections_closed_total'))
      wrapped.set(libp2p, connection)
      const entry = entries.get(connection.maConn)
      if (entry === undefined) {
        connection.abort(new SkeinError('peer.gone', 'it ended between the gate and here'))
        return
      }
      entry.connection = connection
      if (entry.standing === 'stranger') connection.limitStreams(limits.streamsPerStranger)
      if (connection.direction === 'inbound') events.emit('inbound', connection)
    },
    find: (libp2p) => wrapped.get(libp2p),
    mayOpen: (connection, access) => gate.mayOpen(connection.peerId, access),
    onInbound: (listener) => events.on('inbound', listener),
    recheck() {
      for (const entry of entries.values()) {
        const { connection } = entry
        if (connection === undefined) continue
        if (!gate.mayStay(connection.peerId, entry.standing, connection.direction === 'outbound')) {
          connection.abort(new SkeinError('auth.denied', 'the remote is no member any more'))
        } else if (entry.standing === 'stranger' && membership.deviceOf(connection.peerId) !== undefined) {
          entry.standing = 'member'
          connection.limitStreams(limits.streamsPerPeer)
        }
      }
    },
    close: () => void (isClosed = true),
  }
}

/** Admission for noise, which libp2p accepts itself; TLS sockets were asked for before their handshake. */
function createNoiseDoor(
  env: Env,
  admission: Admission,
): { isDenied(maConn: MultiaddrConnection): boolean; release(maConn: MultiaddrConnection): void } {
  const newcomers = new WeakMap<MultiaddrConnection, Newcomer>()
  const release = (maConn: MultiaddrConnection): void => {
    const newcomer = newcomers.get(maConn)
    if (newcomer !== undefined) admission.release(newcomer)
  }
  return {
    isDenied(maConn) {
      if (maConn instanceof TlsConnection) return false
      const newcomer = {
        destroy: () => maConn.abort(new SkeinError('limit.exceeded', 'no room for the handshake')),
      }
      const address = maConn.remoteAddr.getComponents()[0]?.value ?? ''
      const { isAdmitted, evicted } = admission.admit(newcomer, address, env.clock.monotonicMs())
      evicted?.destroy()
      if (!isAdmitted) return true
      newcomers.set(maConn, newcomer)
      maConn.addEventListener('close', () => release(maConn), { once: true })
      return false
    },
    release,
  }
}
