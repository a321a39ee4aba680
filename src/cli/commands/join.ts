/** `skein join`: keeps a shared folder on this device too. */
import { resolve } from 'node:path'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const join: Command = {
  summary: 'keep a shared folder here too',
  examples: ['skein join notes ~/notes'],
  words: [
    { notation: '<space>', about: 'its name, its id or the start of its id' },
    { notation: '<dir>', about: 'where to keep it; made when it does not exist, merged when it does' },
  ],
  run: take,
}

async function take(call: Invocation): Promise<number> {
  const [space = '', directory = ''] = call.words
  const found = await withPeer(call, (client) =>
    client.call('join', { space, directory: resolve(directory) }),
  )
  call.terminal.json(found)
  call.terminal.print(safe`"${found.name}" is kept in ${found.directory ?? directory}`)
  return exitCodes.ok
}
