/** `skein restore`: brings an earlier version, a deleted file or a deleted directory back. An edit like any other. */
import type { RestoreParams } from '../../peer/api-spaces.ts'
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { absolutePath, parseMoment } from '../paths.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

/** A directory may be many files. */
const timeoutMs = 600_000
const shownPaths = 20

export const restore: Command = {
  summary: 'bring back an earlier version, a deleted file or directory',
  examples: [
    'skein restore todo.txt',
    'skein restore todo.txt --version 7q2m',
    'skein restore old-project --at 2h',
    'skein restore todo.txt --to todo-before.txt',
  ],
  words: [{ notation: '<path>', about: 'a file or directory in a shared folder; need not exist any more' }],
  options: [
    {
      notation: '--version <id>',
      about: 'which one, as `skein versions` shows it (default: the newest other one)',
    },
    { notation: '--at <time>', about: 'as it was then: 2h (ago), 2026-11-21, "2026-11-21 14:30"' },
    { notation: '--to <path>', about: 'put it there instead' },
  ],
  run: bring,
}

async function bring(call: Invocation): Promise<number> {
  const [version, at, to] = ['version', 'at', 'to'].map((name) => textOption(call, name))
  const params: RestoreParams = {
    path: absolutePath(call.words[0] ?? ''),
    ...(version !== undefined && { version }),
    ...(at !== undefined && { atMs: parseMoment(at) }),
    ...(to !== undefined && { to: absolutePath(to) }),
  }
  const done = await withPeer(call, (client) => client.call('restore', params, timeoutMs))
  call.terminal.json(done)
  const count = done.restored.length
  if (count === 1) call.terminal.print(safe`Restored ${done.restored[0]}`)
  else if (count === 0 && done.problems.length === 0) call.terminal.print('Everything is as it was then.')
  else call.terminal.print(`Restored ${count} files.`)
  if (count > 1) for (const path of done.restored.slice(0, shownPaths)) call.terminal.print(safe`  ${path}`)
  if (count > shownPaths) call.terminal.print(`  and ${count - shownPaths} more`)
  if (done.replacedCount > 0) call.terminal.say('What stood there is among the versions now.')
  for (const { path, cause, fix } of done.problems) call.terminal.say(safe`! ${path}: ${cause} (fix: ${fix})`)
  return done.problems.length === 0 ? exitCodes.ok : exitCodes.failed
}
