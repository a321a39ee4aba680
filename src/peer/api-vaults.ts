/**
 * What can be asked about storage devices, which hold spaces sealed and can read none of them, as types. Part of the api
 * (api.ts): no code, types alone.
 */
import type { DeviceId } from '../base/ids.ts'

/** One space as one storage device holds it. */
export interface SealedCopy {
  readonly deviceId: DeviceId
  /** Its name. */
  readonly device: string
  /**
   * `away`: it is not connected. `waiting`: another device writes there. `paused`: the folder is paused here.
   * `incomplete`: contents are on no device in reach.
   */
  readonly state:
    | 'away'
    | 'reading'
    | 'sealing'
    | 'complete'
    | 'incomplete'
    | 'waiting'
    | 'paused'
    | 'problem'
  /** Different contents of the space, and how many of them are held there; 0 while nothing is known. */
  readonly fileCount: number
  readonly heldCount: number
  readonly sizeBytes: number
  /** Present while contents are on their way there. */
  readonly doneBytes?: number
  readonly totalBytes?: number
  /** In words for a person, and what to do about it. */
  readonly problem?: string
  readonly fix?: string
  /** How often it gave back something else than it was given, since it was last connected. */
  readonly damageCount: number
}

export interface StoreParams {
  /** Space id, an unambiguous start of one, or an exact name. */
  readonly space: string
  /** A device of the role storage. */
  readonly device: string
  /** Given up there instead, and what it holds is deleted. */
  readonly isStopped?: boolean
}

/** @see hold: on a storage device. */
export interface HoldParams {
  /** Room for all sealed spaces together. Default: as before, 50 GB at first. */
  readonly quotaBytes?: number
  /** Takes nothing more; what it holds stays, and is given back. */
  readonly isStopped?: boolean
}

export interface HoldStatus {
  readonly isHolding: boolean
  readonly quotaBytes?: number
  readonly usedBytes: number
  /** By names that say nothing about what they are. */
  readonly vaults: readonly {
    readonly vault: string
    readonly blockCount: number
    readonly sizeBytes: number
  }[]
}

/** A secret: whoever has it and reaches a storage device can read the space. */
export interface SpaceKeyText {
  readonly space: string
  readonly code: string
}

export interface RecoverParams {
  /** What `skein space key` printed. */
  readonly code: string
  /** Absolute path; made when it does not exist. */
  readonly directory: string
  /** The storage device that holds it; any that does when absent. */
  readonly device?: string
}
