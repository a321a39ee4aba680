/** Writes of others that come between a step of ours and the look after it: noticed, and what they wrote is kept. */
import type { FileStat, Filesystem } from './filesystem.ts'

/** What a file is to look like that nobody else has touched. */
export type Written = Pick<FileStat, 'size' | 'mtimeNs'> & { readonly mode?: number | undefined }

/** Times are set as fractions of seconds in a double: about half a microsecond exact. */
const setTimeErrorNs = 2_000n

/** False when somebody wrote to it between our step and the look after it: then the row must not vouch for its content. */
export function isAsItWas(now: FileStat, before: Written): boolean {
  const differenceNs = now.mtimeNs - before.mtimeNs
  if (now.size !== before.size || now.mode !== (before.mode ?? now.mode)) return false
  return differenceNs < setTimeErrorNs && -differenceNs < setTimeErrorNs
}

/** Somebody wrote through an open handle between the check and the rename: those bytes come back as a file of their own. */
export async function rescueLateWrite(
  filesystem: Filesystem,
  kept: string,
  path: string,
  before: FileStat,
): Promise<void> {
  const after = await filesystem.lstat(kept)
  if (after === undefined || (after.size === before.size && after.mtimeNs === before.mtimeNs)) return
  await filesystem.link(kept, `${path} (edited while it was replaced ${after.ino.toString(36)})`)
}
