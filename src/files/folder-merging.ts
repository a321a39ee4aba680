/** The merging of one folder, wired to its trees, its keeps and its disk. */
import type { Env } from '../base/env.ts'
import type { Scope } from '../base/scope.ts'
import type { BaseKeep } from './base-keep.ts'
import type { Directories } from './directories.ts'
import type { Inbox } from './folder-inbox.ts'
import type { FolderParts } from './folder-parts.ts'
import { createMergeWorkers } from './merge-workers.ts'
import { createMerging, type Merging, type MergingParts } from './merging.ts'
import type { Versions } from './versions.ts'

export interface FolderMergingParts extends Pick<FolderParts, 'tree' | 'fetch' | 'merges'> {
  readonly keep: BaseKeep
  readonly versions: Versions
  readonly directories: Pick<Directories, 'pathOf'>
  readonly inbox: Pick<Inbox, 'add'>
  readonly open: MergingParts['open']
}

/** The scope ends it. */
export function openMerging(env: Env, scope: Scope, parts: FolderMergingParts): Merging {
  const { directories, inbox, merges } = parts
  return scope.own(
    createMerging(env, {
      ...parts,
      workers: scope.own(merges ?? createMergeWorkers(env)),
      pathOf: (id) => directories.pathOf(id),
      onSettled: (parentIds) => inbox.add(parentIds),
    }),
  )
}
