/**
 * One device as the planner sees it: a disk, an index and a document replica with one directory of files, links and empty
 * directories. The production planner decides; what the shells of a folder do with its answers is done here at once. The
 * deeper trees, the timing and the disks that fail belong to the simulation of whole devices (spaces.sim.ts).
 */
import { type BlobHash, hashOf } from '../../src/blobs/hash.ts'
import { type NodeId, rootNodeId, type Writer } from '../../src/crdt/node-id.ts'
import type { NodeData } from '../../src/crdt/record.ts'
import { formatVector, parseVector, type VersionVector } from '../../src/crdt/version-vector.ts'
import {
  type EntryData,
  type FolderTree,
  sameContent,
  sameData,
  type SyncedRow,
  type TreeEntry,
} from '../../src/files/folder-tree.ts'
import type { Action, DiskState, Place, UnsentChange } from '../../src/files/plan.ts'
import type { Part } from '../../src/files/plan-part.ts'
import { findOwn } from '../../src/files/scan.ts'
import { heldOf, judgeAttributes, type ToldAttributes } from '../../src/files/told-attributes.ts'
import { Replica } from './replica.ts'

export interface DiskItem {
  readonly ino: bigint
  readonly data: EntryData
}

/** An answer of the planner, for checkers. */
export interface Planned {
  readonly peer: PlanPeer
  readonly place: Place
  readonly action: Action
}

export type Planner = (place: Place, part: Part) => Action

export interface PlanShared {
  /** The production planner, or one with a planted fault. */
  readonly plan: Planner
  /** Contents that somebody can give. */
  hasContent(hash: BlobHash): boolean
  /** Another device keeps this content at a place that it selected. */
  isHeldElsewhere(hash: BlobHash, by: PlanPeer): boolean
  /** A content left this disk because it is not selected here. */
  released(hash: BlobHash, by: PlanPeer): void
  planned(planned: Planned): void
  nextNumber(): number
}

const hashes = new Map<string, BlobHash>()

export function fileData(text: string, executable: boolean, mtimeNs: bigint): EntryData {
  const hash = hashes.get(text) ?? hashOf(new TextEncoder().encode(text))
  hashes.set(text, hash)
  return { kind: 'file', hash, size: text.length, mtimeNs, executable, target: '' }
}

const parkedPrefix = '.skein-parked-'

export class PlanPeer {
  readonly replica: Replica
  readonly disk = new Map<string, DiskItem>()
  readonly rows = new Map<string, SyncedRow>()
  /** Hashes of contents kept in versions. */
  readonly versions = new Set<BlobHash>()
  /** Versions that the person removed here (files/gone-here.ts). */
  private readonly gone = new Map<string, string>()
  /** Sends nothing. */
  isReadOnly = false
  /** One of the disks has no extended attributes. */
  readonly holdsAttributes: boolean
  /** First letters of names that this device did not select. */
  readonly hidden = new Set<string>()
  /** What stood otherwise on this disk, without others being told, in the last round. */
  readonly unsent = new Map<string, UnsentChange>()
  private readonly shared: PlanShared

  constructor(index: number, shared: PlanShared) {
    // because: fourteen characters of the id alphabet
    this.replica = new Replica(`device0${index}run000` as Writer)
    this.shared = shared
    this.holdsAttributes = index !== 1
  }

