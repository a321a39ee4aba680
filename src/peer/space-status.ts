/** The state of a shared folder in words for a person: what it does, how far it is, what waits and why. */
import { limits } from '../base/limits.ts'
import type { SpaceSetting } from '../crdt/settings.ts'
import type { FolderStatus } from '../files/folder-status.ts'
import type { SpaceStatus, TransferStatus } from './api-spaces.ts'
import type { Joined, Shelf } from './space-shelf.ts'
import type { TransferRate } from './transfer-rate.ts'

const states = {
  starting: 'syncing',
  working: 'syncing',
  'in-sync': 'in-sync',
  waiting: 'waiting',
  paused: 'paused',
  stopped: 'error',
} as const

export function describeSpace(setting: SpaceSetting, shelf: Shelf): SpaceStatus {
  const { id, name } = setting
  const none = { id, name, fileCount: 0, sizeBytes: 0, conflictCount: 0, pendingCount: 0 }
  const broken = shelf.broken.get(id)
  if (broken !== undefined) return { ...none, ...broken, state: 'error' }
  const held = shelf.joined.get(id)
  if (held === undefined) return { ...none, state: 'not-joined' }
  const { directory, counts } = held
  const part = describePart(held)
  if (held.open === undefined)
    return { ...none, ...counts, directory, ...part, state: 'paused', reason: 'paused by you' }
  return { ...none, ...describeOpen(held.open), directory, ...part }
}

function describePart({ rules, mayWrite, open }: Joined): Partial<SpaceStatus> {
  const { isReadOnly, selection } = rules
  const isAll = selection.only.length + selection.except.length === 0
  const { localChanges = 0, unreleased = 0 } = open?.folder.status() ?? {}
  return {
    role: isReadOnly || !mayWrite ? 'read-only' : 'full',
    ...(!isAll && { selection }),
    ...(localChanges > 0 && {
      localChangeCount: localChanges,
      localChanges: open?.folder.part.changes.some(limits.listedProblems) ?? [],
    }),
    ...(unreleased > 0 && { unreleasedCount: unreleased }),
  }
}

function describeOpen({
  folder,
  conflicts,
  rate,
}: NonNullable<Joined['open']>): Omit<SpaceStatus, 'id' | 'name'> {
  const status = folder.status()
  const { problems, heldDeletions, transfers } = status
  const reason = reasonOf(status)
  return {
    state: states[status.state],
    fileCount: status.files,
    sizeBytes: status.bytes,
    conflictCount: conflicts.count,
    pendingCount: transfers.waiting,
    ...(transfers.waiting > 0 && { transfer: describeTransfer(status, rate) }),
    ...(reason !== undefined && { reason }),
    ...(problems.length > 0 && {
      problems: problems.slice(0, limits.listedProblems),
      problemCount: problems.length,
    }),
    ...(heldDeletions > 0 && { heldDeletionCount: heldDeletions }),
    ...(needsPerson(status) && { needsPerson: true }),
  }
}

/** A content nobody in reach has may come by itself; a name that cannot travel does not. */
const needsPerson = ({ state, transfers, problems }: FolderStatus): boolean =>
  state === 'waiting' && transfers.waiting === 0 && !problems.some(({ isRetrying }) => isRetrying)

function describeTransfer({ transfers }: FolderStatus, rate: TransferRate): TransferStatus {
  const { doneFiles, totalFiles, doneBytes, totalBytes } = transfers
  const remainingMs = rate.remainingMs(totalBytes - doneBytes)
  return {
    doneFiles,
    totalFiles,
    doneBytes,
    totalBytes,
    bytesPerSecond: Math.round(rate.perSecond),
    ...(remainingMs !== undefined && { remainingMs: Math.round(remainingMs) }),
  }
}

function reasonOf({ stoppedBy, heldDeletions, problems }: FolderStatus): string | undefined {
  if (stoppedBy !== undefined) return `${stoppedBy.cause} (${stoppedBy.fix})`
  if (heldDeletions > 0) return `${heldDeletions} deletions at once wait for you: skein deletions`
  const [problem] = problems
  if (problem === undefined) return undefined
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : ''
  return `${problem.path}: ${problem.cause}${more}`
}
