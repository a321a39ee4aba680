/** Reads and counts changes of rows: which places they speak of, what holds within one batch, what they replace. */
import type { BaseNote } from './base-keep.ts'
import type { Totals } from './directories.ts'
import { partsOfVersion, type RowChange, rowKey, type SyncedRow, type TreeChange } from './folder-tree.ts'

export const placeOfRow = (change: RowChange): { readonly parentId: string; readonly name: string } =>
  change.kind === 'put' ? change.row : change

export function keyOfRow(change: RowChange): string {
  const { parentId, name } = placeOfRow(change)
  return rowKey(parentId, name)
}

/** What left a place and what came to it may be told in any order: within one batch, what came holds. */
export function withoutOverruled(rows: readonly RowChange[]): readonly RowChange[] {
  const last = new Map<string, RowChange>()
  for (const change of rows) {
    const key = keyOfRow(change)
    if (change.kind === 'put' || last.get(key)?.kind !== 'put') last.set(key, change)
  }
  return rows.filter((change) => last.get(keyOfRow(change)) === change)
}

export const baseOfEdit = (change: TreeChange): readonly BaseNote[] =>
  change.kind === 'edit' && change.baseHash !== undefined
    ? [{ nodeId: change.nodeId, version: partsOfVersion(change.base).vector, hash: change.baseHash }]
    : []

/** @returns the versions that rows had before and now have no more. */
export function countRows(
  totals: Totals,
  rows: readonly RowChange[],
  rowsBefore: readonly (SyncedRow | undefined)[],
): readonly BaseNote[] {
  const replaced: BaseNote[] = []
  for (const [index, change] of rows.entries()) {
    const { parentId } = placeOfRow(change)
    const before = rowsBefore[index]
    const after = change.kind === 'put' ? change.row : undefined
    if (before?.hash !== undefined && after?.nodeId === before.nodeId && after.version !== before.version)
      replaced.push({
        nodeId: before.nodeId,
        version: partsOfVersion(before.version).vector,
        hash: before.hash,
      })
    if (parentId === '') continue
    totals.entries += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
    totals.files += (after?.kind === 'file' ? 1 : 0) - (before?.kind === 'file' ? 1 : 0)
    totals.bytes += (after?.kind === 'file' ? after.size : 0) - (before?.kind === 'file' ? before.size : 0)
  }
  return replaced
}
