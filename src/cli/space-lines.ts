/** Shared folders as lines for a person: a table where it fits, one block each on a narrow terminal. Pure. */
import type { SpaceStatus, TransferStatus } from '../peer/api-spaces.ts'
import { formatSize, formatSpan } from '../base/quantities.ts'
import { formatTable, safe } from './terminal.ts'

/** @param columns width of the terminal; undefined: any. Empty for no spaces. */
export function formatSpaces(spaces: readonly SpaceStatus[], columns?: number): string {
  if (spaces.length === 0) return ''
  const hasConflicts = spaces.some((space) => space.conflictCount > 0)
  const rows = spaces.map((space) => [
    space.name,
    formatState(space),
    space.state === 'not-joined' ? '' : space.fileCount,
    ...(hasConflicts ? [space.conflictCount === 0 ? '' : space.conflictCount] : []),
    space.directory ?? '',
  ])
  const table = formatTable(['NAME', 'STATE', 'FILES', ...(hasConflicts ? ['CONFLICTS'] : []), 'WHERE'], rows)
  const isWide = table.split('\n').every((line) => columns === undefined || line.length + 2 <= columns)
  const list = isWide ? table : spaces.map(formatBlock).join('\n')
  return `Folders\n${[list, ...spaces.flatMap(formatNotes)].join('\n').replace(/^/gm, '  ')}`
}

/** Every file that waits, with its cause and fix. */
export function formatProblems(spaces: readonly SpaceStatus[]): string {
  const lines = spaces.flatMap(({ name, problems = [], problemCount = 0 }) => [
    ...problems.map(({ path, cause, fix }) => safe`! ${name}: ${path}: ${cause}\n    fix: ${fix}`),
    ...(problemCount > problems.length ? [safe`! ${name}: and ${problemCount - problems.length} more`] : []),
  ])
  return lines.join('\n')
}

/** `120 of 500 files, 1.2 GB of 3.4 GB, 35 MB/s, 1 min left`. */
export function formatTransfer(transfer: TransferStatus): string {
  const { doneFiles, totalFiles, doneBytes, totalBytes, bytesPerSecond, remainingMs } = transfer
  return [
    `${doneFiles} of ${totalFiles} files`,
    `${formatSize(doneBytes)} of ${formatSize(totalBytes)}`,
    ...(bytesPerSecond > 0 ? [`${formatSize(bytesPerSecond)}/s`] : []),
    ...(remainingMs === undefined ? [] : [`${formatSpan(remainingMs)} left`]),
  ].join(', ')
}

/** Also for folders of peers that say less: what is not there is not shown. */
export function formatState({ state, transfer, pendingCount }: SpaceStatus): string {
  if (state === 'paused') return 'paused (by you)'
  if (state === 'not-joined') return 'not on this device'
  return transfer === undefined && pendingCount > 0 ? `${state} (${pendingCount} left)` : state
}

function formatBlock(space: SpaceStatus): string {
  const { name, directory, fileCount, conflictCount, state } = space
  const counts = state === 'not-joined' ? '' : `, ${fileCount} files`
  const copies =
    conflictCount === 0 ? '' : `, ${conflictCount} conflict ${conflictCount === 1 ? 'copy' : 'copies'}`
  const head = safe`${name}: ${formatState(space)}${counts}${copies}`
  return directory === undefined ? head : `${head}\n${safe`  ${directory}`}`
}

function formatNotes({ name, transfer, reason, state, conflictCount }: SpaceStatus): readonly string[] {
  return [
    ...(transfer === undefined ? [] : [safe`${name}: ${formatTransfer(transfer)}`]),
    ...(state === 'paused' ? [safe`${name}: to go on: skein resume ${name}`] : []),
    ...(state === 'not-joined' ? [safe`${name}: to keep it here too: skein join ${name} DIR`] : []),
    ...(reason === undefined || state === 'paused' ? [] : [safe`! ${name}: ${reason}`]),
    ...(conflictCount === 0 ? [] : [safe`! ${name}: conflicts wait for you: skein conflicts ${name}`]),
  ]
}
