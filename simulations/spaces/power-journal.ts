/**
 * What of a disk in memory survives a power cut. Names and attributes are journalled in order, as ext4, XFS and btrfs do:
 * some prefix of the changes since the last fsync survives, a rename whole or not at all. Contents that were not synced
 * may be there, be the old ones, or be cut short, whatever their names say (delayed allocation).
 */
import { type Random, randomBelow } from '../../src/base/random.ts'
import type { MemoryChange, MemoryFile, MemoryJournal } from '../../src/files/memory-inodes.ts'

export interface PowerJournal extends MemoryJournal {
  /** Takes back what was not on the disk, as far as chance wants. */
  cut(random: Random): void
  /** All that happened so far is on the disk. */
  settle(): void
  /** A file that was written at some time. */
  fileOf(inode: bigint): MemoryFile | undefined
}

export function createPowerJournal(): PowerJournal {
  let changes: MemoryChange[] = []
  const files = new Map<bigint, MemoryFile>()
  const unsynced = new Map<bigint, { readonly file: MemoryFile; readonly before: Uint8Array }>()
  return {
    changed: (change) => void changes.push(change),
    fileOf: (inode) => files.get(inode),
    writing(file) {
      files.set(file.ino, file)
      if (!unsynced.has(file.ino)) unsynced.set(file.ino, { file, before: file.content })
    },
    synced(inode) {
      unsynced.delete(inode)
      const last = changes.findLastIndex((change) => change.inode === inode)
      if (last < 0) return
      const operation = changes[last]?.operation
      let end = last + 1
      while (changes[end]?.operation === operation && end < changes.length) end++
      changes = changes.slice(end)
    },
    settle() {
      changes = []
      unsynced.clear()
    },
    cut(random) {
      const operations = [...new Set(changes.map((change) => change.operation))]
      const survivors = new Set(operations.slice(0, randomBelow(random, operations.length + 1)))
      for (const change of changes.toReversed()) if (!survivors.has(change.operation)) change.undo()
      changes = []
      for (const { file, before } of unsynced.values()) {
        const lot = randomBelow(random, 3)
        if (lot === 0) file.content = before
        else if (lot === 1)
          file.content = file.content.slice(0, randomBelow(random, file.content.byteLength + 1))
      }
      unsynced.clear()
    },
  }
}
