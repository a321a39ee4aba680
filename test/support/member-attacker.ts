/**
 * A paired device gone bad, for `attacker.ts`: it holds the real key of a member and a real link, and says over RPC,
 * sync and blobs what no honest device would say. Each attack has a connection of its own.
 */
import type { Channel } from '../../src/base/channel.ts'
import { bytes as bytesShape, encode, encodeCanonical, object } from '../../src/base/codec.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import { asSkeinError } from '../../src/base/errors.ts'
import { encodeId } from '../../src/base/ids.ts'
import type { DeviceId, PeerId } from '../../src/base/ids.ts'
import type { Connection, Host } from '../../src/base/link.ts'
import { createRpcMethods } from '../../src/base/rpc-methods.ts'
import type { Rpc } from '../../src/base/rpc.ts'
import { createRpc } from '../../src/base/rpc.ts'
import { blobProtocol } from '../../src/blobs/wire.ts'
import { encodeGroups, encodeTable, syncProtocol } from '../../src/crdt/sync-frames.ts'
import { greet, linkProtocol } from '../../src/discovery/link.ts'
import type { Identity } from '../../src/peer/auth/keys.ts'
import { createIdentity } from '../../src/peer/auth/keys.ts'
import type { Roster } from '../../src/peer/auth/roster.ts'
import { createRoster } from '../../src/peer/auth/roster.ts'
import { composeStatement, decodeStatement } from '../../src/peer/auth/statement.ts'
import { createHomeKeep } from '../../src/peer/home-keep.ts'
import { keepPath } from '../../src/program/home-path.ts'
import { createLibp2pHost } from '../../src/transport/host.ts'
import type { Target } from './pairing-attacker.ts'

const env = createSystemEnv()
const anyResult = (value: unknown): unknown => value
const patienceMs = 5_000

export interface Traitor {
  readonly target: Target
  readonly host: Host
  readonly identity: Identity
  readonly roster: Roster
  readonly victim: DeviceId
  /** Another device of the mesh; the victim itself in a mesh of two. */
  readonly friend: DeviceId
}

/** @param home of the member, whose peer is down. */
export async function attackAsMember(
  target: Target,
  home: string,
  say: (line: object) => void,
): Promise<void> {
  await turn(target, home, async (traitor) => {
    for (const [what, attack] of Object.entries({ ...rpcAttacks, ...rosterAttacks, ...channelAttacks }))
      await attempt(traitor, what, attack, say)
  })
}

/** Runs something with the key of a member. @param home of the member, whose peer is down. */
export async function turn(
  target: Target,
  home: string,
  act: (traitor: Traitor) => Promise<void>,
): Promise<void> {
  const keep = await createHomeKeep(env, keepPath(home))
  const identity = await createIdentity(env, keep, { name: 'x', kind: 'other' })
  const roster = await createRoster(env, keep, identity)
  const membership = { deviceOf: (peerId: PeerId) => roster.deviceOf(peerId), isPairingOpen: () => false }
  await using host = await createLibp2pHost(
    env,
    { privateKey: identity.key.seed(), membership },
    { listen: { addresses: ['127.0.0.1'], port: 0, tlsPort: 0 } },
  )
  const victim = roster.deviceOf(target.peerId)
  const others = [...roster.state.devices.keys()].filter((id) => id !== identity.deviceId)
  // In a mesh of two there is nobody else
  const friend = others.find((id) => id !== victim) ?? victim
  if (victim === undefined || friend === undefined) throw new Error('not the roster that was expected')
  await act({ target, host, identity, roster, victim, friend })
}

/** One attack, on a connection of its own. */
export async function attempt(
  traitor: Traitor,
  what: string,
  attack: Attack,
  say: (line: object) => void,
): Promise<void> {
  const { host, target } = traitor
  const connection = await host.dial(target.peerId, [target.address], { lane: 'control' })
  const run = attack(traitor, connection).catch((error: unknown) => `threw ${asSkeinError(error).code}`)
  const late = new Promise<string>((resolve) => setTimeout(() => resolve('no answer'), patienceMs))
  say({ what, outcome: await Promise.race([run, late]) })
  connection.abort(asSkeinError(new Error('done')))
}

