/** A few simulated devices for tests of the keeper. Disposing ends them all and checks that nothing is left over. */
import { expect } from 'vitest'
import { SkeinError } from '../../src/base/errors.ts'
import type { DeviceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import type { LinkStatus } from '../../src/discovery/link-status.ts'
import type { LinkChange } from '../../simulations/mesh-peer.ts'
import { MeshPeer } from '../../simulations/mesh-peer.ts'
import type { World } from '../../simulations/world.ts'
import { createWorld } from '../../simulations/world.ts'

export interface Mesh extends AsyncDisposable {
  readonly world: World
  readonly peers: readonly MeshPeer[]
  readonly changes: LinkChange[]
  peer(index: number): MeshPeer
  link(from: number, to: number): LinkStatus
  changesOf(observer: number): readonly string[]
  tellRoster(removed?: DeviceId): void
  tellAddresses(): void
}

/** `count` devices that know each other, lowest device id first, not started. Disposing checks for leaks. */
export function createMesh(count: number, seed = 1): Mesh {
  const world = createWorld(seed)
  const changes: LinkChange[] = []
  const peers = Array.from(
    { length: count },
    (_, index) => new MeshPeer(world, `p${index}`, (change) => changes.push(change)),
  )
  peers.sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1))
  const peer = (index: number): MeshPeer => {
    const found = peers[index]
    if (found === undefined) throw new Error(`no peer ${index}`)
    return found
  }
  const mesh: Mesh = {
    world,
    peers,
    changes,
    peer,
    link(from, to) {
      const status = peer(from)
        .keeper?.status()
        .find(({ deviceId }) => deviceId === peer(to).deviceId)
      if (status === undefined) throw new Error('no such link')
      return status
    },
    changesOf: (observer) =>
      changes
        .filter((change) => change.observer === peer(observer))
        .map(({ kind, reason }) => (kind === 'down' ? `${kind} ${reason}` : kind)),
    tellRoster(removed) {
      const roster = peers
        .filter(({ deviceId }) => deviceId !== removed)
        .map(({ deviceId, peerIds }) => ({ deviceId, peerIds: [...peerIds] }))
      for (const each of peers) each.learnMembers(roster)
    },
    tellAddresses() {
      for (const a of peers)
        for (const b of peers) if (a !== b) for (const id of b.peerIds) a.learnAddress(id, b.addressOf(id))
    },
    async [Symbol.asyncDispose]() {
      for (const each of peers) each.process.thaw()
      world.network.healAll()
      await world.until(Promise.all(peers.map((each) => each.leave())), 10_000)
      await world.advance(limits.rpcDeadlineMs)
      expect(world.network.openEnds()).toEqual([])
      expect(world.clock.nextDueMs()).toBeUndefined()
    },
  }
  mesh.tellRoster()
  mesh.tellAddresses()
  return mesh
}

export async function started(count: number, seed?: number): Promise<Mesh> {
  const mesh = createMesh(count, seed)
  for (const peer of mesh.peers) peer.start()
  await mesh.world.advance(2_500)
  return mesh
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    return error instanceof SkeinError ? error.code : String(error)
  }
}
