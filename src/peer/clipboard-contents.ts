/**
 * Copies as items and back: what is small enters the record, what is long becomes a sealed blob, copied files are taken
 * along; and the contents of an item, wherever they lie, as bytes and as formats that a desktop can offer.
 */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { formatSize } from '../base/quantities.ts'
import { hashBytesOf } from '../blobs/hash.ts'
import type { ClipboardEntry } from '../crdt/clipboard.ts'
import type {
  ClipboardBlob,
  ClipboardFile,
  ClipboardFormat,
  ClipboardPayload,
} from '../crdt/clipboard-item.ts'
import { isMime, leftOutMax, leftOutText } from '../crdt/clipboard-item.ts'
import type { Copy, CopiedFormat, OfferedFormat } from '../media/clipboard/port.ts'
import type { ClipboardBlobs } from './clipboard-blobs.ts'
import type { PastedFiles } from './clipboard-files.ts'
import { copiedPaths, hasEntries, isFileList, rewriteList, takeFiles } from './clipboard-files.ts'

export interface ClipboardContents {
  /** @returns undefined when nothing of it can be kept. @throws `disk.*`. */
  pack(copy: Copy): Promise<ClipboardPayload | undefined>
  /** Resolves when all of a packed copy is on the disk. @throws `disk.failed`. */
  stored(payload: ClipboardPayload): Promise<void>
  /** The content of one format in pieces, fetched from another device where it has to be. @throws `blob.missing`. */
  pieces(item: Item, format: ClipboardFormat, signal: AbortSignal): AsyncGenerator<Uint8Array>
  /** Brings the formats of an item here that are not longer than `maxBytes`, and its files if all of them are not. @throws `blob.missing`. */
  fetch(item: Item, maxBytes: number, signal: AbortSignal): Promise<void>
  /** What a desktop is offered of an item. */
  offerOf(item: Item): readonly OfferedFormat[]
}

export interface Item {
  readonly entry: Pick<ClipboardEntry, 'id' | 'device'>
  readonly payload: ClipboardPayload
}

export interface ContentsParts {
  readonly self: DeviceId
  readonly blobs: ClipboardBlobs
  readonly pasted: PastedFiles
}

/** A link that was just lost comes back, and a device that was just met opens its bulk connection, within this. */
const fetchAgainMs = 250
const fetchPatienceMs = 3_000

type Bring = (blob: ClipboardBlob, from: DeviceId, signal: AbortSignal) => Promise<void>

function createBringer(env: Env, blobs: ClipboardBlobs): Bring {
  return async (blob, from, signal) => {
    const untilMs = env.clock.monotonicMs() + fetchPatienceMs
    for (;;) {
      try {
        return await blobs.fetch(blob, from, signal)
      } catch (error) {
        if (!hasCode(error, 'blob.missing') || env.clock.monotonicMs() > untilMs) throw error
        await sleep(env.clock, fetchAgainMs, signal)
      }
    }
  }
}

