/**
 * Versions whose bytes no device has any more, and what ends the waiting for them. A record may travel before its writer's
 * disk is durable; when the writer then loses power, or overwrote the file in the moment before and forgot that it did, the
 * others hold a record without a content. The writer alone knows better: once every device that could have the bytes was
 * asked, again and again, it replaces the version by what it has in that place, or takes it back where it has nothing.
 * The other case is a file that a person removed here while somebody moved it (gone-here.ts).
 */
import { rowFor } from './apply.ts'
import type { Step } from './step.ts'
import { type Deletion, deletionAt, type DeletionPlace } from './deletion.ts'
import type { FileStat } from './filesystem.ts'
import type { FolderTree, TreeChange, TreeEntry } from './folder-tree.ts'
import type { Action } from './plan.ts'
import type { Seen } from './scan.ts'
import type { Transfers } from './transfers.ts'

export interface LostPlace extends DeletionPlace {
  readonly tree: Pick<FolderTree, 'isWrittenHere'>
  readonly transfers: Pick<Transfers, 'isNowhere' | 'isLost'>
}

export interface GivenUp {
  readonly deletions: Deletion[]
  readonly steps: Step[]
}

/**
 * @param seen with the stat that the action was planned from.
 * @returns true when the action's content is waited for no more: what is done instead is in `into`.
 */
export async function giveUpLost(
  place: LostPlace,
  seen: Seen,
  action: Action,
  into: GivenUp,
): Promise<boolean> {
  if (action.kind === 'materialise') {
    const { entry } = action
    // Others that still show what it was made from come first: they hold more than nothing
    if (!isGoneHere(place, entry) && !(await isForgotten(place, entry, true))) return false
    into.deletions.push(deletionAt(place, seen, entry))
    return true
  }
  const { row, stat } = seen
  if (action.kind !== 'replace' || row?.kind !== 'file' || stat === undefined) return false
  const { entry } = action
  if (!(await isForgotten(place, entry, false))) return false
  into.steps.push(insteadOf(entry, { ...seen, row, stat }))
  return true
}

/** A person removed it here while somebody moved it elsewhere, and no device that is asked has its bytes. */
const isGoneHere = ({ goneHere, transfers }: LostPlace, { nodeId, version, hash }: TreeEntry): boolean =>
  hash !== undefined && goneHere.has(nodeId, version) && transfers.isNowhere(hash)

async function isForgotten(
  { tree, transfers }: LostPlace,
  { nodeId, version, hash }: TreeEntry,
  isPatient: boolean,
): Promise<boolean> {
  return (
    hash !== undefined && transfers.isLost(hash, isPatient) && (await tree.isWrittenHere(nodeId, version))
  )
}

type Found = Seen & { readonly row: NonNullable<Seen['row']>; readonly stat: FileStat }

/** What stands here, as a version made from the lost one. */
function insteadOf({ version: base, hash: baseHash }: TreeEntry, { row, stat, diskName }: Found): Step {
  const { nodeId, parentId, name } = row
  const change: TreeChange = { kind: 'edit', nodeId, base, baseHash, parentId, name, data: row }
  const written = { ...rowFor({ ...row, version: '' }, diskName, stat), isRacy: row.isRacy }
  return { changes: [change], rows: [{ kind: 'put', row: written, writtenBy: change }] }
}
