/**
 * What a folder needs of the space's document and of the local index: the visible tree, the synced tree, and one atomic
 * commit for both. crdt's SpaceTree stands behind it; nothing here knows Yjs, shards or version vectors.
 *
 * The synced tree is keyed by (parent node, name), not by path: renaming a directory rewrites one row, not a million.
 */
import type { BlobHash } from '../blobs/hash.ts'
import type { Intents } from '../crdt/intents.ts'
import type { DirectoryDigest } from './directory-digest.ts'

export type EntryKind = 'file' | 'directory' | 'symlink'

/** What stands at a place, apart from where that is. */
export interface EntryData {
  readonly kind: EntryKind
  /** Of a file. */
  readonly hash: BlobHash | undefined
  readonly size: number
  /** Modification time, for people; never decides anything. In a row: the disk's, as part of the signature. */
  readonly mtimeNs: bigint
  /** Of a file. */
  readonly executable: boolean
  /** Of a symlink. */
  readonly target: string
  /** Extended attributes of a file (crdt/file-attributes.ts); undefined for none. */
  readonly attributes?: string | undefined
}

/** One visible entry of the document. A node with concurrent versions shows several, each under its own name. */
export interface TreeEntry extends EntryData {
  readonly nodeId: string
  readonly parentId: string
  /** As everybody sees it, conflict suffix included. */
  readonly name: string
  /** Equal exactly when it is the same version of the same node's data, its content included (`versionText`). */
  readonly version: string
  /** All nodes shown here: merged directories, or files of equal name and content. */
  readonly nodes: readonly string[]
  /** A version that lost its name to another one. */
  readonly isConflictCopy: boolean
}

/** The rows of one directory. */
export interface DirectorySummary {
  readonly directories: readonly DirectoryRow[]
  readonly files: number
  readonly bytes: number
  readonly entries: number
  /** Of all entries (directory-digest.ts); undefined when one is to be looked at for itself. */
  readonly digest: DirectoryDigest | undefined
}

export type DirectoryRow = Pick<
  SyncedRow,
  'nodeId' | 'parentId' | 'name' | 'diskName' | 'isLeftover' | 'dev' | 'ino'
>

/** By node id. */
export type TreeSummary = ReadonlyMap<string, DirectorySummary>

/** By node id; undefined where an entry is to be looked at for itself. */
export type RowDigests = ReadonlyMap<string, DirectoryDigest | undefined>

/** What disk and document last agreed on at one place: the merge base. Its mode bits beyond `executable` are the disk's own. */
export interface SyncedRow extends EntryData {
  readonly nodeId: string
  readonly parentId: string
  readonly name: string
  /** How the disk spells the name. */
  readonly diskName: string
  readonly version: string
  readonly dev: bigint
  readonly ino: bigint
  readonly ctimeNs: bigint
  /** What the disk has instead of `attributes` (told-attributes.ts). */
  readonly heldAttributes?: string | undefined
  /** Changed so shortly before it was looked at that a later change may carry the same times: hash it again once. */
  readonly isRacy: boolean
  /** A directory the others deleted that still holds ignored files here. */
  readonly isLeftover: boolean
}

export type TreeChange =
  | {
      readonly kind: 'create'
      readonly nodeId: string
      readonly parentId: string
      readonly name: string
      readonly data: EntryData
      /** The document showed nothing at this place: for what it shows at others nothing follows. */
      readonly isFirst?: boolean
    }
  /** A new version made from `base`; brings the node back at (parentId, name) when it was deleted meanwhile. */
  | {
      readonly kind: 'edit'
      readonly nodeId: string
      readonly base: string
      readonly baseHash: BlobHash | undefined
      readonly parentId: string
      readonly name: string
      readonly data: EntryData
    }
  /** `base` and `data` bring the node back when it was deleted meanwhile. */
  | {
      readonly kind: 'move'
      readonly nodeId: string
      readonly base: string
      readonly parentId: string
      readonly name: string
      readonly data: EntryData
    }
  /** Puts the concurrent versions `sides` together; nothing happens unless they are all of the node's versions still. */
  | {
      readonly kind: 'merge'
      readonly nodeId: string
      readonly sides: readonly string[]
      /** `data` was made from these; undefined when it was made from what had been merged before. */
      readonly leaves: readonly MergeLeaf[] | undefined
      readonly baseHash: BlobHash
      readonly data: EntryData
    }
  /** Deletes the version `base` and what it supersedes, nothing newer. */
  | { readonly kind: 'delete'; readonly nodeId: string; readonly base: string }

/**
 * Who changed the tree: other devices; this one; this one by a commit that only recorded what had come to stand on the disk,
 * rows included, and that nothing follows from.
 */
export type ChangedBy = 'others' | 'self' | 'recording'

export type RowChange =
  /** `writtenBy`, a change of the same commit: the row takes the version that it writes. */
  | { readonly kind: 'put'; readonly row: SyncedRow; readonly writtenBy?: TreeChange }
  /** Of this node: what came to the place meanwhile stays. */
  | { readonly kind: 'forget'; readonly parentId: string; readonly name: string; readonly nodeId: string }

