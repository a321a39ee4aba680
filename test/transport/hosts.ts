/** Real hosts on loopback for the tests of this folder: members by default, torn down together. */
import { createSystemEnv, type Env } from '../../src/base/env.ts'
import type { Channel } from '../../src/base/channel.ts'
import type { DeviceId, PeerId } from '../../src/base/ids.ts'
import type { Connection, Host, Lane, Membership } from '../../src/base/link.ts'
import { createLibp2pHost } from '../../src/transport/host.ts'

/** A roster that tests change. */
export interface TestMembership extends Membership {
  readonly members: Set<string>
  isOpen: boolean
}

export function createMembership(): TestMembership {
  const members = new Set<string>()
  return {
    members,
    isOpen: false,
    deviceOf: (peerId) => (members.has(peerId) ? (peerId as string as DeviceId) : undefined), // because: any name will do
    isPairingOpen() {
      return this.isOpen
    },
  }
}

/** Everybody is a member. */
export const everybody: Membership = {
  deviceOf: (peerId: PeerId) => peerId as string as DeviceId, // because: any name will do
  isPairingOpen: () => false,
}

export interface HostSettings {
  readonly membership?: Membership
  readonly addresses?: readonly string[]
  readonly env?: Env
  readonly seed?: Uint8Array
  readonly port?: number
  readonly tlsPort?: number
}

export function startHost(settings: HostSettings = {}): Promise<Host> {
  const env = settings.env ?? createSystemEnv()
  return createLibp2pHost(
    env,
    { privateKey: settings.seed ?? env.random.bytes(32), membership: settings.membership ?? everybody },
    {
      listen: {
        addresses: settings.addresses ?? ['127.0.0.1'],
        port: settings.port ?? 0,
        tlsPort: settings.tlsPort ?? 0,
      },
    },
  )
}

/** Two hosts, a connection between them and a channel on it. */
export interface Linked extends AsyncDisposable {
  readonly a: Channel
  readonly b: Channel
  readonly connection: Connection
  readonly inbound: Connection
  readonly dialler: Host
  readonly listener: Host
}

export async function link(lane: Lane, settings: HostSettings = {}): Promise<Linked> {
  const stack = new AsyncDisposableStack()
  const dialler = stack.use(await startHost({ ...settings, addresses: [] }))
  const listener = stack.use(await startHost(settings))
  const accepted = Promise.withResolvers<readonly [Channel, Connection]>()
  listener.handle('/test/link/1', 'member', (channel, inbound) => accepted.resolve([channel, inbound]))
  const connection = await dialler.dial(listener.peerId, listener.addresses(), { lane })
  const a = await connection.open('/test/link/1')
  const [b, inbound] = await accepted.promise
  return { a, b, connection, inbound, dialler, listener, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
