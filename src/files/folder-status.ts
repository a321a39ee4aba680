/** What a shared folder says of itself: for the peer's status, for waiting until it is in sync, for tests. */
import type { Problem, ProblemText } from './problems.ts'
import type { TransferProgress } from './transfer-progress.ts'

export type FolderState = 'starting' | 'working' | 'in-sync' | 'waiting' | 'paused' | 'stopped'

export interface FolderStatus {
  /** 'waiting': something is missing or held back, see problems and heldDeletions; 'stopped': see stoppedBy. */
  readonly state: FolderState
  readonly files: number
  readonly bytes: number
  readonly directories: number
  /** Contents still to come, and how far that is. */
  readonly transfers: TransferProgress
  readonly problems: readonly Problem[]
  /** Deletions that wait for a person: `allowDeletions` or `undoDeletions`. */
  readonly heldDeletions: number
  /** Changes on this disk that nobody is told of: this device only receives, or did not select the place. */
  readonly localChanges: number
  /** Contents that are not selected here and stay until another device is known to hold them. */
  readonly unreleased: number
  readonly stoppedBy: ProblemText | undefined
  readonly watching: { readonly native: number; readonly polled: number }
  /** Rounds that changed something, ever: stands still when in sync. */
  readonly rounds: number
}

/** Damage is found between rounds: what was in sync when the last one ended is not any more. */
export const asIs = (status: FolderStatus): FolderStatus =>
  status.state === 'in-sync' && status.problems.length > 0 ? { ...status, state: 'waiting' } : status
