/**
 * P25, P26, I7: once at rest nothing is written and nobody works any more, on no disk, in no store, for as long as one looks.
 * P2, P6: documents are equal by digest, and who says so is right. I9: no more live records than the tree needs.
 * P24: nothing is left in staging.
 */
import { equalBytes } from '../../../src/crdt/digest.ts'
import { stagingFolder } from '../../../src/files/names.ts'
import type { SpaceDevice } from '../device.ts'

/** What stands still at rest. */
export function restOf(devices: readonly SpaceDevice[]): string {
  return devices.map(({ health, folder }) => `${health.changes}/${folder?.status().rounds}`).join(' ')
}

export function checkRest(before: string, after: string): void {
  if (before !== after)
    throw new Error(`somebody went on working at rest (changes/rounds): ${before}, then ${after}`)
}

export async function checkDocuments(devices: readonly SpaceDevice[]): Promise<void> {
  const [first, ...others] = devices
  for (const other of others) {
    const names = new Set([...(first?.host?.names() ?? []), ...(other.host?.names() ?? [])])
    for (const name of names) {
      const [one, two] = [await first?.host?.digest(name), await other.host?.digest(name)]
      if (one === undefined || two === undefined || !equalBytes(one, two))
        throw new Error(
          `${first?.name} and ${other.name} hold different ${name} but say that they are in sync`,
        )
    }
  }
}

export async function checkStaging(device: SpaceDevice): Promise<void> {
  const left = (await device.disk.readDirectory(stagingFolder)).map(({ name }) => name)
  if (left.length > 0) throw new Error(`${device.name} left ${left.length} files in staging`)
}
