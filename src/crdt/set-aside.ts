/**
 * Damaged parts of a store that were put aside to be looked at: tables under another name (`*.damaged`), and what LevelDB's
 * own repair leaves in `lost`. The other devices have sent it all again, so only the newest few are kept.
 */
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Under another name LevelDB leaves it alone. */
const suffix = '.damaged'
const kept = 8

export const setAside = (table: string): Promise<void> => rename(table, `${table}${suffix}`)

/** @param path of the store. @returns how many were removed. */
export async function tidySetAside(path: string): Promise<number> {
  const lost = join(path, 'lost')
  const tables = (await filesIn(path)).filter((name) => name.endsWith(suffix)).map((name) => join(path, name))
  const repaired = (await filesIn(lost)).map((name) => join(lost, name))
  let removed = 0
  for (const files of [tables, repaired]) {
    if (files.length <= kept) continue
    const dated = await Promise.all(files.map(async (file) => [file, (await stat(file)).mtimeMs] as const))
    // The name decides between equal times: numbers of tables grow
    dated.sort(([a, atMs], [b, btMs]) => btMs - atMs || (a < b ? 1 : -1))
    for (const [file] of dated.slice(kept)) {
      await rm(file, { force: true, recursive: true })
      removed++
    }
  }
  return removed
}

async function filesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
