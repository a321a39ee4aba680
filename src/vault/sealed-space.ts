/** What a vault needs of the space that it holds: its documents as updates, and its contents by hash. */
import type { BlobHash } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/source.ts'
import type { SpaceInfo } from './sealed-record.ts'

export interface SealedSpace {
  readonly info: SpaceInfo
  /** Its documents that hold something, with the hex of their digests. */
  documents(): Promise<ReadonlyMap<string, string>>
  /** What somebody with this state vector lacks, of one moment with the vector and digest that it leads to. */
  export(
    name: string,
    since: Uint8Array | undefined,
  ): Promise<{ readonly update: Uint8Array; readonly vector: Uint8Array; readonly digest: Uint8Array }>
  /** Takes updates in as from any other device. @throws `codec.invalid`, `store.failed`. */
  apply(updates: readonly { readonly name: string; readonly update: Uint8Array }[]): Promise<void>
  /** Every content that the tree shows. */
  contents(): AsyncIterable<{ readonly hash: BlobHash; readonly sizeBytes: number }>
  /** Where this device has it. */
  open(hash: BlobHash, signal: AbortSignal): Promise<OpenBlob | undefined>
}
