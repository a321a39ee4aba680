/** The text of a clipboard item: what is shown in lists, and what search looks into. Pure, and linear in its input. */
import type { ClipboardFormat, ClipboardPayload } from './clipboard-item.ts'

const decoder = new TextDecoder()
const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#39': "'",
  nbsp: ' ',
}

const isType = (format: ClipboardFormat, type: string): boolean =>
  format.mime === type || format.mime.startsWith(`${type};`)

/** The plain text of an item, or how it begins. @returns undefined for an item without text. */
export function plainTextOf(payload: ClipboardPayload): string | undefined {
  const plain = payload.formats.find((format) => isType(format, 'text/plain'))
  if (plain !== undefined) return beginningOf(plain)
  if (payload.files.length > 0) return payload.files.map((file) => file.name).join('\n')
  const list = payload.formats.find((format) => isType(format, 'text/uri-list'))
  if (list !== undefined) return beginningOf(list)
  const html = payload.formats.find((format) => isType(format, 'text/html'))
  if (html !== undefined) return withoutTags(beginningOf(html) ?? '')
  const other = payload.formats.find((format) => format.mime.startsWith('text/'))
  return other === undefined ? undefined : beginningOf(other)
}

/** All that is searched, in lower case: the text once, and names of files. */
export function searchTextOf(payload: ClipboardPayload): string {
  const parts = [plainTextOf(payload) ?? '', ...payload.files.map((file) => file.name)]
  for (const format of payload.formats)
    if (isType(format, 'text/uri-list')) parts.push(decodeLinks(beginningOf(format) ?? ''))
  return parts.join('\n').toLowerCase()
}

function beginningOf(format: ClipboardFormat): string | undefined {
  return format.content === undefined ? format.head : decoder.decode(format.content)
}

/** Not for showing as a page: what is left is text like any other. */
function withoutTags(html: string): string {
  return html
    .replace(/<[^<>]*>/g, ' ')
    .replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (_whole, name: string) => entities[name] ?? '')
    .replace(/\s+/g, ' ')
    .trim()
}

/** `%20` and the like as what they stand for, where they are whole. */
function decodeLinks(list: string): string {
  return list.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run)
    } catch (error) {
      if (error instanceof URIError) return run
      throw error
    }
  })
}
