/**
 * The seam between the mesh and its features: who is connected, and channels to them. The transport implements it
 * over libp2p, simulations over a simulated network.
 */
import type { Channel } from './channel.ts'
import type { SkeinError } from './errors.ts'
import type { DeviceId, PeerId } from './ids.ts'

/** Control: RPC, heartbeat, CRDT updates, input; small windows. Bulk: files, blobs, snapshots. */
export type Lane = 'control' | 'bulk'

/** One authenticated connection: the remote holds the private key of `peerId`. Says nothing about membership. */
export interface Connection {
  readonly id: string
  readonly peerId: PeerId
  readonly direction: 'inbound' | 'outbound'
  readonly encryption: 'noise' | 'tls' | 'memory'
  /** Remote multiaddr as text, for people. */
  readonly address: string
  /** Bytes read so far, of any kind: any growth is a sign of life. */
  bytesRead(): number
  bytesWritten(): number
  /** Opens a channel on a protocol. @throws `peer.gone`, `auth.denied` or `rpc.unknown` when the other side refuses. */
  open(protocol: string, signal?: AbortSignal): Promise<Channel>
  close(): Promise<void>
  abort(error: SkeinError): void
  readonly closed: Promise<SkeinError | undefined>
}

/** Who may open a protocol: members of the roster, or also strangers while a pairing window is open. */
export type Access = 'member' | 'pairing'

export type ChannelHandler = (channel: Channel, connection: Connection) => void | Promise<void>

/** Makes and accepts connections. One per device key. */
export interface Host extends AsyncDisposable {
  readonly peerId: PeerId
  /** Own multiaddrs without /p2p, as bound now: both noise and tls ones. */
  addresses(): readonly string[]
  /** Serves a protocol. The gate was asked before `handler` runs. @returns a handle that stops serving. */
  handle(protocol: string, access: Access, handler: ChannelHandler): Disposable
  /** Each inbound connection that passed the gate. */
  onConnection(listener: (connection: Connection) => void): Disposable
  /**
   * Tries the addresses (at most limits.addressesPerPeer) and pins the identity. Without a peer id whoever answers is
   * taken: only for pairing, which proves the code to the key it finds.
   * @throws `peer.gone` when none answers, `auth.denied` when the one that answers has another key.
   */
  dial(peerId: PeerId | undefined, addresses: readonly string[], options: DialOptions): Promise<Connection>
  /** To be called when the roster or the pairing window changed: cuts the connections that may not stay. */
  recheck(): void
}

export interface DialOptions {
  /** Which kind of connection: bulk prefers tls addresses, control takes noise ones. */
  readonly lane: Lane
  readonly signal?: AbortSignal
}

/** What the gate asks of the roster, synchronously, at each handshake and each channel. */
export interface Membership {
  /** The device that owns this key now (or in rotation overlap), if it is a member. */
  deviceOf(peerId: PeerId): DeviceId | undefined
  /** True while the person has the pairing window open. */
  isPairingOpen(): boolean
}
