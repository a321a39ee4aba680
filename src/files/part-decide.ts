/**
 * Asks the planner about places on a device that takes a part of the space only (plan-part.ts). A place is judged by the
 * path that the document gives it: on this disk it may stand elsewhere still.
 */
import { joinPath } from './filesystem.ts'
import { createDocumentPaths } from './document-paths.ts'
import type { EntryKind } from './folder-tree.ts'
import type { FolderPart } from './folder-part.ts'
import { type Action, type DiskState, type Place, planPlace } from './plan.ts'
import { planPart } from './plan-part.ts'
import { type ScanPlace, pathOfSeen, type Seen } from './scan.ts'
import type { FileStat } from './filesystem.ts'

interface LookedAt {
  readonly seen: Seen
  readonly disk: DiskState
  readonly stat: FileStat | undefined
  readonly isRacy: boolean
}

export interface PartPlanner {
  /** What is told only ('keep') is noted as well. */
  plan(looked: LookedAt, at: Place): Promise<Action>
  /** An action that others made of it may send something where nothing is sent. */
  checked(action: Action, looked: LookedAt): Action
  /** Without those that this device does not keep. */
  selected(places: readonly Seen[]): Promise<readonly Seen[]>
}

/** For one round: remembers where the document has directories. */
export function createPartPlanner(place: ScanPlace): PartPlanner {
  const { part, tree, filesystem } = place
  const documentPath = createDocumentPaths(tree)
  const selects = async (
    at: { readonly parentId: string; readonly name: string },
    fallback: string,
    kind: EntryKind | 'other' | undefined,
  ): Promise<boolean> =>
    part.selection.isAll ||
    part.selection.selects(
      joinPath((await documentPath(at.parentId)) ?? fallback, at.name),
      kind === 'directory',
    )
  const isSelected = (seen: Seen, disk?: DiskState): Promise<boolean> => {
    const onDisk = disk?.state === 'present' ? disk.data.kind : seen.stat?.kind
    return selects(seen, seen.parentPath, seen.row?.kind ?? onDisk ?? seen.here?.kind)
  }
  const planHere = async ({ seen, disk }: LookedAt, at: Place): Promise<Action> => {
    const { isReadOnly, isSendOnly, reverting } = part
    const selected = await isSelected(seen, disk)
    const { own } = at
    const isOwnSelected = own === undefined ? selected : await selects(own, seen.parentPath, own.kind)
    const rules = { isReadOnly, isSendOnly, isSelected: selected, isOwnSelected, isReverted: false }
    const action = planPart(at, rules)
    if (action.kind !== 'keep') return action
    const change = describe(seen, disk, action)
    if (!reverting.isOn || !reverting.covers(change)) {
      part.changes.note(change)
      return action
    }
    reverting.note(change)
    return planPart(at, { ...rules, isReverted: true })
  }
  return {
    async plan(looked, at) {
      if (part.isWhole) return planPlace(at)
      const { seen, disk, stat, isRacy } = looked
      const action = await planHere(looked, at)
      const path = pathOfSeen(seen)
      if (action.kind === 'keep' && disk.state === 'present' && stat?.kind === 'file' && !isRacy)
        part.changes.remember(path, stat, disk.data)
      if (action.kind === 'release' && seen.row?.hash !== undefined)
        return part.releases.isHeldElsewhere(seen.row.hash, seen.parentId) ? action : { kind: 'nothing' }
      // A directory that was removed here is not sent, and what is news in it belongs to that
      if (action.kind === 'materialise' && part.isReadOnly && seen.parentPath !== '') {
        if ((await filesystem.lstat(seen.parentPath)) === undefined) return { kind: 'nothing' }
      }
      return action
    },
    checked(action, { disk }) {
      const isSent = action.kind === 'create' || action.kind === 'recreate'
      if (!part.isReadOnly || !isSent) return action
      return disk.state === 'present' ? { kind: 'overrule', data: disk.data } : { kind: 'nothing' }
    },
    async selected(places) {
      if (part.selection.isAll) return places
      const found: Seen[] = []
      for (const seen of places) if (await isSelected(seen)) found.push(seen)
      return found
    },
  }
}

function describe(
  seen: Seen,
  disk: DiskState,
  { change }: Extract<Action, { kind: 'keep' }>,
): Parameters<FolderPart['changes']['note']>[0] {
  const found = disk.state === 'present' ? disk.data : undefined
  const isDirectory = (found?.kind ?? seen.row?.kind) === 'directory'
  return { path: pathOfSeen(seen), change, isDirectory, sizeBytes: found?.size ?? 0 }
}
