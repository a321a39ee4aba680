/**
 * The Host over libp2p: noise for control, our TLS transport for bulk, yamux with small windows in both. No
 * identify, ping, discovery or routing: who is where and alive is the mesh's own business. The dial queue of libp2p
 * is not used (it merges dials to one peer, and we need two connections); its connection monitor is off.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPairFromSeed, privateKeyFromRaw } from '@libp2p/crypto/keys'
import type {
  Connection as Libp2pConnection,
  Libp2p,
  Libp2pEvents,
  PrivateKey,
  Stream,
  TypedEventTarget,
} from '@libp2p/interface'
import { FaultTolerance } from '@libp2p/interface'
import type { Registrar, TransportManager } from '@libp2p/interface-internal'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { assert } from '../base/assert.ts'
import { withDeadline } from '../base/clock.ts'
import { withLogScope, type Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { isPeerId, type PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Access, ChannelHandler, Connection, DialOptions, Host, Membership } from '../base/link.ts'
import { errorFields } from '../base/log.ts'
import { acceptStatus, refuseStream } from './accept-status.ts'
import { createConnectionTable, type ConnectionTable } from './connection-table.ts'
import { dialTurns } from './dial-plan.ts'
import { race } from './happy-eyeballs.ts'
import { lazyYamux } from './lazy-yamux.ts'
import { fromLibp2p } from './libp2p-errors.ts'
import { countStream, type HostConnection } from './libp2p-connection.ts'
import {
  createListenerRegister,
  listenAddresses,
  type ListenerRegister,
  type ListenOptions,
} from './listeners.ts'
import { createNoiseCrypto } from './noise-crypto.ts'
import { createSilentLogger } from './silent-logger.ts'
import { createStreamChannel } from './stream-channel.ts'
import { createTlsIdentity } from './tls-identity.ts'
import { tlsTransport } from './tls-transport.ts'

export interface HostIdentity {
  /** Ed25519: the seed of 32 bytes, or libp2p's raw form of 64 (seed, then public key). */
  readonly privateKey: Uint8Array
  readonly membership: Membership
}

export interface HostOptions {
  readonly listen: ListenOptions
}

interface Components {
  readonly transportManager: TransportManager
  readonly registrar: Registrar
  readonly events: TypedEventTarget<Libp2pEvents>
}

/** Starts a host. @throws `port.busy`. */
export async function createLibp2pHost(
  outerEnv: Env,
  identity: HostIdentity,
  options: HostOptions,
): Promise<Host> {
  const env = withLogScope(outerEnv, 'transport')
  const table = createConnectionTable(env, identity.membership)
  const register = createListenerRegister()
  const { node, components } = await createNode(env, await readKey(identity.privateKey), {
    table,
    register,
    listen: options.listen,
  })
  components.events.addEventListener('connection:open', (event) => table.opened(event.detail))
  try {
    await node.start()
    register.check(env.log)
  } catch (error) {
    await node.stop()
    throw error
  }
  // because: an Ed25519 key has such an id
  const peerId = node.peerId.toString() as PeerId
  return {
    peerId,
    addresses: () => register.addresses(),
    handle: (protocol, access, handler) =>
      serve(env, components.registrar, table, { protocol, access, handler }),
    onConnection: (listener) => table.onInbound(listener),
    dial: (remote, addresses, dialOptions) => {
      if (remote === peerId) throw new SkeinError('peer.unknown', 'this is the own device')
      return dial(env, components.transportManager, table, { remote, addresses, dialOptions })
    },
    recheck: () => table.recheck(),
    async [Symbol.asyncDispose]() {
      table.close()
      await node.stop()
    },
  }
}

interface NodeParts {
  readonly table: ConnectionTable
  readonly register: ListenerRegister
  readonly listen: ListenOptions
}

async function createNode(
  env: Env,
  privateKey: PrivateKey,
  parts: NodeParts,
): Promise<{ readonly node: Libp2p; readonly components: Components }> {
  const { table, register } = parts
  const monotonicMs = (): number => env.clock.monotonicMs()
  const tls = tlsTransport({
    identity: await createTlsIdentity(env.random, privateKey),
    muxerFactory: lazyYamux(limits.bulkWindowBytes, monotonicMs)(),
    admission: table.admission,
    monotonicMs,
  })
  // A service is how libp2p hands out its parts
  let components: Components | undefined
  const node = await createLibp2p({
    start: false,
    privateKey,
    logger: createSilentLogger(),
    addresses: { listen: listenAddresses(parts.listen) },
    transports: [
      register.watch(tcp({ inboundSocketInactivityTimeout: 0, outboundSocketInactivityTimeout: 0 })),
      register.watch(tls),
    ],
    connectionEncrypters: [noise({ crypto: createNoiseCrypto() })],
    streamMuxers: [lazyYamux(limits.controlWindowBytes, monotonicMs)],
    connectionGater: table.gater,
    connectionMonitor: { enabled: false },
    transportManager: { faultTolerance: FaultTolerance.NO_FATAL },
    connectionManager: {
      // Ours counts by address and evicts fairly (admission.ts); libp2p's would refuse everybody
      inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
      maxIncomingPendingConnections: limits.pendingConnections * 4,
      maxConnections: limits.connections,
      inboundUpgradeTimeout: limits.handshakeMs,
      inboundStreamProtocolNegotiationTimeout: limits.helloMs,
      outboundStreamProtocolNegotiationTimeout: limits.helloMs,
    },
    services: {
      parts: (found: Components) => {
        components = found
        return {}
      },
    },
  })
  assert(components !== undefined, 'libp2p made its services')
  return { node, components }
}