/** A version that somebody wrote, for merging. */
export interface MergeLeaf {
  readonly hash: BlobHash
  /** Its version vector as text. */
  readonly versions: string
  readonly baseHash: BlobHash | undefined
  readonly executable: boolean
}

/** One of several concurrent versions of a file. */
export interface FileVersion extends EntryData {
  readonly hash: BlobHash
  readonly version: string
  /** Of the content it was edited from. */
  readonly baseHash: BlobHash | undefined
}

/** A file with concurrent versions, the one that keeps the name first. */
export interface Conflict {
  readonly nodeId: string
  readonly parentId: string
  readonly name: string
  readonly versions: readonly FileVersion[]
  /** The version that all of them come from, if it ever existed; '' when there is none. A version vector as text. */
  readonly common: string
  /** What they are made of, whatever was merged on the way; undefined when two contents claim to be one version. */
  readonly made: { readonly leaves: readonly MergeLeaf[]; readonly common: string } | undefined
}

export interface FolderTree {
  /** Node id of the root directory. Its row has parent '' and name '', and the folder's marker as target. */
  readonly rootId: string
  /** Notes of what is done on the disk and not durable yet (placing.ts). */
  readonly intents: Intents
  newNodeId(): string
  /** Visible entries below a directory. Names are unique and valid (names.ts). */
  children(parentId: string): Promise<readonly TreeEntry[]>
  /** Every visible entry of a node: none, one, or one per concurrent version, the one that keeps the name first. */
  entries(nodeId: string): Promise<readonly TreeEntry[]>
  /** @param likely node that stood there a moment ago: a hint that makes it cheap. */
  child(parentId: string, name: string, likely?: string): Promise<TreeEntry | undefined>
  /** Of directories that are shown as one, the one that stands for all; else the directory itself. */
  headOf(directoryId: string): Promise<string>
  /** True when this device was the last that gave the node its parent and name: nobody else moved it since. */
  isPlacedHere(nodeId: string): Promise<boolean>
  /** True when this device wrote that version, or one of those it was merged from. */
  isWrittenHere(nodeId: string, version: string): Promise<boolean>
  /** Undefined for what is no file or has one content only. */
  conflict(nodeId: string): Promise<Conflict | undefined>
  /** Places on this disk whose names are those of conflict copies. */
  conflictPlaces(): readonly { readonly parentId: string; readonly name: string }[]
  rows(parentId: string): Promise<readonly SyncedRow[]>
  row(parentId: string, name: string): Promise<SyncedRow | undefined>
  /** Many at once, in the order asked for. */
  rowsAt(
    places: readonly { readonly parentId: string; readonly name: string }[],
  ): Promise<readonly (SyncedRow | undefined)[]>
  /** Reads every row once: what follows from all of them together. */
  summary(): Promise<TreeSummary>
  /** Of all directories with rows; what a summary told is kept, and only what was written since is read again. */
  digests(): Promise<RowDigests>
  /** Directories that may show others entries since the folder settled as `token`; undefined: all may. */
  unseen(token: string): readonly string[] | undefined
  /** All that the document shows is on the disk, for a folder that `token` tells from others. */
  settle(token: string): Promise<void>
  /** Places whose content had this hash when last looked at. */
  rowsWithHash(hash: BlobHash): Promise<readonly SyncedRow[]>
  /**
   * One atomic batch: changes to the document and rows of the index. When it resolves it survives the death of the process.
   * Puts and forgets apply in order. @returns the rows that stood at the places of `rows` before.
   */
  commit(
    changes: readonly TreeChange[],
    rows: readonly RowChange[],
  ): Promise<readonly (SyncedRow | undefined)[]>
  /** Called with the directories (node ids) whose visible children changed. */
  onChanged(listener: (parentIds: readonly string[], by: ChangedBy) => void): Disposable
}

/**
 * The text of a version: its vector and its content. Equal vectors mean equal contents as long as everybody merges alike;
 * a device must not believe that it has what others have where they do not.
 */
export const versionText = (vector: string, hash: string | undefined): string =>
  hash === undefined ? vector : `${vector}#${hash}`

/** The two parts of it; texts written before contents were part of it have none. */
export function partsOfVersion(version: string): {
  readonly vector: string
  readonly hash: string | undefined
} {
  const [vector = '', hash] = version.split('#')
  return { vector, hash }
}

/** The row says that other bytes stand there than those of its version: the disk has damaged them (repair.ts). */
export function isOther({ version, hash }: Pick<SyncedRow, 'version' | 'hash'>): boolean {
  const known = partsOfVersion(version).hash
  return known !== undefined && known !== hash
}

export const rowKey = (parentId: string, name: string): string => `${parentId}/${name}`
/** True when both would look the same on a disk (times aside). */
export function sameData(a: EntryData, b: EntryData): boolean {
  return sameButAttributes(a, b) && a.attributes === b.attributes
}

export const sameButAttributes = (a: EntryData, b: EntryData): boolean =>
  sameContent(a, b) && a.executable === b.executable

export function sameContent(a: EntryData, b: EntryData): boolean {
  if (a.kind !== b.kind) return false
  if (a.kind === 'file') return a.hash === b.hash && a.hash !== undefined
  return a.kind === 'directory' || a.target === b.target
}
