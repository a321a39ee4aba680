/** `skein versions`: what stood at a path before, as far as this device or another one in reach has kept it. */
import type { FileVersion } from '../../peer/api-spaces.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { absolutePath } from '../paths.ts'
import { withPeer } from '../running-peer.ts'
import { formatSize } from '../../base/quantities.ts'
import { formatTable, formatTime, safe } from '../terminal.ts'

const timeoutMs = 60_000

export const versions: Command = {
  summary: 'earlier versions of a file or directory',
  examples: [
    'skein versions notes/todo.txt',
    'skein versions notes/old-project',
    'skein versions todo.txt --json',
  ],
  options: [{ notation: '--here', about: 'only what this device keeps; the others are not asked' }],
  words: [{ notation: '<path>', about: 'a file or directory in a shared folder; need not exist any more' }],
  run: list,
}

async function list(call: Invocation): Promise<number> {
  const given = call.words[0] ?? ''
  const found = await withPeer(call, (client) =>
    client.call(
      'versions',
      { path: absolutePath(given), ...(isSet(call, 'here') && { isHereOnly: true }) },
      timeoutMs,
    ),
  )
  call.terminal.json(found)
  const hasOthers = found.versions.some(({ keptOn }) => keptOn !== undefined)
  const isMany = found.versions.some(({ path }) => path !== found.path)
  const rows = found.versions.map((version) => [
    version.id,
    version.keptAtMs === 0 ? '' : formatTime(version.keptAtMs),
    describe(version),
    version.device,
    formatSize(version.sizeBytes),
    ...(hasOthers ? [version.keptOn ?? ''] : []),
    ...(isMany ? [version.path] : []),
  ])
  const days = `kept for ${found.caps.days} days and up to ${formatSize(found.caps.bytes)} a folder`
  if (rows.length === 0) call.terminal.print(safe`No earlier version of "${found.path}" is kept (${days}).`)
  else {
    call.terminal.print(
      formatTable(
        [
          'ID',
          'KEPT AT',
          'BECAUSE',
          'WRITTEN BY',
          'SIZE',
          ...(hasOthers ? ['ON'] : []),
          ...(isMany ? ['PATH'] : []),
        ],
        rows,
      ),
    )
    if (found.isCut) call.terminal.say('There are more.')
    call.terminal.say(safe`To bring one back: skein restore '${given}' --version ID   (${days})`)
  }
  return exitCodes.ok
}

function describe({ cause, replacedBy }: FileVersion): string {
  const by = replacedBy === undefined ? '' : ` by ${replacedBy}`
  const texts: Readonly<Record<FileVersion['cause'], string>> = {
    replaced: `replaced${by}`,
    deleted: 'deleted',
    conflict: 'conflict resolved',
    merged: 'merged',
    restored: 'restored over',
    edited: 'edited',
    local: 'changed here only',
    damaged: 'damaged by the disk',
  }
  return texts[cause]
}
