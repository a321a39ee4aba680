/** Characters that a terminal, a log or a reader could be fooled by: what must never be printed as it is. */

/** @returns the code points found, as hex; a line feed is allowed when it ends or separates lines. */
export function findHarmful(text: string, allowLineFeed = false): readonly string[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0)
    .filter((code) => isHarmful(code) && !(allowLineFeed && code === 0x0a))
    .map((code) => code.toString(16))
}

const ranges: readonly (readonly [number, number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x061c, 0x061c],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x2064],
  [0x2066, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xe0000, 0xe007f],
]

const isHarmful = (code: number): boolean =>
  ranges.some(([first, last]) => code >= first && code <= last && isAssigned(code))

/** In the tag block only these are characters. */
const isAssigned = (code: number): boolean => code < 0xe0000 || code === 0xe0001 || code >= 0xe0020
