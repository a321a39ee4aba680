/**
 * The document of one peer as the planner sees it, without Yjs: an observed-remove set of production records, changed, joined and
 * shown by the production code of crdt. Replicas exchange whole states, so any order and repetition is possible.
 */
import { joinRecords, type TreeNode } from '../../src/crdt/join.ts'
import { type NodeId, rootNodeId, type Writer } from '../../src/crdt/node-id.ts'
import type { TreeRecord } from '../../src/crdt/record.ts'
import {
  applyChange,
  type ChangeResult,
  type Draft,
  type DraftRecord,
  type TreeChange,
} from '../../src/crdt/tree-change.ts'
import { formatVector } from '../../src/crdt/version-vector.ts'
import { viewDirectory } from '../../src/crdt/view.ts'
import type { BlobHash } from '../../src/blobs/hash.ts'
import type { TreeEntry } from '../../src/files/folder-tree.ts'

const kindOf = { file: 'file', dir: 'directory', link: 'symlink' } as const

export class Replica {
  readonly writer: Writer
  private readonly items = new Map<string, TreeRecord>()
  private readonly removed = new Set<string>()
  private lamport = 0
  private shown: readonly TreeEntry[] | undefined

  constructor(writer: Writer) {
    this.writer = writer
  }

  /** Takes in all that the other one holds. */
  pull(other: Replica): void {
    for (const key of other.removed) {
      this.removed.add(key)
      this.items.delete(key)
    }
    for (const [key, record] of other.items) if (!this.removed.has(key)) this.items.set(key, record)
    this.lamport = Math.max(this.lamport, other.lamport)
    this.shown = undefined
  }

  commit(change: TreeChange): ChangeResult {
    const twins = this.entries().find((entry) => entry.nodes.includes(change.nodeId))?.nodes ?? []
    this.shown = undefined
    const isPlain = change.kind === 'create' || change.kind === 'merge'
    // because: entries carry the ids of nodes
    const others = isPlain ? [] : (twins.filter((id) => id !== change.nodeId) as NodeId[])
    return applyChange(new ReplicaDraft(this), change, others)
  }

  tick(): number {
    return ++this.lamport
  }

  recordsOf(id: NodeId): readonly (readonly [string, TreeRecord])[] {
    return [...this.items].filter(([, record]) => record.id === id)
  }

  put(key: string, record: TreeRecord): void {
    this.items.set(key, record)
  }

  remove(key: string): void {
    this.items.delete(key)
    this.removed.add(key)
  }

  node(id: string): TreeNode | undefined {
    return joinRecords([...this.items.values()].filter((record) => record.id === id))
  }

  /** What the top directory shows. */
  entries(): readonly TreeEntry[] {
    this.shown ??= this.view()
    return this.shown
  }

  private view(): readonly TreeEntry[] {
    const byNode = new Map<NodeId, TreeRecord[]>()
    for (const record of this.items.values())
      byNode.set(record.id, [...(byNode.get(record.id) ?? []), record])
    const nodes = [...byNode.values()].flatMap((records) => joinRecords(records) ?? [])
    const living = nodes.filter((node) => !node.isTombstone)
    return viewDirectory(living).flatMap(({ node, version, name, isConflict, nodes: ids }): TreeEntry[] => {
      if (version.kind === 'unknown' || version.kind === 'tombstone') return []
      return [
        {
          nodeId: node.id,
          parentId: rootNodeId,
          name,
          version: formatVector(version.versions),
          nodes: ids,
          isConflictCopy: isConflict,
          kind: kindOf[version.kind],
          // because: the model writes only hashes of contents
          hash: version.kind === 'file' ? (version.hash as BlobHash) : undefined,
          size: version.sizeBytes ?? 0,
          mtimeNs: version.mtimeNs ?? 0n,
          executable: version.kind === 'file' && ((version.mode ?? 0) & 0o100) !== 0,
          target: version.target ?? '',
          attributes: version.attributes,
        },
      ]
    })
  }
}

class ReplicaDraft implements Draft {
  readonly writer: Writer
  private readonly replica: Replica
  private readonly keys = new Map<TreeRecord, string>()

  constructor(replica: Replica) {
    this.replica = replica
    this.writer = replica.writer
  }

  tick(): number {
    return this.replica.tick()
  }

  live(id: NodeId): readonly DraftRecord[] {
    return this.replica.recordsOf(id).map(([key, record]) => {
      this.keys.set(record, key)
      return { record, stored: undefined }
    })
  }

  remove({ record }: DraftRecord): void {
    const key = this.keys.get(record)
    if (key !== undefined) this.replica.remove(key)
  }

  add(record: TreeRecord): void {
    this.replica.put(`${this.writer} ${this.replica.tick()}`, record)
  }
}
