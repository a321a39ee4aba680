/**
 * One device of the histories in merge-history.ts: the records that reached it, a disk that follows them as the planner has
 * it, what it put into versions and what it knows of earlier versions.
 */
import { type BlobHash, isBlobHash } from '../../src/blobs/hash.ts'
import { joinRecords, type TreeNode } from '../../src/crdt/join.ts'
import { isWriter, type NodeId, rootNodeId, type Writer } from '../../src/crdt/node-id.ts'
import { formatRecord, type TreeRecord } from '../../src/crdt/record.ts'
import { applyChange, type Draft, type TreeChange } from '../../src/crdt/tree-change.ts'
import { formatVector, type VersionVector } from '../../src/crdt/version-vector.ts'
import { viewDirectory } from '../../src/crdt/view.ts'
import { partsOfVersion, type SyncedRow, type TreeEntry, versionText } from '../../src/files/folder-tree.ts'
import { type Action, planPlace } from '../../src/files/plan.ts'

/** What one commit writes: it travels whole. */
export interface Operation {
  readonly added: readonly TreeRecord[]
  readonly removed: readonly string[]
}

export class MergeDevice {
  readonly writer: Writer
  readonly log: Operation[] = []
  readonly seen: number[] = []
  readonly disk = new Map<string, SyncedRow>()
  readonly kept = new Set<BlobHash>()
  readonly notes = new Map<string, BlobHash>()
  /** Versions that were tried and cannot be merged. */
  readonly tried = new Map<NodeId, string>()
  readonly live = new Map<string, TreeRecord>()
  private readonly gone = new Set<string>()
  private lamport = 0
  private joined: readonly TreeNode[] | undefined

  constructor(index: number) {
    const writer = `${String.fromCodePoint(97 + index).repeat(8)}zzzzzz`
    if (!isWriter(writer)) throw new Error('no writer')
    this.writer = writer
  }

  receive({ added, removed }: Operation): void {
    this.joined = undefined
    for (const text of removed) {
      this.gone.add(text)
      this.live.delete(text)
    }
    for (const record of added) {
      this.lamport = Math.max(this.lamport, record.lamport)
      const text = formatRecord(record)
      if (!this.gone.has(text)) this.live.set(text, record)
    }
  }

  commit(change: TreeChange): VersionVector {
    const added: TreeRecord[] = []
    const removed: string[] = []
    const records = [...this.live.values()]
    const draft: Draft = {
      writer: this.writer,
      tick: () => ++this.lamport,
      live: (id) =>
        records.filter((record) => record.id === id).map((record) => ({ record, stored: undefined })),
      add(record) {
        records.push(record)
        added.push(record)
      },
      remove({ record }) {
        records.splice(records.indexOf(record), 1)
        if (added.includes(record)) added.splice(added.indexOf(record), 1)
        else removed.push(formatRecord(record))
      },
    }
    const twins = this.entries().find(({ nodeId }) => nodeId === change.nodeId)?.nodes ?? []
    const { versions } = applyChange(draft, change, twins.filter((id) => id !== change.nodeId).map(asNodeId))
    const operation = { added, removed }
    this.log.push(operation)
    this.receive(operation)
    return versions
  }

  nodes(): readonly TreeNode[] {
    const byId = (): ReadonlyMap<NodeId, TreeRecord[]> => Map.groupBy(this.live.values(), ({ id }) => id)
    this.joined ??= [...byId().values()].flatMap((records) => joinRecords(records) ?? [])
    return this.joined
  }

  entries(): readonly TreeEntry[] {
    return viewDirectory(this.nodes()).map(({ node, version, name, nodes, isConflict }) => {
      const hash = asHash(version.hash)
      return {
        nodeId: node.id,
        parentId: rootNodeId,
        name,
        version: versionText(formatVector(version.versions), hash),
        nodes,
        isConflictCopy: isConflict,
        kind: 'file',
        hash,
        size: version.sizeBytes ?? 0,
        mtimeNs: 0n,
        executable: false,
        target: '',
      }
    })
  }

  /** Brings the disk to what the document shows, as the planner has it. @returns false when nothing was to be done. */
  followDocument(): boolean {
    const entries = this.entries()
    const actions: { name: string; row: SyncedRow | undefined; action: Action }[] = []
    for (const name of new Set([...this.disk.keys(), ...entries.map((entry) => entry.name)])) {
      const row = this.disk.get(name)
      const here = entries.find((entry) => entry.name === name)
      const disk = row === undefined ? ({ state: 'absent' } as const) : ({ state: 'same' } as const)
      const action = planPlace({ row, disk, own: row && this.ownOf(row, here, entries), here })
      if (action.kind !== 'nothing') actions.push({ name, row, action })
    }
    for (const { name, row, action } of actions) {
      if (action.kind === 'trash' || action.kind === 'replace') this.keep(row)
      if (action.kind === 'trash' || action.kind === 'move') this.disk.delete(name)
    }
    for (const { name, row, action } of actions) {
      if (action.kind === 'materialise' || action.kind === 'replace' || action.kind === 'adopt')
        this.disk.set(name, this.rowOf(action.entry, name))
      else if (action.kind === 'move' && this.disk.has(action.entry.name)) this.keep(row)
      else if (action.kind === 'move')
        this.disk.set(action.entry.name, this.rowOf(action.entry, action.entry.name))
      else if (action.kind !== 'trash') throw new Error(`not expected of an unchanged disk: ${action.kind}`)
    }
    return actions.length > 0
  }

  /** What findOwn (scan.ts) does. */
  private ownOf(
    row: SyncedRow,
    here: TreeEntry | undefined,
    entries: readonly TreeEntry[],
  ): TreeEntry | undefined {
    if (here?.nodeId === row.nodeId && here.version === row.version) return here
    const ofNode = entries.filter((entry) => entry.nodes.includes(row.nodeId))
    const own = ofNode.find((entry) => entry.version === row.version) ?? ofNode[0]
    if (own === undefined || own.name === row.name) return own
    const claimed = this.disk.get(own.name)
    const isOurs = own.version === row.version && claimed?.version !== own.version
    return claimed?.nodeId === own.nodeId && !isOurs ? undefined : own
  }

  private keep(row: SyncedRow | undefined): void {
    if (row?.hash !== undefined) this.kept.add(row.hash)
    if (row?.hash !== undefined)
      this.notes.set(`${row.nodeId} ${partsOfVersion(row.version).vector}`, row.hash)
  }

  rowOf(entry: Omit<TreeEntry, 'nodes' | 'isConflictCopy'>, name: string): SyncedRow {
    const signature = { dev: 0n, ino: 0n, ctimeNs: 0n, isRacy: false, isLeftover: false }
    return { ...entry, ...signature, name, diskName: name }
  }
}

const asHash = (text: string | undefined): BlobHash | undefined =>
  text !== undefined && isBlobHash(text) ? text : undefined

// because: rows and views of these histories hold node ids only
export const asNodeId = (id: string): NodeId => id as NodeId
