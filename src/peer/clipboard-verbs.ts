/** The verbs of the clipboard, for the command line and the console. */
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { formatSize } from '../base/quantities.ts'
import type { Clipboard, ClipboardEntry } from '../crdt/clipboard.ts'
import type { ClipboardFormat, ClipboardPayload } from '../crdt/clipboard-item.ts'
import { isMime } from '../crdt/clipboard-item.ts'
import { plainTextOf } from '../crdt/clipboard-text.ts'
import type { ApiCall, PeerApi } from './api.ts'
import type { ClipItem, ClipPiece, ClipReadParams, ClipSetParams, ClipState } from './api-clipboard.ts'
import type { Roster } from './auth/roster.ts'
import type { ClipboardContents } from './clipboard-contents.ts'
import type { ClipboardPause } from './clipboard-pause.ts'
import type { ClipboardUploads } from './clipboard-uploads.ts'

export type ClipboardVerbs = Pick<
  PeerApi,
  | 'clipGet'
  | 'clipRead'
  | 'clipSet'
  | 'clipUpload'
  | 'clipHistory'
  | 'clipPaste'
  | 'clipPin'
  | 'clipUnpin'
  | 'clipDelete'
  | 'clipClear'
  | 'clipPause'
  | 'clipResume'
  | 'clipState'
>

export interface ClipboardVerbParts {
  readonly clipboard: Clipboard
  readonly contents: ClipboardContents
  readonly uploads: ClipboardUploads
  readonly pause: ClipboardPause
  readonly roster: Roster
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
  readonly state: () => ClipState
}

const textType = 'text/plain'
const defaultHistory = 20
/** Longer text is cut in listings. */
const listedCharacters = 2_000
const listedFiles = 20

export function createClipboardVerbs(parts: ClipboardVerbParts): ClipboardVerbs {
  const { clipboard, inTurn, pause, uploads, state } = parts
  const change = async (id: string, work: (id: string) => Promise<void>): Promise<ClipItem> => {
    const entry = await find(clipboard, id)
    await inTurn(() => work(entry.id))
    return await describe(parts, entry)
  }
  return {
    ...createReadVerbs(parts),
    clipSet: (params) => set(parts, params),
    clipUpload: ({ upload, base64 }) =>
      inTurn(async () => ({ upload: uploads.add(upload, Buffer.from(base64, 'base64')) })),
    clipPaste: async ({ id }) => {
      const entry = await find(clipboard, id)
      const payload = await clipboard.read(entry.id)
      return await describe(parts, await inTurn(() => clipboard.add(payload)))
    },
    clipPin: ({ id }) => change(id, (found) => clipboard.pin(found)),
    clipUnpin: ({ id }) => change(id, (found) => clipboard.unpin(found)),
    async clipDelete({ id }) {
      const entry = await find(clipboard, id)
      const item = await describe(parts, entry)
      await inTurn(() => clipboard.remove([entry.id]))
      return item
    },
    async clipClear({ pinned = false }) {
      await clipboard.ready
      const ids = clipboard.entries.map(({ id }) => id).filter((id) => pinned || !clipboard.isPinned(id))
      await inTurn(() => clipboard.remove(ids))
      return { count: ids.length }
    },
    async clipPause({ forMs }) {
      await pause.pause(forMs)
      return state()
    },
    async clipResume() {
      await pause.resume()
      return state()
    },
    async clipState() {
      await clipboard.ready
      return state()
    },
  }
}

function createReadVerbs(
  parts: ClipboardVerbParts,
): Pick<ClipboardVerbs, 'clipGet' | 'clipRead' | 'clipHistory'> {
  const { clipboard, contents } = parts
  return {
    async clipGet({ id }, call) {
      await clipboard.ready
      const entry = id === undefined ? clipboard.entries[0] : await find(clipboard, id)
      if (entry === undefined) return {}
      const item = await describe(parts, entry)
      if (entry.unreadable !== undefined) return { item }
      const payload = await clipboard.read(entry.id)
      const format = payload.formats.find(isText)
      if (format === undefined || format.sizeBytes > limits.messageBytes) return { item }
      const text = await wholeText(contents, { entry, payload }, { format, signal: call.signal })
      return { item, text }
    },
    clipRead: (params, call) => read(parts, params, call),
    async clipHistory({ limit = defaultHistory, query = '', pinned = false }) {
      await clipboard.ready
      const countMax = pinned ? limits.clipboardItems : limit
      const all = query === '' ? clipboard.entries : clipboard.search(query, countMax)
      const wanted = pinned ? all.filter(({ id }) => clipboard.isPinned(id)) : all
      return await Promise.all(wanted.slice(0, limit).map((entry) => describe(parts, entry)))
    },
  }
}

const isText = (format: ClipboardFormat): boolean =>
  format.mime === textType || format.mime.startsWith(`${textType};`)

