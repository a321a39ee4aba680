/**
 * P16: many deletions at once wait for the person. Counts by itself what a folder tells as deleted by its person within the
 * window of the brake, since it was opened or the person last said yes.
 */
import type { FolderTree } from '../../../src/files/folder-tree.ts'
import type { BrakeOptions } from '../../../src/files/safety.ts'
import type { SpaceDevice } from '../device.ts'

export interface BrakeCheck {
  /** The person says yes to what is held. */
  allowed(device: SpaceDevice): void
  watch(device: SpaceDevice, tree: FolderTree): FolderTree
}

/** What may stand there and is in no count of the status: links. */
const uncounted = 10

export function createBrakeCheck(
  options: BrakeOptions,
  nowMs: () => number,
  onFault: (what: string) => void,
): BrakeCheck {
  const recent = new Map<SpaceDevice, { atMs: number; count: number }[]>()
  const mayPass = new Set<SpaceDevice>()
  const note = (device: SpaceDevice, count: number): void => {
    const kept = (recent.get(device) ?? []).filter(({ atMs }) => nowMs() - atMs < options.windowMs)
    const before = kept.reduce((sum, one) => sum + one.count, 0)
    recent.set(device, kept)
    // What the person said yes to does not count for what comes after
    if (mayPass.delete(device)) return
    kept.push({ atMs: nowMs(), count })
    const { files = 0, directories = 0 } = device.folder?.status() ?? {}
    const total = files + directories + before + count + uncounted
    if (before + count > Math.max(options.minCount, Math.floor(total * options.maxShare)))
      onFault(`${device.name} deleted ${before + count} of ${total} entries, and nobody was asked`)
  }
  return {
    allowed: (device) => void mayPass.add(device),
    watch(device, tree) {
      recent.delete(device)
      return Object.assign(Object.create(tree) as FolderTree, {
        // because: the prototype is the tree itself
        commit: async (...[changes, rows]: Parameters<FolderTree['commit']>) => {
          // Other deletions come with what is made instead of them
          const isAll = changes.length > 0 && changes.every(({ kind }) => kind === 'delete')
          if (isAll) note(device, changes.length)
          return await tree.commit(changes, rows)
        },
      })
    },
  }
}
