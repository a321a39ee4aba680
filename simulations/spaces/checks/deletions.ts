/**
 * P15, and P14 as far as it shows in the document: who removed nothing deletes nothing. A device whose person only ever made,
 * changed or copied files says of no file that it is gone, whatever happened: a disk that is not mounted or empty, events
 * lost, a kill in the middle. Only a version of its own whose bytes went with a power cut may be taken back
 * (lost-versions.ts).
 */
import type { FolderTree } from '../../../src/files/folder-tree.ts'
import type { SpaceDevice } from '../device.ts'
import type { ActKind } from '../user.ts'

export interface DeletionCheck {
  acted(device: SpaceDevice, kind: ActKind): void
  lostPower(device: SpaceDevice): void
  /** Its disk or store refuses writes: rows of what was moved here are lost, and it is told as made anew and gone. */
  failing(device: SpaceDevice): void
  /** The tree, with an eye on what is committed. */
  watch(device: SpaceDevice, tree: FolderTree): FolderTree
}

/** Acts that take a name away from something, also for a moment. */
const removing: ReadonlySet<ActKind> = new Set([
  'save',
  'delete',
  'rename',
  'move-directory',
  'remove-directory',
  'retype',
  'replace',
  'respell',
  'swap',
])

export function createDeletionCheck(onFault: (what: string) => void): DeletionCheck {
  const mayDelete = new Set<SpaceDevice>()
  return {
    acted(device, kind) {
      if (removing.has(kind)) mayDelete.add(device)
    },
    lostPower: (device) => void mayDelete.add(device),
    failing: (device) => void mayDelete.add(device),
    watch: (device, tree) =>
      Object.assign(Object.create(tree) as FolderTree, {
        // because: the prototype is the tree itself
        commit: async (...[changes, rows]: Parameters<FolderTree['commit']>) => {
          const deleted = changes.filter(({ kind }) => kind === 'delete').length
          if (deleted > 0 && !mayDelete.has(device))
            onFault(`${device.name} deleted ${deleted} entries, and its person none`)
          return await tree.commit(changes, rows)
        },
      }),
  }
}
