/** After heal and quiescence: every pair up with one connection per lane, nothing with removed devices, no leftovers. */
import type { DeviceId } from '../../src/base/ids.ts'
import type { MeshPeer } from '../mesh-peer.ts'
import type { World } from '../world.ts'

export function checkWhole(world: World, peers: readonly MeshPeer[], removed: ReadonlySet<DeviceId>): void {
  const members = peers.filter((peer) => !removed.has(peer.deviceId))
  for (const peer of members) {
    const statuses = peer.keeper?.status() ?? []
    if (statuses.length !== members.length - 1)
      throw new NotWhole(`${peer.name} keeps ${statuses.length} links, not ${members.length - 1}`)
    for (const status of statuses) {
      const other = members.find(({ deviceId }) => deviceId === status.deviceId)
      if (other === undefined) throw new NotWhole(`${peer.name} keeps a link to a removed device`)
      const label = `${peer.name} to ${other.name}`
      if (status.state !== 'up') throw new NotWhole(`${label} is ${status.state} (${status.reason})`)
      if (status.control === undefined || status.bulk === undefined)
        throw new NotWhole(`${label} lacks a lane`)
      if (status.connectionCount !== 2)
        throw new NotWhole(`${label} has ${status.connectionCount} connections`)
      if (status.peerId !== other.peerIds[0]) throw new NotWhole(`${label} runs over an old key`)
    }
  }
  checkEnds(world, members)
  for (const peer of peers.filter(({ deviceId }) => removed.has(deviceId))) {
    const up = peer.keeper?.status().find(({ state }) => state !== 'down' && state !== 'never')
    if (up !== undefined) throw new NotWhole(`removed ${peer.name} still has a link`)
  }
}

/** The same as a question: cheap to ask while waiting. */
export function isWhole(world: World, peers: readonly MeshPeer[], removed: ReadonlySet<DeviceId>): boolean {
  try {
    checkWhole(world, peers, removed)
    return true
  } catch (error) {
    if (error instanceof NotWhole) return false
    throw error
  }
}

class NotWhole extends Error {
  override readonly name = 'NotWhole'
}

/** What the network holds, whatever the keepers believe: both ends of two connections per pair. */
function checkEnds(world: World, members: readonly MeshPeer[]): void {
  const ends = world.network.openEnds()
  for (const a of members) {
    for (const b of members) {
      if (a === b) continue
      const held = ends.filter(({ owner, remote }) => a.peerIds.includes(owner) && b.peerIds.includes(remote))
      if (held.length !== 2)
        throw new NotWhole(`${a.name} holds ${held.length} connections to ${b.name}, not 2`)
    }
  }
}

/** Once everybody has left: no connection, and no timer that would go on for ever. */
export function checkNothingLeft(world: World): void {
  const ends = world.network.openEnds()
  if (ends.length > 0) throw new Error(`${ends.length} connection ends left over`)
  const dueMs = world.clock.nextDueMs()
  if (dueMs !== undefined) throw new Error(`a timer is left over, due at ${dueMs}`)
}
