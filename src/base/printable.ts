/**
 * Text from elsewhere made safe to show: names, paths and messages of other devices must not move the cursor,
 * recolour, reorder or fake lines. Characters that do are shown as `\u{..}`; all others stay as they are. HTML is
 * not treated here: a page sets text content and never markup.
 */

/**
 * Controls (C0, DEL, C1: terminals act on U+009B as on ESC [), line and paragraph separators, bidirectional marks,
 * embeddings, overrides and isolates, zero-width and invisible ones, tags, and lone surrogates.
 */
const unsafe =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu

/** One line of harmless text; the backslash itself is doubled, so that no escape can be faked. */
export function printable(text: string): string {
  return text.replaceAll('\\', '\\\\').replace(unsafe, (found) => `\\u{${codeOf(found)}}`)
}

/** JSON whose non-printing characters are all escaped; parses to the same value. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) =>
    typeof field === 'bigint' ? String(field) : field,
  ).replace(unsafe, (found) =>
    found
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

const codeOf = (character: string): string => (character.codePointAt(0) ?? 0).toString(16)
