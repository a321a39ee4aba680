/**
 * What one clipboard item holds, as it is sealed into its record: all formats of a copy, the files it names, when and
 * what was left out. Small contents lie in it, others are blobs under a key of their own. CBOR, unknown fields ignored.
 */
import {
  array,
  bytes,
  decode,
  encode,
  integer,
  object,
  optional,
  text,
  type Validator,
} from '../base/codec.ts'
import { limits } from '../base/limits.ts'

/** Where a content lies that is too long for the record. */
export interface ClipboardBlob {
  /** BLAKE3 of the sealed bytes, 43 characters of base64url. */
  readonly hash: string
  readonly sealedBytes: number
  /** 32 bytes, for this content alone. */
  readonly key: Uint8Array
}

export interface ClipboardFormat {
  readonly mime: string
  readonly sizeBytes: number
  readonly content?: Uint8Array | undefined
  readonly blob?: ClipboardBlob | undefined
  /** BLAKE3 of the content, where that lies in a blob. */
  readonly digest?: Uint8Array | undefined
  /** How a long text begins. */
  readonly head?: string | undefined
}

/** A file that was copied, taken along. */
export interface ClipboardFile {
  /** One path component, as it was called. */
  readonly name: string
  readonly sizeBytes: number
  readonly blob: ClipboardBlob
}

export interface ClipboardPayload {
  /** Wall clock of the device it was copied on, for people. */
  readonly timeMs: number
  readonly formats: readonly ClipboardFormat[]
  readonly files: readonly ClipboardFile[]
  /** Formats and files that are not in it, with the reason. */
  readonly leftOut: readonly { readonly what: string; readonly reason: string }[]
}

export const isMime = (mime: string): boolean => mime.length <= 127 && mimePattern.test(mime)
const mimePattern = /^[a-z0-9][\w.+-]*\/[\w.+-]+(?:; ?[\w-]+=[\w.+-]+)*$/i
/** Entries of the list of what was left out, and characters of each text in it. */
export const leftOutMax = 32
export const leftOutText = 200

const blob: Validator<ClipboardBlob> = object({
  hash: text(43, /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/),
  sealedBytes: integer(2 * limits.clipboardFileBytes, 1),
  key: bytes(32, 32),
})
const format: Validator<ClipboardFormat> = object({
  mime: text(127, mimePattern),
  sizeBytes: integer(limits.clipboardContentBytes),
  content: optional(bytes(limits.clipboardRecordBytes)),
  blob: optional(blob),
  digest: optional(bytes(32, 32)),
  head: optional(text(limits.clipboardHeadBytes)),
})
const shape: Validator<ClipboardPayload> = object({
  timeMs: integer(),
  formats: array(format, limits.clipboardFormats),
  files: array(
    object({ name: text(limits.pathNameBytes), sizeBytes: integer(limits.clipboardFileBytes), blob }),
    limits.clipboardFiles,
  ),
  leftOut: array(object({ what: text(4 * leftOutText), reason: text(4 * leftOutText) }), leftOutMax),
})

export const encodePayload = (payload: ClipboardPayload): Uint8Array => encode(payload)

/** @throws `codec.invalid`, `limit.exceeded`. */
export const decodePayload = (bytes: Uint8Array): ClipboardPayload =>
  decode(bytes, shape, limits.clipboardRecordBytes)

/** Bytes of everything in it, as a person counts them: the longest format, and the files. */
export function sizeOf({ formats, files }: ClipboardPayload): number {
  const longest = formats.reduce((most, one) => Math.max(most, one.sizeBytes), 0)
  return files.length === 0 ? longest : files.reduce((sum, file) => sum + file.sizeBytes, 0)
}
