/**
 * Text from elsewhere made safe to show: names, paths and messages of other devices must not move the cursor,
 * recolour, reorder or fake lines. Characters that do are shown as `\u{..}`; all others stay as they are. HTML is
 * not treated here: a page sets text content and never markup.
 */

/**
 * By Unicode category: controls (terminals act on U+009B as on ESC [), format characters (bidirectional marks and
 * overrides, zero-width ones, tags), line and paragraph separators, lone surrogates.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** One line of harmless text. */
export function printable(text: string): string {
  return text.replace(unsafe, (found) => `\\u{${codeOf(found)}}`)
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
