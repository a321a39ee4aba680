/** `skein share`: makes a directory a space that other devices can join. */
import { resolve } from 'node:path'
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const share: Command = {
  summary: 'share a directory',
  examples: ['skein share ~/notes', 'skein share . --name project'],
  words: [{ notation: '<dir>', about: 'the directory; nothing in it is changed' }],
  options: [{ notation: '--name <name>', about: "name of the space (default: the directory's own)" }],
  run: offer,
}

async function offer(call: Invocation): Promise<number> {
  const directory = resolve(call.words[0] ?? '')
  const name = textOption(call, 'name')
  const params = name === undefined ? { directory } : { directory, name }
  const space = await withPeer(call, (client) => client.call('share', params))
  call.terminal.json(space)
  call.terminal.print(safe`${space.directory ?? directory} is shared as "${space.name}" (${space.id})`)
  call.terminal.say(safe`On another device: skein join ${space.name} DIR`)
  return exitCodes.ok
}
