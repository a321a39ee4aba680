/** Kept channels over real keepers on a memory network: they are where their lane is, and follow it. */
import { expect, test } from 'vitest'
import type { Channel } from '../../src/base/channel.ts'
import { createScope } from '../../src/base/scope.ts'
import type { Lane } from '../../src/base/link.ts'
import { keepChannels, type WantedDevices } from '../../src/peer/keep-channels.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { newSimulatedPeerId, type MeshPeer } from '../../simulations/mesh-peer.ts'
import { createMesh, type Mesh } from '../discovery/small-mesh.ts'

interface Kept {
  /** Opened by this side, in order, with the lane each was opened on. */
  readonly channels: { readonly channel: Channel; isOpen: boolean }[]
}

/** Keeps a channel of the lane at each peer, which closes the one it had when another comes. */
function keep(mesh: Mesh, peer: MeshPeer, lane: Lane, wanted?: WantedDevices): Kept {
  const { keeper } = peer
  if (keeper === undefined) throw new Error('not started')
  const env = mesh.world.envOf(peer.name, peer.process)
  const scope = createScope(env, 'test')
  const channels: Kept['channels'] = []
  let last: Channel | undefined
  keepChannels(env, scope, {
    mesh: { keeper },
    self: peer.deviceId,
    protocol: '/test/kept/1',
    lane,
    ...(wanted !== undefined && { wanted }),
    attach: (_, channel) => {
      const entry = { channel, isOpen: true }
      channels.push(entry)
      void channel.closed.then(() => (entry.isOpen = false))
      void last?.close()
      last = channel
    },
  })
  return { channels }
}

/** Channels open on the connection that a lane leads over, the link's own included. */
function channelsOn(mesh: Mesh, lane: Lane): number | undefined {
  const [from, to] = [mesh.peer(0), mesh.peer(1)]
  const path = from.keeper?.path(to.deviceId, lane)
  const ends = mesh.world.network.openEnds().filter(({ owner }) => from.peerIds.includes(owner))
  return ends.find(({ id }) => path?.id.endsWith(`/${id}`) === true)?.channels
}

const openOf = ({ channels }: Kept): number => channels.filter(({ isOpen }) => isOpen).length

test('a bulk channel waits for the bulk connection instead of beginning on control', async () => {
  await using mesh = createMesh(2)
  for (const peer of mesh.peers) peer.start()
  const kept = mesh.peers.map((peer) => keep(mesh, peer, 'bulk'))
  await mesh.world.advance(2_500)
  expect(kept.map(openOf)).toEqual([1, 1])
  expect(kept[0]?.channels).toHaveLength(1)
  expect([channelsOn(mesh, 'control'), channelsOn(mesh, 'bulk')]).toEqual([1, 2])
})

test.each(['control', 'bulk'] as const)(
  'a %s channel moves when its connection is replaced while the link stays up, and the old one can go',
  async (lane) => {
    await using mesh = createMesh(2)
    for (const peer of mesh.peers) peer.start()
    const kept = mesh.peers.map((peer) => keep(mesh, peer, lane))
    await mesh.world.advance(2_500)
    const [first, second] = [mesh.peer(0), mesh.peer(1)]
    const before = first.keeper?.path(second.deviceId, lane)
    first.rotate(newSimulatedPeerId(mesh.world.random))
    mesh.tellRoster()
    mesh.tellAddresses()
    await mesh.world.advance(8_000)
    const after = first.keeper?.path(second.deviceId, lane)
    expect(after?.lane).toBe(lane)
    expect(after?.id).not.toBe(before?.id)
    expect(kept.map(openOf)).toEqual([1, 1])
    expect(channelsOn(mesh, lane)).toBe(2)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'up', connectionCount: 2 })
  },
)

test('a channel that ends while the link is up is opened again', async () => {
  await using mesh = createMesh(2)
  for (const peer of mesh.peers) peer.start()
  const kept = mesh.peers.map((peer) => keep(mesh, peer, 'control'))
  await mesh.world.advance(2_500)
  kept[1]?.channels.at(-1)?.channel.abort(new SkeinError('channel.aborted', 'test'))
  await mesh.world.advance(2_500)
  expect(kept.map(openOf)).toEqual([1, 1])
  expect(kept[0]?.channels).toHaveLength(2)
})

test('a link that was up before the protocol was kept gets its channel too', async () => {
  await using mesh = createMesh(2)
  for (const peer of mesh.peers) peer.start()
  await mesh.world.advance(2_500)
  const kept = mesh.peers.map((peer) => keep(mesh, peer, 'control'))
  await mesh.world.advance(500)
  expect(kept.map(openOf)).toEqual([1, 1])
})

test('who is not wanted gets no channel, and loses the one it has when that changes', async () => {
  await using mesh = createMesh(2)
  for (const peer of mesh.peers) peer.start()
  const listeners = new Set<() => void>()
  let isWanted = false
  const wanted: WantedDevices = {
    has: () => isWanted,
    onChanged(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
  }
  const turn = (next: boolean): void => {
    isWanted = next
    for (const listener of listeners) listener()
  }
  // The other side asks for it all the same, again and again
  const kept = [keep(mesh, mesh.peer(0), 'control'), keep(mesh, mesh.peer(1), 'control', wanted)]
  await mesh.world.advance(5_000)
  expect(kept[1]?.channels).toHaveLength(0)
  turn(true)
  await mesh.world.advance(6_000)
  expect(kept.map(openOf)).toEqual([1, 1])
  turn(false)
  await mesh.world.advance(6_000)
  expect(kept.map(openOf)).toEqual([0, 0])
})
