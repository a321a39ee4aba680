/** `skein log`: what happened to a file, by whom and when, as far as this device knows. */
import { resolve } from 'node:path'
import type { HistoryStep } from '../../peer/api-spaces.ts'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatSize } from '../../base/quantities.ts'
import { formatTable, formatTime, safe } from '../terminal.ts'

const timeoutMs = 60_000

export const log: Command = {
  summary: 'the history of a file: who changed it, when and how',
  examples: ['skein log notes/todo.txt', 'skein log notes/todo.txt --json'],
  words: [{ notation: '<path>', about: 'a file in a shared folder; need not exist any more' }],
  run: tell,
}

async function tell(call: Invocation): Promise<number> {
  const path = resolve(call.words[0] ?? '')
  const found = await withPeer(call, (client) => client.call('history', { path }, timeoutMs))
  call.terminal.json(found)
  const rows = found.steps.map((step) => [
    step.atMs === undefined ? 'not known' : formatTime(step.atMs),
    step.clock === undefined ? '' : step.clock === 'here' ? 'this device' : 'its author',
    step.device ?? (step.kind === 'merge' ? 'all together' : 'not known'),
    describe(step, found.path),
    step.sizeBytes === undefined ? '' : formatSize(step.sizeBytes),
    step.versionId,
  ])
  call.terminal.print(safe`${found.path}${found.isThere ? '' : ' (not there any more)'}`)
  call.terminal.print(formatTable(['WHEN', 'BY THE CLOCK OF', 'WHO', 'WHAT', 'SIZE', 'VERSION'], rows))
  return exitCodes.ok
}

function describe({ kind, path, from }: HistoryStep, now: string): string {
  const texts: Readonly<Record<HistoryStep['kind'], string>> = {
    create: 'created',
    edit: 'edited',
    rename: `renamed${from === undefined ? '' : ` from ${from}`}${path === now ? '' : ` to ${path}`}`,
    delete: 'deleted',
    merge: 'merged',
  }
  return path === undefined || path === now || kind === 'rename' ? texts[kind] : `${texts[kind]} as ${path}`
}
