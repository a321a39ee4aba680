/** A libp2p connection as a Connection: byte counts of the real socket, channels with the acceptor's consent. */
import type { Socket } from 'node:net'
import type { Connection as Libp2pConnection, MultiaddrConnection, Stream } from '@libp2p/interface'
import { CODE_P2P } from '@multiformats/multiaddr'
import type { Env } from '../base/env.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import type { PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { withDeadline } from '../base/clock.ts'
import type { Channel } from '../base/channel.ts'
import type { Connection } from '../base/link.ts'
import { fromLibp2p } from './libp2p-errors.ts'
import type { YamuxMuxerInternals } from './lazy-yamux.ts'
import {
  batchWrites,
  quietDecoder,
  type NoiseStreamInternals,
  type TcpConnectionInternals,
} from './noise-tuning.ts'
import { createStreamChannel } from './stream-channel.ts'

/** Not in libp2p's interface; test/transport/internals.test.ts fails when they are gone. */
interface ConnectionInternals extends Libp2pConnection {
  readonly maConn: TcpConnectionInternals & { readonly rawSocket?: Socket }
  readonly muxer: YamuxMuxerInternals & { readonly maConn: NoiseStreamInternals }
}

export interface HostConnection extends Connection {
  readonly maConn: MultiaddrConnection
  /** Most streams the remote may have open here. */
  limitStreams(count: number): void
  /** Streams open now, of both directions. */
  streamCount(): number
}

export function wrapConnection(env: Env, libp2p: Libp2pConnection): HostConnection {
  // because: see ConnectionInternals
  const internals = libp2p as ConnectionInternals
  const { maConn } = internals
  const socket = maConn.rawSocket ?? maConn.socket
  if (maConn.rawSocket === undefined) {
    batchWrites(maConn)
    quietDecoder(internals.muxer.maConn)
  }
  const address = libp2p.remoteAddr.decapsulateCode(CODE_P2P).toString()
  const done = Promise.withResolvers<SkeinError | undefined>()
  let reason: SkeinError | undefined
  libp2p.addEventListener('close', (event) => {
    const cause = 'error' in event ? event.error : undefined
    if (reason !== undefined) done.resolve(reason)
    else if (cause === undefined || cause === null) done.resolve(undefined)
    else done.resolve(new SkeinError('peer.gone', `the connection to ${address} broke`, { cause }))
  })
  const abort = (error: SkeinError): void => {
    reason ??= error
    try {
      libp2p.abort(error)
    } catch (cause) {
      env.log.debug('connection did not abort cleanly', { address, cause: String(cause) })
    }
  }
  return {
    maConn,
    id: libp2p.id,
    // because: the gate let only Ed25519 keys through
    peerId: libp2p.remotePeer.toString() as PeerId,
    direction: libp2p.direction,
    encryption: libp2p.encryption === 'native' ? 'tls' : 'noise',
    address,
    bytesRead: () => socket.bytesRead,
    bytesWritten: () => socket.bytesWritten,
    open: (protocol, signal) => openChannel(env, libp2p, protocol, signal),
    async close() {
      try {
        await libp2p.close()
      } catch (error) {
        abort(asSkeinError(error, 'peer.gone')) // because: it could not end in good order, so it ends at once
      }
      await done.promise
    },
    abort,
    closed: done.promise,
    streamCount: () => libp2p.streams.length,
    limitStreams(count) {
      internals.muxer.maxInboundStreams = count
    },
  }
}

/** What is open is the difference of the two: a leak shows as one that grows. */
export function countStream(env: Env, stream: Stream): void {
  env.metrics.count('streams_opened_total')
  env.metrics.count('streams_closed_total', 0)
  stream.addEventListener('close', () => env.metrics.count('streams_closed_total'), { once: true })
}

async function openChannel(
  env: Env,
  connection: Libp2pConnection,
  protocol: string,
  signal: AbortSignal | undefined,
): Promise<Channel> {
  const label = `${protocol} to ${connection.remotePeer.toString().slice(-6)}`
  return withDeadline(
    env.clock,
    { timeoutMs: limits.helloMs, what: `opening ${label}`, signal },
    async (deadline) => {
      let stream: Stream
      try {
        stream = await connection.newStream(protocol, {
          signal: deadline,
          maxOutboundStreams: limits.streamsPerPeer,
        })
      } catch (error) {
        throw fromLibp2p(error, `cannot open ${label}`, deadline)
      }
      countStream(env, stream)
      const channel = createStreamChannel(env, stream, { label, role: 'opener' })
      const onAbort = (): void => channel.abort(asSkeinError(deadline.reason, 'cancelled'))
      deadline.addEventListener('abort', onAbort, { once: true })
      try {
        if (deadline.aborted) onAbort()
        await channel.accepted
        return channel
      } catch (error) {
        const known = asSkeinError(error)
        if (known.code !== 'channel.aborted' && known.code !== 'channel.closed') throw known
        // Accepted by the protocol negotiation and then cut: the remote went away, or dropped us as a stranger
        throw new SkeinError('peer.gone', `cannot open ${label}: ${known.message}`, { cause: error })
      } finally {
        deadline.removeEventListener('abort', onAbort)
      }
    },
  )
}
