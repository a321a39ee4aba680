/** What this device wrote itself, told by writers and by what a commit says. */
import type { Writer } from '../crdt/node-id.ts'
import { compareStamps } from '../crdt/record.ts'
import type { VersionVector } from '../crdt/version-vector.ts'
import type { RowChange, TreeChange } from './folder-tree.ts'

/** Nodes of which the commit says both what stands on the disk and what the document is to show there. */
export function recordingOf(changes: readonly TreeChange[], rows: readonly RowChange[]): ReadonlySet<string> {
  const nodes = new Set<string>()
  const written = new Set(rows.map((row) => (row.kind === 'put' ? row.writtenBy : undefined)))
  for (const change of changes) {
    if (change.kind !== 'create' || change.isFirst !== true || !written.has(change)) continue
    nodes.add(change.nodeId)
  }
  return nodes
}

/** A writer is 8 characters of its device and 6 of one incarnation of it. */
export const deviceOf = (writer: Writer): string => writer.slice(0, 8)

/** Who wrote the version: its newest event. */
export function newestWriter(versions: VersionVector): Writer | undefined {
  const stamps = [...versions].map(([writer, lamport]) => ({ writer, lamport }))
  return stamps.sort((a, b) => compareStamps(b, a))[0]?.writer
}
