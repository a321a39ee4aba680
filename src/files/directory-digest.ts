/**
 * A directory in one glance: a digest over what stands in it, the same for its rows and for what the disk says as long as
 * they agree in every name, inode, size and time. 64 bits and a count, summed over the entries, so their order does not
 * matter. Against chance, not against malice: whoever can forge the times of a file can do so under any other scheme.
 */
import type { FileStat } from './filesystem.ts'

export interface DirectoryDigest {
  low: number
  high: number
  entries: number
}

export const emptyDigest = (): DirectoryDigest => ({ low: 0, high: 0, entries: 0 })

/** @param text of an entry (`fileText`, `directoryText`). */
export function addEntry(digest: DirectoryDigest, text: string): void {
  let low = 0x811c9dc5
  let high = 0x9e3779b9
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x85ebca6b)
    high ^= high >>> 13
  }
  low = Math.imul(low ^ (low >>> 16) ^ high, 0xc2b2ae35)
  digest.low = (digest.low + (low ^ (low >>> 15))) >>> 0
  digest.high = (digest.high + high) >>> 0
  digest.entries++
}

/** @param signature as in a RowOutline (crdt/local-index.ts). */
export const fileText = (name: string, kind: 'file' | 'symlink', signature: string): string =>
  `${name}\0${kind}\0${signature}`

/** Times of a directory say nothing about itself. */
export const directoryText = (name: string, dev: string, ino: string): string =>
  `${name}\0directory\0${ino}\0${dev}`

export function textOfStat(name: string, stat: FileStat): string {
  const { kind, dev, ino, size, mtimeNs, ctimeNs } = stat
  if (kind === 'directory') return directoryText(name, dev.toString(), ino.toString())
  // Pipes and the like have no rows: whatever stands here, it is no match
  const signature = `${size.toString(36)}\0${mtimeNs}\0${ctimeNs}\0${ino}\0${dev}`
  return fileText(name, kind === 'symlink' ? kind : 'file', kind === 'other' ? '' : signature)
}
