/** `skein join`: keeps a shared folder on this device too. */
import { resolve } from 'node:path'
import type { JoinParams } from '../../peer/api-spaces.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textsOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatSelection } from '../space-lines.ts'
import { safe } from '../terminal.ts'
import { selectOptions } from './select.ts'

export const join: Command = {
  summary: 'keep a shared folder here too',
  examples: [
    'skein join notes ~/notes',
    'skein join photos /srv/photos --read-only',
    "skein join photos ~/photos --only '/2026/' --except '*.raw'",
  ],
  words: [
    { notation: '<space>', about: 'its name, its id or the start of its id' },
    { notation: '<dir>', about: 'where to keep it; made when it does not exist, merged when it does' },
  ],
  options: [
    { notation: '--read-only', about: 'receive only: what is changed here is listed and never sent' },
    ...selectOptions,
  ],
  run: take,
}

async function take(call: Invocation): Promise<number> {
  const [space = '', directory = ''] = call.words
  const [only, except] = [textsOption(call, 'only'), textsOption(call, 'except')]
  const params: JoinParams = {
    space,
    directory: resolve(directory),
    ...(isSet(call, 'readOnly') && { role: 'read-only' }),
    ...(only.length > 0 && { only }),
    ...(except.length > 0 && { except }),
  }
  const found = await withPeer(call, (client) => client.call('join', params))
  call.terminal.json(found)
  call.terminal.print(safe`"${found.name}" is kept in ${found.directory ?? directory}`)
  if (found.role === 'read-only') call.terminal.print('This device receives it, and sends nothing.')
  if (found.selection !== undefined)
    call.terminal.print(safe`Of it is kept here: ${formatSelection(found.selection)}`)
  return exitCodes.ok
}
