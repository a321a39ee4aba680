/**
 * What stands otherwise on this disk than others are told, because this device only receives or did not select the place:
 * by path, for people. Also remembers what was found in files that have no row, so that a look at them once more need not
 * read them. Bounded; what is beyond is not told.
 */
import { limits } from '../base/limits.ts'
import type { BlobHash } from '../blobs/hash.ts'
import { type FileStat, isWithin, parentOf, type Signature, sameSignature } from './filesystem.ts'
import type { EntryData } from './folder-tree.ts'
import type { UnsentChange } from './plan.ts'

export interface LocalChange {
  readonly path: string
  readonly change: UnsentChange
  readonly isDirectory: boolean
  /** Of what stands there; 0 for what was deleted. */
  readonly sizeBytes: number
}

export interface LocalChanges {
  note(change: LocalChange): void
  /** Of the direct children of a directory, and of what was below those that are directories: it is looked at anew. */
  clearIn(directory: string): void
  /** Of all below a directory that stands there no more. */
  dropBelow(directory: string): void
  /** So many at most, sorted by path. */
  some(most: number): readonly LocalChange[]
  readonly count: number
  /** What was found at this path when it looked like this. */
  known(path: string, stat: FileStat): EntryData | undefined
  remember(path: string, stat: FileStat, data: EntryData): void
  /** Where this content was found, and how it looked: others may know of it under another name. */
  withHash(hash: BlobHash): { readonly path: string; readonly signature: Signature } | undefined
}

export function createLocalChanges(): LocalChanges {
  /** By directory. */
  const changes = new Map<string, Map<string, LocalChange>>()
  const looks = new Map<string, { readonly signature: Signature; readonly data: EntryData }>()
  const byHash = new Map<BlobHash, string>()
  let count = 0
  const clearIn = (directory: string): void => {
    const inside = changes.get(directory)
    if (inside === undefined) return
    changes.delete(directory)
    for (const { path, isDirectory } of inside.values()) {
      count--
      if (isDirectory) clearIn(path)
    }
  }
  return {
    note(change) {
      if (count >= limits.localChanges) return
      const directory = parentOf(change.path)
      const inside = changes.get(directory) ?? new Map<string, LocalChange>()
      if (!inside.has(change.path)) count++
      changes.set(directory, inside.set(change.path, change))
    },
    clearIn,
    dropBelow(directory) {
      for (const [known, inside] of changes) {
        if (!isWithin(known, directory)) continue
        changes.delete(known)
        count -= inside.size
      }
    },
    some(most) {
      const found: LocalChange[] = []
      for (const inside of changes.values()) {
        for (const change of inside.values()) {
          if (found.length === most) break
          found.push(change)
        }
      }
      return found.sort((a, b) => (a.path < b.path ? -1 : 1))
    },
    get count() {
      return count
    },
    known(path, stat) {
      const look = looks.get(path)
      return look !== undefined && sameSignature(look.signature, stat) ? look.data : undefined
    },
    remember(path, { ino, size, mtimeNs, ctimeNs, dev }, data) {
      if (looks.size >= limits.localChanges) {
        looks.clear()
        byHash.clear()
      }
      if (data.hash !== undefined) byHash.set(data.hash, path)
      looks.set(path, { signature: { ino, size, mtimeNs, ctimeNs, dev }, data })
    },
    withHash(hash) {
      const path = byHash.get(hash)
      const look = looks.get(path ?? '')
      return path === undefined || look?.data.hash !== hash ? undefined : { path, signature: look.signature }
    },
  }
}
