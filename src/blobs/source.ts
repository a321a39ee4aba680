/** Where contents are read from when somebody asks for them: the seam between the exchange and whoever has files. */
import type { BlobHash } from './hash.ts'

/** Some content opened for reading. */
export interface OpenBlob extends AsyncDisposable {
  readonly sizeBytes: number
  /** All of it, where it is at hand; the receiver owns the buffer. */
  readonly bytes?: Uint8Array
  /** Its block list (block-list.ts), where one can be made. The receiver owns the bytes. */
  blockList?(signal: AbortSignal): Promise<Uint8Array>
  /** @returns bytes read; fewer than asked only at the end. */
  read(into: Uint8Array, position: number): Promise<number>
}

/** Where contents are. Also the place of authorisation: it answers undefined for what this remote may not have. */
export type BlobSource = (hash: BlobHash, signal: AbortSignal) => Promise<OpenBlob | undefined>
