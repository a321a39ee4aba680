/**
 * Two versions of one file that stand side by side were swapped on this disk: who puts a conflict copy in the place of the
 * one that has the name, and that one in the copy's, wants the other one to have the name. As two edits each would be made
 * from the other's content, and what one of them writes would seem to replace the other. It is told as one new version of
 * the copy: the newest has the name, and the other stays what it was.
 */
import { rowFor } from './apply.ts'
import type { Step } from './step.ts'
import type { FileStat } from './filesystem.ts'
import type { SyncedRow, TreeChange } from './folder-tree.ts'
import type { DiskState } from './plan.ts'
import type { Seen } from './scan.ts'

export interface LookedPlace {
  readonly seen: Seen
  readonly disk: DiskState
  readonly stat: FileStat | undefined
  readonly isRacy: boolean
}

export interface Swapped {
  readonly steps: readonly Step[]
  /** Nothing else is to be decided about them. */
  readonly places: ReadonlySet<Seen>
}

interface Changed {
  readonly seen: Seen
  readonly row: SyncedRow
  readonly stat: FileStat
  readonly hash: string
  readonly executable: boolean
  readonly isRacy: boolean
}

export function findSwapped(all: readonly LookedPlace[]): Swapped {
  const steps: Step[] = []
  const places = new Set<Seen>()
  const byNode = new Map<string, Changed[]>()
  for (const changed of all.flatMap(changedFile)) {
    const { nodeId } = changed.row
    const others = byNode.get(nodeId) ?? []
    const other = others.find((one) => hasContentOf(one, changed) && hasContentOf(changed, one))
    byNode.set(nodeId, [...others, changed])
    if (other === undefined || places.has(other.seen)) continue
    const isCopy = other.seen.here?.isConflictCopy === true
    steps.push(isCopy ? exchange(changed, other) : exchange(other, changed))
    places.add(changed.seen).add(other.seen)
  }
  return { steps, places }
}

function changedFile({ seen, disk, stat, isRacy }: LookedPlace): readonly Changed[] {
  const { row } = seen
  if (row?.kind !== 'file' || stat === undefined || disk.state !== 'present') return []
  const { hash, executable } = disk.data
  return hash === undefined || hash === row.hash ? [] : [{ seen, row, stat, hash, executable, isRacy }]
}

const hasContentOf = ({ hash, executable }: Changed, { row }: Changed): boolean =>
  hash === row.hash && executable === row.executable

function exchange(named: Changed, copy: Changed): Step {
  const { nodeId, version: base, hash: baseHash } = copy.row
  const { parentId, name } = named.row
  const data = { ...copy.row, mtimeNs: named.stat.mtimeNs }
  const change: TreeChange = { kind: 'edit', nodeId, base, baseHash, parentId, name, data }
  const taken = { ...copy.row, parentId, name, version: '' }
  const left = { ...named.row, parentId: copy.row.parentId, name: copy.row.name }
  return {
    changes: [change],
    rows: [
      {
        kind: 'put',
        row: { ...rowFor(taken, named.seen.diskName, named.stat), isRacy: named.isRacy },
        writtenBy: change,
      },
      { kind: 'put', row: { ...rowFor(left, copy.seen.diskName, copy.stat), isRacy: copy.isRacy } },
    ],
  }
}
