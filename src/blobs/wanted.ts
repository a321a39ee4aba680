/** What is asked for, whom it is asked from, and where it goes. */
import type { DeviceId } from '../base/ids.ts'
import type { SkeinError } from '../base/errors.ts'
import type { WantOptions } from './client.ts'
import type { BlobHash } from './hash.ts'
import type { Range } from './ranges.ts'

/** A file that takes a download. `files/filesystem.ts` OpenFile fits. */
export interface BlobFile {
  stat(): Promise<{ readonly size: number }>
  read(into: Uint8Array, position: number): Promise<number>
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  /**
   * Parts that earlier tries left in it, in order, apart from each other. Left out: all of it, from its start. Whether they
   * are right the hash of the whole says.
   */
  kept?(): readonly Range[]
}

export interface Wanted {
  readonly hash: BlobHash
  readonly sizeBytes: number
  /** `sizeBytes` is only the most it may be: the length is not known. */
  readonly isAtMost?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (sizeBytes: number) => void
  /** This source sent something that is not what was asked for; the next one is asked. */
  readonly onLie?: (remote: DeviceId | undefined, error: SkeinError) => void
}

/** One place to ask. */
export interface AskSource {
  (options: WantOptions): Promise<void>
  /** For telling who sent what. */
  readonly remote?: DeviceId
}
