/**
 * The extended attributes of a file as one text, canonical: texts are equal exactly when the attributes are. It stands in the
 * second extension field of a record (record.ts), so that a file without any pays nothing for it:
 *   attributes = attribute *( "," attribute )    attribute = name "=" value
 * in order of names; a name as encodeURIComponent writes it, a value in base64url. Only names that may travel: `user.` ones
 * and the access list. A text of another form counts as none. Bounded by limits.fileAttributes*.
 */
import { fromBase64url, toBase64url } from '../base/base64url.ts'
import { limits } from '../base/limits.ts'

/** The POSIX access list in the words of files/access-list.ts: names of people instead of their numbers. */
export const accessListName = 'posix-acl'

export const travels = (name: string): boolean =>
  name === accessListName || (name.startsWith('user.') && name.isWellFormed() && !name.includes('\0'))

/** @returns the text; undefined for none. What does not fit is left out, the last names first. */
export function formatAttributes(attributes: ReadonlyMap<string, Uint8Array>): string | undefined {
  const parts: string[] = []
  let left = limits.fileAttributesBytes
  for (const [name, value] of [...attributes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!travels(name) || value.byteLength > left) continue
    const part = `${encodeURIComponent(name)}=${toBase64url(value)}`
    if (part.length + 1 > left || parts.length >= limits.fileAttributes) continue
    left -= part.length + 1
    parts.push(part)
  }
  return parts.length === 0 ? undefined : parts.join(',')
}

/** @returns undefined for what this device would not have written like that. */
export function parseAttributes(text: string): ReadonlyMap<string, Uint8Array> | undefined {
  if (text === '' || text.length > limits.fileAttributesBytes) return undefined
  const attributes = new Map<string, Uint8Array>()
  try {
    for (const part of text.split(',')) {
      const at = part.indexOf('=')
      const value = fromBase64url(part.slice(at + 1))
      if (value === undefined) return undefined
      attributes.set(decodeURIComponent(part.slice(0, at)), value)
    }
  } catch {
    // because: the decoder of names throws exactly when the text is not of its form, which is the answer
    return undefined
  }
  return formatAttributes(attributes) === text ? attributes : undefined
}

/**
 * All attributes of several versions that are put together; of one that they have differently the greatest text. Whatever
 * order they come in and whatever was put together before, the outcome is the same.
 */
export function mergeAttributes(texts: readonly (string | undefined)[]): string | undefined {
  const merged = new Map<string, Uint8Array>()
  for (const text of texts.filter((one) => one !== undefined).sort()) {
    for (const [name, value] of parseAttributes(text) ?? []) {
      const known = merged.get(name)
      if (known === undefined || toBase64url(known) < toBase64url(value)) merged.set(name, value)
    }
  }
  return formatAttributes(merged)
}

const fieldIndex = 2

/** Of a record. Whatever stands there that is no such text counts as none. */
export function attributesOf(extension: string): string | undefined {
  const text = extension === '' ? undefined : extension.split('|')[fieldIndex]
  return text === undefined || parseAttributes(text) === undefined ? undefined : text
}

/** The extension with these attributes in it. The fields around it stay, and so does one that a later version wrote in another form. */
export function withAttributes(extension: string, attributes: string | undefined): string {
  if (attributes === attributesOf(extension)) return extension
  const [sides = '', , ...rest] = extension.split('|').slice(1)
  const all = [sides, attributes ?? '', ...rest]
  while (all.at(-1) === '') all.pop()
  return all.map((field) => `|${field}`).join('')
}
