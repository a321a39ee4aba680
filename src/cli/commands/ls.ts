/** `skein ls`: what a shared folder holds, on this device or only on others. */
import { formatSize } from '../../base/quantities.ts'
import type { SpaceEntry } from '../../peer/api-part.ts'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatTable, formatTime, safe } from '../terminal.ts'

export const ls: Command = {
  summary: 'what a shared folder holds, here or elsewhere',
  examples: ['skein ls photos', 'skein ls photos 2024', 'skein ls photos --json'],
  words: [
    { notation: '<space>', about: 'its name or id' },
    { notation: '[path]', about: 'a directory in it, from the root of the folder' },
  ],
  run: list,
}

const states: Readonly<Record<SpaceEntry['state'], string>> = {
  here: '',
  coming: 'on its way',
  away: 'not here',
}

async function list(call: Invocation): Promise<number> {
  const [space = '', path = ''] = call.words
  const clean = path.replace(/^\.\//, '').replace(/\/+$/, '')
  const found = await withPeer(call, (client) =>
    client.call('entries', { space, ...(clean !== '' && { path: clean }) }),
  )
  call.terminal.json(found)
  const rows = found.entries.map(({ path: one, kind, sizeBytes, modifiedAtMs, state }) => [
    `${one.slice(clean === '' ? 0 : clean.length + 1)}${kind === 'directory' ? '/' : ''}`,
    kind === 'file' ? formatSize(sizeBytes) : '',
    modifiedAtMs === undefined ? '' : formatTime(modifiedAtMs),
    states[state],
  ])
  if (rows.length === 0) call.terminal.print(safe`"${clean}" holds nothing.`)
  else call.terminal.print(formatTable(['NAME', 'SIZE', 'CHANGED', ''], rows))
  if (found.isCut) call.terminal.say('There are more.')
  return exitCodes.ok
}