async function wholeText(
  contents: ClipboardContents,
  item: { readonly entry: ClipboardEntry; readonly payload: ClipboardPayload },
  { format, signal }: { readonly format: ClipboardFormat; readonly signal: AbortSignal },
): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const piece of contents.pieces(item, format, signal))
    text += decoder.decode(piece, { stream: true })
  return text + decoder.decode()
}

async function* read(
  { clipboard, contents }: ClipboardVerbParts,
  { id, type }: ClipReadParams,
  { signal }: ApiCall,
): AsyncGenerator<ClipPiece> {
  await clipboard.ready
  const entry = id === undefined ? clipboard.entries[0] : await find(clipboard, id)
  if (entry === undefined)
    throw new SkeinError('not.found', 'the clipboard is empty', { fix: 'skein clip set' })
  const payload = await clipboard.read(entry.id)
  const { formats } = payload
  const format =
    type === undefined
      ? (formats.find(isText) ?? formats[0])
      : formats.find(({ mime }) => mime === type || mime.startsWith(`${type};`))
  if (format === undefined) {
    const types = formats.map(({ mime }) => mime).join(', ')
    throw new SkeinError('not.found', `this item has no ${type ?? 'content'}`, { fix: `it has: ${types}` })
  }
  yield { kind: 'content', mediaType: format.mime, sizeBytes: format.sizeBytes }
  for await (const bytes of contents.pieces({ entry, payload }, format, signal)) {
    for (let from = 0; from < bytes.byteLength; from += limits.clipboardPieceBytes) {
      const piece = bytes.subarray(from, from + limits.clipboardPieceBytes)
      yield { kind: 'piece', base64: Buffer.from(piece).toString('base64') }
    }
  }
}

async function set(parts: ClipboardVerbParts, params: ClipSetParams): Promise<ClipItem> {
  const { clipboard, contents, inTurn, uploads } = parts
  const { text, base64, upload, type = textType } = params
  const given = [text, base64, upload].filter((one) => one !== undefined)
  if (given.length !== 1)
    throw new SkeinError('usage', 'one of text, base64 and upload is needed', {
      fix: 'skein clip set --help',
    })
  if (!isMime(type)) throw new SkeinError('usage', 'not a media type', { fix: 'give one such as image/png' })
  const content =
    text !== undefined
      ? new TextEncoder().encode(text)
      : upload !== undefined
        ? uploads.take(upload)
        : Buffer.from(base64 ?? '', 'base64')
  return await inTurn(async () => {
    const payload = await contents.pack({ formats: [{ mime: type, content }], leftOut: [] })
    if (payload === undefined)
      throw new SkeinError(
        'limit.exceeded',
        `the clipboard takes at most ${formatSize(limits.clipboardContentBytes)}`,
        { fix: 'put it into a shared folder' },
      )
    // Somebody waits for the answer, and may throw the original away
    await contents.stored(payload)
    return await describe(parts, await clipboard.add(payload))
  })
}

/** By id or the start of one. @throws `not.found`, `usage` when several begin so. */
async function find(clipboard: Clipboard, wanted: string): Promise<ClipboardEntry> {
  await clipboard.ready
  const start = wanted.toLowerCase()
  const found = clipboard.entries.filter(({ id }) => id.startsWith(start))
  const [entry] = found
  if (entry === undefined)
    throw new SkeinError('not.found', 'no clipboard item has this id', { fix: 'skein clip history' })
  if (found.length > 1)
    throw new SkeinError('usage', `${found.length} items begin with ${start}`, { fix: 'give more of the id' })
  return entry
}

async function describe(parts: ClipboardVerbParts, entry: ClipboardEntry): Promise<ClipItem> {
  const { clipboard, roster } = parts
  const base = {
    id: entry.id,
    deviceId: entry.device,
    deviceName: roster.state.devices.get(entry.device)?.name ?? 'a former device',
    isPinned: clipboard.isPinned(entry.id),
  }
  const unreadable = { ...base, atMs: 0, mediaType: '', mediaTypes: [], sizeBytes: 0 }
  if (entry.unreadable !== undefined || entry.summary === undefined) {
    const isLocked = entry.unreadable === 'no-key'
    return { ...unreadable, problem: isLocked ? 'its key is not here yet' : 'it is damaged' }
  }
  const { summary } = entry
  const payload = await clipboard.read(entry.id).catch((error: unknown) => {
    if (error instanceof SkeinError) return undefined
    throw error
  })
  const text = payload === undefined ? undefined : plainTextOf(payload)?.slice(0, listedCharacters)
  return {
    ...base,
    atMs: summary.timeMs,
    mediaType: summary.mimes[0] ?? '',
    mediaTypes: summary.mimes,
    sizeBytes: summary.sizeBytes,
    ...(text !== undefined && { text }),
    ...(payload !== undefined &&
      payload.files.length > 0 && {
        files: payload.files.slice(0, listedFiles).map((file) => file.name),
      }),
    ...(payload !== undefined && payload.leftOut.length > 0 && { leftOut: payload.leftOut }),
  }
}
