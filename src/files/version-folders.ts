/**
 * The folders that kept bytes lie in: one a day, `2026-11-21`, and further ones, `2026-11-21.1`, once one is full. A directory is
 * listed in one step, which nothing else can run in: so none may grow without bound, also when a person removes a tree of
 * 100,000 files. Folders sort in the order they were filled in, ten thousand a day at most.
 */
import { dayOf } from './due-days.ts'
import { ensureDirectory, type Filesystem, joinPath, parentOf } from './filesystem.ts'

export interface VersionFolders {
  /** Where something kept now goes to; exists. */
  current(nowMs: number): Promise<string>
  /** Names of all, oldest first. */
  all(): Promise<readonly string[]>
}

/** Each with a file beside it that says where it stood. */
const keptPerFolder = 2_048
const sharesMax = 9_999
const namePattern = /^(\d{4}-\d\d-\d\d)(?:\.(\d{1,4}))?$/

export function createVersionFolders(filesystem: Filesystem, folder: string): VersionFolders {
  /** The one in use, and how much is in it. */
  let open: { readonly day: string; readonly share: number; count: number } | undefined
  const all = async (): Promise<readonly string[]> => {
    if ((await filesystem.lstat(folder)) === undefined) return []
    const entries = await filesystem.readDirectory(folder)
    const names = entries.flatMap(({ name, stat }) => (stat?.kind === 'directory' ? [name] : []))
    return names.toSorted((a, b) =>
      dayIn(a) === dayIn(b) ? shareOf(a) - shareOf(b) : dayIn(a) < dayIn(b) ? -1 : 1,
    )
  }
  const find = async (day: string): Promise<NonNullable<typeof open>> => {
    const newest = (await all()).findLast((name) => dayIn(name) === day)
    if (newest === undefined) return { day, share: 0, count: 0 }
    const count = (await filesystem.readDirectory(joinPath(folder, newest))).length / 2
    return { day, share: shareOf(newest), count }
  }
  return {
    all,
    async current(nowMs) {
      const day = dayOf(nowMs)
      if (open?.day !== day) open = await find(day)
      if (open.count >= keptPerFolder && open.share < sharesMax)
        open = { day, share: open.share + 1, count: 0 }
      open.count++
      const path = joinPath(folder, open.share === 0 ? day : `${day}.${open.share}`)
      if ((await filesystem.lstat(path)) === undefined) {
        for (const directory of [parentOf(folder), folder, path]) await ensureDirectory(filesystem, directory)
      }
      return path
    },
  }
}

/** The UTC day of a folder; the name itself where it has none. */
export const dayIn = (name: string): string => namePattern.exec(name)?.[1] ?? name
const shareOf = (name: string): number => Number(namePattern.exec(name)?.[2] ?? 0)