export type Attack = (traitor: Traitor, connection: Connection) => Promise<string>

/** Up to the point where calls go both ways. */
async function link(
  traitor: Traitor,
  connection: Connection,
  batch?: () => Uint8Array,
): Promise<{ rpc: Rpc; asked: Promise<void> }> {
  const channel = await greetOn(traitor, connection)
  const methods = createRpcMethods<undefined>()
  const asked = Promise.withResolvers<void>()
  methods.request('roster.since', anyResult, () => {
    asked.resolve()
    return { value: { count: 1 }, body: batch?.() ?? new Uint8Array() }
  })
  return { rpc: createRpc(env, channel, methods, undefined), asked: asked.promise }
}

export async function greetOn({ identity }: Traitor, connection: Connection): Promise<Channel> {
  const channel = await connection.open(linkProtocol)
  const hello = {
    lane: 'control',
    deviceId: identity.deviceId,
    incarnation: encodeId(env.random.bytes(16)),
    agent: 'skein/bad',
    name: 'evil\u001b[2J<b>',
    replaces: false,
    pulse: undefined,
  } as const
  const greeting = await greet(channel, hello, {
    clock: env.clock,
    signal: AbortSignal.timeout(patienceMs),
    check: () => undefined,
  })
  return greeting.channel
}

export const call =
  (method: string, params: unknown): Attack =>
  async (traitor, connection) => {
    const { rpc } = await link(traitor, connection)
    return rpc.call(method, params, anyResult).then(
      () => 'answered',
      (error: unknown) => asSkeinError(error).code,
    )
  }

const rpcAttacks: Readonly<Record<string, Attack>> = {
  'an unknown method': call('rm.rf', {}),
  'a method named __proto__': call('__proto__', { __proto__: 1 }),
  'heads that are no list': call('roster.heads', { heads: 7 }),
  'a million heads': call('roster.heads', { heads: Array.from({ length: 20_000 }, () => 'ab'.repeat(32)) }),
  'heads that are no hashes': call('roster.since', { heads: ['../../etc/passwd', '\u001b[2J'] }),
  'a mesh key of noise': call('mesh.key', { key: env.random.bytes(300) }),
  'a mesh key far too long': call('mesh.key', { key: env.random.bytes(50_000) }),
  'a witness of noise': call('audit.witness', { head: env.random.bytes(150) }),
  'a removal of noise': async (traitor, connection) => {
    const { rpc } = await link(traitor, connection)
    return rpc
      .callWithBody('roster.removed', { count: 1 }, anyResult, { body: env.random.bytes(100_000) })
      .then(
        () => 'answered',
        (error: unknown) => asSkeinError(error).code,
      )
  },
  'the key of another device in the hello': async (traitor, connection) => {
    const stolen = { ...traitor, identity: { ...traitor.identity, deviceId: traitor.friend } }
    await greetOn(stolen, connection)
    return 'greeted'
  },
  '5,000 calls at once': async (traitor, connection) => {
    const { rpc } = await link(traitor, connection)
    const calls = Array.from({ length: 5_000 }, () =>
      rpc.call('roster.since', { heads: [] }, anyResult).then(
        () => 'answered',
        (error: unknown) => asSkeinError(error).code,
      ),
    )
    const codes = await Promise.all(calls)
    return [...new Set(codes)].sort().join(' ')
  },
}

/** Says that it has news; what it then hands over when asked is `batch`. */
const news =
  (batch: (traitor: Traitor) => Uint8Array): Attack =>
  async (traitor, connection) => {
    const { rpc, asked } = await link(traitor, connection, () => batch(traitor))
    await rpc.call('roster.heads', { heads: ['cd'.repeat(32)] }, anyResult)
    await asked
    await new Promise((resolve) => setTimeout(resolve, 300))
    const { head } = await rpc.call('audit.witness', {}, object({ head: (value: unknown) => value }))
    return head === undefined || bytesShape(4096)(head, 'head').byteLength > 0 ? 'asked, still there' : 'odd'
  }

