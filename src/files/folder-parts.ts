/** What a folder is made of: its trees, its disk, and the ways contents come and go. */
import type { SpaceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import type { SpacePush } from '../blobs/push.ts'
import type { Filesystem } from './filesystem.ts'
import type { AskFirst } from './first-index.ts'
import type { FolderTree } from './folder-tree.ts'
import type { PartRules } from './folder-part.ts'
import type { HashWorkers } from './hash-workers.ts'
import type { MergeWorkers } from './merge-workers.ts'
import type { PartialContents } from './delta.ts'
import type { AskHolders } from './releases.ts'
import type { FetchContent, FetchSmall } from './transfers.ts'

export interface FolderParts {
  readonly spaceId: SpaceId
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  /** From any other device, into staging. */
  readonly fetch: FetchContent
  /** The same for small contents, into memory. */
  readonly fetchSmall: FetchSmall
  /**
   * Whether every member that may hold the space is within reach: only then a content that nobody has counts as lost.
   * Left out: it is so.
   */
  readonly hasEverybody?: () => boolean
  /** Small contents sent before they are asked for. The folder ends it. */
  readonly push?: SpacePush
  /** Parts of large contents, where the place holds an earlier version. */
  readonly partial?: PartialContents
  /** Threads for large files; without them everything is hashed here. The folder ends them. */
  readonly workers?: HashWorkers
  /** What part of the space this device takes; all of it when left out. */
  readonly rules?: PartRules
  /** Asks other devices which contents they hold: what is not selected here leaves only then. */
  readonly askHolders?: AskHolders
  /** Asks other devices whether they are about to record the files of this space; nobody is listened to when left out. */
  readonly askFirst?: AskFirst
  /** Where it is written down what was scrubbed and what is damaged; nowhere when left out. */
  readonly keep?: Pick<Keep, 'read' | 'write'>
  /** Left out: never. */
  readonly isOnBattery?: () => boolean
  /** Where merges run that are not small; a thread of its own when left out. The folder ends it. */
  readonly merges?: MergeWorkers
}