async function readKey(bytes: Uint8Array): Promise<PrivateKey> {
  assert(bytes.byteLength === 32 || bytes.byteLength === 64, 'an Ed25519 key has 32 or 64 bytes')
  return bytes.byteLength === 32 ? generateKeyPairFromSeed('Ed25519', bytes) : privateKeyFromRaw(bytes)
}

interface Service {
  readonly protocol: string
  readonly access: Access
  readonly handler: ChannelHandler
}

function serve(env: Env, registrar: Registrar, table: ConnectionTable, service: Service): Disposable {
  const { protocol, access, handler } = service
  const onStream = (stream: Stream, libp2p: Libp2pConnection): void => {
    countStream(env, stream)
    const connection = table.find(libp2p)
    if (connection === undefined || !table.mayOpen(connection, access)) {
      env.log.warn('channel refused', { protocol, peerId: libp2p.remotePeer.toString() })
      refuseStream(stream, acceptStatus.denied)
      return
    }
    const label = `${protocol} from ${connection.peerId.slice(-6)}`
    const channel = createStreamChannel(env, stream, { label, role: 'acceptor' })
    void channel.closed.then((error) => {
      // Ended by us over what the other side sent: said with its key, or nobody would know who it was
      if (!hasCode(error, 'codec.invalid', 'codec.version', 'limit.exceeded')) return
      env.log.warn('a peer broke the protocol', {
        protocol,
        peerId: connection.peerId,
        ...errorFields(error),
      })
    })
    const run = async (): Promise<void> => handler(channel, connection)
    run().catch((error: unknown) => {
      env.log.warn('channel handler failed', { protocol, peerId: connection.peerId, ...errorFields(error) })
      channel.abort(asSkeinError(error))
    })
  }
  const report = (error: unknown): void =>
    env.log.error('protocol not registered', { protocol, ...errorFields(error) })
  const streams = { maxInboundStreams: limits.streamsPerPeer, maxOutboundStreams: limits.streamsPerPeer }
  registrar.handle(protocol, onStream, streams).catch(report)
  return { [Symbol.dispose]: () => void registrar.unhandle(protocol).catch(report) }
}

interface DialRequest {
  readonly remote: PeerId | undefined
  readonly addresses: readonly string[]
  readonly dialOptions: DialOptions
}

function dial(
  env: Env,
  manager: TransportManager,
  table: ConnectionTable,
  request: DialRequest,
): Promise<Connection> {
  const { remote, addresses, dialOptions } = request
  if (remote !== undefined && !isPeerId(remote))
    throw new SkeinError('peer.unknown', 'not the id of a device')
  const what = `dialling ${remote?.slice(-6) ?? 'whoever is there'}`
  const tooLate = new SkeinError('cancelled', 'another address answered first')
  const attempt =
    (address: ReturnType<typeof dialTurns>[number][number]) =>
    async (signal: AbortSignal): Promise<HostConnection> => {
      try {
        const libp2p = await manager.dial(
          remote === undefined ? address : address.encapsulate(`/p2p/${remote}`),
          { signal },
        )
        const connection = table.find(libp2p)
        if (connection === undefined || libp2p.status !== 'open')
          throw new SkeinError('peer.gone', `${what}: cut at once`)
        // Nobody waits for it any more: dropped here, or it would stay open unowned
        if (signal.aborted) connection.abort(tooLate)
        return connection
      } catch (error) {
        throw fromLibp2p(error, what, signal)
      }
    }
  const run = async (signal: AbortSignal): Promise<Connection> => {
    const errors: unknown[] = []
    for (const turn of dialTurns(addresses, dialOptions.lane)) {
      const result = await race(env, turn.map(attempt), {
        staggerMs: limits.dialStaggerMs,
        attemptMs: limits.dialAddressMs,
        signal,
        discard: (connection) => connection.abort(tooLate),
      })
      if ('value' in result) return result.value
      errors.push(...result.errors)
    }
    const denied = errors.find((error) => hasCode(error, 'auth.denied', 'auth.invalid'))
    if (denied !== undefined) throw denied
    throw new SkeinError('peer.gone', `${what}: none of ${addresses.length} addresses answers`, {
      cause: errors[0],
    })
  }
  const deadline = { timeoutMs: limits.dialMs, what, signal: dialOptions.signal }
  return withDeadline(env.clock, deadline, run).catch((error: unknown) => {
    // A dial that took too long is a peer that is not there
    if (hasCode(error, 'deadline.exceeded') && dialOptions.signal?.aborted !== true) {
      throw new SkeinError('peer.gone', error.message, { cause: error })
    }
    throw error
  })
}
