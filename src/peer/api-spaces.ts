/**
 * What can be asked about shared folders, as types: their state, conflicts, versions, history and ignore rules. Part of
 * the api (api.ts): no code, types alone. Paths in results are relative to the folder's root, parts joined by `/`, and
 * not escaped: whoever shows them does that.
 */
import type { DeviceId, SpaceId } from '../base/ids.ts'
import type { LocalChange, Selection, SpaceRole } from './api-part.ts'
import type { SealedCopy } from './api-vaults.ts'

/** One file or directory that is not in sync, and why. */
export interface FileProblem {
  readonly path: string
  readonly cause: string
  readonly fix: string
}

/** Contents on their way here. */
export interface TransferStatus {
  readonly doneFiles: number
  readonly totalFiles: number
  readonly doneBytes: number
  readonly totalBytes: number
  /** Moving average over about 5 s. */
  readonly bytesPerSecond: number
  /** How long it still takes at that rate; absent while that cannot be said. */
  readonly remainingMs?: number
}

export interface SpaceStatus {
  readonly id: SpaceId
  readonly name: string
  /** Absent when this device does not hold the space. */
  readonly directory?: string
  readonly state: 'in-sync' | 'syncing' | 'paused' | 'waiting' | 'error' | 'not-joined'
  readonly fileCount: number
  readonly sizeBytes: number
  /** Conflict copies that stand. */
  readonly conflictCount: number
  /** Entries still to be fetched or applied here. */
  readonly pendingCount: number
  /** Present while contents are on their way. */
  readonly transfer?: TransferStatus
  /** Why it waits or fails, in words for a person. */
  readonly reason?: string
  /** The first of them, 20 at most. */
  readonly problems?: readonly FileProblem[]
  readonly problemCount?: number
  /** Storage devices that hold it sealed. */
  readonly sealed?: readonly SealedCopy[]
  /** What this device does with the space: all, or it receives only. Present when it lies here. */
  readonly role?: SpaceRole
  /** What it keeps of it; absent when that is everything. */
  readonly selection?: Selection
  /** Changes on this disk that are not sent, because it receives only or did not select the place. */
  readonly localChangeCount?: number
  /** The first of them, 20 at most. */
  readonly localChanges?: readonly LocalChange[]
  /** Contents that are not selected and stay here until another device in reach holds them. */
  readonly unreleasedCount?: number
  /** Deletions that the brake holds until a person has said yes or no: `skein deletions`. */
  readonly heldDeletionCount?: number
  /** Everything is done but what a person must decide or mend. */
  readonly needsPerson?: true
}

export interface ShareParams {
  /** Absolute path. */
  readonly directory: string
  /** Default: the directory's own name. */
  readonly name?: string
}

export interface JoinParams {
  /** Space id, an unambiguous start of one, or an exact name. */
  readonly space: string
  /** Absolute path; made when it does not exist. */
  readonly directory: string
  /** Default: full. */
  readonly role?: SpaceRole
  readonly only?: readonly string[]
  readonly except?: readonly string[]
}

export interface SpaceParams {
  readonly space: string
}

/** All spaces on this device when absent. */
export interface SomeSpacesParams {
  readonly space?: string
}

export interface SyncParams {
  /** All joined spaces when absent. */
  readonly space?: string
  /** Answers with what is true then when it takes longer. */
  readonly timeoutMs?: number
}

export interface SyncReport {
  readonly isInSync: boolean
  /** Nothing more happens by itself: what is left waits for a person, see `problems` and `heldDeletionCount`. */
  readonly needsPerson?: true
  /** Names of devices in reach that still look at files of these spaces, fetch them, or have not told or heard all news. */
  readonly busyDevices?: readonly string[]
  readonly spaces: readonly SpaceStatus[]
}

/** What becomes of deletions that the brake holds: they happen everywhere, or the files come back. */
export interface DeletionsParams {
  readonly space: string
  readonly verdict: 'allow' | 'undo'
}