  /** One round. @returns whether it changed anything. */
  async pass(isReverted = false): Promise<boolean> {
    let hasChanged = !this.isReadOnly && this.followRenames()
    this.unsent.clear()
    const moves: { readonly row: SyncedRow; readonly entry: TreeEntry }[] = []
    for (const name of this.names()) {
      const place = await this.placeOf(name)
      const planned = this.shared.plan(place, this.partAt(name, place, isReverted))
      if (planned.kind === 'keep') this.unsent.set(name, planned.change)
      // Set aside in a ring of renames that has dissolved since: it goes back, as decide.ts has it
      const isParked = place.row?.diskName.startsWith(parkedPrefix) === true && place.disk.state === 'same'
      const action: Action =
        isParked && place.own !== undefined && planned.kind !== 'move'
          ? { kind: 'move', entry: place.own }
          : planned
      this.shared.planned({ peer: this, place, action })
      if (action.kind === 'move' && place.row !== undefined)
        moves.push({ row: place.row, entry: action.entry })
      else if (action.kind === 'materialise' && this.comesByMove(action.entry)) continue
      else if (this.carryOut(name, place, action)) hasChanged = true
    }
    return this.carryOutMoves(moves) || hasChanged
  }

  /** What stands there, as a look at it has it (files/look.ts). */
  found(item: DiskItem, told: ToldAttributes | undefined): EntryData {
    if (item.data.kind !== 'file') return item.data
    return { ...item.data, attributes: judgeAttributes(item.data.attributes ?? '', told).attributes }
  }

  hides(name: string): boolean {
    return this.hidden.has(name.charAt(0))
  }

  /** Keeps it at a place of its own choice, so that others may let go of it. */
  holds(hash: BlobHash): boolean {
    return [...this.rows.values()].some(
      (row) => row.hash === hash && !this.hides(row.name) && this.disk.get(row.diskName)?.data.hash === hash,
    )
  }

  private partAt(name: string, { own }: Place, isReverted: boolean): Part {
    const isSelected = !this.hides(name)
    const isOwnSelected = own === undefined ? isSelected : !this.hides(own.name)
    return { isReadOnly: this.isReadOnly, isSelected, isOwnSelected, isReverted }
  }

  /** It stands elsewhere on this disk and is moved, as decide.ts has it. */
  private comesByMove({ nodeId: id, version, kind, name }: TreeEntry): boolean {
    return [...this.rows.values()].some(
      (row) => row.nodeId === id && row.name !== name && (kind === 'directory' || row.version === version),
    )
  }

  private names(): readonly string[] {
    const known = new Set([...this.rows.values()].map((row) => row.diskName))
    const onDisk = [...this.disk.keys()].filter((name) => !known.has(name) && !name.startsWith(parkedPrefix))
    const shown = this.replica.entries().map((entry) => entry.name)
    return [...new Set([...onDisk, ...this.rows.keys(), ...shown])].sort()
  }

  private async placeOf(name: string): Promise<Place> {
    const row = this.rows.get(name)
    const entries = this.replica.entries()
    const here = entries.find((entry) => entry.name === name)
    const item = this.disk.get(row?.diskName ?? name)
    const found = item === undefined ? undefined : this.found(item, row ?? here)
    const isSame = row !== undefined && found !== undefined && sameData(row, found)
    const disk: DiskState =
      found === undefined
        ? { state: 'absent' }
        : isSame
          ? { state: 'same' }
          : { state: 'present', data: found }
    const own = row === undefined ? undefined : await this.ownOf(row, here)
    const placed = own === undefined ? undefined : this.replica.node(own.nodeId)?.place.writer
    const isPlacedHere = item === undefined && placed === this.replica.writer
    return { row, disk, own, here, isPlacedHere }
  }

  private ownOf(row: SyncedRow, here: TreeEntry | undefined): Promise<TreeEntry | undefined> {
    const versions = this.replica.entries().filter((entry) => entry.nodes.includes(row.nodeId))
    const tree = { row: (_parent: string, name: string) => Promise.resolve(this.rows.get(name)) }
    // because: with the versions at hand it asks for rows alone
    return findOwn(tree as unknown as FolderTree, row, { here, versions })
  }

