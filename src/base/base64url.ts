/**
 * Base64url without padding (RFC 4648, section 5). Here because a package that knows every base takes a worker thread longer
 * to load than all else it needs.
 */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

export function toBase64url(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.byteLength; at += 3) {
    const [first = 0, second = 0, third = 0] = [bytes[at], bytes[at + 1], bytes[at + 2]]
    const bits = (first << 16) | (second << 8) | third
    text += alphabet.charAt(bits >> 18) + alphabet.charAt((bits >> 12) & 63)
    if (at + 1 < bytes.byteLength) text += alphabet.charAt((bits >> 6) & 63)
    if (at + 2 < bytes.byteLength) text += alphabet.charAt(bits & 63)
  }
  return text
}

/** @returns undefined for what `toBase64url` does not write. */
export function fromBase64url(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let bits = 0
  let count = 0
  let at = 0
  for (const character of text) {
    const value = alphabet.indexOf(character)
    if (value < 0) return undefined
    bits = ((bits << 6) | value) & 0xffff
    count += 6
    if (count < 8) continue
    count -= 8
    bytes[at++] = bits >> count
    bits &= (1 << count) - 1
  }
  // What is left over of the last character must be nothing
  return count < 6 && bits === 0 ? bytes : undefined
}