/** `path`: absolute, below the directory of a space of this device. Need not exist. */
export interface PathParams {
  readonly path: string
}

// --- conflicts ----------------------------------------------------------------------------------------------------

/** One of the versions of a file that stand side by side. */
export interface ConflictSide {
  readonly path: string
  /** It has the file's own name; the others are conflict copies. */
  readonly isMain: boolean
  readonly kind: 'file' | 'directory' | 'symlink'
  readonly sizeBytes: number
  readonly hash?: string
  /** Who wrote it. */
  readonly device: string
  readonly deviceId?: DeviceId
  readonly isMine: boolean
  /** The file's time, set by its author's clock. */
  readonly modifiedAtMs: number
}

export interface Conflict {
  readonly spaceId: SpaceId
  readonly spaceName: string
  /** Root of the folder on this device. */
  readonly directory: string
  /** The name that all sides have a claim to. */
  readonly path: string
  /** The one that has the name first, if anything has it. */
  readonly sides: readonly ConflictSide[]
  /** Merged by itself as soon as it is within reach: what all of them were made from, or a content. */
  readonly waitsFor?: 'origin' | 'content'
}

export interface ConflictList {
  readonly conflicts: readonly Conflict[]
  /** More stand than are listed. */
  readonly isCut: boolean
}

/** A run of lines that differ, with some around them. Starts count from 1. */
export interface DiffHunk {
  readonly oldStart: number
  readonly newStart: number
  /** First character: ` ` in both, `-` only in the main side, `+` only in the copy. Lines without their ends. */
  readonly lines: readonly string[]
}

export interface ConflictDiff {
  /** Of the copy that is compared with the main side. */
  readonly path: string
  /** 'text': see hunks. 'binary', 'large' (above 1 MiB) or 'missing' (content not here): sizes and hashes are all there is. */
  readonly kind: 'text' | 'binary' | 'large' | 'missing'
  readonly hunks: readonly DiffHunk[]
  /** There is more than was sent. */
  readonly isCut: boolean
}

export interface ConflictDetail extends Conflict {
  readonly diffs: readonly ConflictDiff[]
}

export interface ConflictPickParams extends PathParams {
  readonly choice: 'mine' | 'theirs' | 'both' | 'device'
  /** With choice `device`. */
  readonly device?: string
}

export interface ConflictMergeParams extends PathParams {
  /** Absolute path of the file whose content resolves the conflict. Without it a draft is written. */
  readonly result?: string
}

export interface ConflictOutcome {
  readonly path: string
  readonly spaceId: SpaceId
  /** What became of it. */
  readonly kind: 'resolved' | 'draft'
  /** Path of the draft, of the side that has the name now, or of the files that now stand beside it. */
  readonly paths: readonly string[]
  /** Places in the draft that a person has to decide. */
  readonly markerCount?: number
  /** The disk follows already; else it does within moments. */
  readonly isSettled: boolean
}

// --- scrub --------------------------------------------------------------------------------------------------------

export interface ScrubParams {
  /** All open folders when absent. */
  readonly space?: string
  /** Default: start, at full speed. `stop` goes back to the slow pace. */
  readonly action?: 'start' | 'stop'
}

/** How far the files of a folder were read again and compared with what they should be. */
export interface ScrubReport {
  readonly spaceId: SpaceId
  readonly spaceName: string
  /** 'resting': goes on when the folder rests and the device is on power. 'idle': done; the next pass is not due. */
  readonly state: 'idle' | 'resting' | 'running'
  readonly isFast: boolean
  readonly checkedFiles: number
  readonly totalFiles: number
  readonly checkedBytes: number
  readonly totalBytes: number
  readonly remainingMs?: number
  /** When the last whole pass ended, by this device's clock. */
  readonly finishedAtMs?: number
  /** Damaged files that the pass under way, or the last one, has found. */
  readonly foundCount: number
  /** Not put right yet; the first of them. */
  readonly damaged: readonly FileProblem[]
  readonly damagedCount: number
}