const parentsOf = ({ roster }: Traitor): ReturnType<typeof decodeStatement>[] =>
  roster
    .since([])
    .map((wire) => decodeStatement(wire))
    .slice(-1)

const rosterAttacks: Readonly<Record<string, Attack>> = {
  'statements of noise': news(() => env.random.bytes(10_000)),
  'a megabyte of statements': news(() =>
    encodeCanonical(Array.from({ length: 120 }, () => env.random.bytes(8_000))),
  ),
  'a statement of 100 kB': news(() => encodeCanonical([env.random.bytes(100_000)])),
  'a changed statement': news(({ roster }) =>
    encodeCanonical(
      roster.since([]).map((wire) => {
        const changed = wire.slice()
        changed[changed.byteLength >> 1] = (changed[changed.byteLength >> 1] ?? 0) ^ 1
        return changed
      }),
    ),
  ),
  'a removal in the name of the victim': news((traitor) =>
    encodeCanonical([
      composeStatement({
        kind: 'remove',
        body: { device: traitor.friend },
        author: traitor.victim,
        key: traitor.identity.key,
        parents: parentsOf(traitor),
      }).bytes,
    ]),
  ),
}

/** Sends messages on a protocol of the mesh. @returns how it ended. */
const shout =
  (protocol: string, messages: () => readonly Uint8Array[]): Attack =>
  async (traitor, connection) => {
    await greetOn(traitor, connection)
    const channel = await connection.open(protocol)
    channel.receive(() => undefined)
    for (const message of messages()) {
      if (!channel.send(message)) await channel.drained()
    }
    const ended = await channel.closed
    return ended?.code ?? 'closed'
  }

const digests = (count: number): ReadonlyMap<string, Uint8Array> =>
  new Map(Array.from({ length: count }, (_, index) => [`g${index}/`, env.random.bytes(8)]))

const channelAttacks: Readonly<Record<string, Attack>> = {
  'rpc frames of noise': async (traitor, connection) => {
    const channel = await greetOn(traitor, connection)
    channel.receive(() => undefined)
    channel.send(env.random.bytes(5_000))
    const ended = await channel.closed
    return ended?.code ?? 'closed'
  },
  'an rpc envelope of a million nested lists': async (traitor, connection) => {
    const channel = await greetOn(traitor, connection)
    const answer = new Promise<string>((resolve) =>
      channel.receive((message) => {
        // Heartbeats come by themselves: only a response (2) or an error (3) is an answer
        if (message[0] !== 2 && message[0] !== 3) return
        resolve(Buffer.from(message).includes('codec.') ? 'codec.invalid' : 'answered')
      }),
    )
    channel.send(Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0xfd, 0xe8), new Uint8Array(65_000).fill(0x81))
    const ended = channel.closed.then((error) => error?.code ?? 'closed')
    return Promise.race([answer, ended])
  },
  'sync frames of noise': shout(syncProtocol, () => [env.random.bytes(5_000)]),
  'an empty sync frame': shout(syncProtocol, () => [new Uint8Array()]),
  'a table of 50,000 groups': shout(syncProtocol, () => [encodeGroups(digests(50_000), true)]),
  'a table of names that climb': shout(syncProtocol, () => [
    encodeTable('../../', new Map([['__proto__', env.random.bytes(8)]]), true),
  ]),
  'a sync frame with the wrong checksum': shout(syncProtocol, () => [
    Buffer.concat([Buffer.of(3, 0, 5), Buffer.from('clip/'), Buffer.of(1, 2, 3, 4), env.random.bytes(100)]),
  ]),
  'a sync frame that is a call': shout(syncProtocol, () => [encode({ method: 'x' })]),
  'blob frames of noise': shout(blobProtocol, () => [env.random.bytes(5_000)]),
  'a blob of 2^63 bytes nobody asked for': shout(blobProtocol, () => [
    Buffer.from('0300000001000000087fffffffffffffff', 'hex'),
  ]),
  'a blob frame longer than its message': shout(blobProtocol, () => [
    Buffer.from('0100000001ffffffff', 'hex'),
  ]),
}
