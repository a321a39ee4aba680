/** A VaultDisk in memory that can lose what was not synced, be torn, damaged, full, and counts its writes. */
import { SkeinError } from '../../src/base/errors.ts'
import type { Random } from '../../src/base/random.ts'
import { randomBelow } from '../../src/base/random.ts'
import type { VaultDisk } from '../../src/vault/vault-disk.ts'

interface MemoryFile {
  bytes: Uint8Array
  syncedLength: number
}

export interface CrashDisk extends VaultDisk {
  readonly files: Map<string, MemoryFile>
  /** Changes left until everything fails, as when the power is gone. */
  changesLeft: number
  /** Bytes that still fit. */
  room: number
  /** What a power cut leaves: synced bytes, and of the others a random part, some of it zeros. */
  afterCrash(random: Random): CrashDisk
}

const powerCut = (): SkeinError => new SkeinError('disk.failed', 'the power is gone')

export function createCrashDisk(files: Map<string, MemoryFile> = new Map()): CrashDisk {
  const change = (): void => {
    if (disk.changesLeft-- <= 0) throw powerCut()
  }
  const file = (name: string): MemoryFile => {
    const found = files.get(name)
    if (found === undefined) throw new SkeinError('not.found', 'no such file')
    return found
  }
  const disk: CrashDisk = {
    files,
    changesLeft: Infinity,
    room: Infinity,
    list: async () => [...files.keys()],
    size: async (name) => file(name).bytes.byteLength,
    read: async (name, offset, length) => file(name).bytes.slice(offset, offset + length),
    async append(name, parts) {
      const held = files.get(name) ?? { bytes: new Uint8Array(), syncedLength: 0 }
      files.set(name, held)
      const at = held.bytes.byteLength
      const added = Buffer.concat(parts)
      const isCut = disk.changesLeft-- <= 0
      const fits = isCut ? Math.floor(added.byteLength / 2) : Math.min(disk.room, added.byteLength)
      disk.room -= fits
      held.bytes = new Uint8Array(Buffer.concat([held.bytes, added.subarray(0, fits)]))
      if (isCut) throw powerCut()
      if (fits < added.byteLength) throw new SkeinError('disk.full', 'no room')
      return at
    },
    async sync(name) {
      change()
      file(name).syncedLength = file(name).bytes.byteLength
    },
    async rename(from, to) {
      change()
      files.set(to, file(from))
      files.delete(from)
    },
    async remove(name) {
      change()
      const held = files.get(name)
      if (held !== undefined) disk.room += held.bytes.byteLength
      files.delete(name)
    },
    afterCrash(random) {
      const left = new Map<string, MemoryFile>()
      for (const [name, { bytes, syncedLength }] of files) {
        const length = syncedLength + randomBelow(random, bytes.byteLength - syncedLength + 1)
        const kept = bytes.slice(0, length)
        if (length > syncedLength && random.float() < 0.5)
          kept.fill(0, syncedLength + randomBelow(random, length - syncedLength))
        left.set(name, { bytes: kept, syncedLength: length })
      }
      return createCrashDisk(left)
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
  return disk
}
