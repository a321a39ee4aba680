/** Calls and channels over the mesh: each ends in an answer or a named error, and after healing each is answered. */
import { integer } from '../../src/base/codec.ts'
import { SkeinError } from '../../src/base/errors.ts'
import type { DeviceId } from '../../src/base/ids.ts'
import type { Lane } from '../../src/base/link.ts'
import type { Random } from '../../src/base/random.ts'
import { randomBelow } from '../../src/base/random.ts'
import type { MeshPeer } from '../mesh-peer.ts'
import { echoProtocol } from '../mesh-peer.ts'
import type { SimulatedProcess } from '../process.ts'
import type { World } from '../world.ts'

export interface Work {
  /** Starts one call or channel between two devices of chance. */
  begin(): void
  /** @throws when something neither succeeded nor failed. */
  finish(): Promise<void>
}

export function createWork(world: World, random: Random, peers: readonly MeshPeer[]): Work {
  const started: { readonly process: SimulatedProcess; readonly work: Promise<void> }[] = []
  return {
    begin() {
      const from = peers[randomBelow(random, peers.length)]
      const to = peers[randomBelow(random, peers.length)]
      if (from === undefined || to === undefined || from === to || !from.isRunning) return
      const lane = random.float() < 0.5 ? 'control' : 'bulk'
      const work = random.float() < 0.5 ? call(from, to) : echo(from, to, lane)
      const settled = work.catch((error: unknown) => {
        // Faults are on: an operating error is an answer, anything else is a bug
        if (!(error instanceof SkeinError) || error.code === 'internal') throw error
      })
      settled.catch(() => undefined) // because: `finish` reads it
      started.push({ process: from.process, work: settled })
    },
    async finish() {
      const alive = started.filter(({ process }) => process.state !== 'killed')
      await world.until(Promise.all(alive.map(({ work }) => work)), 60_000)
    },
  }
}

export async function checkCalls(
  world: World,
  peers: readonly MeshPeer[],
  removed: ReadonlySet<DeviceId>,
): Promise<void> {
  const members = peers.filter((peer) => !removed.has(peer.deviceId))
  for (const from of members) {
    for (const to of members) {
      if (from === to) continue
      const all = [call(from, to), echo(from, to, 'bulk'), echo(from, to, 'control')]
      await world.until(Promise.all(all), 5_000)
    }
  }
}

async function call(from: MeshPeer, to: MeshPeer): Promise<void> {
  const rpc = from.keeper?.rpc(to.deviceId)
  if (rpc === undefined) throw new SkeinError('peer.gone', 'no rpc')
  const answer = await rpc.call('echo', 7, integer(), { timeoutMs: 5_000 })
  if (answer !== 7) throw new Error(`echo answered ${answer}`)
}

async function echo(from: MeshPeer, to: MeshPeer, lane: Lane): Promise<void> {
  const channel = await from.keeper?.open(to.deviceId, echoProtocol, lane)
  if (channel === undefined) throw new SkeinError('peer.gone', 'no keeper')
  const answered = Promise.withResolvers<Uint8Array>()
  channel.receive((message) => answered.resolve(message.slice()))
  channel.send(new Uint8Array([1, 2, 3]))
  const ended = channel.closed.then((error): never => {
    throw error ?? new SkeinError('channel.closed', 'closed before it answered')
  })
  const bytes = await Promise.race([answered.promise, ended])
  if (bytes.join() !== '1,2,3') throw new Error(`echo answered ${bytes.join()}`)
  await channel.close()
}