  /** What left one name and stands under another with the same inode and content was renamed by its person. */
  private followRenames(): boolean {
    let hasChanged = false
    const known = new Set([...this.rows.values()].map((row) => row.diskName))
    for (const [name, item] of this.disk) {
      if (known.has(name) || this.rows.has(name) || name.startsWith(parkedPrefix)) continue
      const from = [...this.rows.values()].find((row) => row.ino === item.ino && !this.disk.has(row.diskName))
      if (from === undefined || !sameContent(item.data, from)) continue
      const here = this.replica.entries().find((entry) => entry.name === name)
      this.rows.delete(from.name)
      this.rows.set(name, { ...from, name, diskName: name })
      hasChanged = true
      if (here?.nodeId === from.nodeId && here.version === from.version) continue
      const place = { nodeId: nodeId(from), parent: rootNodeId, name }
      if (this.replica.entries().some((entry) => entry.nodes.includes(from.nodeId)))
        this.commit({ kind: 'move', ...place })
      else this.commit({ kind: 'edit', ...place, observed: vectorOf(from), data: toNodeData(from) })
    }
    return hasChanged
  }

  private carryOut(name: string, place: Place, action: Action): boolean {
    const { row, disk } = place
    const data = disk.state === 'present' ? disk.data : undefined
    switch (action.kind) {
      case 'nothing':
      case 'move':
      case 'keep':
        return false
      case 'forget':
        if (row !== undefined && action.isOurs !== true) this.gone.set(row.nodeId, row.version)
        return this.rows.delete(name)
      case 'release':
        return this.release(row)
      case 'overrule':
        this.keep(row?.diskName ?? name)
        this.rows.delete(name)
        return true
      case 'adopt':
        if (action.deletesOld === true && row !== undefined) this.remove(row.nodeId, row)
        this.putRow(name, { ...action.entry, attributes: (data ?? row ?? action.entry).attributes })
        return true
      case 'create':
      case 'recreate': {
        if (data === undefined) return false
        if (action.kind === 'recreate' && action.deletesOld && row !== undefined) this.remove(row.nodeId, row)
        // because: sixteen characters of base64url
        const id = `node${String(this.shared.nextNumber()).padStart(12, '0')}` as NodeId
        const { versions } = this.commit({
          kind: 'create',
          nodeId: id,
          parent: rootNodeId,
          name,
          data: toNodeData(data),
        })
        this.putRow(name, { ...data, nodeId: id, version: formatVector(versions) })
        return true
      }
      case 'edit': {
        if (data === undefined || row === undefined) return false
        const { versions } = this.commit({
          kind: 'edit',
          nodeId: nodeId(row),
          parent: rootNodeId,
          name,
          observed: vectorOf(row),
          data: toNodeData(data),
        })
        this.putRow(name, { ...data, nodeId: row.nodeId, version: formatVector(versions) })
        return true
      }
      case 'delete':
        if (row !== undefined) this.remove(action.nodeId, row)
        return this.rows.delete(name)
      case 'materialise':
      case 'replace':
        return this.bring(name, row, action.entry)
      case 'trash':
        this.keep(row?.diskName ?? name)
        this.rows.delete(name)
        return true
    }
  }

  /** @returns false while nobody can give the content. */
  private bring(name: string, row: SyncedRow | undefined, entry: TreeEntry): boolean {
    if (entry.hash !== undefined && !this.shared.hasContent(entry.hash)) {
      // Somebody moved what was deleted here and nobody has it: then the deletion stands
      const isGoneHere = this.gone.get(entry.nodeId) === entry.version
      if (row !== undefined || !isGoneHere || this.isReadOnly) return false
      this.remove(entry.nodeId, entry)
      return true
    }
    const diskName = row?.diskName ?? name
    this.keep(diskName)
    const { kind, hash, size, mtimeNs, executable, target } = entry
    const attributes = this.holdsAttributes ? entry.attributes : undefined
    const data: EntryData = { kind, hash, size, mtimeNs, executable, target, attributes }
    this.disk.set(diskName, { ino: BigInt(this.shared.nextNumber()), data })
    this.putRow(name, entry)
    return true
  }

