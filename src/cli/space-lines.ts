/** Shared folders as lines for a person: a table where it fits, one block each on a narrow terminal. Pure. */
import type { Selection } from '../peer/api-part.ts'
import type { SpaceStatus, TransferStatus } from '../peer/api-spaces.ts'
import type { SealedCopy } from '../peer/api-vaults.ts'
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
    `${doneFiles} of ${totalFiles} ${totalFiles === 1 ? 'file' : 'files'}`,
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

/** What part of it this device takes, where that is not all. */
function formatPart({
  name,
  role,
  selection,
  localChangeCount = 0,
  unreleasedCount = 0,
}: SpaceStatus): readonly string[] {
  return [
    ...(role === 'read-only' ? [safe`${name}: read-only here: nothing is sent`] : []),
    ...(selection === undefined ? [] : [safe`${name}: kept here: ${formatSelection(selection)}`]),
    ...(unreleasedCount === 0
      ? []
      : [safe`${name}: not selected, and stays until another device holds it: ${unreleasedCount} files`]),
    ...(localChangeCount === 0
      ? []
      : [
          safe`! ${name}: changed here, not sent: ${localChangeCount === 1 ? '1 file' : `${localChangeCount} files`}: skein revert ${name} --list`,
        ]),
  ]
}

/** `notes: all 10,234 files sealed at vps`. */
export function formatCopy(name: string, copy: SealedCopy): string {
  const { device, state, fileCount, heldCount, doneBytes = 0, totalBytes, problem, fix, damageCount } = copy
  const count = (value: number): string => value.toLocaleString('en-US')
  const way = totalBytes === undefined ? '' : `, ${formatSize(doneBytes)} of ${formatSize(totalBytes)}`
  const lines = {
    away: `${device} is not connected; what it holds sealed stays there`,
    reading: `looking at what ${device} holds`,
    sealing: `sealing to ${device}${way}`,
    complete: `all ${count(fileCount)} files sealed at ${device}`,
    incomplete: `${count(heldCount)} of ${count(fileCount)} files sealed at ${device}; the others are on no device in reach`,
    waiting: `another device seals to ${device}`,
    paused: `nothing is sealed to ${device} while it is paused`,
    problem: `not sealed at ${device}: ${problem ?? 'unknown'}${fix === undefined ? '' : ` (${fix})`}`,
  } as const
  const damage = damageCount === 0 ? '' : `; ${device} gave back ${count(damageCount)} damaged things`
  return safe`${state === 'problem' ? '! ' : ''}${name}: ${lines[state]}${damage}`
}

function formatNotes(space: SpaceStatus): readonly string[] {
  const { name, transfer, reason, state, conflictCount, sealed = [] } = space
  return [
    ...formatPart(space),
    ...(transfer === undefined ? [] : [safe`${name}: ${formatTransfer(transfer)}`]),
    ...(state === 'paused' ? [safe`${name}: to go on: skein resume ${name}`] : []),
    ...sealed.map((copy) => formatCopy(name, copy)),
    ...(state === 'not-joined' ? [safe`${name}: to keep it here too: skein join ${name} DIR`] : []),
    ...(reason === undefined || state === 'paused' ? [] : [safe`! ${name}: ${reason}`]),
    ...(conflictCount === 0 ? [] : [safe`! ${name}: conflicts wait for you: skein conflicts ${name}`]),
  ]
}

/** `only /2026/, except *.raw`. Not safe for a terminal by itself. */
export function formatSelection({ only, except }: Selection): string {
  const parts = [
    ...(only.length > 0 ? [`only ${only.join(' ')}`] : []),
    ...(except.length > 0 ? [`${only.length > 0 ? '' : 'all '}except ${except.join(' ')}`] : []),
  ]
  return parts.join(', ')
}
