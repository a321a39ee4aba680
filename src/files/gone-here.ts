/**
 * Versions whose file a person removed from this disk, for as long as the folder runs. Somebody else's move may keep such
 * a version in the document; where it came too early for the mover to have the bytes, and nobody else has them either,
 * the deletion stands after all. Otherwise all would wait for ever for what one of them has deleted.
 */

export interface GoneHere {
  note(nodeId: string, version: string): void
  has(nodeId: string, version: string): boolean
  /** The person wants it back. */
  drop(nodeId: string): void
}

/** Nodes remembered; one that is forgotten is waited for. */
const nodesMax = 10_000

export function createGoneHere(): GoneHere {
  const versions = new Map<string, string>()
  return {
    note(nodeId, version) {
      versions.delete(nodeId)
      versions.set(nodeId, version)
      const [oldest] = versions.size > nodesMax ? versions.keys() : []
      if (oldest !== undefined) versions.delete(oldest)
    },
    has: (nodeId, version) => versions.get(nodeId) === version,
    drop: (nodeId) => void versions.delete(nodeId),
  }
}