// --- versions and history -----------------------------------------------------------------------------------------

/**
 * Why bytes were kept: others replaced or deleted them, they lost a conflict, went into a merge, were replaced by a
 * restore, were changed here only (`local`) and taken back, or are what the disk made of a file by itself (`damaged`).
 */
export type VersionCause =
  | 'replaced'
  | 'deleted'
  | 'conflict'
  | 'merged'
  | 'restored'
  | 'edited'
  | 'local'
  | 'damaged'

export interface FileVersion {
  /** To be given to `restore`. */
  readonly id: string
  readonly path: string
  /** When it was kept here, by this device's clock. */
  readonly keptAtMs: number
  readonly cause: VersionCause
  readonly sizeBytes: number
  readonly hash?: string
  /** Who wrote these bytes, as far as known. */
  readonly device?: string
  /** Who replaced them. */
  readonly replacedBy?: string
  /** The other device that keeps them, where this one does not; then `keptAtMs` is by that one's clock. */
  readonly keptOn?: string
}

export interface VersionList {
  readonly spaceId: SpaceId
  readonly path: string
  /** Newest first. */
  readonly versions: readonly FileVersion[]
  readonly isCut: boolean
  /** What stands at the path now. */
  readonly current?: { readonly kind: string; readonly sizeBytes: number; readonly modifiedAtMs: number }
  readonly caps: { readonly days: number; readonly bytes: number }
}

export interface VersionsParams extends PathParams {
  /** Only what this device keeps; the devices in reach are asked as well otherwise. */
  readonly isHereOnly?: boolean
}

export interface RestoreParams extends PathParams {
  /** Start of a version's id. Default: the newest that differs from what stands there. */
  readonly version?: string
  /** Absolute path to put it at; default: where it was. */
  readonly to?: string
  /** The directory or file as it was then. Wall clock. */
  readonly atMs?: number
}

export interface RestoreReport {
  readonly spaceId: SpaceId
  /** Paths that were written. */
  readonly restored: readonly string[]
  /** What stood there before is in versions now. */
  readonly replacedCount: number
  readonly problems: readonly FileProblem[]
}

export interface HistoryStep {
  readonly kind: 'create' | 'edit' | 'rename' | 'delete' | 'merge'
  readonly device?: string
  /** By the clock of `clock`; absent when nobody wrote it down. */
  readonly atMs?: number
  /** 'author': the file's own time, set by the device that wrote it. 'here': this device's, when it heard of it. */
  readonly clock?: 'author' | 'here'
  readonly path?: string
  /** Of a rename, as far as known. */
  readonly from?: string
  readonly sizeBytes?: number
  readonly hash?: string
  /** Its bytes can be restored. */
  readonly versionId?: string
}

export interface History {
  readonly spaceId: SpaceId
  readonly path: string
  readonly isThere: boolean
  /** Newest first. */
  readonly steps: readonly HistoryStep[]
}

// --- ignore -------------------------------------------------------------------------------------------------------

export interface IgnoreParams {
  readonly space: string
  readonly add?: readonly string[]
  readonly remove?: readonly string[]
}

export interface IgnoreList {
  readonly spaceId: SpaceId
  /** Absolute path of the rules' file. */
  readonly file: string
  readonly patterns: readonly { readonly line: number; readonly pattern: string }[]
  readonly changed: boolean
}

export interface IgnoreVerdict {
  readonly spaceId: SpaceId
  readonly path: string
  readonly isIgnored: boolean
  /** The rule that decides; absent when none matches. */
  readonly rule?: { readonly file: string; readonly line: number; readonly pattern: string }
  /** The path or the directory above it that the rule matched. */
  readonly matched?: string
  /** It is reserved by Skein and never synced. */
  readonly isReserved: boolean
}
