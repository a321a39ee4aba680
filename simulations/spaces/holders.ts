/**
 * What a device of the simulated space hears when it asks the others which contents they hold for themselves
 * (src/peer/space-holders.ts does that over the network): there and back takes its time, and who cannot be reached, is
 * dead or has its folder closed holds nothing as far as the asking one is concerned.
 */
import { sleep } from '../../src/base/clock.ts'
import type { BlobHash } from '../../src/blobs/hash.ts'
import type { AskHolders } from '../../src/files/releases.ts'
import type { World } from '../world.ts'
import type { SpaceDevice } from './device.ts'

/** No answer within so long is none. */
const patienceMs = 3_000

export interface HoldersParts {
  readonly world: World
  readonly devices: () => readonly SpaceDevice[]
  readonly isCut: (a: SpaceDevice, b: SpaceDevice) => boolean
}

export function createSimulatedHolders({
  world,
  devices,
  isCut,
}: HoldersParts): (device: SpaceDevice) => AskHolders {
  const ask = async (
    from: SpaceDevice,
    to: SpaceDevice,
    hashes: readonly BlobHash[],
  ): Promise<readonly BlobHash[]> => {
    await sleep(world.clock, world.weather.latencyMs)
    if (isCut(from, to) || to.process?.state !== 'running') return []
    const held: BlobHash[] = []
    for (const hash of hashes) if ((await to.folder?.part.holds(hash)) === true) held.push(hash)
    await sleep(world.clock, world.weather.latencyMs)
    return isCut(from, to) ? [] : held
  }
  return (from) => async (hashes, signal) => {
    const held = new Set<BlobHash>()
    for (const to of devices()) {
      const left = hashes.filter((hash) => !held.has(hash))
      if (to === from || left.length === 0) continue
      // A device that dies in the middle answers nothing at all
      const nothing = sleep(world.clock, patienceMs).then((): readonly BlobHash[] => [])
      for (const hash of await Promise.race([ask(from, to, left), nothing])) held.add(hash)
      signal.throwIfAborted()
    }
    return held
  }
}
