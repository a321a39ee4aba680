/** `skein conflicts`: conflict copies that stand, how they differ, and deciding what becomes of them. */
import { basename, dirname, join, resolve } from 'node:path'
import { SkeinError } from '../../base/errors.ts'
import type { Conflict, ConflictOutcome, ConflictPickParams } from '../../peer/api-spaces.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textOption } from '../command.ts'
import { formatDiff } from '../diff.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatSize } from '../../base/quantities.ts'
import { formatTable, formatTime, safe } from '../terminal.ts'

/** Contents may have to come from another device first. */
const timeoutMs = 60_000
const pathWord = { notation: '<path>', about: 'the file, or any of its conflict copies' }

export const conflicts: Command = {
  summary: 'files with several versions, and deciding between them',
  examples: [
    'skein conflicts',
    'skein conflicts show notes/todo.txt',
    'skein conflicts pick notes/todo.txt --mine',
    'skein conflicts merge notes/todo.txt',
  ],
  words: [{ notation: '[space]', about: 'only of this one' }],
  verbs: {
    show: {
      summary: 'how the versions differ',
      examples: ['skein conflicts show todo.txt', 'skein conflicts show todo.txt --json'],
      words: [pathWord],
      run: show,
    },
    pick: {
      summary: 'decide for one version on all devices; the others go to versions',
      examples: [
        'skein conflicts pick todo.txt --mine',
        'skein conflicts pick todo.txt --device laptop',
        'skein conflicts pick todo.txt --both',
      ],
      words: [pathWord],
      options: [
        { notation: '--mine', about: 'the one that was written on this device' },
        { notation: '--theirs', about: 'the one that was written elsewhere' },
        { notation: '--device <name>', about: 'the one of this device' },
        { notation: '--both', about: 'keep all: each copy gets a name of its own' },
      ],
      run: pick,
    },
    merge: {
      summary: 'put the versions together by hand',
      examples: ['skein conflicts merge todo.txt', 'skein conflicts merge todo.txt --result todo.merge.txt'],
      words: [pathWord],
      options: [
        {
          notation: '--result <file>',
          about:
            'its content resolves the conflict on all devices (default: a draft is written beside the file)',
        },
      ],
      run: merge,
    },
  },
  run: list,
}

async function list(call: Invocation): Promise<number> {
  const [space] = call.words
  const found = await withPeer(call, (client) =>
    client.call('conflicts', space === undefined ? {} : { space }),
  )
  call.terminal.json(found)
  if (found.conflicts.length === 0) call.terminal.print('No conflicts.')
  for (const conflict of found.conflicts) call.terminal.print(formatConflict(conflict))
  if (found.isCut) call.terminal.say('There are more.')
  const [first] = found.conflicts
  if (first !== undefined) {
    call.terminal.say(safe`To see how they differ: skein conflicts show '${absoluteOf(first)}'`)
    call.terminal.say('To decide: skein conflicts pick PATH --mine | --theirs | --device NAME | --both')
  }
  return exitCodes.ok
}

const absoluteOf = ({ directory, path }: Conflict): string => `${directory}/${path}`

function formatConflict(conflict: Conflict): string {
  const rows = conflict.sides.map(({ path, isMain, device, isMine, sizeBytes, kind, modifiedAtMs }) => [
    isMain ? 'has the name' : path.slice(path.lastIndexOf('/') + 1),
    isMine ? `${device} (this device)` : device,
    kind === 'file' ? formatSize(sizeBytes) : kind,
    formatTime(modifiedAtMs),
  ])
  const table = formatTable(['VERSION', 'BY', 'SIZE', 'CHANGED'], rows).replace(/^/gm, '  ')
  const wait = conflict.waitsFor === undefined ? '' : `\n  ${waits[conflict.waitsFor]}`
  return `${safe`${conflict.spaceName}: ${conflict.path}`}\n${table}${wait}`
}

const waits = {
  origin: 'Merged by itself once a device that has the version they come from has been in reach.',
  content: 'Merged by itself once a device that has the missing content is in reach.',
}

async function show(call: Invocation): Promise<number> {
  const path = resolve(call.words[0] ?? '')
  const found = await withPeer(call, (client) => client.call('conflictShow', { path }, timeoutMs))
  call.terminal.json(found)
  if (call.terminal.isJson) return exitCodes.ok
  call.terminal.print(formatConflict(found))
  for (const diff of found.diffs) {
    const [main, copy] = [found.sides[0], found.sides.find((side) => side.path === diff.path)]
    if (main === undefined || copy === undefined) continue
    call.terminal.print('')
    call.terminal.print(formatDiff(diff, { main, copy }, call.terminal))
  }
  return exitCodes.ok
}

async function pick(call: Invocation): Promise<number> {
  const device = textOption(call, 'device')
  const plain = (['mine', 'theirs', 'both'] as const).filter((name) => isSet(call, name))
  const [choice = 'device'] = plain
  if (plain.length + (device === undefined ? 0 : 1) !== 1)
    throw new SkeinError('usage', 'say which one: --mine, --theirs, --device NAME or --both', {
      fix: 'skein conflicts show PATH shows them',
    })
  const path = resolve(call.words[0] ?? '')
  const params: ConflictPickParams = device === undefined ? { path, choice } : { path, choice, device }
  const done = await withPeer(call, (client) => client.call('conflictPick', params, timeoutMs))
  call.terminal.json(done)
  call.terminal.print(choice === 'both' ? safe`Kept all: ${done.paths.join(', ')}` : resolved(done, path))
  return exitCodes.ok
}

async function merge(call: Invocation): Promise<number> {
  const result = textOption(call, 'result')
  const path = resolve(call.words[0] ?? '')
  const params = result === undefined ? { path } : { path, result: resolve(result) }
  const done = await withPeer(call, (client) => client.call('conflictMerge', params, timeoutMs))
  call.terminal.json(done)
  if (done.kind === 'resolved') call.terminal.print(resolved(done, path))
  else {
    const [draft = ''] = done.paths
    const { markerCount = 0 } = done
    const work =
      markerCount === 0
        ? 'nothing overlaps; look it over'
        : `${markerCount} ${markerCount === 1 ? 'place is' : 'places are'} marked <<<<<<< and >>>>>>>; edit them`
    call.terminal.print(safe`The draft is ${draft}: ${work}, then:`)
    const given = call.words[0] ?? ''
    const beside = given.slice(0, given.lastIndexOf('/') + 1) + draft.slice(draft.lastIndexOf('/') + 1)
    call.terminal.print(safe`  skein conflicts merge '${given}' --result '${beside}'`)
  }
  return exitCodes.ok
}

/** @param given path of any of the versions; they all lie beside each other. */
function resolved({ path, isSettled }: ConflictOutcome, given: string): string {
  const place = join(dirname(given), basename(path))
  return safe`${path} is resolved on all devices${isSettled ? '' : ' (the disk follows)'}; what gave way is in: skein versions '${place}'`
}
