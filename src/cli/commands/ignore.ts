/** `skein ignore`: what a shared folder leaves out: the rules in its `.skeinignore`, changed or explained. */
import { SkeinError } from '../../base/errors.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { absolutePath } from '../paths.ts'
import type { Client } from '../client.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const ignore: Command = {
  summary: 'what a shared folder leaves out',
  examples: [
    'skein ignore notes',
    "skein ignore notes 'node_modules/' '*.log'",
    "skein ignore notes --remove '*.log'",
    'skein ignore --check notes/build/out.o',
  ],
  words: [
    { notation: '[space]', about: 'its name or id (default: the only one on this device)' },
    { notation: '[patterns...]', about: 'patterns to add, as in .gitignore; they hold on all devices' },
  ],
  options: [
    { notation: '--remove', about: 'take these patterns out instead' },
    { notation: '--check <path>', about: 'say which rule decides about this path' },
  ],
  run: edit,
}

async function edit(call: Invocation): Promise<number> {
  const path = textOption(call, 'check')
  if (path !== undefined) return await check(call, absolutePath(path))
  const [given, ...patterns] = call.words
  return await withPeer(call, async (client) => {
    const space = given ?? (await onlySpace(client))
    const change =
      patterns.length === 0 ? {} : isSet(call, 'remove') ? { remove: patterns } : { add: patterns }
    const found = await client.call('ignore', { space, ...change })
    call.terminal.json(found)
    if (patterns.length > 0)
      call.terminal.say(found.changed ? 'Changed; it holds on all devices.' : 'It was so already.')
    if (found.patterns.length === 0) call.terminal.print(safe`${found.file} leaves nothing out.`)
    else {
      call.terminal.print(safe`${found.file}`)
      for (const { line, pattern } of found.patterns)
        call.terminal.print(safe`${String(line).padStart(5)}  ${pattern}`)
    }
    return exitCodes.ok
  })
}

async function onlySpace(client: Client): Promise<string> {
  const here = (await client.call('spaces', {})).filter(({ directory }) => directory !== undefined)
  const [only, second] = here
  if (only !== undefined && second === undefined) return only.id
  throw new SkeinError('usage', 'say which shared folder', {
    fix:
      only === undefined
        ? 'skein share DIR makes one'
        : `skein ignore ${here.map(({ name }) => name).join(' | ')}`,
  })
}

/** Exit code 0 when it is left out, 1 when it is synced, as `git check-ignore`. */
async function check(call: Invocation, path: string): Promise<number> {
  const found = await withPeer(call, (client) => client.call('ignoreCheck', { path }))
  call.terminal.json(found)
  const { rule, matched, isIgnored, isReserved } = found
  const verdict = isIgnored ? 'left out' : 'synced'
  if (isReserved) call.terminal.print(safe`${found.path}: left out, the name is reserved for Skein`)
  else if (rule === undefined) call.terminal.print(safe`${found.path}: synced, no rule matches`)
  else {
    const what = matched === found.path ? '' : safe` (it matches ${matched})`
    call.terminal.print(
      safe`${found.path}: ${verdict} by line ${rule.line} of ${rule.file}: ${rule.pattern}` + what,
    )
  }
  return isIgnored ? exitCodes.ok : exitCodes.failed
}
