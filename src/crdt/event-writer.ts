/**
 * Under which name a device writes a new version. A version vector says of each writer "all up to here": a new version made
 * from one of several that stand side by side would say so of this device's earlier events too, also of those that only the
 * others contain. What they all seem to have in common would then be a version that this one was never made from, and a
 * merge would take it for the base. Such a version gets a name of its own, out of the same device.
 */
import type { DataVersion } from './join.ts'
import { aliasOf, type Writer } from './node-id.ts'
import { dominates, type VersionVector } from './version-vector.ts'

export interface EditedFrom {
  /** All versions of the node. */
  readonly versions: readonly Pick<DataVersion, 'versions'>[]
  /** What the new version is made from. */
  readonly observed: VersionVector
  /** Of the new version. */
  readonly lamport: number
}

/** @returns the writer itself wherever that says nothing false. */
export function eventWriter(writer: Writer, { versions, observed, lamport }: EditedFrom): Writer {
  const others = versions.map((version) => version.versions).filter((vector) => !dominates(observed, vector))
  const isHonest = (name: Writer): boolean =>
    others.every((vector) => (vector.get(name) ?? 0) <= (observed.get(name) ?? 0))
  if (isHonest(writer)) return writer
  // An earlier alias does as well: many edits of one conflict copy do not fill the vector
  const device = writer.slice(0, 8)
  const known = [...observed.keys()].filter((name) => name.startsWith(device)).sort()
  return known.find(isHonest) ?? aliasOf(writer, lamport)
}
