/**
 * A home that lost one of its files must not pass for a new one: it would quietly become another device, or found
 * another mesh. The three are written in this order at the first start, so a later one proves that there were earlier.
 */
import { SkeinError } from '../base/errors.ts'
import type { Keep } from '../base/keep.ts'

const inOrder = ['identity', 'roster', 'mesh-key'] as const

/** @throws `store.corrupt`. */
export async function requireWholeHome(keep: Keep, directory: string): Promise<void> {
  const isThere = await Promise.all(inOrder.map(async (name) => (await keep.read(name)) !== undefined))
  const missing = inOrder.find((_, index) => isThere[index] === false && isThere.includes(true, index))
  if (missing === undefined) return
  throw new SkeinError('store.corrupt', `the ${missing} of this device is missing in ${directory}`, {
    fix: `restore it from a backup of the home; without one: mv '${directory}' '${directory}.old', skein up, and pair this device again`,
  })
}
