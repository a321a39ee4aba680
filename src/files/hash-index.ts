/**
 * Places by content hash. About 110 bytes a file, the price of asking no scan of the store for it. Texts cut out of a row
 * keep the whole row in memory, which made it 480: what is kept are the first 72 bits of a hash (whoever asks compares
 * the row itself) and a copy of the path.
 */

export interface HashIndex {
  /** A content with this hash stands there. */
  add(path: string, hash: string): void
  /** It does no more. */
  remove(path: string, hash: string): void
  /** Places whose content may have this hash. */
  paths(hash: string): readonly string[]
}

/** So short that the engine copies it. */
const keptCharacters = 12
const encoder = new TextEncoder()
const decoder = new TextDecoder()
/** Names are 255 bytes at most; a longer path is copied by way of a buffer of its own. */
const scratch = new Uint8Array(4 * 1024)

export function createHashIndex(): HashIndex {
  const pathsOfHash = new Map<string, string | Set<string>>()
  return {
    add(place, wholeHash) {
      const hash = wholeHash.slice(0, keptCharacters)
      const paths = pathsOfHash.get(hash)
      // Nearly every content stands at one place: a set only where there are more
      if (paths === undefined) pathsOfHash.set(hash, copyOf(place))
      else if (paths instanceof Set) paths.add(copyOf(place))
      else if (paths !== place) pathsOfHash.set(hash, new Set([paths, copyOf(place)]))
    },
    remove(place, wholeHash) {
      const hash = wholeHash.slice(0, keptCharacters)
      const paths = pathsOfHash.get(hash)
      if (paths instanceof Set) paths.delete(place)
      if (paths === place || (paths instanceof Set && paths.size === 0)) pathsOfHash.delete(hash)
    },
    paths(hash) {
      const paths = pathsOfHash.get(hash.slice(0, keptCharacters))
      return paths === undefined ? [] : paths instanceof Set ? [...paths] : [paths]
    },
  }
}

/** The same text in memory of its own. */
function copyOf(text: string): string {
  if (text.length * 3 > scratch.byteLength) return decoder.decode(encoder.encode(text))
  return decoder.decode(scratch.subarray(0, encoder.encodeInto(text, scratch).written))
}
