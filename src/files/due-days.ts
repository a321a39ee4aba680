/**
 * Which days of kept versions may go. A wall clock can jump by months, forth and back, so a day is not dropped for being
 * old by the clock alone: this device must also have seen it so on further days of its own, each counted once however the
 * clock jumps. Once the clock is right again, what was not past its time is no longer counted.
 * `.skein/versions/due`: the day that was counted last, then a line `<day> <count>` for each.
 */
import type { Clock } from '../base/clock.ts'
import { hasCode } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type Filesystem, joinPath } from './filesystem.ts'

export interface DueDays {
  /** @param past days that are past their time by the clock. @returns those that have been so for long enough. */
  due(past: readonly string[]): Promise<ReadonlySet<string>>
}

interface Counted {
  readonly on: string
  readonly days: ReadonlyMap<string, number>
}

/** Within one run so much time goes by between two days, whatever the wall clock says. */
const betweenMs = 20 * 3_600_000
const fileBytes = 65_536

/** @param folder exists when there are days to ask for. */
export function createDueDays(filesystem: Filesystem, clock: Clock, folder: string): DueDays {
  const path = joinPath(folder, 'due')
  let countedMs = Number.NEGATIVE_INFINITY
  let counted: Counted | undefined
  const read = async (): Promise<Counted> => {
    if ((await filesystem.lstat(path))?.kind !== 'file') return { on: '', days: new Map() }
    const small = await filesystem.readSmall(path, fileBytes)
    const [on = '', ...lines] = new TextDecoder().decode(small?.bytes).split('\n')
    const counts = lines.map((line) => /^(\S+) (\d{1,4})$/.exec(line))
    return { on, days: new Map(counts.flatMap((one) => (one ? [[one[1] ?? '', Number(one[2])]] : []))) }
  }
  const writeFile = async ({ on, days }: Counted): Promise<void> => {
    const lines = [on, ...[...days].map(([day, count]) => `${day} ${count}`)]
    const isThere = (await filesystem.lstat(path)) !== undefined
    // Torn by a crash it only counts anew
    await using file = await filesystem.open(path, isThere ? 'write' : 'create')
    await file.truncate(0)
    await file.write(new TextEncoder().encode(lines.join('\n')), 0)
  }
  const write = async (next: Counted): Promise<void> => {
    counted = next
    try {
      await writeFile(next)
    } catch (error) {
      // A full disk is one more reason to let old versions go: this run counts in memory
      if (!hasCode(error, 'disk.full')) throw error
    }
  }
  return {
    async due(past) {
      counted ??= await read()
      const known = counted
      if (past.length === 0 && known.days.size === 0) return new Set()
      const today = dayOf(clock.nowMs())
      const nowMs = clock.monotonicMs()
      const isFurtherDay = today !== known.on && nowMs - countedMs >= betweenMs
      const days = new Map(past.map((day) => [day, (known.days.get(day) ?? 0) + (isFurtherDay ? 1 : 0)]))
      const isSame = days.size === known.days.size && past.every((day) => known.days.has(day))
      if (isFurtherDay || !isSame) await write({ on: isFurtherDay ? today : known.on, days })
      if (isFurtherDay) countedMs = nowMs
      return new Set(past.filter((day) => (days.get(day) ?? 0) > limits.versionGraceDays))
    },
  }
}

/** The UTC day, as 2026-11-21. */
export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
