/**
 * What left its place because this device did not select it, and other devices hold: for a while in `.skein/released`, as
 * `<when, base 36>~<id>`. A program may have had it open and still write to it: then it is no copy of what others hold, and
 * goes to versions. After that its room is free again.
 */
import type { Clock } from '../base/clock.ts'
import { encodeId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import { ensureDirectory, type FileStat, type Filesystem, joinPath, sameSignature } from './filesystem.ts'
import { internalFolder } from './names.ts'
import type { Versions } from './versions.ts'

export const releasedFolder = `${internalFolder}/released`

export interface Released {
  /** @returns false when it is not `expected` any more: nothing happened then. */
  take(path: string, expected: FileStat): Promise<boolean>
  /** Drops what lay there long enough. */
  expire(): Promise<void>
}

export function createReleased(parts: {
  readonly filesystem: Filesystem
  readonly versions: Versions
  readonly clock: Clock
  readonly random: Random
}): Released {
  const { filesystem, versions, clock, random } = parts
  return {
    async take(path, expected) {
      const now = await filesystem.lstat(path)
      if (now === undefined || !sameSignature(now, expected)) return false
      for (const directory of [internalFolder, releasedFolder]) await ensureDirectory(filesystem, directory)
      const nowMs = Math.round(clock.nowMs())
      const aside = joinPath(releasedFolder, `${nowMs.toString(36)}~${encodeId(random.bytes(16))}`)
      if (!(await filesystem.renameIf(path, aside, undefined))) return false
      const moved = await filesystem.lstat(aside)
      if (moved?.ino === expected.ino && moved.size === expected.size && moved.mtimeNs === expected.mtimeNs)
        return true
      // Somebody put another file there after the look: it goes back to where it was
      if (!(await filesystem.renameIf(aside, path, undefined)) && moved !== undefined)
        await versions.keepMoved(aside, moved, { hash: undefined, about: { cause: 'local' } })
      return false
    },
    async expire() {
      if ((await filesystem.lstat(releasedFolder))?.kind !== 'directory') return
      const nowMs = clock.nowMs()
      for (const { name, stat } of await filesystem.readDirectory(releasedFolder)) {
        const path = joinPath(releasedFolder, name)
        const takenMs = Number.parseInt(name, 36)
        const ageMs = nowMs - takenMs
        // A clock that was set back must not keep it for ever; one that was set forward only costs the wait
        const isDue = !(ageMs < limits.releasedMs) || ageMs < -limits.releasedMs
        if (stat === undefined || !isDue) continue
        const isWritten = stat.kind === 'file' && !(Number(stat.mtimeNs / 1_000_000n) <= takenMs)
        if (isWritten) await versions.keepMoved(path, stat, { hash: undefined, about: { cause: 'local' } })
        else await filesystem.unlink(path)
      }
    },
  }
}
