/**
 * What part of a space a device takes, as types: receiving only, selected paths, what stays unsent, and what the space holds
 * here and elsewhere. Part of the api (api.ts): no code, types alone. Paths as in api-spaces.ts.
 */
import type { DeviceId, SpaceId } from '../base/ids.ts'
import type { Role } from './api-device.ts'

/** 'read-only': changes made here are never sent. */
export type SpaceRole = 'full' | 'read-only'

/** Patterns in gitignore syntax: what `only` matches, everything when it is empty, without what `except` matches. */
export interface Selection {
  readonly only: readonly string[]
  readonly except: readonly string[]
}

/** Something that stands otherwise on this disk than others are told. */
export interface LocalChange {
  readonly path: string
  readonly change: 'added' | 'edited' | 'deleted'
  readonly isDirectory: boolean
  /** Of what stands there. */
  readonly sizeBytes: number
}

/** A space of this device: its id, an unambiguous start of one, or an exact name. */
export interface PartParams {
  readonly space: string
}

export interface RoleParams extends PartParams {
  readonly role: SpaceRole
}

/** Without patterns everything is kept. */
export interface SelectParams extends PartParams {
  readonly only?: readonly string[]
  readonly except?: readonly string[]
}

export interface LocalChangeList {
  readonly spaceId: SpaceId
  /** Root of the folder on this device. */
  readonly directory: string
  /** By path. */
  readonly changes: readonly LocalChange[]
  /** More stand than are listed. */
  readonly isCut: boolean
}

/** Takes changes back that are not sent: all, or those at or below these paths. Their bytes go to versions. */
export interface RevertParams extends PartParams {
  /** Below the folder's root. */
  readonly paths?: readonly string[]
}

export interface RevertReport {
  readonly spaceId: SpaceId
  readonly reverted: readonly LocalChange[]
}

export interface EntriesParams extends PartParams {
  /** A directory below the folder's root; default: the root. */
  readonly path?: string
}

/** An entry of a space, whether its bytes are on this device or not. */
export interface SpaceEntry {
  readonly path: string
  readonly kind: 'file' | 'directory' | 'symlink'
  readonly sizeBytes: number
  /** Of a file, by its author's clock. */
  readonly modifiedAtMs?: number
  /** 'coming': it is to be here, and is not yet. 'away': not selected here, or the space is not on this device. */
  readonly state: 'here' | 'coming' | 'away'
}

export interface EntryList {
  readonly spaceId: SpaceId
  readonly path: string
  /** Direct children, by name. */
  readonly entries: readonly SpaceEntry[]
  readonly isCut: boolean
}

/** One round of sync for a space that is paused, or not here yet; it is paused afterwards. */
export interface SyncOnceParams extends PartParams {
  /** Absolute path; needed when the space does not lie on this device yet. Made when it does not exist. */
  readonly directory?: string
  /** 'pull': nothing is sent. 'push': nothing on this disk changes. Default: both ways. */
  readonly direction?: 'pull' | 'push'
  /** Ends with what is true then when it takes longer. */
  readonly timeoutMs?: number
}

/** Another role for a device, with what a limited one may read. */
export interface GrantParams {
  readonly device: string
  readonly role: Role
  /** With the role `limited`: the spaces it may read; they take the place of those it had. */
  readonly spaces?: readonly string[]
}

export interface Granted {
  readonly deviceId: DeviceId
  readonly name: string
  readonly role: Role
  readonly grants: readonly string[]
}
