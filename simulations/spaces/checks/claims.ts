/** P31, at any moment: nobody says "in sync" who waits for anything, and whoever lists problems says that it waits. */
import type { FolderStatus } from '../../../src/files/folder-status.ts'

export function checkClaim(name: string, status: FolderStatus): void {
  if (status.state !== 'in-sync') return
  const open = status.transfers.waiting + status.heldDeletions + status.problems.length
  if (open > 0 || status.stoppedBy !== undefined)
    throw new Error(`${name} says that it is in sync, which it is not: ${JSON.stringify(status)}`)
}
