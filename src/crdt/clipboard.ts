/**
 * The clipboard document: items in causal order, capped. Content of secrets never comes here: whoever reads the system
 * clipboard leaves them out. Small formats lie inline, larger ones are blobs named by hash.
 */
import type { Env } from '../base/env.ts'
import { array, bytes, integer, object, optional, text, textOf, type Validator } from '../base/codec.ts'
import { isDeviceId, type DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { encodeId, isId } from '../base/ids.ts'
import type { DocHost } from './doc-host.ts'
import { openSmallDoc } from './small-doc.ts'
import { lamportMax } from './version-vector.ts'

export const clipboardDocument = 'clipboard'

export interface ClipboardFormat {
  readonly mime: string
  /** Inline content, at most limits.clipboardInlineBytes. */
  readonly content?: Uint8Array | undefined
  /** Else the BLAKE3 of the content as 43 characters of base64url. */
  readonly hash?: string | undefined
  readonly sizeBytes: number
}

export interface ClipboardItem {
  readonly id: string
  readonly device: DeviceId
  /** Wall clock of the device, for people; order comes from `lamport`. */
  readonly timeMs: number
  readonly lamport: number
  readonly formats: readonly ClipboardFormat[]
}

export interface Clipboard {
  /** @returns the item as stored. @throws `codec.invalid` for what is out of bounds. */
  addItem(formats: readonly ClipboardFormat[]): Promise<ClipboardItem>
  /** Newest first. */
  items(): Promise<readonly ClipboardItem[]>
  latest(): Promise<ClipboardItem | undefined>
  remove(id: string): Promise<void>
  onChanged(listener: () => void): Disposable
}

const formatShape: Validator<ClipboardFormat> = object({
  mime: text(255, /^[\x21-\x7e]+\/[\x20-\x7e]+$/),
  content: optional(bytes(limits.clipboardInlineBytes)),
  hash: optional(text(43, /^[A-Za-z0-9_-]{43}$/)),
  sizeBytes: integer(),
})

const itemShape: Validator<ClipboardItem> = object({
  id: text(26),
  device: textOf(isDeviceId, 'a device id'),
  timeMs: integer(),
  lamport: integer(lamportMax),
  formats: array(formatShape, limits.clipboardFormats),
})

/** Later ones first; ties by device and id, so that all devices agree. */
function newestFirst(a: ClipboardItem, b: ClipboardItem): number {
  if (a.lamport !== b.lamport) return b.lamport - a.lamport
  return a.device === b.device ? (a.id < b.id ? 1 : -1) : a.device < b.device ? 1 : -1
}

export function openClipboard(env: Env, host: DocHost, device: DeviceId): Clipboard {
  const document = openSmallDoc<ClipboardItem>(host, clipboardDocument, itemShape, encodeItem)
  const items = async (): Promise<readonly ClipboardItem[]> => {
    const entries = await document.entries()
    const valid = [...entries].filter(([key, item]) => key === item.id && isId(key)).map(([, item]) => item)
    return valid.sort(newestFirst)
  }
  return {
    items,
    latest: async () => (await items())[0],
    async addItem(formats) {
      const id = encodeId(env.random.bytes(16))
      return await document.change((entries, write) => {
        // Causal: above every item that is seen here
        for (const { lamport } of entries.values()) host.store.observe(lamport)
        const item = { id, device, timeMs: env.clock.nowMs(), lamport: host.store.tick(), formats }
        write.set(id, item)
        const old = [...entries.values()].sort(newestFirst).slice(limits.clipboardItems - 1)
        for (const { id: oldId } of old) write.delete(oldId)
        return item
      })
    },
    remove: (id) => document.change((_entries, write) => write.delete(id)),
    onChanged: (listener) => document.onChanged(listener),
  }
}

/** Yjs takes no undefined fields, and keeps the bytes it is given: they are copied. */
function encodeItem(item: ClipboardItem): unknown {
  const formats = item.formats.map(({ mime, content, hash, sizeBytes }) => ({
    mime,
    sizeBytes,
    ...(content === undefined ? {} : { content: content.slice() }),
    ...(hash === undefined ? {} : { hash }),
  }))
  return { ...item, formats }
}