export function createClipboardContents(env: Env, parts: ContentsParts): ClipboardContents {
  const { self, blobs, pasted } = parts
  const bring = createBringer(env, blobs)
  async function* blobPieces(
    { entry }: Item,
    part: { readonly blob: ClipboardBlob; readonly sizeBytes: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    await bring(part.blob, entry.device, signal)
    yield* blobs.pieces(part.blob, part.sizeBytes)
  }
  async function* pieces(
    item: Item,
    format: ClipboardFormat,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { content, blob, sizeBytes } = format
    if (content !== undefined) yield content
    else if (blob === undefined) throw new SkeinError('blob.missing', 'this format holds nothing')
    else yield* blobPieces(item, { blob, sizeBytes }, signal)
  }
  const whole = async (item: Item, format: ClipboardFormat, signal: AbortSignal): Promise<Uint8Array> => {
    const { content, sizeBytes } = format
    if (content !== undefined) return content
    const bytes = new Uint8Array(sizeBytes)
    let position = 0
    for await (const piece of pieces(item, format, signal)) {
      bytes.set(piece, position)
      position += piece.byteLength
    }
    return bytes
  }
  const listHere = async (item: Item, format: ClipboardFormat, signal: AbortSignal): Promise<Uint8Array> => {
    const { entry, payload } = item
    const paths = await pasted.make(entry.id, payload, (file: ClipboardFile) =>
      blobPieces(item, file, signal),
    )
    return new TextEncoder().encode(rewriteList(format.mime, textOf(format), paths))
  }
  return {
    pieces,
    pack: (copy) => pack(env, blobs, copy),
    async stored({ formats, files }) {
      for (const { blob } of [...formats, ...files]) if (blob !== undefined) await blobs.stored(blob)
    },
    async fetch(item, maxBytes, signal) {
      const { formats, files } = item.payload
      const fileBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
      for (const { blob } of [...formats, ...(fileBytes <= maxBytes ? files : [])]) {
        if (blob !== undefined && blob.sealedBytes <= maxBytes) await bring(blob, item.entry.device, signal)
      }
    },
    offerOf(item) {
      const { entry, payload } = item
      const isElsewhere = entry.device !== self
      return payload.formats.flatMap((format) => {
        const { mime } = format
        const isList = isElsewhere && isFileList(mime)
        if (isList && !hasEntries(mime, textOf(format), payload.files.length)) return []
        const read = isList ? listHere : whole
        return [{ mime, read: (signal: AbortSignal) => read(item, format, signal) }]
      })
    },
  }
}

const textOf = ({ content, head }: ClipboardFormat): string =>
  content === undefined ? (head ?? '') : new TextDecoder().decode(content)

/** True when a copy holds nothing that is not in the item: a program that took over what was offered. */
export function isSameCopy(payload: ClipboardPayload, copy: Copy): boolean {
  let commonCount = 0
  for (const { mime, content } of copy.formats) {
    const known = payload.formats.find((format) => format.mime === mime)
    if (known === undefined) continue
    if (!isSameContent(known, content)) return false
    commonCount++
  }
  return commonCount > 0
}

function isSameContent(format: ClipboardFormat, content: Uint8Array): boolean {
  if (format.sizeBytes !== content.byteLength) return false
  const known = format.content ?? format.digest
  const given = format.content === undefined ? hashBytesOf(content) : content
  return known !== undefined && Buffer.compare(known, given) === 0
}

async function pack(env: Env, blobs: ClipboardBlobs, copy: Copy): Promise<ClipboardPayload | undefined> {
  const leftOut = copy.leftOut.map(({ mime, reason }) => ({ what: mime, reason }))
  const formats: ClipboardFormat[] = []
  let inlineBytes = 0
  for (const one of copy.formats) {
    const sizeBytes = one.content.byteLength
    const refusal = refusalOf(one, formats)
    if (refusal !== undefined) {
      leftOut.push({ what: one.mime, reason: refusal })
    } else if (
      sizeBytes <= limits.clipboardInlineBytes &&
      inlineBytes + sizeBytes <= limits.clipboardInlineTotalBytes
    ) {
      inlineBytes += sizeBytes
      formats.push({ mime: one.mime, sizeBytes, content: one.content.slice() })
    } else formats.push(await blobFormat(blobs, one))
  }
  if (formats.length === 0) return undefined
  const taken = await takeFiles(blobs, copiedPaths(copy.formats))
  const told = [...leftOut, ...taken.leftOut].slice(0, leftOutMax).map(({ what, reason }) => ({
    what: what.slice(0, leftOutText).toWellFormed(),
    reason: reason.slice(0, leftOutText).toWellFormed(),
  }))
  return { timeMs: Math.max(0, Math.floor(env.clock.nowMs())), formats, files: taken.files, leftOut: told }
}

function refusalOf({ mime, content }: CopiedFormat, formats: readonly ClipboardFormat[]): string | undefined {
  if (!isMime(mime)) return 'not a media type'
  if (formats.some((format) => format.mime === mime)) return 'there twice'
  if (formats.length >= limits.clipboardFormats) return `more than ${limits.clipboardFormats} formats`
  if (content.byteLength > limits.clipboardContentBytes)
    return `longer than ${formatSize(limits.clipboardContentBytes)}`
  return undefined
}

async function blobFormat(blobs: ClipboardBlobs, { mime, content }: CopiedFormat): Promise<ClipboardFormat> {
  const sizeBytes = content.byteLength
  const blob = await blobs.put({
    sizeBytes,
    read: (position, length) => content.subarray(position, position + length),
  })
  const base = { mime, sizeBytes, blob, digest: hashBytesOf(content) }
  // Three bytes a character at most
  const start = new TextDecoder().decode(content.subarray(0, limits.clipboardHeadBytes))
  const head = start.slice(0, Math.floor(limits.clipboardHeadBytes / 3)).toWellFormed()
  return mime.startsWith('text/') ? { ...base, head } : base
}
