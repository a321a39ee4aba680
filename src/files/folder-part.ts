/**
 * What part of a space a folder takes: whether it only receives, which paths it keeps, and what follows from that on its
 * disk. The decisions are those of plan-part.ts; rules hold for the life of a folder, other rules make another one.
 */
import type { Env } from '../base/env.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { Directories } from './directories.ts'
import type { Filesystem } from './filesystem.ts'
import type { FolderTree } from './folder-tree.ts'
import { holdsContent } from './holding.ts'
import { createLocalChanges, type LocalChanges } from './local-changes.ts'
import { createReleased, type Released } from './released.ts'
import { type AskHolders, createReleases, type Releases } from './releases.ts'
import { createReverting, type Reverting } from './reverting.ts'
import { createSelection, type Selection, type SelectionRules, wholeSpace } from './selection.ts'
import type { Versions } from './versions.ts'

export interface PartRules {
  /** Receives, and sends nothing. */
  readonly isReadOnly: boolean
  readonly selection: SelectionRules
  /** Sends, and changes nothing on this disk: for a push. */
  readonly isSendOnly?: boolean
}

export const wholeRules: PartRules = { isReadOnly: false, selection: wholeSpace }

export interface FolderPart extends AsyncDisposable {
  readonly isReadOnly: boolean
  readonly isSendOnly: boolean
  readonly selection: Selection
  /** The planner alone decides. */
  readonly isWhole: boolean
  readonly changes: LocalChanges
  readonly releases: Releases
  readonly released: Released
  readonly reverting: Reverting
  readonly versions: Versions
  /** Whether others may let go of this content: it stands here for good (holding.ts). */
  holds(hash: BlobHash): Promise<boolean>
}

/** A device that takes or sends nothing shows the versions side by side until another one has merged them. */
export const withoutMerging = {
  consider: (_nodeIds: Iterable<string>): Promise<void> => Promise.resolve(),
  holds: (_nodeId: string): boolean => false,
  alsoIn: (_parentId: string, _nodeIds: readonly string[]): void => undefined,
}

export interface PartParts {
  readonly rules?: PartRules
  /** With durable rows alone. */
  readonly tree: Pick<FolderTree, 'rowsWithHash' | 'rootId' | 'entries'>
  readonly filesystem: Filesystem
  readonly directories: Pick<Directories, 'pathOf'>
  readonly versions: Versions
  /** Without it nothing is ever released. */
  readonly askHolders?: AskHolders
  /** Told of directories where something may leave now. */
  readonly inbox: { add(parentIds: readonly string[]): void }
  /** Whether the file at this place is known to be no more what its row says. */
  readonly isDamaged: (parentId: string, name: string) => boolean
}

export function createFolderPart(env: Env, parts: PartParts): FolderPart {
  const { rules = wholeRules, tree, filesystem, versions, inbox } = parts
  const ask: AskHolders = parts.askHolders ?? (() => Promise.resolve(new Set()))
  const { isSendOnly = false } = rules
  const selection = createSelection(rules.selection)
  const releases = createReleases(env, { tree, ask, onHeld: (parentIds) => inbox.add(parentIds) })
  return {
    isReadOnly: rules.isReadOnly,
    isSendOnly,
    selection,
    isWhole: !rules.isReadOnly && !isSendOnly && selection.isAll,
    changes: createLocalChanges(),
    releases,
    released: createReleased({ ...env, filesystem, versions }),
    reverting: createReverting(),
    versions,
    async holds(hash) {
      const isHeld = await holdsContent({ ...parts, stored: tree, selection }, hash)
      // Another one may let go of it now: what that one said before counts no more
      if (isHeld) releases.forget(hash)
      return isHeld
    },
    [Symbol.asyncDispose]: () => releases[Symbol.asyncDispose](),
  }
}
