/** `skein revert`: takes back what was changed on this disk and is not sent; its bytes go to versions. */
import type { LocalChange } from '../../peer/api-part.ts'
import { formatSize } from '../../base/quantities.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatTable, safe } from '../terminal.ts'

/** All of a folder may be looked at, and hashed. */
const timeoutMs = 600_000
const shownChanges = 20

export const revert: Command = {
  summary: 'take back changes made here that are not sent',
  examples: ['skein revert notes --list', 'skein revert notes', 'skein revert notes drafts/plan.md'],
  words: [
    { notation: '<space>', about: 'its name or id; one that is read-only here, or kept in part' },
    { notation: '[paths...]', about: 'only these, from the root of the folder (default: all)' },
  ],
  options: [{ notation: '--list', about: 'show what there is, and change nothing' }],
  run: take,
}

async function take(call: Invocation): Promise<number> {
  const [space = '', ...paths] = call.words
  if (isSet(call, 'list')) return await list(call, space)
  const params = paths.length === 0 ? { space } : { space, paths: paths.map(belowRoot) }
  const { terminal } = call
  const done = await withPeer(call, (client) => client.call('revert', params, timeoutMs))
  terminal.json(done)
  const { reverted } = done
  if (reverted.length === 0) {
    terminal.print('Nothing here is different.')
    return exitCodes.ok
  }
  terminal.print(`Taken back: ${reverted.length === 1 ? '1 change' : `${reverted.length} changes`}`)
  for (const change of reverted.slice(0, shownChanges)) terminal.print(safe`  ${describe(change)}`)
  if (reverted.length > shownChanges) terminal.print(`  and ${reverted.length - shownChanges} more`)
  terminal.say('What stood there is among the versions now: skein versions PATH')
  return exitCodes.ok
}

const describe = ({ change, path, isDirectory }: LocalChange): string =>
  `${change.padEnd(8)}${path}${isDirectory ? '/' : ''}`

const belowRoot = (path: string): string => path.replace(/^\.\//, '').replace(/\/+$/, '')

async function list(call: Invocation, space: string): Promise<number> {
  const found = await withPeer(call, (client) => client.call('localChanges', { space }))
  call.terminal.json(found)
  if (found.changes.length === 0) call.terminal.print(safe`Nothing in ${found.directory} is unsent.`)
  else {
    const rows = found.changes.map(({ change, path, isDirectory, sizeBytes }) => [
      change,
      isDirectory || change === 'deleted' ? '' : formatSize(sizeBytes),
      `${path}${isDirectory ? '/' : ''}`,
    ])
    call.terminal.print(formatTable(['CHANGE', 'SIZE', 'PATH'], rows))
    if (found.isCut) call.terminal.say('There are more.')
    call.terminal.say(safe`To take them back: skein revert ${space} [PATH]`)
  }
  return exitCodes.ok
}