  private carryOutMoves(moves: readonly { readonly row: SyncedRow; readonly entry: TreeEntry }[]): boolean {
    let left = [...moves]
    let hasChanged = false
    for (let progress = true; progress;) {
      progress = false
      for (const move of left) {
        const item = this.disk.get(move.row.diskName)
        const isBack = move.entry.name === move.row.diskName
        if (item === undefined || (!isBack && this.disk.has(move.entry.name))) continue
        this.disk.delete(move.row.diskName)
        this.disk.set(move.entry.name, item)
        if (this.rows.get(move.row.name) === move.row) this.rows.delete(move.row.name)
        this.rows.set(move.entry.name, { ...move.row, name: move.entry.name, diskName: move.entry.name })
        left = left.filter((one) => one !== move)
        progress = hasChanged = true
      }
    }
    const sources = new Set(left.map(({ row }) => row.name))
    const targets = new Set(left.map(({ entry }) => entry.name))
    for (const { row, entry } of left) {
      const item = this.disk.get(row.diskName)
      if (!targets.has(row.name) || !sources.has(entry.name) || item === undefined) continue
      const aside = `${parkedPrefix}${row.nodeId}`
      if (row.diskName === aside) continue
      this.disk.delete(row.diskName)
      this.disk.set(aside, item)
      this.rows.set(row.name, { ...row, diskName: aside })
      hasChanged = true
    }
    return hasChanged
  }

  private remove(id: string, { version }: Pick<SyncedRow, 'version'>): void {
    this.gone.set(id, version)
    // because: rows carry the ids of nodes
    this.commit({ kind: 'remove', nodeId: id as NodeId, observed: vectorOf({ version }) })
  }

  private release(row: SyncedRow | undefined): boolean {
    if (row === undefined) return false
    const { hash, diskName, name } = row
    if (hash !== undefined && !this.shared.isHeldElsewhere(hash, this)) return false
    this.disk.delete(diskName)
    this.rows.delete(name)
    if (hash !== undefined) this.shared.released(hash, this)
    return true
  }

  /** The only way to the document. */
  private commit(change: Parameters<Replica['commit']>[0]): ReturnType<Replica['commit']> {
    if (this.isReadOnly) throw new Error('P60: a device that is read-only wrote to the document')
    return this.replica.commit(change)
  }

  private keep(diskName: string): void {
    const hash = this.disk.get(diskName)?.data.hash
    if (hash !== undefined) this.versions.add(hash)
    this.disk.delete(diskName)
  }

  private putRow(name: string, entry: EntryData & Pick<TreeEntry, 'nodeId' | 'version'>): void {
    const diskName = this.rows.get(name)?.diskName ?? name
    const item = this.disk.get(diskName)
    if (item === undefined) return
    const { kind, hash, size, mtimeNs, executable, target, attributes, nodeId: id, version } = entry
    const heldAttributes = kind === 'file' ? heldOf(item.data.attributes ?? '', attributes) : undefined
    const data = { kind, hash, size, mtimeNs, executable, target, attributes, heldAttributes }
    const place = { nodeId: id, version, name, diskName, parentId: rootNodeId }
    const signature = { dev: 1n, ino: item.ino, ctimeNs: 0n, isRacy: false, isLeftover: false }
    this.rows.set(name, { ...data, ...place, ...signature })
  }
}

// because: rows are made from entries, which carry the ids of nodes
const nodeId = (row: SyncedRow): NodeId => row.nodeId as NodeId

function vectorOf(row: Pick<SyncedRow, 'version'>): VersionVector {
  return parseVector(row.version) ?? new Map()
}

function toNodeData(data: EntryData): NodeData {
  if (data.kind === 'directory') return { kind: 'dir' }
  if (data.kind === 'symlink') return { kind: 'link', target: data.target }
  const mode = data.executable ? 0o755 : 0o644
  const { hash, size: sizeBytes, mtimeNs, attributes } = data
  return { kind: 'file', hash, sizeBytes, mtimeNs, mode, attributes }
}
